"""Recipe → corpus × skills × models × engine: the only file that knows them all."""

import asyncio
import fnmatch
import tomllib
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import asdict, dataclass, replace
from functools import cache, cached_property
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import orjson

from preceptor import tools
from preceptor.draws import draw
from preceptor.engine import run as engine
from preceptor.engine.ask import JournaledAsk, Outside
from preceptor.engine.estimate import Estimate, estimated, samples
from preceptor.engine.journal import Journal, facts, fork
from preceptor.engine.money import FREE, Caps, Price
from preceptor.engine.report import report
from preceptor.engine.store import Item, Store
from preceptor.engine.target import CANDIDATES, Target, agreed
from preceptor.errors import ChangedRun, RecipeError, UserError
from preceptor.export import Exported, export
from preceptor.flows.given import given
from preceptor.flows.produce import produce
from preceptor.models import open_model, price_of
from preceptor.models.prices import NO_PRICES, Table, read_prices
from preceptor.plan import Cells, Plan, cells_of, items_of, items_of_pass, narrowed, plan_of, planned_of, routed
from preceptor.prompts import render
from preceptor.recipe import ROLES, ModelSpec, Recipe, ready
from preceptor.skill import BUILT_IN, Skill, nearest
from preceptor.sources import chosen, examples_of, files_of, grown, read_before, remember_read, stored
from preceptor.tools.review import Review
from preceptor.tools.sandbox import Sandbox
from preceptor.types import Agent, Ask, Document, Example, Model, Produced, Tool

T = TypeVar("T")
Notice = Callable[[str], None]
Tell = Callable[[engine.Progress], None]


def _silent(_: str) -> None:
    """Nobody listens."""


@dataclass(frozen=True)
class Run:
    """A run folder and how its last process ended."""

    folder: Path
    ended: engine.Ended | None = None

    @cached_property
    def report(self) -> dict[str, Any]:
        """What the run made, threw away and cost, counted from what is stored."""
        store = Store(self.folder)
        try:
            return report(store, store.meta("skipped") or (), store.meta("quotas") or ())
        finally:
            store.close()

    def each(self, status: str = "accepted") -> Iterator[Example]:
        """The rows of that status one by one, with their whole lineage, in plan order: none is held when the next is read."""
        store = Store(self.folder)
        try:
            for stored in store.examples(status):
                yield stored.node
        finally:
            store.close()

    def examples(self, status: str = "accepted") -> list[Example]:
        """The rows of that status, with their whole lineage, in plan order."""
        return list(self.each(status))

    def newest(self, most: int = 5) -> list[dict[str, str]]:
        """Id, status, skill, kind and source of the last rows, whatever became of them, the newest first."""
        store = Store(self.folder)
        names = ("id", "status", "skill", "kind", "source")
        try:
            rows = store.rows(
                "SELECT n.id, n.status, i.skill, n.kind, i.source FROM nodes AS n JOIN items AS i ON i.id = n.item "
                "WHERE n.type = 'example' AND n.status <> 'made' ORDER BY n.rowid DESC LIMIT ?",
                (most,),
            )
            return [dict(zip(names, row, strict=True)) for row in rows]
        finally:
            store.close()

    def export(self, into: str | Path | None = None, **settings: Any) -> Exported:
        """The run as a dataset; see `preceptor.export.export`."""
        return export(self.folder, Path(into) if into else None, **settings)


# ── what the engine is given ─────────────────────────────────────────────────────────────────────────────────────


def models_of(recipe: Recipe, plan: Plan, notice: Notice = _silent, folder: Path | None = None) -> dict[str, Model]:
    """Models by role, and by agent where the recipe's [agents] names one. One model, however often it is named.

    What a batch service has of the run is kept in the run's `folder`.
    """
    made: dict[str, Model] = {}

    def opened(spec: ModelSpec) -> Model:
        key = orjson.dumps(spec, option=orjson.OPT_SORT_KEYS).decode()
        if key not in made:
            full = {"in_flight": recipe.limits.in_flight, **spec} if isinstance(spec, dict) else spec
            made[key] = open_model(full, notice=notice, base=recipe.root, folder=folder)
        return made[key]

    models = {role: opened(spec) for role in ROLES if (spec := getattr(recipe, role)) is not None}
    for pattern, name in recipe.agents.items():
        spec = recipe.models.get(name, getattr(recipe, name, None) if name in ROLES else None)
        if spec is None:
            raise RecipeError(f"agents.{pattern!r} names the model {name!r}; {nearest(name, (*ROLES, *recipe.models))}")
        hit = [a.name for a in _all_agents(plan) if fnmatch.fnmatch(a.name, pattern)]
        if not hit:
            raise RecipeError(f"agents.{pattern!r} fits no agent; {nearest(pattern, [a.name for a in _all_agents(plan)])}")
        models |= dict.fromkeys(hit, opened(spec))
    return models


