"""Each check of bare answers tells good rows from rows that were broken by one change that bears meaning."""

from collections.abc import Mapping
from typing import Any

import orjson
import pytest

from preceptor.checks import answer as checks
from preceptor.checks import item, untold
from preceptor.checks.base import Check
from preceptor.types import Document, Example, Gold, Instruction, Material, Style

PASSAGE = (
    "The mill at Vik was rebuilt in 1891 by Halvard Lind, whose brother Oddvar had drowned. It ground 1,250 sacks in its first "
    "year and 1,700 in the second. Twelve families held shares; three of them sold theirs before 14 March 1893. "
    "The ledger lay in the boathouse until Ragna moved it to the chapel."
)


class Nobody:
    """An ask that no check here may use."""

    seed = "0"
    roles: frozenset[str] = frozenset()

    async def __call__(self, *_: Any, **__: Any) -> Any:
        raise AssertionError("a gold check asks nobody")

    async def use(self, *_: Any, **__: Any) -> Any:
        raise AssertionError("a gold check uses no tool")


def row(
    gold: Gold | None,
    final: Any,
    *,
    shape: str = "short",
    answer: str = "",
    language: str = "en",
    question: str = "How is it?",
    answerability: Any = "answerable",
    form: str = "free_short",
    passage: str = PASSAGE,
    data: Mapping[str, Any] | None = None,
) -> Example:
    material = Material(Document("d", passage, "d.md", language=language), "identity", passage, language=language)
    instruction = Instruction(
        material, "k", question, shape, gold=gold, answerability=answerability, data=data or {}, style=Style(format=form)
    )
    return Example(instruction, answer or str(final), ({"role": "assistant", "content": answer},), {"final": final})


async def outcome(check: Check, example: Example) -> str:
    return (await check(example, None, Nobody())).outcome


def text(value: str, *accepts: str) -> Gold:
    return Gold("text", value, accepts=accepts)


TEXT_GOOD: list[tuple[Gold, Any, str]] = [
    (text("Halvard Lind"), "Halvard Lind", "en"),
    (text("Halvard Lind", "Lind"), "lind.", "en"),
    (text("the boathouse"), "Boathouse", "en"),
    (text("the boathouse"), "in the boathouse", "en"),
    (text("twelve families"), "12 families", "en"),
    (text("14 March 1893"), "March 14, 1893", "en"),
    (text("1,250 sacks"), "1250 sacks", "en"),
    (text("Halvard Lind"), '{"answer": "Halvard Lind"}', "en"),
    (text("Halvard Lind"), "Answer: Halvard Lind", "en"),
    (text("the boathouse"), "with the boathouse", "en"),
    (text("Ragna"), "with Ragna", "en"),
    (text("Halvard Lind"), "Halvard Lind, whose brother Oddvar had drowned", "en"),
    (text("by Halvard Lind"), "Halvard Lind", "en"),
    (text("the mill"), "the mill at Vik", "en"),
    (text("die Kapelle"), "bei der Kapelle", "de"),
    (text("नाव घर"), "नाव घर के पास", "hi"),
    (text("die Kapelle"), "Kapelle", "de"),
    (text("zwölf Familien"), "12 Familien", "de"),
    (text("3,5 Meter"), "3,5 Meter", "de"),
    (text("नाव घर"), "नाव घर में", "hi"),
    (text("बारह परिवार"), "१२ परिवार", "hi"),
]
TEXT_BROKEN: list[tuple[Gold, Any, str]] = [
    (text("Halvard Lind"), "Oddvar Lind", "en"),
    (text("Halvard Lind", "Lind"), "Lind or Ragna", "en"),
    (text("Halvard Lind"), "Halvard Lind and Oddvar Lind", "en"),
    (text("the boathouse"), "not the boathouse", "en"),
    (text("the boathouse"), "behind the boathouse", "en"),
    (text("the boathouse"), "in the boathouse or the chapel", "en"),
    (text("the boathouse"), "the boathouse at the chapel", "en"),
    (text("the boathouse"), "the boathouse until", "en"),
    (text("the ledger"), "the ledger in the chapel", "en"),
    (text("Ragna"), "without Ragna", "en"),
    (text("Ragna"), "Halvard Lind, whose brother Oddvar had drowned", "en"),
    (text("Halvard Lind"), "Halvard Lind, the keeper", "en"),
    (text("Halvard Lind"), "Halvard Lind, whose brother Ragna had drowned", "en"),
    (text("Oddvar"), "Halvard Lind, brother of Oddvar", "en"),
    (text("by 1893"), "1893", "en"),
    (text("the mill"), "every mill at Vik", "en"),
    (text("vitamin A"), "vitamin", "en"),
    (text("from Vik"), "to Vik", "en"),
    (text("twelve families"), "13 families", "en"),
    (text("14 March 1893"), "15 March 1893", "en"),
    (text("1,250 sacks"), "1,520 sacks", "en"),
    (text("before 1893"), "after 1893", "en"),
    (text("some of the shares"), "all of the shares", "en"),
    (text("-5 degrees"), "5 degrees", "en"),
    (text("die Kapelle"), "das Bootshaus", "de"),
    (text("3,5 Meter"), "35 Meter", "de"),
    (text("बारह परिवार"), "तेरह परिवार", "hi"),
    (text("Halvard Lind"), "", "en"),
]


