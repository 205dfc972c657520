"""Is a pack whole? Every file is read, every prompt rendered, every name looked up; no model is called.

What is found is a list of faults, each with the file, what is wrong and the nearest thing that would be right.
"""

import ast
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import meta
from jinja2.sandbox import ImmutableSandboxedEnvironment

from preceptor.checks import all_checks
from preceptor.checks.base import Check
from preceptor.checks.fits import advised, cannot
from preceptor.draws import drawn_for
from preceptor.errors import PackError, StepError
from preceptor.flows.row import PLAIN_LAYOUT
from preceptor.flows.shapes import instruction_of, with_drawn
from preceptor.prompts import fill, render
from preceptor.recipe import ROLES
from preceptor.skill import BUILT_IN, Goal, Kind, Skill, load_skill, nearest
from preceptor.testing.invent import Source, invented, question_fields
from preceptor.types import Agent, Document, Gold, Instruction, Material, Option

OVERRIDDEN = {
    "1_transform": "transform",
    "2_instruct": "instruct",
    "3_refine": "refine",
    "4_respond": "respond",
    "5_verify": "verify",
}
STYLE_KEYS = {
    "format": ("name", "final"),
    "length": ("name", "wording"),
    "register": ("name",),
    "system": ("text",),
    "layout": ("name", "template"),
    "hint": ("text",),
}
FORMS = ("prose", "dialogue", "table", "code", "api", "verse")
SAMPLE = (
    "The mill at Brede was bought by Anna Lindqvist in 1871 for 4,200 crowns. It had two wheels and ground rye and barley "
    "for nine villages. When the railway came in 1884, fewer farmers brought their grain by cart. Lindqvist sold one of the "
    "wheels and put up a saw in its place. By 1890 the saw earned three times what the millstones did, so she gave up "
    "grinding. Some of her neighbours called that a betrayal; others sent her their oaks."
)
DOCUMENT = Document("sample", SAMPLE, "sample.md", (0, len(SAMPLE)), title="The mill at Brede")


def faults_of_pack(name: str | Path, *, golden: bool = True) -> list[str]:
    """Everything that is wrong with the pack of that name or in that folder; empty where nothing is."""
    try:
        skill = load_skill(name)
    except PackError as error:
        return [str(error)]
    found = [*_prompts(skill), *_kinds(skill), *_goals(skill), *_settings(skill), *_styles(skill), *_unused(skill)]
    if golden and not found:
        from preceptor.testing.golden import stale

        found += stale(name)
    return list(dict.fromkeys(found))


def notes_of_pack(name: str | Path) -> list[str]:
    """What is not wrong and not finished: a README that is still the copied one."""
    try:
        file = load_skill(name).path / "README.md"
    except PackError:
        return []
    copied = (BUILT_IN / "_template" / "pack" / "README.md").read_text(encoding="utf-8").partition("\n")[2]
    if file.is_file() and file.read_text(encoding="utf-8").partition("\n")[2] == copied:
        return [f"{file} is still the copied one: say what the pack teaches, and what its checks cannot see"]
    return []


def counts_of_skill(name: str | Path) -> dict[str, Any]:
    """What is in a pack: its real kinds counted, what they are decided by, and each kind with its shape and checks."""
    skill = load_skill(name)
    real = [kind for kind in skill.kinds if kind.tier == "real"]
    executable = [kind for kind in real if by_code(kind, skill)]
    judged = [kind for kind in real if kind not in executable and (judges(kind, skill) or "judge" in kind.needs)]
    named = {tool for agent in skill.agents.values() for tool in agent.tools} | set(skill.of("respond", "tools"))
    return {
        "skill": skill.name,
        "kinds": len(real),
        "listed": sum(kind.tier == "listed" for kind in skill.kinds),
        "gold_first": sum(kind.gold == "computed" or kind.name in skill.builders for kind in real),
        "executable": len(executable),
        "judged": len(judged),
        "tools": sorted(named),
        "kinds_detail": [
            {
                "kind": kind.name,
                "shape": kind.shape,
                "tier": kind.tier,
                "checks": [check.name for check in applicable(kind, skill)],
                "judges": [check.name for check in judges(kind, skill)],
            }
            for kind in skill.kinds
        ],
    }


