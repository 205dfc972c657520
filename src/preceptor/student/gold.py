"""Rows by code alone: a builder makes task and answer, the pack's checks look at the row, no model is asked.

reading comprehension   questions on tables (the document's own, or those of `sheets`)
text modification       edits of a passage
tool use                a records service over a table; the plan is carried out in the simulator, row and item end in a call
"""

import copy
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from preceptor.draws import digest, one
from preceptor.errors import StepError, ToolError
from preceptor.flows.respond import example_of as answered
from preceptor.flows.row import styled
from preceptor.flows.verify import accepts, weigh
from preceptor.prompts import fill
from preceptor.skill import Kind, Skill
from preceptor.student.rows import in_exam_words, opening_for, reserved, texts, wordings
from preceptor.types import (
    Agent,
    Ask,
    Document,
    Draft,
    Dropped,
    Example,
    Gold,
    Instruction,
    Material,
    Message,
    Reply,
    Style,
    canonical,
)


class Nobody:
    """A door that opens to nothing: for builders and checks that stand on the text alone."""

    roles = frozenset[str]()

    def __init__(self, seed: str) -> None:
        self.seed = seed

    async def __call__(
        self,
        agent: Agent,
        /,
        *,
        history: Sequence[Message] = (),
        tools: Sequence[Mapping[str, Any]] = (),
        sample: int = 0,
        **slots: Any,
    ) -> Reply:
        raise StepError(f"{agent.name} is asked of nobody here")

    async def use(self, tool: str, /, **arguments: Any) -> Any:
        raise ToolError(f"{tool} is not to be had here")


class Seeded(Nobody):
    """Another door's tools under another seed, so that one library gives several tasks. What the simulator has said of the
    same code, books and calls it is not asked again: each time a sandbox is started."""

    def __init__(self, door: Ask, seed: str, known: dict[str, Any]) -> None:
        super().__init__(seed)
        self._door, self._known = door, known

    async def use(self, tool: str, /, **arguments: Any) -> Any:
        key = digest(tool, canonical(arguments))
        if key not in self._known:
            self._known[key] = await self._door.use(tool, **arguments)
        return copy.deepcopy(self._known[key])


# ── tables and edits ─────────────────────────────────────────────────────────────────────────────────────────────


async def built(material: Material, kind: Kind, skill: Skill, seed: str, *, exam: bool) -> Example | None:
    """The builder's task with its computed answer, if the row passes the pack's checks; else None.

    With `exam`, words and layout are those that are kept for exams; without it, they are any but those.
    """
    instruction = instructed(material, kind, skill, seed, exam)
    if instruction is None or instruction.gold is None or instruction.gold.value is None:
        return None
    example = by_gold(instruction, skill, seed, exam)
    verdicts = await weigh(example, skill, Nobody(seed), judged=False)
    return replace(example, verdicts=verdicts, status="accepted") if accepts(verdicts) else None


def instructed(material: Material, kind: Kind, skill: Skill, seed: str, exam: bool) -> Instruction | None:
    kept, known = reserved(kind, skill), wordings(kind, skill)
    open_to = [kept] if exam and kept else [w for w in known if w != kept] or list(known)
    if "wording" in kind.data:
        kind = replace(kind, data={**kind.data, "wording": open_to})
    made = skill.builders[kind.name](material, kind, seed)
    if isinstance(made, Dropped):
        return None
    instruction: Instruction = made
    if known and "wording" not in kind.data:
        text = fill(one(open_to, seed, "wording", kind.name, material.id), instruction.data)
        instruction = replace(instruction, text=text)
    return None if not exam and in_exam_words(instruction, skill) else instruction


def by_gold(instruction: Instruction, skill: Skill, seed: str, exam: bool) -> Example:
    """The example whose answer is the gold, as one writes it down bare."""
    gold = instruction.gold
    assert gold is not None
    if exam:
        instruction = replace(instruction, style=Style(format="bare", layout="exam"))
    else:
        instruction = styled(instruction, bare(skill), seed)
    answer = said(gold)
    draft = Draft(answer, "gold", {"final": answer})
    example = answered(instruction, [draft], skill)
    if not exam:
        return example
    return replace(example, messages=(*opening_for(instruction), {"role": "assistant", "content": answer}))


def bare(skill: Skill) -> Skill:
    """The skill with those formats alone whose whole answer is the result: what code can write."""
    formats = tuple(f for f in skill.styles.get("format", ()) if f["name"].startswith("bare"))
    return replace(skill, styles={**skill.styles, "format": formats})


def said(gold: Gold) -> str:
    """The gold as an answer: a number without needless places, a list with an entry a line."""
    value = gold.value
    if isinstance(value, list | tuple):
        return "\n".join(map(str, value))
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(round(value, 6)) if isinstance(value, float) else str(value)


# ── calls ────────────────────────────────────────────────────────────────────────────────────────────────────────


@asynccontextmanager
async def library(document: Document, skill: Skill, seed: str) -> AsyncIterator[tuple[Material, Ask]]:
    """A records service over the table, and a door to its simulator. Raises StepError or ValueError where it gives none."""
    from preceptor.beside import ask
    from preceptor.models.scripted import ScriptedModel
    from preceptor.skills.tool_use.build import computed, service_of

    if service_of(document) is None:
        raise StepError("no service in this table")
    setting = f"The records of {document.title or 'a list'}, kept for those who look after it."
    async with ask(document, skill, teacher=ScriptedModel({"*/describe": {"setting": setting}})) as door:
        yield await computed(document, skill, door), door


async def called(
    material: Material, door: Ask, kind: Kind, skill: Skill, seed: str, known: dict[str, Any], *, exam: bool
) -> Example | None:
    """A whole conversation by the plan that code drew and carried out, if every check of the pack passes it."""
    from preceptor.skills.tool_use.library import Unfit
    from preceptor.skills.tool_use.skill import example_of, weighed
    from preceptor.skills.tool_use.tasks import drawn_plan, wording_of
    from preceptor.skills.tool_use.trajectory import draft_of, walked

    own = Seeded(door, seed, known)
    try:
        instruction = await drawn_plan(kind, material, skill, own)
        instruction = replace(instruction, text=errand(instruction, seed, exam), style=style(instruction, exam))
        talk = await walked(instruction, wording_of(skill, "en"), own)
        draft = await weighed(draft_of(talk, "gold"), instruction, skill, own)
    except (StepError, Unfit):
        return None
    example = example_of(instruction, [draft])
    return replace(example, verdicts=draft.verdicts, status="accepted") if accepts(draft.verdicts) else None


def errand(instruction: Instruction, seed: str, exam: bool) -> str:
    """The person's message: what is wanted, and all that the person has to say."""
    facts = "; ".join(f"{f['name']}: {f['value']}" for f in instruction.data["facts"] if f["said"] in ("opening", "idle"))
    known = texts()["errand"]["exam" if exam else "training"]
    goal = str(instruction.data["goal"]).rstrip(".") + "."
    return str(one(known, seed, "errand", instruction.id)).format(goal=goal, facts=facts)


def style(instruction: Instruction, exam: bool) -> Style:
    if not exam:
        return replace(instruction.style, format="native")
    data = instruction.material.data
    system = str(texts()["system"]["call"]).format(service=data["title"], today=data["state"]["today"])
    return Style(format="native", system=system, register="as spoken", layout="exam")


def cuts(example: Example) -> list[int]:
    """Where the conversation may be cut so that it ends in a call: the places after each message with calls."""
    return [n + 1 for n, m in enumerate(example.messages) if m.get("tool_calls")]