def _all_agents(plan: Plan) -> list[Agent]:
    return [agent for skill in plan.skills.values() for agent in skill.agents.values()]


def prices_of(recipe: Recipe, models: Mapping[str, Model], table: Table = NO_PRICES) -> dict[str, Price]:
    """The price table of the run, by model name: a model's own price, else what the table says of it. Free are only models
    that work in this process."""
    specs: dict[str, ModelSpec | None] = {role: getattr(recipe, role) for role in ROLES} | dict(recipe.models)
    own = {_named(s): p for s in specs.values() if isinstance(s, dict) and (p := price_of(s)) is not None}
    found: dict[str, Price] = {}
    for model in models.values():
        said = {**table.models, **own}
        named = next((said[name] for name in said if name and (model.name == name or model.name.endswith(name))), None)
        if named is not None:
            price = Price(named.input, named.output, named.cached, named.reasoning)
            found[model.name] = price.times(named.batch) if getattr(model, "later", False) else price
        elif not hasattr(model, "endpoint") and model.name.startswith(("local", "scripted", "simulated")):
            found[model.name] = FREE
    return found


def _named(spec: Mapping[str, Any]) -> str:
    """The model's name; of several endpoints, that of the first, as the model is then known by."""
    return str({**spec, **spec["endpoints"][0]}.get("model", "")) if spec.get("endpoints") else str(spec.get("model", ""))


def price_table(recipe: Recipe) -> Table:
    """The recipe's own table of prices; an empty one where it names none."""
    return read_prices(recipe.path(recipe.prices)) if recipe.prices else NO_PRICES


def slots_of(document: Document, recipe: Recipe, skill: Skill, examples: Sequence[str]) -> dict[str, Any]:
    """The slots that reach every prompt of a document."""
    language = document.language
    return {
        "document": document,
        "language": language,
        "language_name": _languages().get(language, language),
        "domain": domain_of(document, skill),
        "brief": recipe.brief,
        "examples": list(examples),
    }


def domain_of(document: Document, skill: Skill) -> str:
    """The document's field, unless the skill takes it for a mere form: code and API documents are `software` by theirs."""
    return "general" if document.kind in skill.of("transform", "domain_by_form") else document.domain


def frame_of(skill: Skill, slots: Mapping[str, Any]) -> str:
    """The system message that all agents share of documents in one language and domain; it knows nothing else of them."""
    known = {name: value for name, value in slots.items() if name != "document"}
    return render(skill.agent("_shared/frame").template, known, "_shared/frame")


@cache
def _languages() -> dict[str, str]:
    return tomllib.loads((BUILT_IN / "_shared" / "languages.toml").read_text(encoding="utf-8"))


def door(outside: Outside, plan: Plan, examples: Sequence[str]) -> engine.Door:
    """For each item its ask: what it may use, and what every prompt of it is told."""

    allowed = {name: (*declared(skill), Review.name) for name, skill in plan.skills.items()}
    frames: dict[tuple[str, str, str], str] = {}

    def of(item: Item) -> JournaledAsk:
        skill, document = plan.skills[item.skill], item.document
        slots = slots_of(document, plan.recipe, skill, examples)
        alike = (item.skill, document.language, slots["domain"])
        if alike not in frames:
            frames[alike] = frame_of(skill, slots)
        seed = f"{plan.recipe.seed}/{item.skill}/{item.pass_number}"
        return JournaledAsk(outside, item.id, seed=seed, slots=slots, frame=frames[alike], tools=allowed[item.skill])

    return of


def work(plan: Plan) -> engine.Work:
    """What is done with an item: the three flows, respond and verify; or only the last two of an instruction."""

    def done(item: Item, ask: Ask) -> Awaitable[Produced]:
        skill = routed(plan, item)
        start: Any = given(item.document, skill, ask.seed) if item.document.kind == "instruction" else item.document
        return produce(start, skill, ask, pause_after=plan.recipe.pause_after)

    return done


def declared(skill: Skill) -> list[str]:
    """The tools that a skill's agents and its skill.toml name: all that its steps and checks may use."""
    named = {name for agent in skill.agents.values() for name in agent.tools}
    return sorted(named | set(skill.of("respond", "tools")))


