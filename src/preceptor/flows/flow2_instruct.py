"""Flow 2, seed instruction generation: material becomes instructions, over the taxonomy."""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from preceptor.draws import draw, drawn_for, one
from preceptor.errors import Declined, StepError
from preceptor.flows.shapes import instruction_of, with_drawn, with_twin
from preceptor.flows.together import together
from preceptor.flows.verify import fails_before_answering
from preceptor.skill import Kind, Skill, fits
from preceptor.types import Ask, Dropped, Instruction, Material


async def instruct(material: Material, skill: Skill, ask: Ask) -> list[Instruction | Dropped]:
    """Draw `instruct.pick` kinds among those that suit the material, and make one instruction of each."""
    suited = suiting(material, skill, ask)
    if not suited:
        return [Dropped(material, "instruct", f"no kind of {skill.name} suits material of genre {material.genre}")]
    drawn = draw(
        suited,
        ask.seed,
        "instruct",
        material.id,
        k=skill.of("instruct", "pick"),
        name=lambda k: k.name,
        weight=lambda k: k.weight,
    )
    made: list[Instruction | Dropped] = []
    if skill.of("instruct", "one_by_one") and any(listens(kind, skill) for kind in drawn):
        for kind in drawn:
            made += await instructions_for(kind, material, skill, ask, [i.text for i in made if isinstance(i, Instruction)])
    else:
        for things in await together([instructions_for(kind, material, skill, ask) for kind in drawn]):
            made += things
    return without_repeats(made)


def listens(kind: Kind, skill: Skill) -> bool:
    """Whether the kind's prompt has a place for the questions that exist already; else there is nothing to wait for."""
    agent = skill.agents.get(agent_name(kind))
    return agent is not None and re.search(r"\{[{%][^}]*\bavoid\b", agent.template) is not None


def without_repeats(made: Sequence[Instruction | Dropped]) -> list[Instruction | Dropped]:
    """The instructions in their order, each that asks what an earlier one asks dropped; a twin stays with its other."""
    parents = {id(thing.parent) for thing in made if isinstance(thing, Instruction)}
    kept: list[Instruction | Dropped] = []
    for thing in made:
        if isinstance(thing, Instruction) and id(thing) not in parents:
            same = next((old for old in kept if isinstance(old, Instruction) and asks_the_same(thing, old)), None)
            if same:
                reason = f"asks again what is asked of this material: {same.text[:120]}"
                kept.append(Dropped(thing, "instruct", reason, thing.made_by, thing.kind))
                continue
        kept.append(thing)
    return kept


def asks_the_same(one: Instruction, other: Instruction) -> bool:
    """Four fifths of all words are in both, options counted, and the right answer is the same."""
    words = [set(re.findall(r"\w+", " ".join((i.text, *(o.text for o in i.options))).casefold())) for i in (one, other)]
    if len(words[0] & words[1]) < 0.8 * len(words[0] | words[1]) or one.answerability != other.answerability:
        return False
    golds = [str(i.gold.value if i.gold else "").strip().casefold() for i in (one, other)]
    keys = [o.text for i in (one, other) for o in i.options if o.role == "credited"]
    return keys[0] == keys[1] if len(keys) == 2 else golds[0] == golds[1] and one.shape == other.shape


def suiting(material: Material, skill: Skill, ask: Ask) -> list[Kind]:
    """The kinds that this material, its plan, its language and the recipe's models allow."""
    return [
        kind
        for kind in skill.drawable(ask.roles)
        if fits(kind.suits, material.genre, material.document.kind)
        and (not kind.languages or material.document.language in kind.languages)
        and not any(material.data.get(mark) in values for mark, values in kind.unless.items())
    ]


async def instructions_for(
    kind: Kind, material: Material, skill: Skill, ask: Ask, avoid: Sequence[str] = ()
) -> list[Instruction | Dropped]:
    """An instruction of this kind, built by code, written by its agent, or built and then worded; with its twin, if any."""
    name = agent_name(kind)
    try:
        built_first = await built(kind, material, skill, ask, avoid)
        made: Sequence[Instruction | Dropped] = (
            [built_first] if built_first else await written(kind, material, skill, ask, avoid)
        )
    except Declined as error:
        return [Dropped(material, "instruct", f"declined: {error}", name, kind.name)]
    except StepError as error:
        return [Dropped(material, "instruct", str(error), name, kind.name)]
    return [thing if isinstance(thing, Dropped) else await fails_before_answering(thing, skill, ask) or thing for thing in made]


def agent_name(kind: Kind) -> str:
    """The file that generates a kind: the one it names, or the one of its own name."""
    return f"2_instruct/{kind.agent or kind.name}"


async def written(
    kind: Kind, material: Material, skill: Skill, ask: Ask, avoid: Sequence[str] = ()
) -> Sequence[Instruction]:
    """The generator's reply as an instruction, its gold in the form of the kind's shape; beside its twin, if it has one."""
    agent = skill.agent(agent_name(kind))
    drawn = drawn_for(agent.draws, ask.seed, agent.name, material.id)
    reply = await ask(agent, drawn=drawn, **slots(kind, material, skill, ask, avoid))
    fields = with_drawn(reply.fields, drawn, agent)
    return with_twin(instruction_of(kind, material, fields, agent.name, ask.seed), fields, ask.seed)


async def built(
    kind: Kind, material: Material, skill: Skill, ask: Ask, avoid: Sequence[str] = ()
) -> Instruction | Dropped | None:
    """Gold first: code builds task and answer from the text; the kind's agent, where there is one, words the request."""
    if kind.name not in skill.builders:
        return None
    made: Instruction | Dropped = skill.builders[kind.name](material, kind, ask.seed)
    if isinstance(made, Dropped) or agent_name(kind) not in skill.agents:
        return made
    agent = skill.agent(agent_name(kind))
    drawn = drawn_for(agent.draws, ask.seed, agent.name, material.id)
    reply = await ask(agent, instruction=made, drawn=drawn, **slots(kind, material, skill, ask, avoid))
    return replace(made, text=reply.fields["request"], made_by=f"{made.made_by or 'builder'}, worded by {agent.name}")


def slots(kind: Kind, material: Material, skill: Skill, ask: Ask, avoid: Sequence[str] = ()) -> dict[str, Any]:
    """What every generator is told beside the document."""
    form = material.document.kind
    hints = [h["text"] for h in skill.styles.get("hint", ()) if fits(h.get("suits", ()), material.genre, form)]
    hint = one(hints, ask.seed, "hint", material.id, kind.name) if hints else ""
    return {"material": material, "kind": kind, "avoid": tuple(avoid), "hints": hint}