@pytest.mark.parametrize(("gold", "final", "language"), TEXT_GOOD)
async def test_the_same_text_in_other_dress_is_right(gold: Gold, final: str, language: str) -> None:
    assert await outcome(checks.gold_text, row(gold, final, language=language)) == "pass"


@pytest.mark.parametrize(("gold", "final", "language"), TEXT_BROKEN)
async def test_a_text_with_one_word_of_another_meaning_is_wrong(gold: Gold, final: str, language: str) -> None:
    assert await outcome(checks.gold_text, row(gold, final, language=language)) == "fail"


NUMBER_GOOD: list[tuple[Any, str, str, str, dict[str, Any]]] = [
    (450, "450", "en", "How many sacks more?", {}),
    (450.0, "450 sacks", "en", "How many sacks more?", {}),
    (1250, "1,250", "en", "How many?", {}),
    (1250, "1.250", "de", "Wie viele?", {}),
    (3.5, "3,5", "de", "Wie viele?", {}),
    (3.5, "3,5 Meter", "de", "Wie lang?", {"unit": "m"}),
    (123456, "1,23,456", "hi", "कितने?", {}),
    (12, "१२", "hi", "कितने?", {}),
    (12, "twelve", "en", "How many?", {}),
    (42, "forty-two", "en", "How many?", {}),
    (36, "36 %", "en", "By how much?", {"unit": "per cent"}),
    (-5, "−5", "en", "By how much?", {}),
    (33.3, "33.33", "en", "What share?", {"formula": "100 / 3"}),
    (3, "3 days", "en", "How long?", {"unit": "days"}),
    (2_000_000, "2 million", "en", "How many?", {}),
]
NUMBER_BROKEN: list[tuple[Any, str, str, str, dict[str, Any]]] = [
    (450, "540", "en", "How many sacks more?", {}),
    (450, "450 to 500", "en", "How many sacks more?", {}),
    (450, "-450", "en", "How many sacks more?", {}),
    (450, "450 not 500", "en", "How many sacks more?", {}),
    (450, "450 barrels", "en", "How many sacks more?", {}),
    (450, "about", "en", "How many sacks more?", {}),
    (450, "about 450", "en", "How many sacks more?", {}),
    (1250, "1.250", "en", "How many?", {}),
    (1.25, "1.250.000", "de", "Wie viele?", {}),
    (3.5, "3,5 km", "de", "Wie lang?", {"unit": "m"}),
    (36, "36 percentage points", "en", "By how much?", {"unit": "percent"}),
    (3, "3 weeks", "en", "How long?", {"unit": "days"}),
    (33.3, "33.34", "en", "What share?", {"formula": "100 / 3"}),
    (12, "१३", "hi", "कितने?", {}),
    (42, "forty", "en", "How many?", {}),
]


@pytest.mark.parametrize(("value", "final", "language", "question", "data"), NUMBER_GOOD)
async def test_a_number_is_read_as_its_language_writes_it(
    value: float, final: str, language: str, question: str, data: dict[str, Any]
) -> None:
    example = row(Gold("number", value), final, shape="number", language=language, question=question, data=data)
    assert await outcome(checks.gold_number, example) == "pass"


