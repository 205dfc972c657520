"""A judge's word counts only with quotations that stand in the row, and its tables are compared by code."""

from collections.abc import Mapping
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest

from preceptor.checks import judged as j
from preceptor.errors import ReplyError
from preceptor.types import Agent, Document, Example, Gold, Instruction, Material, Option, Reply

PASSAGE = (
    "Ines: The orchard should be sold, for the frost takes the blossom every other spring. "
    "Tom: Frost or no frost, the orchard feeds the bees, and without bees the beans fail."
)
OPTIONS = tuple(
    Option(text, "credited" if i == 2 else f"wrong_{i}", f"reason {i}")
    for i, text in enumerate(
        (
            "The blossom is lost to frost in some years.",
            "Beans fetch a good price.",
            "The orchard should be kept.",
            "Bees dislike the cold.",
        )
    )
)
ITEM = Instruction(
    Material(Document("d", PASSAGE, "orchard.txt"), "debate", PASSAGE),
    "point_at_issue",
    "What divides Ines and Tom?",
    "multiple_choice",
    OPTIONS,
    Gold("option", "C"),
    data={"first": "Ines", "second": "Tom", "wanted": "opposed"},
)
ANSWER = "Ines would sell and Tom would not, so the two are at odds over keeping the orchard. (C)"
ROW = Example(
    ITEM,
    ANSWER,
    ({"role": "user", "content": "Read and answer."}, {"role": "assistant", "content": ANSWER}),
    {"final": "C"},
    model="teacher-1",
)


class Skill:
    name = "reading_comprehension"
    checks: ClassVar[dict[str, Any]] = {}

    def __init__(self, points: tuple[str, ...] = ()) -> None:
        self.points = points

    def kind(self, name: str) -> Any:
        return SimpleNamespace(name=name, checks=(), data={"rubric": self.points})

    def agent(self, name: str) -> Agent:
        return Agent(name, "")


class Judge:
    """An ask that replies with these fields, one after another."""

    seed = "s"
    roles = frozenset({"teacher", "judge"})

    def __init__(self, *replies: Mapping[str, Any] | None, model: str = "judge-1") -> None:
        self.replies, self.model = replies, model
        self.asked: list[dict[str, Any]] = []

    async def __call__(self, agent: Agent, /, *, history: Any = (), tools: Any = (), sample: int = 0, **slots: Any) -> Reply:
        self.asked.append({"agent": agent.name, **slots})
        fields = self.replies[min(len(self.asked), len(self.replies)) - 1]
        if fields is None:
            raise ReplyError("no reply")
        return Reply("", fields, model=self.model)

    async def use(self, tool: str, /, **arguments: Any) -> Any:
        raise AssertionError("no tool is needed")


QUOTE = "at odds over keeping the orchard"
POINTS = ("Names what both are committed to.", "Ends on one option.")


def finding(point: int, verdict: str = "yes", quote: str = QUOTE) -> dict[str, Any]:
    return {"point": point, "quote": quote, "reason": "because of that", "verdict": verdict}


@pytest.mark.parametrize(
    ("findings", "outcome"),
    [
        ([finding(1), finding(2)], "pass"),
        ([finding(2), finding(1)], "pass"),
        ([finding(1, quote="the orchard feeds the bees"), finding(2)], "pass"),
        ([finding(1, quote="“At odds over keeping the orchard.”"), finding(2)], "pass"),
        ([finding(1, quote="Read and answer"), finding(2)], "pass"),
        ([finding(1), finding(2, quote="at odds  over\nkeeping the orchard")], "pass"),
        ([finding(1), finding(2, "no")], "fail"),
        ([finding(1, "no"), finding(2)], "fail"),
        ([finding(1)], "fail"),
        ([finding(1), finding(1)], "fail"),
        ([finding(1), finding(2), finding(3)], "fail"),
        ([finding(1, quote="at odds over selling the orchard"), finding(2)], "fail"),
        ([finding(1, quote=""), finding(2)], "fail"),
    ],
)
async def test_every_point_needs_a_finding_with_words_that_are_there(findings: list[dict[str, Any]], outcome: str) -> None:
    verdict = await j.rubric(ROW, Skill(POINTS), Judge({"findings": findings, "hint": "Look at the end again."}))
    assert verdict.outcome == outcome, verdict.evidence
    assert (verdict.by, verdict.decides) == ("judge-1", False)


async def test_a_judge_that_invents_a_quotation_is_told_so() -> None:
    verdict = await j.rubric(ROW, Skill(POINTS), Judge({"findings": [finding(1, quote="nobody said this"), finding(2)]}))
    assert (verdict.outcome, j.NOT_THERE in verdict.evidence) == ("fail", True)