def _tools_named(plan: Plan) -> set[str]:
    return {name for skill in plan.skills.values() for name in declared(skill)}


def tools_of(plan: Plan, folder: Path, documents: Iterable[Document], sandbox: Sandbox) -> list[Tool]:
    """Everything that agents and checks of these skills may use, and nothing else."""
    named = _tools_named(plan)
    search = plan.recipe.search
    address = tools.Address(search.url, search.hosts, search.results) if search else None
    # sorted: the index is the same, in whatever order they were read
    searched = sorted(documents, key=lambda d: d.id) if "search" in named else []
    wanted = [name for name in tools.TOOLS if name in named and (name != "search" or searched or address)]
    opened = list(tools.open_tools(wanted, corpus=searched, address=address, sandbox=sandbox).values())
    if plan.recipe.pause_after:
        opened.append(Review(folder / "review.jsonl"))
    return opened


@dataclass(frozen=True, slots=True)
class Begun:
    """A run whose doors are open: what it is given, and what goes to the engine beside its items."""

    plan: Plan
    outside: Outside
    documents: Iterable[Document]
    examples: Sequence[str]
    how: dict[str, Any]

    async def engine(self, plan: Plan, items: Iterable[Item], **more: Any) -> engine.Ended:
        """These items are worked, as `plan` says."""
        opens = door(self.outside, plan, self.examples)
        return await engine.run(items, work(plan), opens, self.outside, **{**self.how, **more})


# ── the verbs ────────────────────────────────────────────────────────────────────────────────────────────────────


def run(
    recipe: Recipe,
    into: str | Path = "",
    *,
    add: bool = False,
    fork_from: str | Path = "",
    limit: int = 0,
    tell: Tell | None = None,
    notice: Notice = _silent,
    poll: float = 0.0,
    models: Mapping[str, Model] | None = None,
    documents: Iterable[Document] | None = None,
    signals: bool = True,
    steal: bool = False,
) -> Run:
    """Make the rows of a recipe. The same call again goes on where the last one stopped.

    `into` is the run's folder (default: the recipe's own, else runs/NAME). `add` takes documents that are new into a
    finished run; `fork_from` starts a new run that re-pays only what changed. `limit` takes only so many documents.
    `poll` waits for batch replies, asking every so many seconds. `models` replaces the recipe's, by role (for tests).
    `documents` stand in for the recipe's: they are taken one by one as their turn comes, so they may be made as they go.
    `steal` takes the folder from a process that holds it and hangs.
    Raises ChangedRun where the folder holds a run of another recipe, and what the engine raises.
    """
    plan, folder = _where(recipe, into, models, documents is not None)
    how = {"tell": tell, "poll": poll, "signals": signals}
    run = begun(plan, folder, notice, models, documents, how, add=add, fork_from=fork_from, limit=limit, steal=steal)
    return _in_loop(_run(run, folder))


def _where(recipe: Recipe, into: str | Path, models: Mapping[str, Model] | None, given: bool) -> tuple[Plan, Path]:
    """The recipe's plan, and the folder of its run."""
    recipe = recipe if models else ready(recipe, given=given)
    plan = plan_of(recipe.model_copy(update={"teacher": "given"}) if models and not recipe.teacher else recipe)
    return plan, Path(into or recipe.path(recipe.into or f"runs/{recipe.name}"))


def estimate(
    recipe: Recipe,
    into: str | Path = "",
    *,
    most: int = 24,
    tell: Tell | None = None,
    notice: Notice = _silent,
    poll: float = 0.0,
    models: Mapping[str, Model] | None = None,
    documents: Iterable[Document] | None = None,
    signals: bool = True,
) -> Estimate:
    """What the whole run will take, told from a pilot: a few documents taken through every step.

    The pilot is the beginning of the run in that folder, so that `run` pays for nothing of it again. It takes documents by
    draw (with a target, from the first on, as the run will), a few at a time, until the interval is narrow or `most` are
    done. What the run has done already counts too. Raises UserError where nothing can be told yet.
    """
    plan, folder = _where(recipe, into, models, documents is not None)
    run = begun(plan, folder, notice, models, documents, {"tell": tell, "poll": poll, "signals": signals})
    return _in_loop(_estimate(run, folder, most))