@pytest.mark.parametrize(("value", "final", "language", "question", "data"), NUMBER_BROKEN)
async def test_another_number_sign_unit_or_a_second_number_is_wrong(
    value: float, final: str, language: str, question: str, data: dict[str, Any]
) -> None:
    example = row(Gold("number", value), final, shape="number", language=language, question=question, data=data)
    assert await outcome(checks.gold_number, example) == "fail"


VILLAGES = ["Vik", "Nes", "Øvre Dal"]
SET_GOOD: list[Any] = [
    '["Vik", "Nes", "Øvre Dal"]',
    '["Øvre Dal", "Vik", "Nes"]',
    '["vik", "NES", "øvre dal"]',
    "Vik\nNes\nØvre Dal",
    "- Vik\n- Nes\n- Øvre Dal",
    "Vik; Nes; Øvre Dal",
    "Vik, Nes, Øvre Dal",
    '{"answer": ["Nes", "Vik", "Øvre Dal"]}',
    ["Vik", "Nes", "Øvre Dal"],
    '["Vik.", "Nes.", "Øvre Dal."]',
    "1. Vik\n2. Nes\n3. Øvre Dal",
]
SET_BROKEN: list[Any] = [
    '["Vik", "Nes"]',
    '["Vik", "Nes", "Nedre Dal"]',
    '["Vik", "Nes", "Øvre Dal", "Hov"]',
    '["Vik", "Vik", "Nes"]',
    "[]",
    "Vik and Nes and Øvre Dal",
    '["Vik or Nes", "Øvre Dal"]',
    '["not Vik", "Nes", "Øvre Dal"]',
    "Vik\nNes\nØvre",
    '{"Vik": "Nes"}',
    '["Vik", "Nes", "Dal"]',
]


@pytest.mark.parametrize("final", SET_GOOD)
async def test_a_set_is_right_in_any_order_and_notation(final: Any) -> None:
    assert await outcome(checks.gold_set, row(Gold("set", VILLAGES), final, shape="set")) == "pass"


@pytest.mark.parametrize("final", SET_BROKEN)
async def test_a_set_with_one_entry_too_many_too_few_or_other_is_wrong(final: Any) -> None:
    assert await outcome(checks.gold_set, row(Gold("set", VILLAGES), final, shape="set")) == "fail"


EVENTS = ["the mill burns", "Lind rebuilds it", "three families sell", "Ragna moves the ledger"]
SHOWN = [EVENTS[2], EVENTS[0], EVENTS[3], EVENTS[1]]
ORDER_GOOD: list[Any] = [
    orjson.dumps(EVENTS).decode(),
    EVENTS,
    "\n".join(EVENTS),
    "; ".join(EVENTS),
    '["B", "D", "A", "C"]',
    '["2", "4", "1", "3"]',
    "1. the mill burns\n2. Lind rebuilds it\n3. three families sell\n4. Ragna moves the ledger",
    orjson.dumps([e.upper() for e in EVENTS]).decode(),
    orjson.dumps([e + "." for e in EVENTS]).decode(),
    '{"answer": ["B", "D", "A", "C"]}',
    '["(B)", "(D)", "(A)", "(C)"]',
]
ORDER_BROKEN: list[Any] = [
    orjson.dumps(EVENTS[::-1]).decode(),
    orjson.dumps([EVENTS[1], EVENTS[0], *EVENTS[2:]]).decode(),
    SHOWN,
    orjson.dumps(EVENTS[:3]).decode(),
    orjson.dumps([*EVENTS, EVENTS[0]]).decode(),
    '["A", "B", "C", "D"]',
    '["B", "D", "C", "A"]',
    orjson.dumps([*EVENTS[:3], "Ragna burns the ledger"]).decode(),
    '["B", "D", "A"]',
    '["B", "D", "A", "E"]',
    "",
]


@pytest.mark.parametrize("final", ORDER_GOOD)
async def test_an_order_may_be_told_by_entries_letters_or_lines(final: Any) -> None:
    example = row(Gold("order", EVENTS), final, shape="order", data={"shown": SHOWN})
    assert await outcome(checks.gold_order, example) == "pass"