def checks_of_kind(kind: Kind, skill: Skill) -> list[Check]:
    """The kind's own checks and those of the whole skill, as far as they exist."""
    known = {**all_checks(), **skill.checks}
    names = dict.fromkeys((*kind.checks, *skill.of("verify", "checks")))
    return [known[name] for name in names if name in known]


def deciding(kind: Kind, skill: Skill) -> list[Check]:
    """The checks of code that tell a right from a wrong answer of this kind."""
    return [check for check in checks_of_kind(kind, skill) if check.decides and "judge" not in check.needs]


def by_code(kind: Kind, skill: Skill) -> bool:
    """Whether code decides the kind: one of its own checks, or the skill's where the kind needs no judge."""
    own = set(kind.checks)
    return any(check.name in own or "judge" not in kind.needs for check in deciding(kind, skill))


def judges(kind: Kind, skill: Skill) -> list[Check]:
    """The kind's checks that ask a judge."""
    return [check for check in checks_of_kind(kind, skill) if "judge" in check.needs]


# ── kinds, goals, settings, styles ───────────────────────────────────────────────────────────────────────────────


def _kinds(skill: Skill) -> Iterator[str]:
    where = f"{skill.path}/2_instruct/taxonomy.toml"
    genres = genres_of(skill)
    for kind in skill.kinds:
        here = f"{where}: {kind.name}"
        if kind.tier not in ("real", "listed"):
            yield f"{here}: tier = {kind.tier!r}; there are: real, listed"
        if kind.tier != "real":
            continue
        yield from _maker(kind, skill, here)
        yield from _checks(kind, skill, here)
        yield from _names(kind.goals, [g.name for g in skill.goals], f"{here}: goals: no goal")
        yield from _names(kind.needs, ROLES, f"{here}: needs: no role")
        suits = [genre.partition("/")[0] for genre in kind.suits]
        yield from _names(suits, genres, f"{here}: suits: nothing makes the genre")
        yield from _names([g.partition("/")[2] for g in kind.suits if "/" in g], FORMS, f"{here}: suits: no kind of document")
        if suits and not set(suits) & genres:
            yield f"{here}: cannot be reached: no transformer makes {' or '.join(kind.suits)}"
        misnamed = set(kind.checks) - {**all_checks(), **skill.checks}.keys()
        if not (misnamed or deciding(kind, skill) or judges(kind, skill) or "judge" in kind.needs):
            yield f"{here}: nothing decides it: no deciding check, and no check that asks a judge"
        for role in {need for check in checks_of_kind(kind, skill) if check.name in kind.checks for need in check.needs}:
            if role not in kind.needs and not deciding(kind, skill):
                yield f'{here}: its only check asks a {role}; say needs = ["{role}"]'


def _checks(kind: Kind, skill: Skill, here: str) -> Iterator[str]:
    """Names of no check, and a kind whose deciding checks could never say anything of what the flow makes of it."""
    known = {**all_checks(), **skill.checks}
    told = advised(kind.shape, [check.name for check in skill.checks.values() if check.decides])
    for name in kind.checks:
        if name not in known:
            near = nearest(name, known)
            yield f"{here}: checks: no check {name!r}; {told}{f'; {near}' if near.startswith('did') else ''}"
    decide = deciding(kind, skill)
    if decide and not applicable(kind, skill) and not judges(kind, skill) and "judge" not in kind.needs:
        fields = _fields(kind, skill)
        why = "; ".join(cannot(check.name, kind.shape, fields) for check in decide)
        yield f"{here}: nothing can decide it: {why}; {told}, or write one in skill.py"


def applicable(kind: Kind, skill: Skill) -> list[Check]:
    """The deciding checks that may say something of a task of this kind; all of them where the pack's code makes it."""
    decide = deciding(kind, skill)
    if kind.name in skill.builders or "instruct" in skill.steps:
        return decide
    fields = _fields(kind, skill)
    return [check for check in decide if check.name in skill.checks or not cannot(check.name, kind.shape, fields)]


