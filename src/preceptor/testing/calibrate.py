"""What is a judge worth? Planted rows of judged kinds, good and bad, shown to the judge of a recipe.

Lines of a pack's `gates/rubric*.jsonl`: kind, text, question, points, answer, verdict (`yes` or `no`) and why.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from preceptor.flows.verify import check_of
from preceptor.models import open_model
from preceptor.recipe import load_recipe
from preceptor.skill import Skill, built_in, load_skill
from preceptor.testing.fake import FakeAsk
from preceptor.testing.gates import row_by_hand
from preceptor.testing.golden import lines_of
from preceptor.testing.packs import judges
from preceptor.types import Instruction, Model


@dataclass(frozen=True, slots=True)
class Judged:
    """One planted row, and what the judge made of it."""

    skill: str
    kind: str
    check: str
    planted: str
    said: str
    why: str

    @property
    def agrees(self) -> bool:
        return (self.planted == "yes") == (self.said == "pass")


def planted(skill: Skill) -> list[dict[str, Any]]:
    """The planted rows of a pack."""
    return [line for file in sorted((skill.path / "gates").glob("rubric*.jsonl")) for line in lines_of(file)]


def calibrate(recipe: Path, skills: Sequence[str] = ()) -> list[Judged]:
    """Every planted row of the skills, judged by the recipe's judge."""
    read = load_recipe(recipe)
    if read.judge is None:
        from preceptor.errors import RecipeError

        raise RecipeError(f'{recipe} names no judge; add, such as, judge = {{ url = "…", model = "…" }}')
    model = open_model(read.judge, base=read.root)
    return asyncio.run(_calibrate(model, [load_skill(name) for name in skills or built_in()]))


async def _calibrate(model: Model, skills: Sequence[Skill]) -> list[Judged]:
    try:
        return [judged for skill in skills for line in planted(skill) for judged in await judge(line, skill, model)]
    finally:
        await model.close()


async def judge(line: Mapping[str, Any], skill: Skill, model: Model) -> list[Judged]:
    """What the judging checks of the row's kind say of it."""
    example = row_by_hand({"final": line["answer"], **line}, skill)
    data = {**example.instruction.data, **({"points": line["points"]} if "points" in line else {})}
    instruction: Instruction = replace(example.instruction, data=data)
    example = replace(example, instruction=instruction)
    ask = FakeAsk(model, roles=("teacher", "judge"), document=instruction.material.document)
    found = []
    for check in judges(skill.kind(str(line["kind"])), skill):
        if "check" in line and check.name != line["check"]:
            continue
        verdict = await check_of(check.name, skill)(example, skill, ask)
        if verdict.outcome != "na":
            told = (str(line["verdict"]), verdict.outcome, str(line["why"]))
            found.append(Judged(skill.name, str(line["kind"]), check.name, *told))
    return found
