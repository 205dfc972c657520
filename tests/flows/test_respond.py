"""Respond and verify: what is drafted, revised, kept and accepted; and what whoever answers never gets to see."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from flows.makings import CRITIC, TEXT, door, instruction, material, skill
from preceptor.export.preference import pairs_of
from preceptor.flows.respond import narrowed, respond
from preceptor.flows.row import format_of, styled
from preceptor.flows.verify import accepts, holds, verify
from preceptor.models.scripted import prompt_of
from preceptor.skill import Skill, load_skill
from preceptor.testing import FakeAsk
from preceptor.types import Dropped, Example, Gold, Instruction, Option, Verdict

TASK = instruction(gold=Gold("text", "seventeen", (), ("17",)))
WRONG = {"answer": "There are ten.", "final": "ten"}
RIGHT = {"answer": "There are seventeen.", "final": "seventeen"}


def settings(text: str) -> dict[str, str]:
    return {"skill.toml": f'title = "Small"\n[respond]\n{text}\n'}


async def row(task: Instruction, small: Skill, ask: FakeAsk) -> Example:
    """The row of the task, verified."""
    (made,) = await respond(task, small, ask)
    assert isinstance(made, Example), made
    (verified,) = await verify(made, small, ask)
    return verified


def asked(ask: FakeAsk) -> list[str]:
    return [r.agent.rpartition("/")[2] for r in ask.requests]


# ── drafts ───────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_teacher_wrong_first_and_right_then_gives_one_row_two_drafts_and_a_pair(tmp_path: Path) -> None:
    small = skill(tmp_path, settings("answers = 2\nrounds = 0"))
    made = await row(TASK, small, door({"*/answer": [WRONG, RIGHT]}))
    assert (made.status, made.answer, made.tries) == ("accepted", "There are seventeen.", 2)
    assert [d.answer for d in made.drafts] == ["There are ten.", "There are seventeen."]
    (pair,) = pairs_of([(made, "small")])
    assert (pair["chosen"][0]["content"], pair["rejected"][0]["content"]) == ("There are seventeen.", "There are ten.")
    assert (pair["pair"], pair["chosen_by"], pair["failed"]) == ("draft", "answerer: scripted", ["gold_text"])


async def test_the_first_answer_that_passes_is_the_row_and_no_further_one_is_paid_for(tmp_path: Path) -> None:
    small = skill(tmp_path, settings("answers = 5\nrounds = 0"))
    ask = door({"*/answer": [WRONG, RIGHT, RIGHT]})
    assert (await row(TASK, small, ask)).tries == 2
    assert [r.sample for r in ask.requests] == [0, 1]


async def test_where_no_answer_passes_the_last_is_kept_rejected(tmp_path: Path) -> None:
    small = skill(tmp_path, settings("answers = 2\nrounds = 0"))
    made = await row(TASK, small, door({"*/answer": WRONG}))
    assert (made.status, made.tries, len(made.drafts)) == ("rejected", 2, 2)


async def test_an_answerer_that_declines_drops_the_instruction_with_its_reason(tmp_path: Path) -> None:
    (lost,) = await respond(TASK, skill(tmp_path), door({"*/answer": {**RIGHT, "decline": "The passage is cut off."}}))
    assert isinstance(lost, Dropped)
    assert (lost.reason, lost.agent, lost.kind) == ("declined: The passage is cut off.", "4_respond/answer", "count")


async def test_one_declined_answer_does_not_stop_the_next(tmp_path: Path) -> None:
    small = skill(tmp_path, settings("answers = 2"))
    made = await row(TASK, small, door({"*/answer": [{**RIGHT, "decline": "I would rather not."}, RIGHT]}))
    assert (made.status, made.tries) == ("accepted", 1)


async def test_a_kind_may_name_its_own_answerer(tmp_path: Path) -> None:
    own = {
        "2_instruct/taxonomy.toml": '[[kind]]\nname = "count"\nanswerer = "counter"\nchecks = ["gold_text"]\n',
        "4_respond/counter.md": "+++\n[reply]\nanswer = {}\nfinal = {}\n+++\n{{ task }}\n",
    }
    assert (await row(TASK, skill(tmp_path, own), door({"*/counter": RIGHT}))).status == "accepted"


# ── critic and reviser ───────────────────────────────────────────────────────────────────────────────────────────


async def test_a_failed_draft_goes_through_critic_and_reviser_and_makes_a_pair(tmp_path: Path) -> None:
    small = skill(tmp_path, CRITIC, settings("rounds = 1"))
    ask = door({"*/answer": WRONG, "*/critic": {"critique": "Count again.", "good": False}, "*/reviser": RIGHT})
    made = await row(TASK, small, ask)
    assert asked(ask) == ["answer", "critic", "reviser"]
    assert [(d.by, d.critique) for d in made.drafts] == [("answerer", "Count again."), ("reviser", "")]
    assert (made.status, made.answer) == ("accepted", "There are seventeen.")
    (pair,) = pairs_of([(made, "small")])
    assert (pair["pair"], pair["chosen_by"], pair["rejected_by"]) == ("revision", "reviser: scripted", "answerer: scripted")
    assert "the final answer is not right" in prompt_of(ask.requests[1])
    assert "Count again." in prompt_of(ask.requests[2])


async def test_a_draft_that_passes_is_criticised_only_where_the_skill_says_always(tmp_path: Path) -> None:
    ask = door({"*/answer": RIGHT})
    await row(TASK, skill(tmp_path, CRITIC, settings("rounds = 2")), ask)
    assert asked(ask) == ["answer"]


async def test_a_better_revision_of_a_passing_draft_is_the_row(tmp_path: Path) -> None:
    small = skill(tmp_path, CRITIC, settings('rounds = 1\nreflect = "always"'))
    better = {"answer": "Seventeen berths, all on the south pier.", "final": "17"}
    ask = door({"*/answer": RIGHT, "*/critic": {"critique": "Say where.", "good": False}, "*/reviser": better})
    made = await row(TASK, small, ask)
    assert (made.status, made.answer, made.tries) == ("accepted", better["answer"], 2)


async def test_a_revision_that_breaks_a_passing_draft_is_kept_but_not_used(tmp_path: Path) -> None:
    small = skill(tmp_path, CRITIC, settings('rounds = 1\nreflect = "always"'))
    ask = door({"*/answer": RIGHT, "*/critic": {"critique": "Say ten.", "good": False}, "*/reviser": WRONG})
    made = await row(TASK, small, ask)
    assert (made.status, made.answer) == ("accepted", "There are seventeen.")
    assert {d.answer for d in made.drafts} == {"There are seventeen.", "There are ten."}
    (pair,) = pairs_of([(made, "small")])
    assert (pair["chosen_by"], pair["rejected_by"]) == ("answerer: scripted", "reviser: scripted")


async def test_a_critic_that_finds_nothing_ends_the_rounds(tmp_path: Path) -> None:
    small = skill(tmp_path, CRITIC, settings('rounds = 3\nreflect = "always"'))
    ask = door({"*/answer": RIGHT, "*/critic": {"critique": "Nothing to mend.", "good": True}})
    made = await row(TASK, small, ask)
    assert asked(ask) == ["answer", "critic"]
    assert made.drafts[0].critique == "Nothing to mend."


async def test_a_critic_cannot_praise_away_a_failed_check(tmp_path: Path) -> None:
    small = skill(tmp_path, CRITIC, settings("rounds = 1"))
    ask = door({"*/answer": WRONG, "*/critic": {"critique": "Fine.", "good": True}, "*/reviser": RIGHT})
    assert (await row(TASK, small, ask)).status == "accepted"


async def test_the_critic_sees_the_bare_result_and_what_checks_found_but_nothing_of_the_key(tmp_path: Path) -> None:
    sees = {"4_respond/critic.md": "+++\n[reply]\ncritique = {}\n+++\n{{ draft }}|{{ final }}|{{ problems | join(';') }}\n"}
    hygiene = '[verify]\nchecks = ["final_in_answer", "placeholder"]\n'
    small = skill(tmp_path, CRITIC, sees, {"skill.toml": f'title = "Small"\n[respond]\nrounds = 1\n{hygiene}'})
    wrong = {"answer": "There are twelve of [insert name here].", "final": "ten"}
    ask = door({"*/answer": wrong, "*/critic": {"critique": "Mend it."}, "*/reviser": RIGHT})
    await row(TASK, small, ask)
    draft, final, problems = prompt_of(ask.requests[1]).rsplit("|", 2)
    assert "twelve" in draft
    assert final == "ten"
    assert "Answer and final answer differ" in problems
    assert "(found: 'ten' is not where" in problems
    assert not any(word in problems for word in ("gold_text", "final_in_answer", "seventeen"))


async def test_rounds_are_bounded(tmp_path: Path) -> None:
    small = skill(tmp_path, CRITIC, settings("rounds = 3"))
    ask = door({"*/answer": WRONG, "*/critic": {"critique": "No.", "good": False}, "*/reviser": WRONG})
    made = await row(TASK, small, ask)
    assert (made.status, asked(ask)) == ("rejected", ["answer", *["critic", "reviser"] * 3])


@pytest.mark.parametrize("failing", ["critic", "reviser"])
async def test_a_critic_or_reviser_that_declines_leaves_the_draft_as_it_is(failing: str, tmp_path: Path) -> None:
    small = skill(tmp_path, CRITIC, settings("rounds = 1"))
    said: dict[str, Any] = {"*/answer": WRONG, "*/critic": {"critique": "No.", "good": False}, "*/reviser": RIGHT}
    said[f"*/{failing}"] = {**said[f"*/{failing}"], "decline": "not my field"}
    made = await row(TASK, small, door(said))
    assert (made.status, made.tries) == ("rejected", 1)


# ── what nobody who answers may see ──────────────────────────────────────────────────────────────────────────────

SENTINELS = ("xq-gold", "xq-other", "xq-evidence", "xq-role", "xq-reason", "xq-plan", "xq-data", "xq-suggestion", "credited")


async def test_answerer_critic_and_reviser_never_see_gold_roles_reasons_or_plan(tmp_path: Path) -> None:
    secret = instruction(
        material=material("argument", data={"conclusion": "xq-plan", "steps": ["xq-plan"]}),
        gold=Gold("text", "xq-gold", ("xq-evidence",), ("xq-other",)),
        options=(Option("seventeen", "xq-role", "xq-reason"), Option("ten", "credited", "xq-reason")),
        data={"points": ["xq-data"], "formula": "xq-data", "working": [{"quote": "xq-data"}]},
        suggestion="xq-suggestion",
        goal="harder",
        parent=TASK,
    )
    every = "\n        ".join(f"{{{{ {slot} }}}}" for slot in ("format.final", "format.about", "kind.about", "material_text"))
    told = {
        name: text.replace("Answer.", every).replace("What is wrong with it?", every).replace("Write it anew.", every)
        for name, text in {**CRITIC, "4_respond/answer.md": "{{ task }} Answer."}.items()
    }
    small = skill(tmp_path, told, settings("rounds = 2\nanswers = 2"))
    ask = door({"*/answer": "ten", "*/critic": {"critique": "No.", "good": False}, "*/reviser": WRONG})
    made = await row(secret, small, ask)
    assert made.status == "rejected"
    assert any("xq-gold" in v.evidence for v in made.verdicts)
    assert {a for a in asked(ask)} == {"answer", "critic", "reviser"}
    for request in ask.requests:
        said = prompt_of(request).lower()
        assert TEXT.lower() in said
        assert not [word for word in SENTINELS if word in said], request.agent
        assert not {"instruction", "gold", "options", "example"} & set(request.slots)


# ── computed gold ────────────────────────────────────────────────────────────────────────────────────────────────

EDITED = {"2_instruct/taxonomy.toml": '[[kind]]\nname = "count"\nshape = "edit"\nchecks = ["is_capitals"]\n'}
IS_CAPITALS = {
    "skill.py": """
        from preceptor.checks.base import check, failed, passed

        @check(decides=True, sees="capitals", blind="nothing")
        async def is_capitals(example, skill, ask):
            return passed() if example.answer == example.instruction.material.text.upper() else failed("not capitals")

        CHECKS = (is_capitals,)
    """
}


async def test_gold_that_code_computed_answers_as_the_last_resort_and_says_so(tmp_path: Path) -> None:
    task = instruction(shape="edit", gold=Gold("edit", TEXT.upper(), made_by="computed"))
    small = skill(tmp_path, EDITED, IS_CAPITALS)
    made = await row(task, small, door({"*/answer": WRONG}))
    assert (made.status, made.answered_by, made.answer) == ("accepted", "gold", TEXT.upper())
    assert [d.by for d in made.drafts] == ["answerer", "gold"]
    right = await row(task, small, door({"*/answer": {"answer": TEXT.upper(), "final": "x"}}))
    assert (right.answered_by, right.tries) == ("model", 1)


@pytest.mark.parametrize(
    "gold",
    [
        Gold("edit", "wrong by itself", made_by="computed"),
        Gold("edit", TEXT.upper(), made_by="agent"),
        Gold("text", TEXT.upper(), made_by="computed"),
    ],
)
async def test_other_gold_never_becomes_an_answer(gold: Gold, tmp_path: Path) -> None:
    small = skill(tmp_path, EDITED, IS_CAPITALS)
    made = await row(instruction(shape="edit", gold=gold), small, door({"*/answer": WRONG}))
    assert (made.status, made.answered_by) == ("rejected", "model")


# ── verify ───────────────────────────────────────────────────────────────────────────────────────────────────────


def said(outcome: str, *, decides: bool = False, by: str = "code") -> Verdict:
    return Verdict("c", outcome, decides=decides, by=by)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("verdicts", "accepted"),
    [
        ([], False),
        ([said("pass")], False),  # form alone proves nothing
        ([said("na", decides=True)], False),
        ([said("pass", decides=True)], True),
        ([said("pass", by="judge-7b")], True),
        ([said("fail", by="judge-7b")], False),
        ([said("pass", decides=True), said("fail", by="judge-7b")], True),  # code decided: the judge is overruled
        ([said("fail", decides=True), said("pass", by="judge-7b")], False),
        ([said("pass"), said("fail", by="judge-7b")], False),
        ([said("pass", decides=True), said("fail")], False),
        ([said("pass", by="a"), said("fail", by="b")], False),
    ],
)
def test_a_row_is_accepted_where_nothing_failed_and_something_decided(verdicts: list[Verdict], accepted: bool) -> None:
    assert accepts(verdicts) is accepted
    assert holds(verdicts) or not accepted


JUDGED = {
    "2_instruct/taxonomy.toml": '[[kind]]\nname = "count"\nchecks = ["gold_text", "said_well"]\n',
    "5_verify/well.md": """
        +++
        declines = false
        [reply]
        reason = { max = 200 }
        verdict = { type = "choice", choices = ["yes", "no"] }
        +++
        {{ block("answer", answer) }}
    """,
    "skill.py": """
        from dataclasses import replace
        from preceptor.checks.base import check, failed, passed

        @check(decides=False, sees="style", blind="truth", needs=("judge",))
        async def said_well(example, skill, ask):
            reply = await ask(skill.agent("5_verify/well"), answer=example.answer)
            made = passed() if reply.fields["verdict"] == "yes" else failed(reply.fields["reason"])
            return replace(made, by=reply.model)

        CHECKS = (said_well,)
    """,
}


@pytest.mark.parametrize(
    ("answer", "judge", "status", "calls"),
    [
        (RIGHT, {"reason": "clumsy", "verdict": "no"}, "accepted", ["answer", "well"]),
        (RIGHT, {"reason": "fine", "verdict": "yes"}, "accepted", ["answer", "well"]),
        (
            WRONG,
            {"reason": "fine", "verdict": "yes"},
            "rejected",
            ["answer"],
        ),  # a judge is not paid to look at what code threw out
    ],
)
async def test_code_overrules_the_judge(
    answer: Mapping[str, str], judge: Mapping[str, str], status: str, calls: list[str], tmp_path: Path
) -> None:
    ask = door({"*/answer": answer, "*/well": judge}, roles=("teacher", "judge"))
    assert (await row(TASK, skill(tmp_path, JUDGED), ask)).status == status
    assert asked(ask) == calls


async def test_the_judge_decides_where_code_has_nothing_to_say(tmp_path: Path) -> None:
    for verdict, status in (("yes", "accepted"), ("no", "rejected")):
        ask = door({"*/answer": RIGHT, "*/well": {"reason": "so", "verdict": verdict}}, roles=("teacher", "judge"))
        assert (await row(instruction(), skill(tmp_path, JUDGED), ask)).status == status


async def test_without_gold_and_without_a_judge_nothing_is_accepted(tmp_path: Path) -> None:
    made = await row(instruction(), skill(tmp_path, JUDGED), door({"*/answer": RIGHT}))
    assert made.status == "rejected"
    assert {v.outcome for v in made.verdicts} == {"na"}


# ── the row as the student sees it ───────────────────────────────────────────────────────────────────────────────

STYLES = {
    "4_respond/styles.toml": """
        [[format]]
        name = "letter"
        final = "the letter"
        wording = ["Give the letter."]
        wording_de = ["Nenne den Buchstaben."]
        [[system]]
        text = "You answer briefly."
        text_de = "Du antwortest kurz."
        [[layout]]
        name = "text_last"
        template = "{{ question }}\\n\\n{{ passage }}{% if wording %}\\n\\n{{ wording }}{% endif %}"
        template_de = "{{ question }}\\n\\n{{ passage }}{% if wording %}\\n\\n{{ wording }}{% endif %}"
    """
}


@pytest.mark.parametrize(
    ("language", "system", "wording"),
    [("en", "You answer briefly.", "Give the letter."), ("de", "Du antwortest kurz.", "Nenne den Buchstaben.")],
)
async def test_style_is_drawn_in_the_language_of_the_row_and_stored(
    language: str, system: str, wording: str, tmp_path: Path
) -> None:
    task = instruction(material=material(language=language), gold=TASK.gold)
    made = await row(task, skill(tmp_path, STYLES), door({"*/answer": RIGHT}))
    assert [m["content"] for m in made.messages] == [system, f"{task.text}\n\n{TEXT}\n\n{wording}", "There are seventeen."]
    assert (made.instruction.style.format, made.instruction.style.layout) == ("letter", "text_last")


async def test_a_language_without_its_own_wording_gets_none_rather_than_english(tmp_path: Path) -> None:
    task = instruction(material=material(language="hi"), gold=TASK.gold)
    made = await row(task, skill(tmp_path, STYLES), door({"*/answer": RIGHT}))
    assert [m["role"] for m in made.messages] == ["user", "assistant"]
    assert "letter" not in made.messages[0]["content"]


async def test_template_marks_in_a_document_are_left_as_they_are(tmp_path: Path) -> None:
    odd = "The value is {{ 7 * 7 }} and {% raw %} stays. <document-1a2b> too. Seventeen berths."
    task = instruction(material=material(text=odd), gold=TASK.gold)
    made = await row(task, skill(tmp_path), door({"*/answer": RIGHT}))
    assert odd in made.messages[0]["content"]


FORMS = {
    "4_respond/styles.toml": """
        [[format]]
        name = "bare"
        final = "the number"
        lengths = []
        [[format]]
        name = "told"
        final = "the number"
        lengths = ["short"]
        [[format]]
        name = "any"
        final = "the number"
        [[length]]
        name = "short"
        wording = "one sentence"
        [[length]]
        name = "full"
        wording = "200 words"
        [[untold]]
        text = "not in the text"
        text_de = "steht nicht da"
        [[mistaken]]
        text = "false premise:"
    """
}


def test_a_form_is_drawn_with_a_length_that_suits_it_or_with_none(tmp_path: Path) -> None:
    small = skill(tmp_path, FORMS)
    drawn = {(s.format, s.length) for s in (styled(TASK, small, str(n)).style for n in range(80))}
    assert drawn == {("bare", ""), ("told", "short"), ("any", "short"), ("any", "full")}


@pytest.mark.parametrize(
    ("language", "untold"), [("en", "not in the text"), ("de", "steht nicht da"), ("fr", "not in the text")]
)
def test_agreed_words_are_told_in_the_language_of_the_row_alone(language: str, untold: str, tmp_path: Path) -> None:
    small = skill(tmp_path, FORMS)
    told = format_of(styled(instruction(material=material(language=language)), small, "1"), small)
    assert (told["untold"], told["mistaken"]) == (untold, "false premise:")


def test_no_prompt_of_an_answer_prints_the_formulas_of_another_language() -> None:
    for name in ("answer", "critic", "reviser", "essay"):
        template = load_skill("reading_comprehension").agent(f"4_respond/{name}").template
        assert not re.search(r"[\u0900-\u097f]|German|Hindi|angegeben", template)


@pytest.mark.parametrize(("kind", "said"), [("claim_verification", False), ("yes_no", True)])
def test_where_a_label_says_that_it_stays_open_no_other_words_for_that_are_prescribed(kind: str, said: bool) -> None:
    reading = load_skill("reading_comprehension")
    task = instruction(kind=kind, shape="label", gold=Gold("label", "supported"), data={"labels": ["supported", "not enough"]})
    assert bool(format_of(task, reading)["untold"]) is said
    final = next(f for f in narrowed(reading.agent("4_respond/answer"), task, reading).fields if f.name == "final")
    assert ("not in the text" in final.choices) is said