def _fields(kind: Kind, skill: Skill) -> set[str]:
    """What an instruction of the kind has in its data: the kind's constants and the generator's fields."""
    agent = skill.agents.get(f"2_instruct/{kind.agent or kind.name}")
    return {*kind.data, *(field.name for field in agent.fields or ())} if agent else {*kind.data}


def _maker(kind: Kind, skill: Skill, here: str) -> Iterator[str]:
    agent = f"2_instruct/{kind.agent or kind.name}"
    if "instruct" not in skill.steps and agent not in skill.agents and kind.name not in skill.builders:
        yield f"{here}: neither {agent}.md nor a builder makes it; {nearest(agent, skill.agents)}"
    answerer = f"4_respond/{kind.answerer or 'answer'}"
    if "respond" not in skill.steps and answerer not in skill.agents:
        yield f"{here}: no {answerer}.md answers it; {nearest(answerer, skill.agents)}"


def _goals(skill: Skill) -> Iterator[str]:
    kinds, shapes = [k.name for k in skill.kinds], {k.shape for k in skill.kinds}
    for goal in skill.goals:
        here = f"{skill.path}/3_refine/goals.toml: {goal.name}"
        yield from _names(goal.kinds, kinds, f"{here}: kinds: no kind")
        yield from _names(goal.spares, kinds, f"{here}: spares: no kind")
        yield from _names(goal.shapes, shapes, f"{here}: shapes: no kind has the shape")
        yield from _names(goal.genres, genres_of(skill), f"{here}: genres: nothing makes the genre")
        yield from _names(goal.needs, ROLES, f"{here}: needs: no role")
        agents = {n.rpartition("/")[2] for n in skill.agents if n.startswith("3_refine/")}
        if "refine" not in skill.steps:
            yield from _names((goal.suggester,), agents, f"{here}: no suggester")
            yield from _names((goal.editor,), agents, f"{here}: no editor")
        if goal.edits not in ("material", "question", "options", "both"):
            yield f"{here}: edits = {goal.edits!r}; there are: material, question, options, both"


def _settings(skill: Skill) -> Iterator[str]:
    known = {**all_checks(), **skill.checks}
    yield from _names(skill.of("instruct", "checks"), known, f"{skill.path}/skill.toml: instruct.checks: no check")
    yield from _names(skill.of("verify", "checks"), known, f"{skill.path}/skill.toml: verify.checks: no check")


def _styles(skill: Skill) -> Iterator[str]:
    where = f"{skill.path}/4_respond/styles.toml"
    slots = dict.fromkeys(("passage", "text", "question", "request", "options", "wording"), "…")
    for table, entries in skill.styles.items():
        for number, entry in enumerate(entries, 1):
            for key in STYLE_KEYS.get(table, ()):
                if not str(entry.get(key, "")).strip() and not (table == "system" and key in entry):
                    yield f"{where}: {table} {number}: no {key}"
        names = [e["name"] for e in entries if "name" in e]
        if twice := {n for n in names if names.count(n) > 1}:
            yield f"{where}: two {table}s named {sorted(twice)[0]!r}"
    for entry in (*skill.styles.get("layout", ()), PLAIN_LAYOUT):
        for key in (k for k in entry if k.startswith("template")):
            try:
                fill(entry[key], slots)
            except Exception as error:
                yield f"{where}: layout {entry.get('name')}: {key}: {error}; there are: {', '.join(slots)}"


def _unused(skill: Skill) -> Iterator[str]:
    """Generators that no kind uses: a file that is named otherwise than its kind is never asked."""
    told = _told(skill)
    used = {kind.agent or kind.name for kind in skill.kinds}
    for name in skill.agents:
        step, _, file = name.partition("/")
        if not (skill.path / f"{name}.md").is_file():  # of the pack below, whose kinds may have been taken away
            continue
        if step == "2_instruct" and file not in used and not any(name in t or file == t for t in told):
            yield f"{skill.path}/{name}.md: no kind uses it; {nearest(file, used)}"


