"""Controls: what a row loses without its passage, and what it gains when the passage changes."""

from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest

from preceptor.checks import controls as c
from preceptor.checks import sets
from preceptor.errors import ReplyError
from preceptor.types import Agent, Document, Example, Gold, Instruction, Material, Option, Reply, Verdict

BEFORE = "The lighthouse was lit in 1841 by the pilots' guild, after two brigs were lost on the outer reef."
AFTER = "The lighthouse was lit in 1841 by the harbour board, after two brigs were lost on the outer reef."
WITHOUT = "The lighthouse was lit in 1841, after two brigs were lost on the outer reef off the point."
OPTIONS = tuple(
    Option(text, "credited" if i == 0 else "wrong", f"reason number {i} for it")
    for i, text in enumerate(("The pilots' guild", "The harbour board", "The crown", "The brigs' owners"))
)


def material(text: str) -> Material:
    return Material(Document("d", text, "light.txt"), "identity", text)


PARENT = Instruction(
    material(BEFORE), "who", "Who lit the lighthouse in 1841?", "multiple_choice", OPTIONS, Gold("option", "A")
)
FLIPPED = replace(PARENT, material=material(AFTER), gold=Gold("option", "B"), parent=PARENT, goal="flip", depth=1)
GONE = replace(
    PARENT,
    material=material(WITHOUT),
    gold=Gold("none", None),
    parent=PARENT,
    goal="gone",
    depth=1,
    answerability="unanswerable",
)


class Skill:
    """A pack with one kind, and agents by name."""

    name = "reading_comprehension"
    goals = (SimpleNamespace(name="flip", flips=True), SimpleNamespace(name="gone", flips=False))
    checks: ClassVar[dict[str, Any]] = {}

    def __init__(self, *names: str) -> None:
        self.names = names or ("option_key",)

    def kind(self, name: str) -> Any:
        return SimpleNamespace(name=name, checks=self.names, data={})

    def agent(self, name: str) -> Agent:
        return Agent(name, "")


class Answers:
    """An ask that gives the next answer of a list; None stands for no usable reply."""

    seed = "s"
    roles = frozenset({"teacher", "judge", "weak"})

    def __init__(self, *answers: str | None, unclear: str = "one answer") -> None:
        self.answers, self.unclear = list(answers), unclear
        self.asked: list[dict[str, Any]] = []

    async def __call__(self, agent: Agent, /, *, history: Any = (), tools: Any = (), sample: int = 0, **slots: Any) -> Reply:
        self.asked.append({"agent": agent.name, "sample": sample, **slots})
        answer = self.answers[min(len(self.asked), len(self.answers)) - 1]
        if answer is None:
            raise ReplyError("no reply")
        return Reply(answer, {"answer": answer, "unclear": self.unclear}, model="other")

    async def use(self, tool: str, /, **arguments: Any) -> Any:
        raise AssertionError("no tool is needed")


def row(instruction: Instruction, final: str = "A") -> Example:
    said = f"It was ({final})."
    return Example(
        instruction, said, ({"role": "user", "content": "?"}, {"role": "assistant", "content": said}), {"final": final}
    )


GUESSES: list[tuple[Sequence[str | None], str]] = [
    (("B", "C", "D"), "pass"),
    (("A", "C", "D"), "pass"),
    (("A", "A", "D"), "pass"),
    ((None, None, None), "pass"),
    (("no idea", "B", "A"), "pass"),
    (("A or B", "A or C", "A or D"), "pass"),
    (("A", "A", "A"), "fail"),
    (("(A)", "a", "Answer: A"), "fail"),
    (("The pilots' guild",) * 3, "fail"),
    (("A", "The pilots' guild", "**A**"), "fail"),
    (("Option A", "A.", "A"), "fail"),
    (("A: The pilots' guild", "A", "A"), "fail"),
]


@pytest.mark.parametrize(("answers", "outcome"), GUESSES)
async def test_a_row_that_needs_no_passage_fails(answers: Sequence[str | None], outcome: str) -> None:
    ask = Answers(*answers)
    verdict = await c.closed_book(row(PARENT), Skill(), ask)
    assert verdict.outcome == outcome, verdict.evidence
    assert verdict.by == "code"
    assert [a["sample"] for a in ask.asked] == [0, 1, 2]
    assert BEFORE not in str(ask.asked)
    assert "credited" not in str(ask.asked)


