"""A recipe with its skills loaded: what is planned, in which order, how many rows of what, and what must not change."""

import fnmatch
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

import orjson

from preceptor.checks import all_checks
from preceptor.draws import digest
from preceptor.engine.store import Item
from preceptor.errors import PackError, RecipeError
from preceptor.flows.given import with_given
from preceptor.flows.produce import FLOWS_VERSION
from preceptor.recipe import Recipe, SkillChoice
from preceptor.skill import BUILT_IN, Skill, load_skill, nearest
from preceptor.types import Document

Cells: TypeAlias = dict[tuple[str, str], int]
"""How many accepted rows are wanted, by skill and kind; the kind "" stands for all that have no number of their own."""


@dataclass(frozen=True)
class Plan:
    """A recipe with its skills loaded and its documents known: everything but open doors."""

    recipe: Recipe
    skills: Mapping[str, Skill]

    @cached_property
    def choices(self) -> Mapping[str, SkillChoice]:
        """What the recipe says of each skill, by the skill's own name."""
        return {Path(written).name: choice for written, choice in self.recipe.skills.items()}

    def skipped(self) -> list[dict[str, str]]:
        """The kinds that are left out because the recipe gives a role no model, each with the line that would help."""
        roles = self.recipe.roles()
        line = '{role} = {{ url = "…", model = "…", key_env = "…" }}'
        return [
            {"skill": name, "kind": kind.name, "role": role, "line": line.format(role=role)}
            for name, skill in self.skills.items()
            for kind in skill.kinds
            if kind.tier == "real"
            for role in sorted(set(kind.needs) - roles)
        ]

    def quotas(self) -> list[dict[str, Any]]:
        """The shares of rows that the packs, or the recipe in their place, ask for."""
        asked = [(name, skill.of("quota", "unanswerable")) for name, skill in self.skills.items()]
        return [{"skill": s, "quota": "unanswerable", "least": q[0], "most": q[1]} for s, q in asked if q and q[1] > 0]

    def fingerprint(self) -> dict[str, str]:
        """What a resumed run must find unchanged, part by part, so that a change can be named."""
        parts = {
            f"recipe.{key}": digest(orjson.dumps(value, option=orjson.OPT_SORT_KEYS, default=str).decode())
            for key, value in self.recipe.pinned().items()
        }
        parts |= {f"skill {name}": skill.fingerprint for name, skill in self.skills.items()}
        parts["shared prompts"] = digest(*(p.read_text() for p in sorted((BUILT_IN / "_shared").rglob("*.md"))))
        parts["checks"] = digest(*(f"{c.name}@{c.version}" for c in all_checks().values()))
        parts["flows"] = str(FLOWS_VERSION)
        if self.recipe.examples:
            parts["examples"] = digest(self.recipe.path(self.recipe.examples).read_text(encoding="utf-8"))
        return parts


def plan_of(recipe: Recipe) -> Plan:
    """The recipe with its skills loaded and narrowed to what it chose. Raises RecipeError or PackError."""
    skills = {}
    for written, choice in recipe.skills.items():
        skill = load_skill(written, recipe.root)
        settings = {step: {**numbers, **getattr(choice, step, {})} for step, numbers in skill.settings.items()}
        skill = replace(skill, settings=settings)
        if choice.kinds:
            skill = skill.only(choice.kinds)
        gone = {skill.kind(name).name for name in choice.without}
        skill = skill.only([k.name for k in skill.kinds if k.tier == "real" and k.name not in gone]) if gone else skill
        if choice.transformers:
            skill = _with_transformers(skill, choice.transformers)
        if choice.formats:
            skill = _with_formats(skill, choice.formats)
        for route in choice.routes:  # a word that does not exist is said now, not when its document comes up
            skill.only(route.kinds)
            _with_transformers(skill, route.transformers)
        skills[skill.name] = with_given(skill) if recipe.start == "respond" else skill
    return Plan(recipe, skills)


def routed(plan: Plan, item: Item) -> Skill:
    """The item's skill, narrowed by the first route of the recipe that fits its document."""
    skill = plan.skills[item.skill]
    choice = plan.choices.get(item.skill)
    for route in choice.routes if choice else ():
        if any(fnmatch.fnmatch(item.document.source, glob) for glob in route.documents):
            skill = skill.only(route.kinds) if route.kinds else skill
            return _with_transformers(skill, route.transformers) if route.transformers else skill
    return skill


def _with_formats(skill: Skill, globs: Sequence[str]) -> Skill:
    known = skill.styles.get("format", ())
    kept = tuple(entry for entry in known if any(fnmatch.fnmatch(entry["name"], glob) for glob in globs))
    if not kept:
        raise RecipeError(f"skill {skill.name}: no format fits {globs[0]!r}; {nearest(globs[0], [e['name'] for e in known])}")
    return replace(skill, styles={**skill.styles, "format": kept})