@pytest.mark.parametrize(
    ("judge", "points", "why"),
    [
        (Judge({"findings": [finding(1)]}, model="teacher-1"), POINTS[:1], "the judge is the model that answered"),
        (Judge(None), POINTS, "no verdict"),
        (Judge({"findings": []}), (), "points"),
    ],
)
async def test_where_no_judge_can_say_anything_nothing_is_said(judge: Judge, points: tuple[str, ...], why: str) -> None:
    verdict = await j.rubric(ROW, Skill(points), judge)
    assert (verdict.outcome, why in verdict.evidence) == ("na", True), verdict.evidence


async def test_points_of_the_task_come_before_those_of_its_kind() -> None:
    row = replace(ROW, instruction=replace(ITEM, data={"points": ["Says who.", {"point": "Says when."}]}))
    assert j.points_of(row, Skill(POINTS)) == ("Says who.", "Says when.", *POINTS)


async def test_one_finding_without_points_is_a_rubric_too() -> None:
    fields = {"quote": QUOTE, "reason": "it does", "verdict": "yes"}
    assert (await j.judge(ROW, Skill(), Judge(fields), "5_verify/kind")).outcome == "pass"
    assert (await j.judge(ROW, Skill(), Judge({**fields, "verdict": "no"}), "5_verify/kind")).outcome == "fail"


def prefers(better: str, quote: str = "short") -> dict[str, str]:
    return {"quote": quote, "reason": "it is plainer", "better": better}


@pytest.mark.parametrize(
    ("replies", "better"),
    [
        ((prefers("first"), prefers("second")), "first"),
        ((prefers("second"), prefers("first")), "second"),
        ((prefers("first", "a long one"), prefers("second")), "first"),
        ((prefers("first"), prefers("first")), ""),
        ((prefers("second"), prefers("second")), ""),
        ((prefers("neither"), prefers("neither")), ""),
        ((prefers("first"), prefers("neither")), ""),
        ((prefers("first", "not in either"), prefers("second")), ""),
    ],
)
async def test_only_what_is_said_in_both_orders_is_a_preference(replies: tuple[Any, Any], better: str) -> None:
    assert (await j.better_of("a short one", "a long one", ROW, Skill(), Judge(*replies)))[0] == better


# ── tables ───────────────────────────────────────────────────────────────────────────────────────────────────────

FEEDS, FROST = "the orchard feeds the bees", "the frost takes the blossom every other spring"


def rows(name: str, picked: str, no: str, yes: str, **more: Any) -> list[dict[str, Any]]:
    return [{"letter": x, name: yes if x in picked else no, "quote": FEEDS, **more} for x in "ABCD"]


TABLES: dict[str, tuple[j.Check, str, str, str]] = {
    "negation_test": (j.negation_test, "verdict", "stands", "falls"),
    "variance_test": (j.variance_test, "verdict", "alike", "opposite"),
    "form_test": (j.form_test, "verdict", "different", "same"),
    "entailment_test": (j.entailment_test, "verdict", "open", "follows"),
}
FAULTS = [("", "fail"), ("A", "fail"), ("AC", "fail"), ("ABD", "fail"), ("ABCD", "fail"), ("BC", "fail"), ("C", "pass")]


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize(("picked", "outcome"), FAULTS)
async def test_a_table_must_pick_the_key_alone(name: str, picked: str, outcome: str) -> None:
    check, column, no, yes = TABLES[name]
    ask = Judge({"rows": rows(column, picked, no, yes)})
    verdict = await check(ROW, Skill(), ask)
    assert verdict.outcome == outcome, verdict.evidence
    assert (verdict.by, ask.asked[0]["agent"]) == ("code", f"_shared/{name}")
    assert "reason 2" not in str(ask.asked)
    assert "credited" not in str(ask.asked)


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("key", "ABCD")
async def test_a_table_follows_the_key_wherever_it_stands(name: str, key: str) -> None:
    check, column, no, yes = TABLES[name]
    row = replace(ROW, instruction=replace(ITEM, gold=Gold("option", key)))
    assert (await check(row, Skill(), Judge({"rows": rows(column, key, no, yes)}))).outcome == "pass"


@pytest.mark.parametrize("name", TABLES)
async def test_a_table_with_invented_words_or_missing_rows_does_not_count(name: str) -> None:
    check, column, no, yes = TABLES[name]
    good = rows(column, "C", no, yes)
    for broken in (good[:3], [*good[:3], good[0]], [*good[:3], {**good[3], "quote": "the bees feed the orchard"}]):
        assert (await check(ROW, Skill(), Judge({"rows": broken}))).outcome == "fail"
    assert (await check(ROW, Skill(), Judge(None))).outcome == "na"


@pytest.mark.parametrize(
    ("kind", "yes", "picked", "outcome"),
    [
        ("must_be_true", "follows", "C", "pass"),
        ("cannot_be_true", "excluded", "C", "pass"),
        ("except_not", "follows", "ABD", "pass"),
        ("must_be_true", "excluded", "C", "fail"),
        ("cannot_be_true", "follows", "C", "fail"),
        ("except_not", "follows", "C", "fail"),
        ("except_not", "follows", "ABCD", "fail"),
        ("except_not", "follows", "AB", "fail"),
        ("cannot_be_true", "excluded", "CD", "fail"),
    ],
)
async def test_what_the_key_must_be_depends_on_the_question(kind: str, yes: str, picked: str, outcome: str) -> None:
    row = replace(ROW, instruction=replace(ITEM, kind=kind))
    assert (await j.entailment_test(row, Skill(), Judge({"rows": rows("verdict", picked, "open", yes)}))).outcome == outcome


