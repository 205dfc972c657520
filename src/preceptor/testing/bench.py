"""Rows of one kind, right ones and ones with one thing wrong: what gates and trials stand on.

A kind is put on the bench alone: its transformers, its builder or generator, no refinement, and the simulated teacher in
every role. The steps are the flows' own, and so are the checks.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from preceptor import factory
from preceptor.checks.state import calls_of
from preceptor.draws import digest
from preceptor.flows.produce import produce
from preceptor.flows.row import opening
from preceptor.flows.verify import accepts, check_of, checks_of
from preceptor.plan import Plan
from preceptor.recipe import recipe_of
from preceptor.skill import Kind, Skill
from preceptor.testing.fake import FakeAsk, remembered
from preceptor.testing.mutators import MUTATORS, mutate, predicted
from preceptor.testing.planted import PLANTS, carried_out, means_something, with_report
from preceptor.testing.simulated import SimulatedTeacher, open_to
from preceptor.tools.sandbox import Sandbox
from preceptor.types import Ask, Document, Dropped, Example, Tool, Verdict

ROLES = ("teacher", "judge", "weak")


@dataclass(frozen=True, slots=True)
class Wrong:
    """A row with one thing wrong, what was done to it, and what the deciding checks say."""

    example: Example
    mutator: str
    expected: tuple[str, ...]
    """The checks of which one at least has to reject it."""
    verdicts: tuple[Verdict, ...]

    @property
    def caught(self) -> bool:
        """Whether a check that was named beforehand rejects it."""
        return any(v.outcome == "fail" and v.check in self.expected for v in self.verdicts)


@dataclass(slots=True)
class Bench:
    """What came of one kind: right rows, wrong rows, and why some documents gave none."""

    kind: str
    right: list[Example] = field(default_factory=list)
    wrong: list[Wrong] = field(default_factory=list)
    dropped: list[Dropped] = field(default_factory=list)

    @property
    def accepted(self) -> int:
        return sum(accepts(e.verdicts) for e in self.right)


def alone(kind: Kind, skill: Skill, form: str = "prose", untold: bool = False) -> Skill:
    """The skill with this kind only, on genres that suit it and documents of this form; nothing is refined, but with
    `untold` about half of what can be is made unanswerable."""
    genres = [g.partition("/")[0] for g in kind.suits if g.partition("/")[2] in ("", form)]
    agents = dict(skill.agents)
    original = skill.of("transform", "original")
    if kind.suits and "transform" not in skill.steps:
        agents = {n: a for n, a in agents.items() if not n.startswith("1_transform/") or n.rpartition("/")[2] in genres}
        original = original and "identity" in genres
    changed: Mapping[str, Mapping[str, Any]] = {
        **skill.settings,
        "transform": {**skill.settings["transform"], "original": original},
        "instruct": {**skill.settings["instruct"], "pick": 1},
        "refine": {**skill.settings["refine"], "share": 0.0},
        "quota": {**skill.settings["quota"], "unanswerable": [0.45, 0.55] if untold else []},
    }
    return replace(skill.only([kind.name]), agents=agents, settings=changed)


@asynccontextmanager
async def bench_of(skill: Skill, documents: Sequence[Document], folder: Path = Path(".")) -> AsyncIterator[list[Tool]]:
    """The tools that the skill's checks and agents use, for as long as the block lasts."""
    sandbox = Sandbox()
    plan = Plan(recipe_of({"teacher": "given"}), {skill.name: skill})
    try:
        yield [remembered(tool) for tool in factory.tools_of(plan, folder, documents, sandbox)]
    finally:
        sandbox.close()


