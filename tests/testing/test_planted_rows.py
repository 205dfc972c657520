"""Rows planted for calibrating a judge: each judged kind has good and bad ones, and code lets the good ones pass."""

from collections import Counter

import pytest

from preceptor.skill import load_skill
from preceptor.testing import FakeAsk, SimulatedTeacher
from preceptor.testing.calibrate import judge, planted
from preceptor.testing.gates import row_by_hand
from preceptor.testing.packs import checks_of_kind, deciding, judges

SKILLS = ("reading_comprehension", "text_modification")


@pytest.mark.parametrize("name", SKILLS)
def test_every_judged_kind_has_good_and_bad_rows_for_its_rubric(name: str) -> None:
    skill = load_skill(name)
    judged = [k.name for k in skill.kinds if k.tier == "real" and not deciding(k, skill) and judges(k, skill)]
    found = Counter((line["kind"], line["verdict"]) for line in planted(skill))
    assert [kind for kind in judged if min(found[kind, "yes"], found[kind, "no"]) < 2] == []


@pytest.mark.parametrize("name", SKILLS)
async def test_code_finds_nothing_wrong_with_the_good_ones(name: str) -> None:
    skill = load_skill(name)
    wrong = []
    for line in planted(skill):
        example, kind = row_by_hand({"final": line["answer"], **line}, skill), skill.kind(line["kind"])
        for check in checks_of_kind(kind, skill):
            if line["verdict"] == "yes" and not check.needs and check.name in kind.checks:
                verdict = await check(example, skill, FakeAsk())
                if verdict.outcome == "fail":
                    wrong.append((line["kind"], check.name, verdict.evidence))
    assert wrong == []


async def test_a_judge_that_always_says_yes_is_found_out() -> None:
    skill = load_skill("text_modification")
    rows = [judged for line in planted(skill) for judged in await judge(line, skill, SimulatedTeacher([skill]))]
    assert {row.planted for row in rows} == {"yes", "no"}
    assert [row.agrees for row in rows].count(True) < 0.7 * len(rows)


async def test_planted_rows_reach_the_rubric() -> None:
    skill = load_skill("text_modification")
    model = SimulatedTeacher([skill])
    ask = FakeAsk(model, roles=("judge",))
    line = planted(skill)[0]
    example = row_by_hand({"final": line["answer"], **line}, skill)
    (check,) = judges(skill.kind(line["kind"]), skill)
    assert (await check(example, skill, ask)).outcome == "pass"
    assert line["answer"] in str(ask.requests[0].messages)
