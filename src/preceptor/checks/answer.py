"""Whether the bare answer is the right one: text, label, number, set, order, pairs.

The gold checks read `final` alone and compare the whole of it: an answer that holds the right value among others is
wrong. `final_in_answer` then sees to it that the student reads the same answer in the text of the row.
"""

from collections.abc import Callable
from fractions import Fraction
from typing import Any, TypeAlias

from preceptor.arithmetic import ArithmeticProblem, evaluate
from preceptor.checks.base import Check, check, failed, not_applicable, passed
from preceptor.checks.figures import FIGURE, NUMBER_WORDS, ascii_digits, numbers_in, places_of, rounded, units_of
from preceptor.checks.finals import (
    ARTICLES,
    by_place,
    final_of,
    listed,
    longer_span,
    opened,
    paired,
    run_in,
    said_text,
    same_text,
    words_of,
)
from preceptor.checks.text import sentences
from preceptor.checks.untold import NOT_TOLD, says_not_told
from preceptor.checks.words import language_of, stands_in, tokens
from preceptor.types import Ask, Example, Gold, Instruction, Verdict

BARE = "Put the bare answer into `final`: nothing before it, nothing after it."
AGAIN = "Read the passage again for exactly what is asked; the final answer is not right."


# ── against a gold of one form ───────────────────────────────────────────────────────────────────────────────────

Marker: TypeAlias = Callable[[Example, Gold, str], Verdict]
"""Marks an example against its gold; the last argument is the row's language."""


def marks(form: str, *, sees: str, blind: str, version: int = 1) -> Callable[[Marker], Check]:
    """Make a deciding check of a function that marks answers where the gold is of this form."""

    def made(mark: Marker) -> Check:
        async def run(example: Example, skill: Any, ask: Ask) -> Verdict:
            gold = example.instruction.gold
            if gold is None or gold.form != form:
                return not_applicable(f"the gold is no {form}")
            return mark(example, gold, language_of(example.instruction))

        return check(decides=True, version=version, sees=sees, blind=blind, name=getattr(mark, "__name__", form))(run)

    return made


# ── one text, one label ──────────────────────────────────────────────────────────────────────────────────────────


@marks(
    "text",
    version=2,
    sees="final is the gold text or one of its accepted forms, word for word, or as the passage itself goes on with it",
    blind="a right answer in words that the item does not list",
)
def gold_text(example: Example, gold: Gold, language: str) -> Verdict:
    said = said_text(example)
    forms, passage = (str(gold.value), *gold.accepts), example.instruction.material.text
    if any(same_text(said, right, language) for right in forms):
        return passed(f"{said!r}")
    if right := next((r for r in forms if longer_span(said, r, passage, language)), ""):
        return passed(f"{said!r} is {right!r} as the passage goes on with it")
    holds = stands_in(str(gold.value), said)
    accepted = f", nor one of {len(gold.accepts)} other accepted forms" if gold.accepts else ""
    return failed(f"{said[:120]!r} is not {str(gold.value)[:120]!r}{accepted}", hint=BARE if holds else AGAIN)


@marks("label", sees="final is the right one of the labels, alone", blind="the reasons given for it")
def gold_label(example: Example, gold: Gold, language: str) -> Verdict:
    said = said_text(example)
    if words_of(said, language) == words_of(str(gold.value), language):
        return passed(f"{said!r}")
    labels = [str(label) for label in example.instruction.data.get("labels", ())]
    known = any(words_of(said, language) == words_of(label, language) for label in labels)
    return failed(
        f"{said[:80]!r} is not {gold.value!r}",
        hint=AGAIN if known else "The final answer must be one of the labels, spelled as listed.",
    )


# ── numbers ──────────────────────────────────────────────────────────────────────────────────────────────────────


@marks(
    "number",
    sees="final is one number, equal to the gold, in the gold's unit if it names one",
    blind="a right number that was reached on a wrong way",
)
def gold_number(example: Example, gold: Gold, language: str) -> Verdict:
    instruction = example.instruction
    said, right = said_text(example), Fraction(str(gold.value))
    found = numbers_in(said, language)
    if len(found) != 1:
        which = ", ".join(f"{float(n):g}" for n in found[:5])
        return failed(
            f"{said[:80]!r} holds {len(found)} numbers{': ' * bool(which)}{which}",
            hint="The final answer must be exactly one number.",
        )
    if beside := wrong_unit(said, instruction):
        return failed(f"{said[:80]!r}: {beside}", hint="Give the number alone, in the unit that the question names.")
    if close_to(found[0], right, instruction):
        return passed(f"{said!r}")
    return failed(f"{said[:80]!r} is not {gold.value}", hint="Calculate again; the number is not right.")