@pytest.mark.parametrize("final", ORDER_BROKEN)
async def test_an_order_with_two_entries_exchanged_or_one_missing_is_wrong(final: Any) -> None:
    example = row(Gold("order", EVENTS), final, shape="order", data={"shown": SHOWN})
    assert await outcome(checks.gold_order, example) == "fail"


PAIRS = {"Halvard": "rebuilt the mill", "Oddvar": "drowned", "Ragna": "moved the ledger"}
COLUMNS = {"left": list(PAIRS), "right": ["drowned", "moved the ledger", "rebuilt the mill"]}
PAIRS_GOOD: list[Any] = [
    orjson.dumps(PAIRS).decode(),
    PAIRS,
    orjson.dumps(dict(reversed(PAIRS.items()))).decode(),
    '{"1": "C", "2": "A", "3": "B"}',
    '{"1": "rebuilt the mill", "2": "drowned", "3": "moved the ledger"}',
    '[["Halvard", "rebuilt the mill"], ["Oddvar", "drowned"], ["Ragna", "moved the ledger"]]',
    [{"left": left, "right": right} for left, right in PAIRS.items()],
    "Halvard – rebuilt the mill\nOddvar – drowned\nRagna – moved the ledger",
    "Halvard: rebuilt the mill\nOddvar: drowned\nRagna: moved the ledger",
    "Halvard → rebuilt the mill\nOddvar → drowned\nRagna → moved the ledger",
    '{"halvard": "Rebuilt the mill.", "oddvar": "Drowned.", "ragna": "Moved the ledger."}',
]
PAIRS_BROKEN: list[Any] = [
    '{"Halvard": "drowned", "Oddvar": "rebuilt the mill", "Ragna": "moved the ledger"}',
    '{"Halvard": "rebuilt the mill", "Oddvar": "drowned"}',
    '{"Halvard": "rebuilt the mill", "Oddvar": "drowned", "Ragna": "drowned"}',
    '{"Halvard": "rebuilt the mill", "Oddvar": "drowned", "Rolf": "moved the ledger"}',
    '{"Halvard": "rebuilt the mill", "Oddvar": "drowned", "Ragna": "moved the ledger", "Rolf": "drowned"}',
    '{"1": "A", "2": "C", "3": "B"}',
    "Halvard drowned",
    "[]",
    "",
    '[["Halvard", "rebuilt the mill"], ["Halvard", "drowned"], ["Ragna", "moved the ledger"]]',
    '{"Halvard": "rebuilt the chapel", "Oddvar": "drowned", "Ragna": "moved the ledger"}',
]


@pytest.mark.parametrize("final", PAIRS_GOOD)
async def test_pairs_may_be_told_as_object_list_or_lines(final: Any) -> None:
    assert await outcome(checks.gold_pairs, row(Gold("pairs", PAIRS), final, shape="pairs", data=COLUMNS)) == "pass"


@pytest.mark.parametrize("final", PAIRS_BROKEN)
async def test_one_pair_crossed_missing_or_doubled_is_wrong(final: Any) -> None:
    assert await outcome(checks.gold_pairs, row(Gold("pairs", PAIRS), final, shape="pairs", data=COLUMNS)) == "fail"


VERDICTS = ["supported", "refuted", "not enough information"]
LABEL_GOOD = [
    ("supported", "supported"),
    ("refuted", "Refuted."),
    ("not enough information", "Not enough information"),
    ("supported", '{"label": "supported"}'),
    ("refuted", "**refuted**"),
    ("refuted", '"refuted"'),
    ("supported", "Answer: supported"),
    ("only A", "only A"),
    ("no", "No"),
    ("nein", "Nein."),
    ("हाँ", "हाँ।"),
]
LABEL_BROKEN = [
    ("supported", "refuted"),
    ("supported", "not supported"),
    ("supported", "supported or refuted"),
    ("refuted", "not refuted"),
    ("not enough information", "enough information"),
    ("supported", "supports"),
    ("supported", "probably supported"),
    ("only A", "only B"),
    ("no", "yes"),
    ("nein", "ja"),
    ("हाँ", "नहीं"),
    ("no", ""),
]


@pytest.mark.parametrize(("label", "final"), LABEL_GOOD)
async def test_a_label_is_right_in_any_dress(label: str, final: str) -> None:
    assert (
        await outcome(checks.gold_label, row(Gold("label", label), final, shape="label", data={"labels": VERDICTS})) == "pass"
    )


