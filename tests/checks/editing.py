"""An example whose text, parameters and answer are given: what the tables of edit checks are made of."""

from typing import Any

from preceptor.checks import find
from preceptor.types import Document, Example, Gold, Instruction, Material, Verdict


class _Skill:
    name = "editing"
    checks: dict[str, Any] = {}  # noqa: RUF012


class _Ask:
    seed = "s"
    roles = frozenset({"teacher"})


def example(given: str, data: dict[str, Any], answer: str, *, language: str = "en", gold: str | None = None) -> Example:
    material = Material(Document("d", given, "d.txt", language=language), "identity", given, language=language)
    right = None if gold is None else Gold("edit", gold, made_by="computed")
    return Example(Instruction(material, "k", "Do it.", "edit", data=data, gold=right), answer, (), {"final": answer})


async def outcome(check: str, made: Example) -> str:
    """pass, fail or na."""
    return (await verdict(check, made)).outcome


async def verdict(check: str, made: Example) -> Verdict:
    """What the check says of the example."""
    return await find(check, _Skill())(made, _Skill(), _Ask())  # type: ignore[arg-type]
