"""One document and one skill in, verified examples out. Read this file first.

    Document ─▶ transform ─▶ instruct ─▶ refine ─▶ respond ─▶ verify ─▶ Example
                ╰─────── the three flows ───────╯   ╰── and what makes it teachable ──╯

Every step has one shape: `async (item, skill, ask) -> list of items`. A step is ordinary Python and reaches the
outside only through `ask`, so it neither knows nor cares whether a reply came from a model, from the journal of a
run that was interrupted yesterday, or from a script in a test.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from preceptor.errors import Declined, StepError
from preceptor.flows.flow1_transform import transform
from preceptor.flows.flow2_instruct import instruct
from preceptor.flows.flow3_refine import refine
from preceptor.flows.respond import respond
from preceptor.flows.together import together
from preceptor.flows.verify import verify
from preceptor.skill import Skill
from preceptor.types import Ask, Document, Dropped, Example, Instruction, Produced, Step, Trace

FLOWS: tuple[Step, ...] = (transform, instruct, refine)
FINISH: tuple[Step, ...] = (respond, verify)
FLOWS_VERSION = 2
"""Raised by hand when a flow asks otherwise than before: part of a run's fingerprint."""


async def produce(item: Document | Instruction, skill: Skill, ask: Ask, *, pause_after: str = "") -> Produced:
    """Teach `skill` with a document, or answer an instruction that exists already: all that came of it, good and bad.

    Where `pause_after` names a step, each of its results is shown to a person before anything further is paid for.
    """
    trace: list[Trace] = []
    items: list[Any] = [item]
    for step in FINISH if isinstance(item, Instruction) else FLOWS + FINISH:
        made = await together([skill.override(step)(entered, skill, ask) for entered in items], lost(items, step))
        if step.__name__ == pause_after:
            made = await together([together([reviewed(thing, ask) for thing in things]) for things in made])
        trace += [passage(step, entered, out) for entered, out in zip(items, made, strict=True)]
        items = [thing for out in made for thing in out or () if not isinstance(thing, Dropped)]
        if not items:
            break
    dropped = tuple(thing for t in trace for thing in t.out if isinstance(thing, Dropped))
    return Produced(tuple(e for e in items if isinstance(e, Example)), dropped, tuple(trace))


def lost(items: Sequence[Any], step: Step) -> Callable[[int, StepError], list[Any]]:
    """What stands for an item whose step failed. Anything that is not a `StepError` is a bug, a wait or the end of the run,
    and is allowed to say so."""
    return lambda place, error: [drop(items[place], step.__name__, error)]


def passage(step: Step, entered: Any, out: Sequence[Any]) -> Trace:
    """What the step made of the item; that nothing came of it is something too."""
    return Trace(step.__name__, entered, tuple(out or ()) or (Dropped(entered, step.__name__, "nothing came of it"),))


def drop(item: Any, step: str, error: StepError, *, agent: str = "", kind: str = "") -> Dropped:
    """The item, dropped for what the agent or the door said."""
    reason = f"declined: {error}" if isinstance(error, Declined) else str(error)
    return Dropped(item, step, reason, agent, kind or getattr(item, "kind", ""))


async def reviewed(thing: Any, ask: Ask) -> Any:
    """The instruction as a person left it: kept, with an edited text, or dropped with their reason."""
    if not isinstance(thing, Instruction):
        return thing
    material = thing.material.text if thing.shows_material else ""
    options = [option.text for option in thing.options]
    said = await ask.use(
        "review",
        id=thing.id,
        kind=thing.kind,
        goal=thing.goal,
        text=thing.text,
        options=options,
        gold=thing.gold.value if thing.gold else None,
        passage=material,
    )
    if said["decision"] == "decline":
        return Dropped(thing, "review", said.get("reason") or "declined in review", kind=thing.kind)
    if said["decision"] == "edit":
        return replace(thing, text=said["text"])
    return thing
