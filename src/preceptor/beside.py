"""Beside a run: one document asked or tried, rows checked anew, a folder checked, models asked what they can do."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from preceptor.engine.fsck import Checked, Fault, fsck
from preceptor.engine.store import Item, Store, rechecked
from preceptor.export.place import MANIFEST, faults_of
from preceptor.factory import door, opened, work
from preceptor.flows.verify import accepts, checks_of
from preceptor.models import Probe, open_model, probe
from preceptor.plan import Plan, items_of, plan_of
from preceptor.recipe import ROLES, ModelSpec, load_recipe, ready, recipe_of
from preceptor.skill import Skill
from preceptor.sources import Notice, chosen, examples_of
from preceptor.types import Ask, Document, Example, Model, Produced, Verdict


def _silent(_: str) -> None:
    """Nobody listens."""


@asynccontextmanager
async def ask(
    document: Document,
    skill: Skill,
    *,
    folder: str | Path = "",
    seed: int = 1,
    brief: str = "",
    notice: Notice = _silent,
    **models: Model,
) -> AsyncIterator[Ask]:
    """A door for one document and one skill: `async with ask(document, skill, teacher=model) as door: …`.

    Models by role: teacher, and judge and weak where there are some. Replies are remembered in `folder`, if one is
    given, so that asking again costs nothing; else they are forgotten. The models are closed with the door.
    """
    with tempfile.TemporaryDirectory(prefix="preceptor-") as away:
        recipe = recipe_of({"seed": seed, "brief": brief, "teacher": "given"})
        plan = Plan(recipe, {skill.name: skill})
        async with opened(plan, Path(folder or away), [document], notice, models) as outside:
            yield door(outside, plan, [])(Item(document, skill.name, 0, 0))


@dataclass(frozen=True, slots=True)
class Tried:
    """One document's way through one skill: everything that was asked and answered, and what came of it."""

    document: Document
    skill: str
    produced: Produced
    calls: list[dict[str, Any]]
    uses: list[dict[str, Any]]
    spent: float


def try_one(
    skill: str,
    file: Path,
    recipe: Path | None = None,
    model: str = "",
    kinds: Sequence[str] = (),
    transformers: Sequence[str] = (),
    *,
    notice: Notice = _silent,
) -> Tried:
    """The first document of `file`, taken through every step of `skill`; nothing of it is kept on disk."""
    base = load_recipe(recipe) if recipe else recipe_of({}, Path())
    choice = {"kinds": list(kinds), "transformers": list(transformers)}
    update: dict[str, Any] = {"documents": (str(file.absolute()),), "skills": {skill: choice}}
    if model:
        update["teacher"] = model
    table = {**base.model_dump(exclude={"root"}), **update}
    tried = ready(recipe_of(table, base.root), str(recipe or "try"))
    return asyncio.run(_try(plan_of(tried), notice))


async def _try(plan: Plan, notice: Notice) -> Tried:
    with tempfile.TemporaryDirectory(prefix="preceptor-try-") as folder:
        documents = chosen(plan.recipe, notice, 1)
        item = next(items_of(plan, documents))
        async with opened(plan, Path(folder), documents, notice) as outside:
            ask = door(outside, plan, examples_of(plan.recipe))(item)
            produced = await work(plan)(item, ask)
            await outside.journal.remember("tried", True)
        store = Store(Path(folder))
        try:
            return Tried(
                item.document, item.skill, produced, store.calls(item.id), store.uses(item.id), sum(store.spent().values())
            )
        finally:
            store.close()


@dataclass(frozen=True, slots=True)
class Rechecked:
    """What a recheck found: rows looked at, and those whose status changed."""

    rows: int
    changed: tuple[tuple[str, str, str], ...]
    """Row, status before, status now."""


def recheck(
    folder: Path, recipe: Path | None = None, *, notice: Notice = _silent, models: Mapping[str, Model] | None = None
) -> Rechecked:
    """Today's checks and judges applied to all stored rows; generates nothing and keeps the older verdicts."""
    store = Store(folder)
    try:
        table, held = store.meta("recipe"), list(store.examples())
        items = {row.item: store.item(row.item) for row in held}
        generation = store.next_generation()
    finally:
        store.close()
    now = load_recipe(recipe) if recipe else None
    stored = recipe_of({k: v for k, v in table.items() if v is not None}, Path(table.get("root", ".")))
    judges = {role: getattr(now, role) for role in ("judge", "weak")} if now else {}
    plan = plan_of(stored.model_copy(update={**judges, "root": now.root if now else stored.root}))
    return asyncio.run(_recheck(folder, plan, [(items[row.item], row) for row in held], generation, notice, models))


async def _recheck(
    folder: Path,
    plan: Plan,
    held: Sequence[tuple[Item, Any]],
    generation: int,
    notice: Notice,
    models: Mapping[str, Model] | None,
) -> Rechecked:
    changed = []
    examples = examples_of(plan.recipe)
    async with opened(plan, folder, (), notice, models) as outside:
        for item, row in held:
            verdicts = await anew(row.node, plan.skills[row.skill], door(outside, plan, examples)(item))
            status = "accepted" if accepts(verdicts) else "rejected"
            status = "surplus" if status == "accepted" and row.node.status == "surplus" else status
            if status != row.node.status:
                changed.append((row.node.id, row.node.status, status))
            await outside.journal.put(*rechecked(row, generation, verdicts, status))
    return Rechecked(len(held), tuple(changed))


async def anew(example: Example, skill: Skill, ask: Ask) -> list[Verdict]:
    """Today's verdicts on an example as it stands."""
    return [await check(example, skill, ask) for check in checks_of(example.instruction, skill)]


async def probed(recipe: Path | None, notice: Notice = _silent) -> dict[str, Probe]:
    """What each model of the recipe can do, by asking it; without a recipe, the embedded one."""
    specs: dict[str, ModelSpec] = {"local": "local"}
    root = Path()
    if recipe:
        read = load_recipe(recipe)
        root = read.root
        specs = {role: spec for role in ROLES if (spec := getattr(read, role)) is not None} | dict(read.models)
    found = {}
    for role, spec in specs.items():
        by_batch = isinstance(spec, dict) and "url" in spec
        direct = {k: v for k, v in spec.items() if k != "batch"} if by_batch and isinstance(spec, dict) else spec
        model = open_model(direct, notice=notice, base=root)
        try:
            each: dict[str, Model] = {f"{role} {m.lane.name}": m for m in getattr(model, "members", ())}
            for name, one in (each or {role: model}).items():
                found[name] = await probe(one)  # of several endpoints, each
        finally:
            await model.close()
    return found


def checked(folder: Path) -> Checked:
    """What is wrong with a run, and with the dataset in its folder, if there is one; or with a dataset alone."""
    faults: list[Fault] = []
    for dataset in (folder, folder / "dataset"):
        if (dataset / MANIFEST).is_file():
            todo = "type: preceptor export " + str(folder if dataset != folder else "RUN")
            faults += [Fault(f"{dataset.name}/{name}", what, todo) for name, what in faults_of(dataset)]
    if (folder / MANIFEST).is_file() and not (folder / "run.db").exists():
        return Checked(folder, tuple(faults), 0, 0)
    found = fsck(folder)
    return replace(found, faults=(*found.faults, *faults))
