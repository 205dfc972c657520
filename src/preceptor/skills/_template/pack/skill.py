"""My skill: the one check that decides whether an answer is right."""

from typing import Any

from preceptor.checks.base import check, failed, not_applicable, passed
from preceptor.types import Ask, Example, Verdict


@check(decides=True, sees="the bare answer is the gold, or one of its other spellings", blind="whether the gold is right")
async def final_matches(example: Example, skill: Any, ask: Ask) -> Verdict:
    """Small letters, blanks and a full stop at the end do not count; everything else does."""
    gold = example.instruction.gold
    if gold is None or gold.value is None:
        return not_applicable("no gold")
    said = bare(str(example.fields.get("final", "")))
    if said in {bare(str(text)) for text in (gold.value, *gold.accepts)}:
        return passed(f"{said!r}")
    return failed(f"{said!r} is not {gold.value!r}", hint="the bare answer does not match the text")


def bare(text: str) -> str:
    """The text in small letters, with single blanks, without a full stop at its end."""
    return " ".join(text.lower().split()).rstrip(".")


CHECKS = (final_matches,)
