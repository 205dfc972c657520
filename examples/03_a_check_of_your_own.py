"""A check of your own, tried on planted faults before it decides anything: the same time of day in any notation."""

import asyncio
import re
from typing import Any

from preceptor import Document, Example, Instruction, Material, Verdict
from preceptor.checks import check, failed, not_applicable, passed
from preceptor.testing import FakeAsk
from preceptor.types import Ask, Gold

CLOCK = re.compile(r"(\d{1,2})[:.](\d\d)( ?[ap]m)?\Z")


def minutes(text: str) -> int | None:
    """Minutes since midnight; None for what is no time of day."""
    if not (found := CLOCK.match(text.strip().lower())):
        return None
    hour = int(found[1]) % 12 + (12 if "p" in found[3] else 0) if found[3] else int(found[1])
    return hour * 60 + int(found[2])


@check(decides=True, sees="the same time of day as the gold, in any notation", blind="whether the gold is right")
async def same_time(example: Example, skill: Any, ask: Ask) -> Verdict:
    """In a pack this stands in skill.py, in CHECKS = (same_time,), and a kind says checks = ["same_time"]."""
    gold = example.instruction.gold
    if gold is None:
        return not_applicable("no gold")
    final = str(example.fields["final"])
    if minutes(final) == minutes(str(gold.value)):
        return passed(f"{final} is {gold.value}")
    return failed(f"{final} is not {gold.value}", hint="the text gives another time")


async def main() -> None:
    text = "The gate opens at 14:05 and closes at 17:30."
    material = Material(Document("gate", text, "gate.md"), "identity", text)
    task = Instruction(material, "arrival", "When does the gate open?", gold=Gold("text", "14:05"))
    planted = {"14:05": "pass", "14.05": "pass", "2:05 pm": "pass", "2:05 am": "fail", "17:30": "fail", "soon": "fail"}
    for final, expected in planted.items():
        example = Example(task, f"At {final}.", (), {"final": final})
        verdict = await same_time(example, None, FakeAsk())
        print(f"{final:>8}  {verdict.outcome:<4}  {verdict.evidence}")
        assert verdict.outcome == expected


if __name__ == "__main__":
    asyncio.run(main())