@pytest.mark.parametrize(("label", "final"), LABEL_BROKEN)
async def test_another_label_or_two_of_them_is_wrong(label: str, final: str) -> None:
    assert (
        await outcome(checks.gold_label, row(Gold("label", label), final, shape="label", data={"labels": VERDICTS})) == "fail"
    )


OPEN_QUESTION = "How many sacks did the mill grind in its third year?"
OPEN_GOOD = [
    ("not in the text", "en"),
    ("Not stated.", "en"),
    ("The text does not say.", "en"),
    ("The passage doesn't give the third year.", "en"),
    ("This cannot be determined from the passage.", "en"),
    ("There is not enough information.", "en"),
    ("not stated in the text", "fr"),
    ("im Text nicht angegeben", "de"),
    ("Der Text sagt dazu nichts.", "de"),
    ("Das geht aus dem Text nicht hervor.", "de"),
    ("पाठ में नहीं बताया गया", "hi"),
    ("इसका उल्लेख नहीं है।", "hi"),
]
OPEN_BROKEN = [
    ("1,700", "en"),
    ("not in the text, but probably 1,900", "en"),
    ("The text does not say; about 1900.", "en"),
    ("in the text", "en"),
    ("The text says 1,700 sacks.", "en"),
    ("Not 1,250 but more.", "en"),
    ("wahrscheinlich 1900", "de"),
    ("Der Text sagt es nicht, vermutlich aber 1900.", "de"),
    ("im Text angegeben", "de"),
    ("लगभग 1900", "hi"),
    ("पाठ में नहीं बताया गया, शायद 1900", "hi"),
    ("", "en"),
]


@pytest.mark.parametrize(("final", "language"), OPEN_GOOD)
async def test_saying_that_the_text_does_not_tell_is_right_where_it_does_not(final: str, language: str) -> None:
    example = row(Gold("none", None), final, language=language, question=OPEN_QUESTION, answerability="unanswerable")
    assert await outcome(untold.gold_insufficient, example) == "pass"


@pytest.mark.parametrize(("final", "language"), OPEN_BROKEN)
async def test_a_value_is_wrong_where_the_text_does_not_tell(final: str, language: str) -> None:
    example = row(
        Gold("none", None), final, answer="x", language=language, question=OPEN_QUESTION, answerability="unanswerable"
    )
    assert await outcome(untold.gold_insufficient, example) == "fail"


@pytest.mark.parametrize(("final", "language"), OPEN_GOOD)
async def test_abstaining_is_wrong_where_the_text_tells(final: str, language: str) -> None:
    example = row(text("1,700"), final, language=language, question="How many in the second year?")
    assert await outcome(untold.gold_insufficient, example) == "fail"


async def test_answering_where_the_text_tells_is_left_to_the_gold_checks() -> None:
    assert await outcome(untold.gold_insufficient, row(text("1,700"), "1,700")) == "na"
    unsure = row(Gold("label", "not enough information"), "not enough information", shape="label", data={"labels": VERDICTS})
    assert await outcome(untold.gold_insufficient, unsure) == "na"


PREMISE = {"key": "Halvard Lind", "truth": "rebuilt in 1891 by Halvard Lind", "premise": "Oddvar rebuilt the mill"}
PREMISE_GOOD = [
    "false premise: it was Halvard Lind who rebuilt it",
    "False premise: Halvard Lind rebuilt the mill.",
    "false premise: by Halvard Lind, not by Oddvar",
    "false premise: the builder was Halvard Lind",
    "False premise – Halvard Lind did",
]
PREMISE_BROKEN = [
    "false premise: it was Ragna",
    "1891",
    "Halvard Lind",
    "false premise",
    "In 1891, by Oddvar.",
    "not in the text",
    "the premise holds: Halvard Lind",
]


@pytest.mark.parametrize("final", PREMISE_GOOD)
async def test_a_false_premise_is_put_right_with_the_words_of_the_text(final: str) -> None:
    example = row(Gold("none", None), final, answerability="false_premise", data=PREMISE)
    assert await outcome(untold.gold_premise, example) == "pass"


@pytest.mark.parametrize("final", PREMISE_BROKEN)
async def test_a_premise_accepted_or_put_right_wrongly_is_wrong(final: str) -> None:
    example = row(Gold("none", None), final, answerability="false_premise", data=PREMISE)
    assert await outcome(untold.gold_premise, example) == "fail"