def wrong_unit(said: str, instruction: Instruction) -> str:
    """What stands beside the number that is not its unit; empty where all is well."""
    language = language_of(instruction)
    rest = FIGURE.sub(" ", ascii_digits(said))
    spelled = NUMBER_WORDS.get(language, {})
    beside = [w for w in units_of(rest) if w not in spelled and w not in ARTICLES.get(language, ())]
    if not beside:
        return ""
    unit = units_of(str(instruction.data.get("unit") or ""))
    if unit:
        return "" if beside == unit else f"{' '.join(beside)!r} instead of {' '.join(unit)!r}"
    asked = set(units_of(instruction.text))
    strange = [w for w in beside if w not in asked]
    return f"{' '.join(strange)!r} is no unit that was asked for" if strange else ""


def close_to(said: Fraction, right: Fraction, instruction: Instruction) -> bool:
    """Equal, within the item's own tolerance, or the same result with more places than the gold has."""
    tolerance = Fraction(str(instruction.data.get("tolerance", 0)))
    if abs(said - right) <= tolerance:
        return True
    exact = recomputed(instruction)
    places = places_of(said)
    if exact is None or places <= places_of(right) or rounded(exact, places_of(right)) != right:
        return False
    return rounded(exact, places) == said


def recomputed(instruction: Instruction) -> Fraction | None:
    """What the item's formula comes to; None where there is none that can be computed."""
    formula = str(instruction.data.get("formula") or "")
    try:
        return Fraction(evaluate(formula)) if formula else None
    except ArithmeticProblem:
        return None


# ── several things ───────────────────────────────────────────────────────────────────────────────────────────────


@marks("set", sees="final lists exactly the right things, in any order", blind="the reasons given for each")
def gold_set(example: Example, gold: Gold, language: str) -> Verdict:
    right = [str(entry) for entry in gold.value]
    said = listed(example, right)
    if said is None:
        return failed(f"{final_of(example)[:80]!r} is no list", hint="`final` must be a JSON list of strings.")
    missing = [r for r in right if not any(same_text(s, r, language) for s in said)]
    extra = [s for s in said if not any(same_text(s, r, language) for r in right)]
    if missing or extra:
        hint = " ".join(
            (["Something that belongs is missing."] if missing else [])
            + (["Something on the list does not belong."] if extra else [])
        )
        return failed(f"missing {missing}, too many {extra}", hint=hint)
    return passed(f"{len(right)} entries")


@marks("order", sees="final lists all entries, each once, in the right order", blind="why one comes before another")
def gold_order(example: Example, gold: Gold, language: str) -> Verdict:
    instruction = example.instruction
    right = [str(entry) for entry in gold.value]
    said = listed(example, right)
    if said is None:
        return failed(f"{final_of(example)[:80]!r} is no list", hint="`final` must be a JSON list of the entries.")
    shown = [str(entry) for entry in instruction.data.get("shown", ())]
    entries = [words_of(by_place(s, shown), language) for s in said]
    wanted = [words_of(r, language) for r in right]
    if entries == wanted:
        return passed(f"{len(right)} entries in order")
    if sorted(entries) != sorted(wanted):
        lost = [r for r, w in zip(right, wanted, strict=True) if w not in entries]
        strange = [s for s, e in zip(said, entries, strict=True) if e not in wanted]
        why = f"missing {lost}, not given {strange}" if lost or strange else f"an entry more than once: {said}"
        return failed(f"not the entries that were given, each once: {why[:200]}", hint="List every entry once, unchanged.")
    first = next(i for i, (a, b) in enumerate(zip(entries, wanted, strict=True)) if a != b)
    return failed(
        f"place {first + 1}: {said[first][:60]!r} instead of {right[first][:60]!r}",
        hint="The order is not right; look for the words that say what came before what.",
    )