@pytest.mark.parametrize(("answers", "outcome"), GUESSES)
async def test_a_key_that_its_options_give_away_fails(answers: Sequence[str | None], outcome: str) -> None:
    ask = Answers(*answers)
    assert (await c.options_only(row(PARENT), Skill(), ask)).outcome == outcome
    assert PARENT.text not in str(ask.asked)
    assert BEFORE not in str(ask.asked)


@pytest.mark.parametrize("made", [GONE, replace(PARENT, shows_material=False), replace(PARENT, gold=None)])
async def test_without_gold_or_passage_there_is_nothing_to_control(made: Instruction) -> None:
    assert (await c.closed_book(row(made), Skill(), Answers("A"))).outcome == "na"


async def test_two_options_can_never_be_told_from_luck_in_three_tries() -> None:
    two = replace(PARENT, options=OPTIONS[:2])
    assert (await c.closed_book(row(two), Skill(), Answers("A"))).outcome == "pass"


async def test_without_a_weak_model_the_controls_say_so() -> None:
    ask = Answers("A")
    ask.roles = frozenset({"teacher"})
    verdict = await c.closed_book(row(PARENT), Skill(), ask)
    assert (verdict.outcome, ask.asked) == ("na", [])
    assert "weak" in verdict.evidence


MOVED = replace(FLIPPED, options=OPTIONS[::-1], gold=Gold("option", "C"))
UNMOVED = replace(FLIPPED, options=OPTIONS[::-1], gold=Gold("option", "D"))


@pytest.mark.parametrize(
    ("made", "final", "outcome"),
    [
        (FLIPPED, "B", "pass"),
        (FLIPPED, "The harbour board", "pass"),
        (MOVED, "C", "pass"),
        (replace(FLIPPED, goal="", data={"flips": True}), "B", "pass"),
        (replace(FLIPPED, gold=Gold("option", "C")), "C", "pass"),
        (replace(FLIPPED, gold=Gold("option", "D")), "D", "pass"),
        (PARENT, "A", "na"),
        (GONE, "A", "na"),
        (FLIPPED, "A", "fail"),
        (FLIPPED, "The pilots' guild", "fail"),
        (replace(FLIPPED, gold=Gold("option", "A")), "A", "fail"),
        (replace(FLIPPED, gold=Gold("option", "A")), "B", "fail"),
        (UNMOVED, "D", "fail"),
        (replace(FLIPPED, goal="", data={"flips": True}, gold=Gold("option", "A")), "A", "fail"),
    ],
)
async def test_a_flipped_row_no_longer_has_its_parents_answer(made: Instruction, final: str, outcome: str) -> None:
    verdict = await c.flip_holds(row(made, final), Skill(), Answers("A"))
    assert verdict.outcome == outcome, verdict.evidence


@pytest.mark.parametrize(
    ("answer", "made", "outcome"),
    [
        ("A", FLIPPED, "pass"),
        ("C", FLIPPED, "pass"),
        ("The pilots' guild", FLIPPED, "pass"),
        ("(D)", FLIPPED, "pass"),
        ("Option A", FLIPPED, "pass"),
        ("A", MOVED, "pass"),
        ("A", PARENT, "na"),
        (None, FLIPPED, "na"),
        ("B", replace(FLIPPED, material=PARENT.material), "na"),
        ("B", FLIPPED, "fail"),
        ("The harbour board", FLIPPED, "fail"),
        ("(B)", FLIPPED, "fail"),
        ("Answer: B", FLIPPED, "fail"),
        ("b", FLIPPED, "fail"),
        ("C", MOVED, "fail"),
    ],
)
async def test_the_passage_before_the_edit_must_not_give_the_new_answer(
    answer: str | None, made: Instruction, outcome: str
) -> None:
    ask = Answers(answer)
    verdict = await c.altered_twin(row(made, "B"), Skill(), ask)
    assert verdict.outcome == outcome, verdict.evidence
    assert all(a["passage"] == BEFORE for a in ask.asked)