ANSWERS_GOOD = [
    ("bare_short", "short", "Halvard Lind", "Halvard Lind"),
    ("last_short", "short", "He is named.\nAnswer: Halvard Lind", "Halvard Lind"),
    ("first_short", "short", "Halvard Lind. The text names him.", "Halvard Lind"),
    ("free_short", "short", "It was Halvard Lind who did.", "Halvard Lind"),
    ("json_short", "short", '{"evidence": ["by Halvard Lind"], "answer": "Halvard Lind"}', "Halvard Lind"),
    ("last_number", "number", "1,700 - 1,250\nAnswer: 450 sacks", "450"),
    ("bare_number", "number", "450", "450"),
    ("json_set", "set", '["Vik", "Nes"]', '["Nes", "Vik"]'),
    ("bare_set", "set", "Vik\nNes", '["Vik", "Nes"]'),
    (
        "free_pairs",
        "pairs",
        "Halvard rebuilt the mill; Oddvar drowned.",
        '{"Halvard": "rebuilt the mill", "Oddvar": "drowned"}',
    ),
]
ANSWERS_BROKEN = [
    ("bare_short", "short", "Oddvar Lind", "Halvard Lind"),
    ("last_short", "short", "It was Halvard Lind.\n\nSo much is clear.\nAnswer: Oddvar", "Halvard Lind"),
    ("first_short", "short", "Ragna. One might think. Otherwise it is Halvard Lind.", "Halvard Lind"),
    ("free_short", "short", "It was the brother.", "Halvard Lind"),
    ("json_short", "short", "Halvard Lind", "Halvard Lind"),
    ("last_number", "number", "1,700 - 1,250\nAnswer: 540", "450"),
    ("bare_number", "number", "540", "450"),
    ("json_set", "set", "Vik, Nes", '["Nes", "Vik"]'),
    ("bare_set", "set", "Vik", '["Vik", "Nes"]'),
    ("free_pairs", "pairs", "Halvard rebuilt the mill.", '{"Halvard": "rebuilt the mill", "Oddvar": "drowned"}'),
]


@pytest.mark.parametrize(("form", "shape", "answer", "final"), ANSWERS_GOOD)
async def test_the_student_reads_the_answer_that_was_marked(form: str, shape: str, answer: str, final: str) -> None:
    assert await outcome(checks.final_in_answer, row(Gold(shape, None), final, shape=shape, answer=answer, form=form)) == "pass"


@pytest.mark.parametrize(("form", "shape", "answer", "final"), ANSWERS_BROKEN)
async def test_an_answer_that_says_otherwise_than_final_is_thrown_out(form: str, shape: str, answer: str, final: str) -> None:
    assert await outcome(checks.final_in_answer, row(Gold(shape, None), final, shape=shape, answer=answer, form=form)) == "fail"


def worked(value: Any, formula: str, *steps: tuple[str, float], question: str = "How many?", language: str = "en") -> Example:
    data = {"working": [{"quote": q, "value": v} for q, v in steps], "formula": formula}
    return row(Gold("number", value), str(value), shape="number", question=question, data=data, language=language)


