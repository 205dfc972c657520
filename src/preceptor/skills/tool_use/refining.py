"""Flow 3 of the pack: task and conversation suggest more to do; the new plan is carried out and held to its goal."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from preceptor.draws import draw, fraction, one
from preceptor.errors import Declined, ReplyError, StepError
from preceptor.flows.flow3_refine import way_of
from preceptor.flows.together import together
from preceptor.skill import Goal, Skill
from preceptor.skills.tool_use import chains, tasks, trajectory
from preceptor.skills.tool_use.build import pretty
from preceptor.skills.tool_use.library import Unfit
from preceptor.types import Ask, Dropped, Gold, Instruction

LONGEST = 14
PROVES: Mapping[str, Mapping[str, Any]] = {
    "calls": {},
    "turns": {"held": True},
    "fault": {"fault": True},
    "rule": {"confirm": True},
    "budget": {"budget": True},
    "noise": {"idle": True},
}


async def refine(seed: Instruction, skill: Skill, ask: Ask) -> list[Instruction | Dropped]:
    """The seed, and what the drawn goals make of it. What was planned by code has no editor's plan and stays as it is
    unless an agent plans on."""
    if fraction(ask.seed, "refine", seed.id) >= skill.of("refine", "share"):
        return [seed]
    fit = [g for g in skill.goals if not g.kinds or seed.kind in g.kinds]
    goals = draw(
        fit, ask.seed, "goals", seed.id, k=skill.of("refine", "goals"), name=lambda g: g.name, weight=lambda g: g.weight
    )
    branches = await together([branch(seed, goal, skill, ask) for goal in goals])
    return [seed, *(thing for made in branches for thing in made)]


async def branch(seed: Instruction, goal: Goal, skill: Skill, ask: Ask) -> list[Instruction | Dropped]:
    """One goal, `refine.rounds` deep."""
    made: list[Instruction | Dropped] = []
    latest = seed
    for _ in range(skill.of("refine", "rounds")):
        try:
            latest = await refined(latest, goal, skill, ask)
        except (StepError, Unfit) as error:
            reason = f"declined: {error}" if isinstance(error, Declined) else str(error)
            made.append(Dropped(latest, "refine", f"{goal.name}: {reason}", "3_refine/editor", seed.kind))
            break
        made.append(latest)
    return made


async def refined(parent: Instruction, goal: Goal, skill: Skill, ask: Ask) -> Instruction:
    """The parent, taken one way further. The conversation that the suggester reads is the one the parent's row will
    have: the same questions are asked again when it is answered, and are paid for once."""
    talk = await trajectory.converse(parent, skill, ask)
    shown: dict[str, Any] = {
        "library": parent.material.text,
        "state": pretty(parent.material.data["state"]),
        "returns": tasks.returns_of(parent.material),
        "task": parent.text,
        "goal": goal,
    }
    proposed = await ask(
        skill.agent(f"3_refine/{goal.suggester}"), conversation=trajectory.seen_by_reader(talk.messages), **shown
    )
    ways = [way_of(s) for s in proposed.fields.get("suggestions", ())]
    if not ways:
        raise ReplyError("the suggester had no suggestion")
    way = one(ways, ask.seed, "way", parent.id, goal.name)
    problem = ""
    for _ in range(tasks.ATTEMPTS):
        reply = await ask(
            skill.agent(f"3_refine/{goal.editor}"), suggestion=way, plan=plan_text(parent), problem=problem, **shown
        )
        try:
            return await tasks.worded(await proven(reply.fields, parent, goal, way, skill, ask), skill, ask)
        except Unfit as error:
            problem = str(error)
    raise Unfit(problem)


async def proven(fields: Mapping[str, Any], parent: Instruction, goal: Goal, way: str, skill: Skill, ask: Ask) -> Instruction:
    """The editor's plan as an instruction, if it comes to what the goal promises. Unfit where it does not."""
    kind, promise = skill.kind(parent.kind), str(goal.data["proves"])
    person = {k: parent.data[k] for k in ("person", "mood", "words", "manner")}
    rules = {**kind.data, **PROVES[promise], "calls": (1, LONGEST), "may_hold": True}
    if promise == "calls" and kind.name.startswith("one_api"):
        rules |= {"exact": False}
    if kind.data.get("change") and not fields.get("change"):
        fields = {**fields, "change": parent.data["change"]}
    made = await tasks.settled(
        {**person, **fields}, kind, parent.material, skill, ask, made_by=f"3_refine/{goal.editor}", rules=rules
    )
    await held_to(promise, made, parent, ask)
    assert made.gold is not None
    return replace(
        made,
        parent=parent,
        goal=goal.name,
        suggestion=way,
        depth=parent.depth + 1,
        gold=Gold("state", made.gold.value, made_by="agent"),
    )


async def held_to(promise: str, made: Instruction, parent: Instruction, ask: Ask) -> None:
    """Nothing, where the new plan is what was promised; Unfit where it is longer only in words."""
    new, old = made.data["plan"], parent.data["plan"]
    if promise == "calls":
        if len(new) <= len(old):
            raise Unfit(f"the new plan has {len(new)} calls, the old one has {len(old)}: it has to need more")
        ground = tasks.ground_of(made.material)
        plan = {
            "calls": [{"api": c["name"], "arguments": c["arguments"]} for c in new],
            "facts": made.data["facts"],
            "report": made.data["report"],
        }
        await chains.indispensable(
            plan, await chains.prove(plan, {"calls": (1, LONGEST), "may_hold": True}, ground, ask), ground, ask
        )
        return
    if len(new) != len(old):
        raise Unfit(f"the calls should stay as they were: {len(old)}, not {len(new)}")
    held, before = ([f for f in i.data["facts"] if f["said"] == "when_asked"] for i in (made, parent))
    if promise == "turns" and len(held) <= len(before):
        raise Unfit("nothing more than before has to be asked for")


def plan_text(instruction: Instruction) -> str:
    """The plan of a task, as the editor reads it."""
    data = instruction.data
    lines = [f"goal: {data['goal']}", f"person: {data['person']}", "calls:"]
    lines += [f"  {n + 1}. {call}" for n, call in enumerate(chains.key_of([c]) for c in data["plan"])]
    lines += ["facts:", *(f"  {f['name']} = {f['value']} ({f['said']})" for f in data["facts"])]
    return "\n".join([*lines, f"to report: {', '.join(map(str, data['report'])) or 'nothing'}"])