async def _estimate(opening: AbstractAsyncContextManager[Begun], folder: Path, most: int) -> Estimate:
    async with opening as run:
        held, cells = list(run.documents), cells_of(run.plan)
        plan = (await _pass(run, 0, cells, cells))[0] if cells else run.plan
        chosen = held if cells else draw(held, plan.recipe.seed, "pilot", k=len(held), name=lambda d: d.id)
        for upto in range(PILOT, most + PILOT, PILOT):
            pilot = {document.id for document in chosen[: min(upto, most)]}
            ended = await run.engine(plan, [i for i in items_of_pass(plan, held, 0) if i.document.id in pilot])
            store = Store(folder)
            try:
                told = _told(run, store, plan, held, cells)
            finally:
                store.close()
            if ended.interrupted or ended.progress.parked or told.narrow or upto >= min(most, len(held)):
                return told
    raise AssertionError("a pilot takes at least one step")


PILOT = 6
"""Documents that a pilot takes at a time."""


def _told(run: Begun, store: Store, plan: Plan, documents: Sequence[Document], cells: Cells) -> Estimate:
    """The estimate by what is in the store."""
    done = samples(store)
    if not done:
        raise UserError(
            "nothing is finished yet that an estimate could be made from; where replies are waited for, type it again"
        )
    known = {row[0] for row in store.rows("SELECT id FROM items WHERE state IN ('finished', 'dropped')")}
    left: dict[str, list[int]] = {name: [] for name in plan.skills}
    passes = min(run.plan.recipe.most_passes, TARGET_PASSES) if cells else plan.recipe.passes
    for number in range(passes):
        for item in items_of_pass(plan, documents, number):
            if item.id not in known:
                left[item.skill].append(len(item.document.text))
    priced = any(price != FREE for price in run.outside.prices.values())
    return estimated(done, left, cells, run.outside.slots, priced)


TARGET_PASSES = 20
"""An estimate looks no further than so many passes ahead."""


def _in_loop(work: Coroutine[Any, Any, T]) -> T:
    """What `work` returns, on the faster loop where there is one."""
    try:
        from uvloop import new_event_loop
    except ImportError:
        return asyncio.run(work)
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(work)


@asynccontextmanager
async def opened(
    plan: Plan,
    folder: Path,
    documents: Iterable[Document],
    notice: Notice,
    models: Mapping[str, Model] | None = None,
    steal: bool = False,
) -> AsyncIterator[Outside]:
    """Journal, models, tools and sandbox of a run, open for as long as the block lasts."""
    recipe = plan.recipe
    held = dict(models) if models else models_of(recipe, plan, notice, folder)
    table = price_table(recipe)
    prices = {} if models and recipe.limits.cost is None and not recipe.prices else prices_of(recipe, held, table)
    journal, sandbox = Journal(folder, steal=steal), Sandbox()
    try:
        await _priced(journal, table, prices)
        yield Outside(
            journal,
            held,
            tools=tools_of(plan, folder, documents, sandbox),
            prices=prices,
            caps=Caps(recipe.limits.cost, recipe.limits.tokens, recipe.limits.calls, recipe.limits.hours),
            slots=recipe.limits.in_flight,
        )
    finally:
        for model in dict.fromkeys(held.values()):
            await model.close()
        sandbox.close()
        journal.close()


async def _priced(journal: Journal, table: Table, prices: Mapping[str, Price]) -> None:
    """The prices that this process counts with stand in the run, beside those of earlier ones."""
    paid = {name: asdict(price) for name, price in prices.items() if price is not FREE}
    now = {"currency": table.currency, "as_of": table.as_of, "models": paid}
    before = journal.meta("prices") or []
    if now["models"] and (not before or {**before[-1], "epoch": 0} != {**now, "epoch": 0}):
        await journal.remember("prices", [*before, {**now, "epoch": journal.epoch}])


@asynccontextmanager
async def begun(
    plan: Plan,
    folder: Path,
    notice: Notice,
    models: Mapping[str, Model] | None,
    given: Iterable[Document] | None,
    how: Mapping[str, Any],
    *,
    add: bool = False,
    fork_from: str | Path = "",
    steal: bool = False,
    limit: int = 0,
) -> AsyncIterator[Begun]:
    """The run at `folder`, begun or gone on with: this very run, its documents read, its doors open."""
    examples, files, said = examples_of(plan.recipe), files_of(plan.recipe) if given is None else [], list[str]()
    known = read_before(folder, files, notice)

    def tells(line: str) -> None:
        said.append(line)
        notice(line)

    documents = known or chosen(plan.recipe, tells, 0, stored(folder)) if given is None else _repeatable(given, plan)
    held = list(islice(documents, limit)) if limit else documents
    async with opened(plan, folder, held, notice, models, steal) as outside:
        await _same_run(outside.journal, plan, add, fork_from)
        if isinstance(held, Sequence):
            await outside.journal.remember("planned", planned_of(plan, held))
        if files and not known and not limit:
            await grown(outside.journal)
            await remember_read(outside.journal, files, list(documents), said)
        yield Begun(plan, outside, held, examples, {"ahead": plan.recipe.limits.ahead, **how})