SACKS = (("1,250 sacks in its first year", 1250.0), ("1,700 in the second", 1700.0))
WORKED_GOOD = [
    worked(450, "1700 - 1250", *SACKS),
    worked(2950, "1700 + 1250", *SACKS),
    worked(36, "(1700 - 1250) / 1250 * 100", *SACKS),
    worked(1475, "(1700 + 1250) / 2", *SACKS),
    worked(1.4, "1700 / 1250", *SACKS, question="Round to one decimal place."),
    worked(9, "12 - 3", ("Twelve families held shares", 12), ("three of them sold theirs", 3)),
    worked(0.25, "3 / 12", ("Twelve families held shares", 12), ("three of them sold theirs", 3)),
    worked(3, "1 + 1 + 1", ("Halvard Lind", 1), ("his brother Oddvar"[4:], 1), ("Ragna moved it", 1)),
    worked(2, "1893 - 1891", ("14 March 1893", 1893), ("rebuilt in 1891", 1891)),
    worked(45, "14 + 31", ("14 March 1893", 14)),
    worked(0.45, "(1700 - 1250) / 1000", *SACKS),
    worked(0.00125, "1250 / 1e6", SACKS[0]),
    worked(1250000, "1250 * 1000", SACKS[0]),
    worked(75000, "1250 * 60", SACKS[0]),
    worked(8750, "1250 * 7", SACKS[0]),
    worked(12.5, "1250 * 0.01", SACKS[0]),
    worked(30000, "1250 * 24", SACKS[0]),
]
WORKED_BROKEN = [
    worked(540, "1700 - 1250", *SACKS),
    worked(450, "1700 + 1250", *SACKS),
    worked(451, "1700 - 1250", *SACKS),
    worked(-450, "1700 - 1250", *SACKS),
    worked(1.5, "1700 / 1250", *SACKS, question="Round to one decimal place."),
    worked(450, "1700 - 1250", ("1,250 sacks in its second year", 1250.0), ("1,700 in the second", 1700.0)),
    worked(450, "1700 - 1250", ("1,250 sacks in its first year", 1700.0), ("1,700 in the second", 1250.0)),
    worked(9, "12 - 3", ("Twelve families held shares", 13), ("three of them sold theirs", 3)),
    worked(800, "1700 - 900", *SACKS),
    worked(1.2, "1500 / 1250", *SACKS),
    worked(2500, "1250 * 20 / 10", *SACKS),
    worked(6250000, "1250 * 5e3", *SACKS),
    worked(3750, "1250 * 3", SACKS[0]),
    worked(1, "1700 - ", *SACKS),
    worked(1, "1700 / 1250", *SACKS),
]


@pytest.mark.parametrize("example", WORKED_GOOD, ids=lambda e: str(e.instruction.data["formula"]))
async def test_a_number_that_follows_from_its_working_stands(example: Example) -> None:
    assert await outcome(item.working_recomputes, example) == "pass"


@pytest.mark.parametrize("example", WORKED_BROKEN, ids=lambda e: str(e.instruction.gold and e.instruction.gold.value))
async def test_gold_that_does_not_follow_from_its_working_is_found_out(example: Example) -> None:
    assert await outcome(item.working_recomputes, example) == "fail"


QUOTES_GOOD = [
    "The ledger lay in the boathouse",
    "until Ragna moved it to the chapel.",
    "Twelve families held shares",
    "rebuilt in 1891",
    "three of them sold theirs before 14 March 1893",
]
QUOTES_BROKEN = [
    "The ledger lay in the chapel",
    "until Ragna took it to the chapel",
    "Twenty families held shares",
    "rebuilt in 1892",
    "three of them sold theirs after 14 March 1893",
]


@pytest.mark.parametrize("quote", QUOTES_GOOD)
async def test_evidence_stands_in_the_passage_to_the_letter(quote: str) -> None:
    assert await outcome(item.evidence_in_material, row(Gold("text", "x", (quote,)), "x")) == "pass"


@pytest.mark.parametrize("quote", QUOTES_BROKEN)
async def test_evidence_with_one_other_word_does_not_stand(quote: str) -> None:
    assert await outcome(item.evidence_in_material, row(Gold("text", "x", (quote,)), "x")) == "fail"


@pytest.mark.parametrize(
    ("value", "accepts", "outcome_wanted"),
    [
        ("Halvard Lind", (), "pass"),
        ("the builder", ("Lind",), "pass"),
        ("1891", (), "pass"),
        ("Oddvar", (), "fail"),
        ("1892", (), "fail"),
    ],
)
async def test_mutated_gold_is_not_in_its_evidence(value: str, accepts: tuple[str, ...], outcome_wanted: str) -> None:
    gold = Gold("text", value, ("The mill at Vik was rebuilt in 1891 by Halvard Lind",), accepts)
    assert await outcome(item.gold_in_evidence, row(gold, "x")) == outcome_wanted


@pytest.mark.parametrize(
    "check", [checks.gold_text, checks.gold_label, checks.gold_number, checks.gold_set, checks.gold_order, checks.gold_pairs]
)
async def test_a_gold_check_has_nothing_to_say_of_another_form(check: Check) -> None:
    assert await outcome(check, row(Gold("none", None), "x")) == "na"
    assert await outcome(check, row(None, "x")) == "na"