async def rows_of_kind(
    kind: Kind,
    skill: Skill,
    documents: Sequence[Document],
    tools: Sequence[Tool],
    *,
    want: int = 6,
    passes: int = 3,
    mutators: Sequence[str] = MUTATORS,
    teacher: SimulatedTeacher | None = None,
    planted: bool = True,
    untold: bool = False,
) -> Bench:
    """Up to `want` right rows of the kind, and of each the wrong ones that the mutators make of it; with `planted`, also
    those with the one fault that a check is there for."""
    bench, enough = Bench(kind.name), want
    model = teacher or SimulatedTeacher([skill])
    for number in range(passes):
        for document in documents:
            if len(bench.right) >= enough:
                break
            ask = FakeAsk(model, tools=tools, roles=ROLES, document=document, seed=f"bench/{number}")
            produced = await produce(document, open_to(alone(kind, skill, document.kind, untold)), ask)
            bench.right += [e for e in produced.examples if e.answered_by == "model"]
            if any(e.instruction.parent for e in produced.examples):  # twins: enough of both
                enough = max(enough, 2 * want)
            bench.dropped += produced.dropped
    for example in bench.right[:enough]:
        if accepts(example.verdicts):
            bench.wrong += [w for name in mutators if (w := await spoilt(example, name, kind, skill, tools))]
            said = [v.check for v in example.verdicts if planted and v.decides and v.by == "code" and v.outcome != "na"]
            bench.wrong += [w for name in said if (w := await broken_for(example, name, skill, tools))]
    return bench


async def spoilt(example: Example, name: str, kind: Kind, skill: Skill, tools: Sequence[Tool]) -> Wrong | None:
    """The row made wrong by the mutator and weighed by the deciding checks; None where it does not apply."""
    expected = tuple(predicted(name, kind, skill))
    broken = mutated(example, name, skill)
    if broken is None or not expected:
        return None
    ask = FakeAsk(tools=tools, roles=("teacher",), document=example.instruction.material.document)
    if broken.messages != example.messages and calls_of(broken.messages):
        broken = with_report(example, await carried_out(broken, broken.messages, ask))
        if not await means_something(example, broken, ask):
            return None
    return Wrong(broken, name, expected, tuple(await decide(broken, skill, ask)))


async def broken_for(example: Example, check: str, skill: Skill, tools: Sequence[Tool]) -> Wrong | None:
    """The row with the one fault that this check is there for; None where there is no such fault, or none fits the row."""
    if check not in PLANTS:
        return None
    ask = FakeAsk(tools=tools, roles=("teacher",), document=example.instruction.material.document)
    broken = await PLANTS[check](example, ask)
    return None if broken is None else Wrong(broken, "planted", (check,), tuple(await decide(broken, skill, ask)))


async def decide(broken: Example, skill: Skill, ask: Ask) -> list[Verdict]:
    """The verdicts of the deciding checks."""
    weighed = [check for check in checks_of(broken.instruction, skill) if check.decides and not check.needs]
    return [await check(broken, skill, ask) for check in weighed]


def mutated(example: Example, name: str, skill: Skill) -> Example | None:
    """The row with its answer (or trajectory) made wrong; form, length and schema are as they were."""
    trajectory = example.instruction.gold is not None and example.instruction.gold.form == "state"
    fields: dict[str, Any] = {**example.fields, "answer": example.answer}
    if trajectory:
        fields["messages"] = example.messages
    made = mutate(name, example.instruction, fields, ("bench",))
    if made is None:
        return None
    answer = str(made.get("answer", example.answer))
    if trajectory:
        messages = tuple(made.pop("messages"))
        return replace(example, messages=messages, fields=made, answer=answer, verdicts=())
    messages = (*opening(example.instruction, skill), {"role": "assistant", "content": answer})
    return replace(example, messages=messages, answer=answer, fields=made, verdicts=())


async def decided(example: Example, names: Sequence[str], skill: Skill, tools: Sequence[Tool]) -> list[Verdict]:
    """What the checks of these names say of a row."""
    ask = FakeAsk(tools=tools, roles=("teacher",), document=example.instruction.material.document)
    return [await check_of(name, skill)(example, skill, ask) for name in names]


def benches(
    skill: Skill,
    kinds: Sequence[Kind],
    documents: Sequence[Document],
    *,
    want: int = 6,
    passes: int = 3,
    tell: Callable[[Bench], None] = lambda _: None,
    planted: bool = True,
) -> list[Bench]:
    """One bench for each kind."""

    async def made() -> list[Bench]:
        found = []
        async with bench_of(skill, documents) as tools:
            for kind in kinds:
                bench = await rows_of_kind(kind, skill, documents, tools, want=want, passes=passes, planted=planted)
                tell(bench)
                found.append(bench)
        return found

    return asyncio.run(made())


def pieces(text: str, name: str, kind: str = "prose", size: int = 2600) -> Iterator[Document]:
    """A text as documents, for tests that bring their own."""
    for start in range(0, len(text), size):
        part = text[start : start + size]
        yield Document(digest(name, start), part, name, (start, start + len(part)), kind)