@pytest.mark.parametrize(
    ("made", "outcome"),
    [
        (GONE, "pass"),
        (replace(GONE, text="Who lit the lighthouse, in 1841?"), "pass"),
        (replace(GONE, answerability="false_premise"), "pass"),
        (replace(GONE, text="Who was it that lit the lighthouse in 1841?"), "pass"),
        (replace(GONE, material=PARENT.material, text="Who lit the lighthouse in 1841 again?"), "pass"),
        (replace(GONE, options=()), "pass"),
        (PARENT, "na"),
        (replace(GONE, parent=None), "fail"),
        (replace(GONE, parent=replace(GONE, parent=None)), "fail"),
        (replace(GONE, parent=replace(PARENT, gold=None)), "fail"),
        (replace(GONE, text="How tall are keepers on average?"), "fail"),
        (replace(GONE, material=material("Bread was dear that winter, and wine was not.")), "fail"),
        (replace(GONE, parent=replace(PARENT, gold=Gold("none", None))), "fail"),
    ],
)
async def test_a_row_without_an_answer_stands_beside_one_with(made: Instruction, outcome: str) -> None:
    verdict = await c.unanswerable_twin(row(made), Skill(), Answers("A"))
    assert verdict.outcome == outcome, verdict.evidence


@pytest.mark.parametrize(
    ("answers", "outcome"),
    [
        (("A", "D"), "pass"),
        (("(A)", "(D)"), "pass"),
        (("The pilots' guild",) * 2, "pass"),
        (("A", "The pilots' guild"), "pass"),
        (("a", "d"), "pass"),
        (("Answer: A", "Answer: D"), "pass"),
        ((None,), "na"),
        (("A", "A"), "fail"),
        (("D", "D"), "fail"),
        (("B", "C"), "fail"),
        (("A", "B"), "fail"),
        (("A and B", "D"), "fail"),
        (("none of them", "D"), "fail"),
    ],
)
async def test_another_reader_comes_to_the_key_in_both_orders(answers: Sequence[str | None], outcome: str) -> None:
    ask = Answers(*answers)
    verdict = await c.blind_panel(row(PARENT), Skill(), ask)
    assert verdict.outcome == outcome, verdict.evidence
    assert "reason number" not in str(ask.asked)
    if outcome == "pass":
        first, second = ([o["text"] for o in a["options"]] for a in ask.asked)
        assert first == second[::-1]


async def test_a_key_that_is_one_of_several_is_not_the_key() -> None:
    assert (await c.blind_panel(row(PARENT), Skill(), Answers("A", "D", unclear="several"))).outcome == "fail"


def bare(gold: Gold, text: str = "Which line rose most?", language: str = "en", **data: Any) -> Instruction:
    passage = Material(Document("d", BEFORE, "d.txt", language=language), "identity", BEFORE, language=language)
    return Instruction(passage, "k", text, "short", gold=gold, data=data)


FUEL, DAYS, TRADE = Gold("text", "Fuel", (), ("fuel costs",)), Gold("number", 7), Gold("text", "rope, salt and tar")
READ_RIGHT: list[tuple[Instruction, str, str]] = [
    (bare(FUEL), "Fuel (about 8.1 per cent)", "gold_text"),
    (bare(FUEL), "The fuel", "gold_text"),
    (bare(FUEL), "Fuel; dock repair comes first.", "gold_text"),
    (bare(FUEL), "Fuel, at 8.1 per cent", "gold_text"),
    (bare(FUEL), "Fuel costs – 112,000 more", "gold_text"),
    (bare(Gold("text", "in the stove")), "In the stove (at the lighthouse); only its seal was given back", "gold_text"),
    (bare(Gold("text", "a line and a quarter")), "a line and a quarter (1¼ lines)", "gold_text"),
    (bare(Gold("text", "1,250 sacks")), "1250", "gold_text"),
    (bare(Gold("text", "7 km")), "7 kilometres", "gold_text"),
    (bare(TRADE), "tar, salt and rope", "gold_text"),
    (bare(DAYS, unit="days"), "7 (14 minus 7)", "gold_number"),
    (bare(DAYS), "about 7 days", "gold_number"),
    (bare(Gold("set", ["Vik", "Nes", "Hov"])), "Nes, Hov and Vik", "gold_set"),
    (bare(Gold("text", "das Bootshaus"), language="de"), "Bootshaus (am Hafen)", "gold_text"),
]
READ_WRONG: list[tuple[Instruction, str, str]] = [
    (bare(FUEL), "Crew (about 5.3 per cent)", "gold_text"),
    (bare(FUEL), "Crew; fuel comes second.", "gold_text"),
    (bare(FUEL), "Fuel (or crew)", "gold_text"),
    (bare(FUEL), "Fuel; no, crew", "gold_text"),
    (bare(FUEL), "Fuel and crew", "gold_text"),
    (bare(FUEL), "not fuel", "gold_text"),
    (bare(Gold("text", "1,250 sacks")), "1,520", "gold_text"),
    (bare(Gold("text", "7 km")), "7 m", "gold_text"),
    (bare(Gold("text", "twelve families")), "12 boats", "gold_text"),
    (bare(TRADE), "tar, salt and flour", "gold_text"),
    (bare(TRADE, "In what order were they unloaded?"), "tar, salt and rope", "gold_text"),
    (bare(DAYS, unit="days"), "7 weeks", "gold_number"),
    (bare(DAYS), "8 (15 minus 7)", "gold_number"),
    (bare(Gold("set", ["Vik", "Nes", "Hov"])), "Nes, Hov and Dal", "gold_set"),
    (bare(Gold("text", "das Bootshaus"), language="de"), "Kapelle (am Bootshaus)", "gold_text"),
]