@marks("pairs", sees="final joins every left entry to its own right entry and to no other", blind="the reasons given for each")
def gold_pairs(example: Example, gold: Gold, language: str) -> Verdict:
    instruction = example.instruction
    said = paired(final_of(example))
    if not said:
        return failed(f"{final_of(example)[:80]!r} holds no pairs", hint="`final` must be a JSON object of the pairs.")
    left, right = ([str(x) for x in instruction.data.get(side, ())] for side in ("left", "right"))
    ours = [(words_of(by_place(a, left), language), words_of(by_place(b, right), language)) for a, b in said]
    wanted = {words_of(str(a), language): words_of(str(b), language) for a, b in dict(gold.value).items()}
    if twice := [a for (a, _), own in zip(said, ours, strict=True) if [o[0] for o in ours].count(own[0]) > 1]:
        return failed(f"a left entry is joined twice: {twice[0][:60]!r}", hint="Join each left entry once.")
    wrong = [f"{a} – {b}" for (a, b), own in zip(said, ours, strict=True) if wanted.get(own[0]) != own[1]]
    if wrong or len(ours) != len(wanted):
        hint = "Join every left entry, each once, unchanged." if len(ours) != len(wanted) else "Not every pair is right."
        told = f": {wrong[0][:100]!r} is wrong" if wrong else f": {len(ours)} are joined"
        return failed(f"{len(wanted) - len(ours) + len(wrong)} of {len(wanted)} are wrong or missing{told}", hint=hint)
    return passed(f"{len(wanted)} pairs")


# ── the text of the row says the same ────────────────────────────────────────────────────────────────────────────


@check(
    decides=False,
    version=1,
    sees="the answer that the student reads holds the final answer, where its format wants it",
    blind="whether the rest of the answer agrees with it",
)
async def final_in_answer(example: Example, skill: Any, ask: Ask) -> Verdict:
    instruction, language = example.instruction, language_of(example.instruction)
    if not example.answer or "final" not in example.fields:
        return not_applicable("no answer yet")
    if instruction.shape in ("open", "multiple_choice") or instruction.options:
        return not_applicable("for this shape another check looks at it")
    form = instruction.style.format.split("_")[0]
    value = opened(example.answer) if form == "json" else None
    if form == "json" and isinstance(value, str) and value == example.answer:
        return failed(f"the answer is not JSON: {example.answer[:80]!r}", hint="The task asks for JSON and nothing around it.")
    if instruction.answerability == "unanswerable":
        if language not in NOT_TOLD or says_not_told(example.answer, language) or (value is None and form == "json"):
            return passed()
        return failed(
            f"the answer does not say that the text leaves it open: {example.answer[-100:]!r}",
            hint="Say in the answer that the text does not tell.",
        )
    if instruction.answerability != "answerable":
        return not_applicable(f"the row is {instruction.answerability}")
    part = where_expected(example.answer, form)
    missing = [entry for entry in entries_of(example) if not shown_in(entry, part, instruction.shape, language)]
    if missing:
        return failed(
            f"{missing[0][:80]!r} is not where the format {instruction.style.format!r} wants it: {part[:100]!r}",
            hint="Answer and final answer differ, or the answer is not in the form that the task asks for.",
        )
    said, room = len(tokens(example.answer)), 3 * sum(len(tokens(e)) for e in entries_of(example)) + 12
    if form == "bare" and said > room:
        return failed(
            f"more than the bare answer: {said} words where {room} are plenty", hint="The task asks for the answer alone."
        )
    return passed()


def where_expected(answer: str, form: str) -> str:
    """The part of an answer in which its format has the result."""
    lines = [line for line in answer.splitlines() if line.strip()]
    if form == "last" and lines:
        return "\n".join(lines[-2:])
    if form == "first" and lines:
        return sentences(answer)[0]
    return answer


def entries_of(example: Example) -> list[str]:
    """What of final has to be found in the answer."""
    shape, final = example.instruction.shape, final_of(example)
    if shape in ("set", "order"):
        gold = example.instruction.gold
        return listed(example, [str(x) for x in gold.value] if gold and isinstance(gold.value, list) else ()) or [final]
    if shape == "pairs":
        return [side for pair in paired(final) for side in pair] or [final]
    return [said_text(example)]


def shown_in(entry: str, part: str, shape: str, language: str) -> bool:
    """Whether an entry of final stands in a part of the answer."""
    if shape == "number":
        wanted = numbers_in(entry, language)
        return bool(wanted) and wanted[-1] in numbers_in(part, language)
    return stands_in(entry, part) or run_in(words_of(entry, language), words_of(part, language))