def _names(given: Iterable[str], known: Iterable[str], what: str) -> Iterator[str]:
    held = list(known)
    for name in given:
        if name not in held:
            yield f"{what} {name!r}; {nearest(name, held)}"


def genres_of(skill: Skill) -> set[str]:
    """What material there can be: the transformers' names, identity, and what the pack's own step names."""
    made = {agent.name.rpartition("/")[2] for agent in skill.in_step("1_transform")} | {"given"}
    if skill.of("transform", "original"):
        made.add("identity")
    return made | (_told(skill) if "transform" in skill.steps else set())


@lru_cache(maxsize=8)
def _told(skill: Skill) -> frozenset[str]:
    """All strings, keywords and names in the pack's own code."""
    found: set[str] = set()
    for file in sorted(skill.path.glob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            match node:
                case ast.Constant(value=str(text)):
                    found.add(text)
                case ast.keyword(arg=str(name)):
                    found.add(name)
                case ast.Attribute(attr=name) | ast.Name(id=name) | ast.arg(arg=name):
                    found.add(name)
    return frozenset(found)


# ── prompts ──────────────────────────────────────────────────────────────────────────────────────────────────────


def _prompts(skill: Skill) -> Iterator[str]:
    for name, agent in skill.agents.items():
        step = name.partition("/")[0]
        if step == "_shared":
            continue
        file = f"{skill.path}/{name}.md"
        if OVERRIDDEN[step] in skill.steps or step == "5_verify":
            yield from _unknown_slots(agent, skill, file)
        else:
            yield from _rendered(agent, skill, step, file)


def _unknown_slots(agent: Agent, skill: Skill, file: str) -> Iterator[str]:
    """For steps that the pack or a check writes itself: slots that nothing in their code names."""
    environment = ImmutableSandboxedEnvironment()
    names: set[str] = set()
    for text in (agent.template, agent.system):
        names |= meta.find_undeclared_variables(environment.parse(text))
    known = _told(skill) | set(common()) | {"block"} | _told_by_checks() | DEFAULT_SLOTS
    for name in sorted(names - known):
        yield f"{file}: nothing fills the slot {name!r}; {nearest(name, known - {'block'})}"


DEFAULT_SLOTS = frozenset(
    (
        "genre",
        "material",
        "kind",
        "avoid",
        "hints",
        "instruction",
        "goal",
        "suggestion",
        "task",
        "format",
        "material_text",
        "draft",
        "final",
        "problems",
        "results",
        "critique",
        "drawn",
    )
)
"""What the flows' own steps fill: a pack's step may hand on to them."""


@lru_cache(maxsize=1)
def _told_by_checks() -> frozenset[str]:
    import preceptor.checks

    found: set[str] = set()
    for file in Path(next(iter(preceptor.checks.__path__))).glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.keyword) and node.arg:
                found.add(node.arg)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.isidentifier():
                found.add(node.value)
    return frozenset(found)


def _rendered(agent: Agent, skill: Skill, step: str, file: str) -> Iterator[str]:
    for slots in samples(agent, skill, step):
        for text in filter(None, (agent.template, agent.system)):
            try:
                render(text, slots, file)
            except PackError as error:
                kind = slots.get("kind")
                told = f" (kind {kind.name}, genre {slots['material'].genre})" if kind and "material" in slots else ""
                yield f"{error}{told}"
                return
            except Exception as error:  # a template may call anything on a slot
                yield f"{file}: {type(error).__name__}: {error}"
                return


def common() -> dict[str, Any]:
    """The slots that reach every prompt."""
    return {
        "document": DOCUMENT,
        "language": "en",
        "language_name": "English",
        "domain": "general",
        "brief": "",
        "examples": [],
    }