@pytest.mark.parametrize(("made", "said", "check"), READ_RIGHT)
async def test_a_reader_is_right_in_more_words_or_another_order(made: Instruction, said: str, check: str) -> None:
    verdict = await c.blind_panel(row(made), Skill(check), Answers(said))
    assert verdict.outcome == "pass", verdict.evidence


@pytest.mark.parametrize(("made", "said", "check"), READ_WRONG)
async def test_a_reader_who_names_another_thing_is_not(made: Instruction, said: str, check: str) -> None:
    verdict = await c.blind_panel(row(made), Skill(check), Answers(said))
    assert verdict.outcome == "fail"
    assert said[:20] in verdict.evidence


# ── over a set ───────────────────────────────────────────────────────────────────────────────────────────────────


def keyed(place: int, *, text: str = "Who lit it?", long: bool = False, right: int = 0) -> Example:
    options = [Option(f"number {i} of four") for i in range(4)]
    if long:
        options[place] = Option("number and a good deal more than the others have to say")
    made = replace(PARENT, options=tuple(options), gold=Gold("option", "ABCD"[place]), text=text)
    verdict = Verdict("closed_book", "pass", f"right {right} of 3 without the passage; chance 0.25")
    return replace(row(made), verdicts=(verdict,))


def said(counts: Sequence[sets.Count]) -> dict[str, str]:
    return {count.name: count.said for count in counts}


def test_keys_in_every_place_hold_and_a_favoured_place_is_named() -> None:
    even = [keyed(i % 4) for i in range(240)]
    assert set(said(sets.key_positions(even)).values()) == {"holds"}
    favoured = [keyed(2 if i % 2 else i % 4) for i in range(240)]
    assert said(sets.key_positions(favoured))["key is C"] == "biased"


def test_few_rows_are_never_said_to_hold() -> None:
    assert set(said(sets.set_counts([keyed(i % 4, long=True, right=3) for i in range(40)])).values()) == {"not enough data"}


def test_a_key_that_is_often_the_longest_is_found() -> None:
    assert sets.longest_is_key([keyed(i % 4, long=i % 4 == 0) for i in range(400)]).said == "holds"
    assert sets.longest_is_key([keyed(i % 4, long=i % 2 == 0) for i in range(400)]).said == "biased"


def test_one_opening_for_all_questions_is_found() -> None:
    varied = [keyed(i % 4, text=f"Question {i} asks who lit the lighthouse") for i in range(300)]
    assert sets.opening_share(varied).said == "holds"
    same = [keyed(i % 4, text=f"Which of the following lit {i}") for i in range(300)]
    assert sets.opening_share(same).said == "biased"


def test_what_is_guessed_is_counted_by_kind_and_by_try() -> None:
    lucky = sets.guessed([keyed(i % 4, right=1 if i % 4 else 0) for i in range(200)])
    assert [(x.name, x.part, x.of, x.said) for x in lucky] == [("who: closed_book", 150, 600, "holds")]
    assert sets.guessed([keyed(i % 4, right=2) for i in range(200)])[0].said == "biased"


@pytest.mark.parametrize(
    ("part", "of", "low", "high"), [(0, 10, 0.0, 0.278), (5, 10, 0.237, 0.763), (10, 10, 0.722, 1.0), (0, 0, 0.0, 1.0)]
)
def test_intervals_are_wilsons(part: int, of: int, low: float, high: float) -> None:
    assert sets.wilson(part, of) == pytest.approx((low, high), abs=1e-3)
