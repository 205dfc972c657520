"""Flow 3, instruction refinement: a suggester proposes ways, an editor goes one of them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from preceptor.draws import draw, fraction, one
from preceptor.errors import Declined, ReplyError, StepError
from preceptor.flows.quota import allows, is_native, made_unanswerable, steered
from preceptor.flows.shapes import edited
from preceptor.flows.together import together
from preceptor.flows.verify import fails_before_answering
from preceptor.skill import Goal, Skill
from preceptor.types import Ask, Dropped, Instruction, Material


async def refine(seed: Instruction, skill: Skill, ask: Ask) -> list[Instruction | Dropped]:
    """Keep the seed, and add what the drawn goals make of it: at most `refine.goals` branches, `refine.rounds` deep."""
    branches = await together([branch(seed, goal, skill, ask) for goal in drawn(seed, skill, ask)])
    return [seed, *(thing for made in branches for thing in made)]


def drawn(seed: Instruction, skill: Skill, ask: Ask) -> list[Goal]:
    """The seed's goals. Whether it is made unanswerable is drawn by the skill's quota, apart from all else: such a goal
    takes one of the places, and `refine.share` and the goals' weights see to the rest."""
    suited = suiting(seed, skill, ask)
    by_quota = [goal for goal in suited if steered(goal, skill)]
    if is_native(skill.kind(seed.kind), skill) or not (by_quota and made_unanswerable(seed, skill, ask.roles, ask.seed)):
        by_quota = []
    refines = fraction(ask.seed, "refine", seed.id) < skill.of("refine", "share")
    first = ranked(by_quota, seed, ask)[:1]
    others = ranked([goal for goal in suited if not steered(goal, skill)], seed, ask)
    return [*first, *others[: max(0, skill.of("refine", "goals") - len(first))]] if refines else first


def ranked(goals: Sequence[Goal], seed: Instruction, ask: Ask) -> list[Goal]:
    """The goals in the order in which they are drawn for this seed."""
    return draw(goals, ask.seed, "goals", seed.id, k=len(goals), name=lambda g: g.name, weight=lambda g: g.weight)


def suiting(instruction: Instruction, skill: Skill, ask: Ask) -> list[Goal]:
    """The goals that this instruction's kind, shape and genre allow, and the recipe's models."""
    if instruction.answerability != "answerable":
        return []
    kind, material = skill.kind(instruction.kind), instruction.material
    suits = (kind, instruction.shape, material.genre, material.document.kind, ask.roles)
    return [goal for goal in skill.goals if allows(goal, *suits)]


async def branch(seed: Instruction, goal: Goal, skill: Skill, ask: Ask) -> list[Instruction | Dropped]:
    """One goal, pursued round after round until it has been reached often enough or someone declines."""
    made: list[Instruction | Dropped] = []
    latest = seed
    for _ in range(skill.of("refine", "rounds")):
        try:
            latest = await refined(latest, goal, skill, ask)
        except StepError as error:
            reason = f"declined: {error}" if isinstance(error, Declined) else str(error)
            made.append(Dropped(latest, "refine", f"{goal.name}: {reason}", kind=seed.kind))
            break
        failure = await fails_before_answering(latest, skill, ask)
        made.append(failure or latest)
        if failure or latest.answerability != "answerable":
            break
    return made


async def refined(instruction: Instruction, goal: Goal, skill: Skill, ask: Ask) -> Instruction:
    """The suggester names ways and writes nothing; the editor takes one and may change passage, question and options."""
    shown: dict[str, Any] = {
        "material": instruction.material,
        "instruction": instruction,
        "goal": goal,
        "kind": skill.kind(instruction.kind),
    }
    proposed = await ask(skill.agent(f"3_refine/{goal.suggester}"), **shown)
    ways = [way_of(s) for s in proposed.fields.get("suggestions", ())]
    if not ways:
        raise ReplyError("the suggester had no suggestion")
    way = one(ways, ask.seed, "way", instruction.id, goal.name)
    editor = skill.agent(f"3_refine/{goal.editor}")
    reply = await ask(editor, suggestion=way, **shown)
    material = changed(instruction.material, reply.fields, way) if goal.edits in ("material", "both") else instruction.material
    new = edited(instruction, goal, skill.kind(instruction.kind), material, reply.fields, editor.name, ask.seed)
    return replace(new, suggestion=way)


def way_of(suggestion: Any) -> str:
    """A suggestion as one text, whatever fields the suggester gave it."""
    if isinstance(suggestion, Mapping):
        return " — ".join(str(value) for value in suggestion.values() if value)
    return str(suggestion)


def changed(material: Material, fields: Mapping[str, Any], why: str) -> Material:
    """The material with the editor's marked changes and no other; a diff proves it, or the branch is dropped."""
    changes = [(c["before"], c["after"]) for c in fields.get("changes", ())]
    if fields.get("before"):
        changes.append((fields["before"], fields.get("after", "")))
    if not changes:
        raise ReplyError("the editor marked no change of the passage")
    text = material.text
    for before, after in changes:
        if text.count(before) != 1:
            found = "is not in the passage" if before not in text else "stands in the passage more than once"
            raise ReplyError(f"the editor's marked text {found}: {before[:80]!r}")
        text = text.replace(before, after)
    if text == material.text:
        raise ReplyError("the editor's change changes nothing")
    if (given := fields.get("passage")) and " ".join(given.split()) != " ".join(text.split()):
        raise ReplyError("the editor changed more of the passage than it marked")
    note = {"changes": [{"before": b, "after": a} for b, a in changes], "why": why}
    return replace(material, text=text, parent=material, change=note)