def samples(agent: Agent, skill: Skill, step: str) -> Iterator[dict[str, Any]]:
    """Slots as the default steps fill them, for every kind, genre and goal that the agent may meet."""
    file = agent.name.rpartition("/")[2]
    match step:
        case "1_transform":
            yield {**common(), "genre": file, "drawn": drawn_for(agent.draws, "sample")}
        case "2_instruct":
            for kind in [k for k in skill.kinds if (k.agent or k.name) == file]:
                for material in materials(skill, kind):
                    made = instruction(kind, material, skill)
                    extra: dict[str, Any] = {"instruction": made} if kind.name in skill.builders else {}
                    for hints, avoid in (("", ()), ("as a nurse would ask", ("An earlier question?",))):
                        yield {
                            **common(),
                            "material": material,
                            "kind": kind,
                            "hints": hints,
                            "avoid": avoid,
                            "drawn": drawn_for(agent.draws, "sample"),
                            **extra,
                        }
        case "3_refine":
            for goal in [g for g in skill.goals if file in (g.suggester, g.editor)]:
                for kind in _kinds_of(goal, skill):
                    made = instruction(kind, next(iter(materials(skill, kind))), skill)
                    way = {"suggestion": "a way"} if file == goal.editor else {}
                    yield {**common(), "material": made.material, "instruction": made, "goal": goal, "kind": kind, **way}
        case "4_respond":
            for kind in skill.kinds:
                shown = {**common(), "kind": kind, "task": "the task", "format": FORMAT, "material_text": SAMPLE}
                if file in ("critic", "reviser"):
                    shown |= {"draft": "a draft", "final": "a result", "problems": ["check: hint"], "results": []}
                if file == "reviser":
                    shown["critique"] = "a critique"
                yield shown


FORMAT: Mapping[str, str] = {
    "name": "plain",
    "final": "the bare answer",
    "about": "",
    "length": "short",
    "register": "neutral",
    "untold": "not in the text",
    "mistaken": "false premise:",
}


def _kinds_of(goal: Goal, skill: Skill) -> list[Kind]:
    fit = [
        k
        for k in skill.kinds
        if k.tier == "real"
        and k.name not in goal.spares
        and (not goal.kinds or k.name in goal.kinds) and (not goal.shapes or k.shape in goal.shapes)
    ]
    return list({k.shape: k for k in fit}.values())


def materials(skill: Skill, kind: Kind) -> Iterator[Material]:
    """Sample material of each genre that suits the kind, its plan filled by rule."""
    known = sorted(a.name.rpartition("/")[2] for a in skill.in_step("1_transform"))
    for genre in dict.fromkeys(g.partition("/")[0] for g in kind.suits or (*known, "identity")):
        agent = skill.agents.get(f"1_transform/{genre}")
        plan = dict(invented(agent.fields, Source(SAMPLE), ("sample", genre))) if agent else {}
        yield Material(DOCUMENT, genre, plan.pop("text", "") or SAMPLE, plan, language="en")


def instruction(kind: Kind, material: Material, skill: Skill) -> Instruction:
    """A sample instruction of the kind: what its generator's fields make of it, else a plain one in its shape."""
    agent = skill.agents.get(f"2_instruct/{kind.agent or kind.name}")
    if agent is not None and kind.name not in skill.builders:
        with suppress(StepError):
            fields = question_fields(agent.fields, Source(material.text), ("sample", kind.name), kind.shape, kind.data)
            fields = dict(with_drawn(fields, drawn_for(agent.draws, "sample"), agent))
            return instruction_of(kind, material, fields, agent.name, "sample")
    options = tuple(
        Option(f"option {letter}", role, "a reason")
        for letter, role in zip("ABCD", ("too_broad", "credited", "reversed", "too_narrow"))
    )
    choice = kind.shape == "multiple_choice"
    gold = Gold("option", "B", (SAMPLE[:60],)) if choice else Gold("text", "1871", (SAMPLE[:60],))
    return Instruction(
        material,
        kind.name,
        "When was the mill bought?",
        kind.shape,
        options if choice else (),
        gold,
        data={**kind.data, "shown": ["a", "b"]} if kind.shape == "order" else kind.data,
    )