def _with_transformers(skill: Skill, names: Sequence[str]) -> Skill:
    try:
        return skill.through(names)
    except PackError as error:
        raise RecipeError(str(error)) from None


# ── the order ────────────────────────────────────────────────────────────────────────────────────────────────────


def items_of(plan: Plan, documents: Iterable[Document]) -> Iterator[Item]:
    """The plan in its order: pass, document, skill. The documents are taken one by one, once for each pass."""
    for number in range(plan.recipe.passes):
        yield from items_of_pass(plan, documents, number)


def items_of_pass(plan: Plan, documents: Iterable[Document], number: int) -> Iterator[Item]:
    """The items of one pass in plan order."""
    names = sorted(plan.skills)
    for place, document in enumerate(documents):
        for name in names:
            if _taught_with(plan, name, document):
                yield Item(document, name, number, place)


def planned_of(plan: Plan, documents: Sequence[Document]) -> int:
    """How many items `items_of` gives."""
    return plan.recipe.passes * sum(_taught_with(plan, name, d) for d in documents for name in plan.skills)


def _taught_with(plan: Plan, skill: str, document: Document) -> bool:
    choice = plan.choices.get(skill)
    globs = choice.documents if choice else ()
    return not globs or any(fnmatch.fnmatch(document.source, glob) for glob in globs)


# ── how many rows of what ────────────────────────────────────────────────────────────────────────────────────────


def cells_of(plan: Plan) -> Cells:
    """The accepted rows that the recipe asks for, cell by cell; none where it asks for no number.

    A skill without a number shares evenly what `rows` leaves; within a skill, kinds without a number share what is left in
    whatever way they come. Raises RecipeError where the numbers do not fit each other, or a kind cannot be made at all.
    """
    recipe, choices = plan.recipe, {Path(written).name: choice for written, choice in plan.recipe.skills.items()}
    own = {name: _own_rows(choice, recipe.rows) for name, choice in choices.items()}
    if recipe.rows is None and not any(own.values()):
        return {}
    cells: Cells = {}
    for name, rows in _shared(own, recipe.rows).items():
        by_kind = {plan.skills[name].kind(kind).name: n for kind, n in choices[name].rows_by_kind.items()}
        for kind in by_kind:
            _drawable(plan, name, kind)
        rest = rows - sum(by_kind.values())
        if rest < 0:
            raise RecipeError(f"skills.{name}: rows_by_kind asks for {rows - rest} rows, and rows for {rows} of the skill")
        cells |= {(name, kind): n for kind, n in by_kind.items() if n}
        cells |= {(name, ""): rest} if rest else {}
    return cells


def _own_rows(choice: SkillChoice, whole: int | None) -> int | None:
    """The skill's own number of rows; None where it takes its share of the whole."""
    if choice.rows is None and choice.rows_by_kind and whole is None:
        return sum(choice.rows_by_kind.values())
    return choice.rows


def _shared(own: Mapping[str, int | None], whole: int | None) -> dict[str, int]:
    named, rest = sum(n or 0 for n in own.values()), [name for name, n in own.items() if n is None]
    if whole is None and rest:
        raise RecipeError(f"skills.{rest[0]} has no rows while others have; give it rows = …, or the recipe rows = … in all")
    left = (named if whole is None else whole) - named
    if left < 0 or (left and not rest):
        raise RecipeError(f"rows = {whole}, but the skills ask for {named} in all; let the numbers add up")
    share, more = divmod(left, len(rest)) if rest else (0, 0)
    return {name: n if n is not None else share + (rest.index(name) < more) for name, n in own.items()}


def _drawable(plan: Plan, skill: str, kind: str) -> None:
    """Raises RecipeError where rows of this kind are asked for and none can come."""
    if reason := next((s for s in plan.skipped() if (s["skill"], s["kind"]) == (skill, kind)), None):
        raise RecipeError(f"rows of {skill}/{kind} need a model for the role {reason['role']}; add: {reason['line']}")
    if plan.skills[skill].kind(kind).tier != "real":
        raise RecipeError(f"rows of {skill}/{kind} are asked for, but the kind is not drawn; see its kinds and without")


def narrowed(plan: Plan, open_cells: Iterable[tuple[str, str]], cells: Cells) -> Plan:
    """The plan with what is still wanted: skills and kinds whose cells are all full are not asked for again."""
    left = set(open_cells)
    skills = {}
    for name, skill in plan.skills.items():
        kinds = [k.name for k in skill.kinds if k.tier == "real" and cell_of(cells, name, k.name) in left]
        if kinds:
            skills[name] = skill.only(kinds)
    return replace(plan, skills=skills)


def cell_of(cells: Mapping[tuple[str, str], int], skill: str, kind: str) -> tuple[str, str]:
    """The cell that a row of this skill and kind counts for."""
    return (skill, kind) if (skill, kind) in cells else (skill, "")
