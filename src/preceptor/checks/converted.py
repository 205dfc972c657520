"""Whether values were put into another form or unit: each equals what it was, and the text around them is the same.

The values are read from text and answer anew, by their form, so that a wrong gold is found out too.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any

from preceptor.checks.base import check, failed, not_applicable, passed
from preceptor.checks.edit import Found
from preceptor.checks.text import DATE_FORMS, dates, edited, source
from preceptor.types import Ask, Example, Verdict


def same_between(given: str, answer: str, before: Sequence[Found], after: Sequence[Found]) -> bool:
    """Whether two texts agree in everything but what was read in each."""
    return _rest(given, before) == _rest(answer, after)


def _rest(text: str, found: Sequence[Found]) -> list[str]:
    edges = [0, *(edge for start, end, _ in found for edge in (start, end)), len(text)]
    return [text[a:b] for a, b in zip(edges[::2], edges[1::2])]


def _clock(text: str) -> list[Found]:
    found = []
    for m in re.finditer(r"(?<![\w:.])(\d{1,2})(?:[:.](\d{2}))?\s?(?:([ap])m\b|([ap])\.m\.)", text, re.I):
        hour = int(m[1]) % 12 + (12 if (m[3] or m[4]).lower() == "p" else 0)
        found.append((m.start(), m.end(), hour * 60 + int(m[2] or 0)))
    return found


def _clock24(text: str) -> list[Found]:
    return [(m.start(), m.end(), int(m[1]) * 60 + int(m[2])) for m in re.finditer(r"(?<![\w:])(\d\d):(\d\d)(?![\w:])", text)]


def _grouped(text: str) -> list[Found]:
    groups = re.finditer(r"(?<![\w,.])\d{1,3}(?:,\d{3})+(?!\w|,\d)", text)
    return [(m.start(), m.end(), int(m[0].replace(",", ""))) for m in groups]


def _solid(text: str) -> list[Found]:
    return [(m.start(), m.end(), int(m[0])) for m in re.finditer(r"(?<![\w,.])\d{4,}(?!\w|,\d)", text)]


NORMAL: Mapping[str, tuple[Callable[[str], list[Any]], Callable[[str], list[Any]]]] = {
    "dates": (lambda text: dates(text, [f for f in DATE_FORMS if f != "iso"]), lambda text: dates(text, ["iso"])),
    "spelled_dates": (lambda text: dates(text, ["iso"]), lambda text: dates(text, ["day month year"])),
    "times": (_clock, _clock24),
    "thousands": (_grouped, _solid),
}


@check(decides=True, sees="every value is in the form asked for, equal to what it was, and the rest is untouched",
       blind="values the rule does not name")
async def values_normalised(example: Example, skill: Any, ask: Ask) -> Verdict:
    rule = str(example.instruction.data.get("normal", ""))
    if rule not in NORMAL:
        return not_applicable("the task normalises nothing that is known here")
    old_form, new_form = NORMAL[rule]
    given, answer = source(example), edited(example)
    if old_form(answer):
        start, end, _ = old_form(answer)[0]
        return failed(f"left as it was: {answer[start:end]}", hint=f"Still in the old form: {answer[start:end]}.")
    before, already = old_form(given), new_form(given)
    wanted, got = sorted([*before, *already]), new_form(answer)
    if [v for *_, v in wanted] != [v for *_, v in got]:
        odd = next((answer[s:e] for (s, e, v), (*_, w) in zip(got, wanted) if v != w), f"{len(got)} values, not {len(wanted)}")
        return failed(f"{[str(v) for *_, v in wanted]} became {[str(v) for *_, v in got]}",
                      hint=f"A value changed with its form, or was lost: {odd}.")
    if not same_between(given, answer, wanted, got):
        return failed("the text around the values changed",
                      hint="Only the form of the values may change.")
    return passed(f"{len(got)} values equal")


@check(decides=True, sees="each measure is in the new unit, right to the decimal asked for, and the rest is untouched",
       blind="measures the task does not name")
async def units_converted(example: Example, skill: Any, ask: Ask) -> Verdict:
    task = example.instruction.data.get("convert")
    if not task:
        return not_applicable("the task converts nothing")
    given, answer = source(example), edited(example)
    before, after = _measures(given, task["from"]), _measures(answer, [task["to"]])
    if _measures(answer, task["from"]) or len(before) != len(after):
        return failed(f"{len(before)} measures in the text, {len(after)} in the new unit",
                      hint=f"The text has {len(before)} measures to convert, the draft {len(after)} in {task['to']}.")
    factor, offset, places = Fraction(task["factor"]), Fraction(task.get("offset", "0")), int(task["places"])
    for (_, _, old), (_, _, new) in zip(before, after):
        if abs(old * factor + offset - new) > Fraction(1, 2 * 10**places):
            return failed(f"{float(old)} became {float(new)}", hint=f"{float(old):g} became {float(new):g}; reckon it again.")
    if not same_between(given, answer, before, after):
        return failed("the text around the measures changed", hint="Only the measures may change.")
    return passed(f"{len(after)} measures converted")


def _measures(text: str, units: Sequence[str]) -> list[Found]:
    unit = "|".join(sorted(map(re.escape, units), key=len, reverse=True))
    found = re.finditer(rf"(?<![\w.,])(-?\d+(?:,\d{{3}})*(?:\.\d+)?)[ -]?(?:{unit})(?!\w)", text)
    return [(m.start(), m.end(), Fraction(m[1].replace(",", ""))) for m in found]