async def _run(opening: AbstractAsyncContextManager[Begun], folder: Path) -> Run:
    async with opening as run:
        if cells := cells_of(run.plan):
            ended = await _filled(run, cells)
        else:
            ended = await run.engine(run.plan, items_of(run.plan, run.documents))
    return Run(folder, ended)


async def _filled(run: Begun, cells: Cells) -> engine.Ended:
    """Pass after pass, until every cell has its rows, or there is a reason why not.

    Pass n + 1 is planned when pass n is decided: it asks for what is still wanted then. What was asked for stands in the run,
    so that a target that has grown since does not change passes that were begun.
    """
    recipe, journal = run.plan.recipe, run.outside.journal
    target = Target(journal, cells, recipe.limits.candidates or CANDIDATES * sum(cells.values()))
    for number in range(recipe.most_passes):
        now, documents = await _pass(run, number, target.open(), cells)
        ended = await run.engine(now, items_of_pass(now, documents, number), target=target)
        whole = not (ended.interrupted or ended.progress.parked)
        if not whole or target.over:
            break
        target.end_pass()
        if not target.open():
            break
    await _remember_target(journal, cells, target.why(whole))
    return ended


async def _pass(run: Begun, number: int, wanted: Iterable[tuple[str, str]], cells: Cells) -> tuple[Plan, Iterable[Document]]:
    """The plan with the skills and kinds that this pass asks for, and its documents: as it was begun, else what is wanted
    and there now. Documents that were added later are for later passes, so that older rows stay what they are."""
    journal, plan = run.outside.journal, run.plan
    passes: list[dict[str, Any]] = journal.meta("passes") or []
    if number == len(passes):
        left = narrowed(plan, wanted, cells).skills
        kinds = {name: [k.name for k in skill.kinds if k.tier == "real"] for name, skill in left.items()}
        count = len(run.documents) if isinstance(run.documents, Sequence) else None
        passes.append({"kinds": kinds, "documents": count})
        await journal.remember("passes", passes)
    was = passes[number]
    narrow = replace(plan, skills={name: plan.skills[name].only(kinds) for name, kinds in was["kinds"].items()})
    return narrow, run.documents if was["documents"] is None else islice(run.documents, was["documents"])


async def _remember_target(journal: Journal, cells: Cells, ended: str) -> None:
    await journal.remember("target", {"cells": [[*cell, n] for cell, n in cells.items()], "ended": ended})


def _repeatable(documents: Iterable[Document], plan: Plan) -> Iterable[Document]:
    """The caller's documents, held only where they are needed more than once and can be taken only once."""
    again = plan.recipe.passes > 1 or bool(cells_of(plan)) or "search" in _tools_named(plan)
    return list(documents) if again and isinstance(documents, Iterator) else documents


async def _same_run(journal: Journal, plan: Plan, add: bool, fork_from: str | Path) -> None:
    """The folder holds this run, or nothing yet. A changed recipe is refused with the list of changes."""
    now, before = plan.fingerprint(), journal.meta("fingerprint")
    had, cells = journal.meta("target"), cells_of(plan)
    agreed(had and had["cells"], cells, fresh=before is None)
    if cells:
        await _remember_target(journal, cells, "open")
    if before is None:
        if fork_from:
            await fork(journal, Path(fork_from))
        recipe = {**plan.recipe.model_dump(mode="json"), "root": str(plan.recipe.root.absolute())}
        told = {"recipe": recipe, "skipped": plan.skipped(), "quotas": plan.quotas()}
        await journal.put(*facts({**told, "fingerprint": now}))  # together: a run that has its fingerprint has them all
        return
    changed = sorted(k for k in {*now, *before} if now.get(k) != before.get(k))
    if add and set(changed) <= {"recipe.documents", "recipe.passes"}:
        await journal.remember("fingerprint", now)
        return
    if changed:
        raise ChangedRun(
            f"{journal.folder} was started with another recipe. Changed since: {', '.join(changed)}.\n"
            f"Either undo that, or start a new run that re-pays only what the change reaches:\n"
            f"    preceptor run RECIPE --into NEW_FOLDER --fork {journal.folder}\n"
            "(Only documents were added? Then: preceptor run RECIPE --add.)"
        )
