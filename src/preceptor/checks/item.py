"""Whether the item holds, before anyone answers: its gold rests on words of the passage, its number on its working."""

import re
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from preceptor.arithmetic import ArithmeticProblem, evaluate
from preceptor.checks.base import check, failed, not_applicable, passed
from preceptor.checks.figures import NUMBER_WORDS, places_of, rounded, told_numbers
from preceptor.checks.finals import run_in, words_of
from preceptor.checks.options import lineage
from preceptor.checks.words import language_of, stands_in
from preceptor.types import Ask, Example, Instruction, Verdict


@check(
    decides=False,
    version=1,
    sees="the words on which the gold rests stand in the passage to the letter",
    blind="whether they prove it",
)
async def evidence_in_material(example: Example, skill: Any, ask: Ask) -> Verdict:
    instruction = example.instruction
    moved = instruction.data.get("evidence_now")
    quotes = [str(q) for q in moved or (instruction.gold.evidence if instruction.gold else ())]
    if instruction.answerability == "false_premise":
        quotes = [str(instruction.data.get("truth", ""))]
        if not stands_in(str(instruction.data.get("key", "")), quotes[0]):
            key = str(instruction.data.get("key", ""))
            return failed(f"the correction's key {key[:80]!r} is not in the sentence that corrects: {quotes[0][:120]!r}")
    if not quotes:
        return not_applicable("the gold names no evidence")
    for quote in quotes:
        if not stands_in(quote, instruction.material.text):
            return failed(f"not in the passage: {quote[:120]!r}")
    return passed(f"{len(quotes)} quotations stand")


@check(
    decides=False,
    version=1,
    sees="the gold, or an accepted form of it, stands in the words it is said to rest on",
    blind="a wrong thing that stands there too",
)
async def gold_in_evidence(example: Example, skill: Any, ask: Ask) -> Verdict:
    instruction, language = example.instruction, language_of(example.instruction)
    gold = instruction.gold
    if gold is None or gold.form not in ("text", "set") or not gold.evidence:
        return not_applicable("no text with evidence")
    said = words_of(" ¶ ".join(gold.evidence), language)
    entries = [[str(e)] for e in gold.value] if gold.form == "set" else [[str(gold.value), *gold.accepts]]
    for forms in entries:
        if not any(run_in(words_of(form, language), said) for form in forms):
            told = " … ".join(gold.evidence)
            return failed(f"{' or '.join(repr(f[:60]) for f in forms[:4])} is not in its evidence: {told[:160]!r}")
    return passed("the gold stands in its evidence")


CONSTANTS = frozenset(map(Fraction, (0, 2, 4, 7, 12, 24, 28, 29, 30, 31, 52, 60, 168, 360, 365, 366, 1440, 3600, 86400)))
"""Numbers that a formula may use without a quotation: people carry them in the head. Powers of ten are among them too."""
FIGURES = re.compile(r"(?<![\w.])(?:\d+(?:_\d+)*(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?")
ROUNDING = re.compile(r"round|nearest|whole|about|approx|decimal|gerund|runde|ganze|nachkomma|etwa|पूर्णांक|निकटतम|दशमलव", re.I)


@check(
    decides=False,
    version=2,
    sees="the gold number follows from its working: quotations stand, hold their values, and the formula comes to the gold",
    blind="whether these were the figures to take; number words of languages other than English, German and Hindi",
)
async def working_recomputes(example: Example, skill: Any, ask: Ask) -> Verdict:
    instruction, language = example.instruction, language_of(example.instruction)
    gold = instruction.gold
    working: Sequence[Mapping[str, Any]] = instruction.data.get("working") or ()
    if gold is None or gold.form != "number" or not working:
        return not_applicable("no number with a working")
    passage = lineage(instruction.material) if instruction.data.get("evidence_now") else instruction.material.text
    for step in working:
        quote, value = str(step["quote"]), Fraction(str(step["value"]))
        if not stands_in(quote, passage):
            return failed(f"the working quotes what is not in the passage: {quote[:120]!r}")
        known = language in NUMBER_WORDS or any(c.isdecimal() for c in quote)
        if known and value != 1 and value not in (told := told_numbers(quote, language)):
            gives = ", ".join(f"{float(t):g}" for t in sorted(told) if t >= 0) or "no number"
            return failed(f"{quote[:80]!r} does not give {step['value']}; it gives {gives}")
    return weighed(instruction, [Fraction(str(step["value"])) for step in working])


def weighed(instruction: Instruction, values: Sequence[Fraction]) -> Verdict:
    """Whether the formula uses these values and comes to the gold."""
    formula = str(instruction.data.get("formula") or " + ".join(str(v) for v in values))
    try:
        result = Fraction(evaluate(formula))
    except ArithmeticProblem as problem:
        return failed(f"the formula {formula[:80]!r} cannot be computed: {problem}")
    used = {Fraction(figure.replace("_", "")) for figure in FIGURES.findall(formula)}
    known = {abs(v) for v in values}
    strange = sorted(s for s in used - known - CONSTANTS if not power_of_ten(s))
    if strange:
        given = ", ".join(f"{float(v):g}" for v in sorted(known))
        told = ", ".join(f"{float(s):g}" for s in strange)
        return failed(f"the formula {formula[:80]!r} uses {told}, which the working does not give; it gives {given}")
    assert instruction.gold is not None
    right = Fraction(str(instruction.gold.value))
    places = places_of(right)
    may_round = places > 0 or bool(ROUNDING.search(instruction.text)) or language_of(instruction) not in NUMBER_WORDS
    if result == right or (may_round and rounded(result, places) == right):
        return passed(f"{formula} = {instruction.gold.value}")
    return failed(f"{formula} is {float(result):g}, the gold says {instruction.gold.value}")


def power_of_ten(value: Fraction) -> bool:
    """Whether it only moves the point: 0.01, 1, 100, a million."""
    whole = value.numerator if value.denominator == 1 else value.denominator if value.numerator == 1 else 0
    return bool(re.fullmatch(r"10*", str(whole)))