def stands(**by_letter: tuple[str, str]) -> dict[str, Any]:
    made = []
    for letter in "ABCD":
        first, second = by_letter.get(letter, ("silent", "silent"))
        row = {"letter": letter, "first": first, "second": second}
        row |= {"first_quote": FROST} if first != "silent" else {}
        made.append(row | ({"second_quote": FEEDS} if second != "silent" else {}))
    return {"rows": made}


@pytest.mark.parametrize(
    ("table", "wanted", "outcome"),
    [
        (stands(C=("denies", "affirms")), "opposed", "pass"),
        (stands(C=("affirms", "denies")), "opposed", "pass"),
        (stands(C=("denies", "affirms"), A=("affirms", "affirms")), "opposed", "pass"),
        (stands(C=("denies", "affirms"), A=("affirms", "silent"), B=("silent", "denies")), "opposed", "pass"),
        (stands(C=("affirms", "affirms")), "shared", "pass"),
        (stands(C=("denies", "denies"), B=("affirms", "denies")), "shared", "pass"),
        (stands(C=("denies", "silent")), "opposed", "fail"),
        (stands(C=("affirms", "affirms")), "opposed", "fail"),
        (stands(C=("denies", "affirms"), A=("affirms", "denies")), "opposed", "fail"),
        (stands(A=("denies", "affirms")), "opposed", "fail"),
        (stands(C=("affirms", "silent")), "shared", "fail"),
        (stands(C=("affirms", "affirms"), D=("affirms", "affirms")), "shared", "fail"),
        (stands(), "shared", "fail"),
    ],
)
async def test_two_parties_meet_or_part_on_the_key_alone(table: dict[str, Any], wanted: str, outcome: str) -> None:
    row = replace(ROW, instruction=replace(ITEM, data={**ITEM.data, "wanted": wanted}))
    ask = Judge(table)
    verdict = await j.agreement_test(row, Skill(), ask)
    assert verdict.outcome == outcome, verdict.evidence
    assert (ask.asked[0]["first"], ask.asked[0]["second"]) == ("Ines", "Tom")


@pytest.mark.parametrize("nothing", ["", "-", "–", "none", "None.", "(none)", "n/a", "keine", "कुछ नहीं"])
async def test_where_there_is_nothing_to_quote_a_judge_may_say_so(nothing: str) -> None:
    table = stands(C=("denies", "affirms"))
    for line in table["rows"]:
        for who in ("first", "second"):
            line.setdefault(f"{who}_quote", nothing)
    assert (await j.agreement_test(ROW, Skill(), Judge(table))).outcome == "pass"
    filled = rows("verdict", "C", "open", "follows")
    empty = [line if line["letter"] == "C" else {**line, "quote": nothing} for line in filled]
    assert (await j.entailment_test(ROW, Skill(), Judge({"rows": empty}))).outcome == "pass"
    assert (await j.better_of("a short one", "a long one", ROW, Skill(), Judge(prefers("neither", nothing))))[0] == ""
    assert "changed its mind" not in (await j.better_of("a", "b", ROW, Skill(), Judge(prefers("neither", nothing))))[1]
    verdict = await j.rubric(ROW, Skill(POINTS), Judge({"findings": [finding(1), finding(2, "no", quote=nothing)]}))
    assert verdict.outcome == "fail"
    assert "because of that" in verdict.evidence


@pytest.mark.parametrize("nothing", ["", "-", "none"])
@pytest.mark.parametrize("name", ["negation_test", "variance_test", "entailment_test"])
async def test_a_verdict_that_needs_words_does_not_count_without_them(name: str, nothing: str) -> None:
    check, column, no, yes = TABLES[name]
    table = [{**line, "quote": nothing} for line in rows(column, "C", no, yes)]
    verdict = await check(ROW, Skill(), Judge({"rows": table}))
    assert verdict.outcome == "fail"
    assert "C: " in verdict.evidence
    stand = stands(C=("denies", "affirms"))
    stand["rows"][2]["first_quote"] = nothing
    assert (await j.agreement_test(ROW, Skill(), Judge(stand))).outcome == "fail"
    assert (await j.rubric(ROW, Skill(POINTS), Judge({"findings": [finding(1), finding(2, quote=nothing)]}))).outcome == "fail"
    assert "not there" in (await j.better_of("a", "b", ROW, Skill(), Judge(prefers("first", nothing))))[1]


async def test_a_stand_without_words_does_not_count() -> None:
    table = stands(C=("denies", "affirms"))
    del table["rows"][2]["second_quote"]
    assert (await j.agreement_test(ROW, Skill(), Judge(table))).outcome == "fail"
