"""A skill is a folder: read it whole, refuse what is wrong in it, and draw from it.

    skill.toml · 1_transform/ · 2_instruct/ · 3_refine/ · 4_respond/ · 5_verify/ · skill.py · golden/

`extends = "other"` lays the folder over another pack: its agents, kinds, goals and numbers replace those of the same
name, `remove` takes some away, and everything else stays.
"""

import difflib
import importlib.util
import sys
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property, lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any

from preceptor.draws import digest
from preceptor.errors import PackError
from preceptor.prompts import read_agent, reject_unknown
from preceptor.types import Agent, Step, canonical

STEPS = ("1_transform", "2_instruct", "3_refine", "4_respond", "5_verify")
STEP_DEFAULTS: Mapping[str, Mapping[str, Any]] = {"5_verify": {"role": "judge", "temperature": 0.0}}
BUILT_IN = Path(__file__).parent / "skills"
SKILL_KEYS = ("title", "version", "about", "extends", "remove", "transform", "instruct", "refine", "respond", "verify", "quota")
OVERRIDES = ("transform", "instruct", "refine", "respond", "verify")
DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "transform": {"pick": 1, "original": True, "identity_weight": 1.0, "domain_by_form": []},
    "instruct": {"pick": 4, "checks": [], "early": [], "one_by_one": True},
    "refine": {"goals": 1, "rounds": 1, "share": 1.0},
    "respond": {"answers": 1, "rounds": 1, "reflect": "failed", "tools": []},
    "verify": {"checks": []},
    "quota": {"unanswerable": [], "kept": 0.85},
}


@dataclass(frozen=True, slots=True)
class Kind:
    """One leaf of a skill's taxonomy."""

    name: str
    about: str = ""
    example: str = ""
    suits: tuple[str, ...] = ()
    """Genres of material it can be asked of, `identity/table` for tables as they are; empty: any."""
    shape: str = "short"
    checks: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    """Roles without which it is skipped: judge, weak."""
    tier: str = "real"
    """`real`, or `listed`: named in the taxonomy, never drawn."""
    origin: str = "ours"
    gold: str = "agent"
    """`agent`: written by the generator; `computed`: built from the text by code; `none`: a rubric's points."""
    agent: str = ""
    answerer: str = ""
    weight: float = 1.0
    data: Mapping[str, Any] = field(default_factory=dict)
    goals: tuple[str, ...] = ()
    """Refinement goals that suit it; empty: any that suit its shape."""
    languages: tuple[str, ...] = ()
    """Languages it can be asked in; empty: any."""
    unless: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Values of the material's plan with which it cannot be asked: `{ flaw = ["none"] }`."""


@dataclass(frozen=True, slots=True)
class Goal:
    """One thing that refinement may do in this skill."""

    name: str
    about: str = ""
    question: str = ""
    """What the suggester is asked."""
    move: str = ""
    origin: str = "ours"
    edits: str = "question"
    """material, question, options, or both."""
    answerability: str = "answerable"
    flips: bool = False
    shapes: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    spares: tuple[str, ...] = ()
    """Kinds with which it is not pursued, though their shape would suit."""
    genres: tuple[str, ...] = ()
    suggester: str = "suggester"
    editor: str = "editor"
    weight: float = 1.0
    needs: tuple[str, ...] = ()
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Skill:
    """A pack, read whole. Frozen: what a run started with is what it ends with."""

    name: str
    title: str
    version: int
    about: str
    path: Path
    settings: Mapping[str, Mapping[str, Any]]
    agents: Mapping[str, Agent]
    """By step and file: `1_transform/argument`; shared text as `_shared/name`."""
    kinds: tuple[Kind, ...]
    goals: tuple[Goal, ...]
    styles: Mapping[str, tuple[Mapping[str, Any], ...]]
    steps: Mapping[str, Step]
    """Steps that the pack replaces with its own."""
    builders: Mapping[str, Callable[..., Any]]
    checks: Mapping[str, Any]
    fingerprint: str
    """Stands for all text and code of the pack."""
    module: ModuleType | None = None

    def agent(self, name: str) -> Agent:
        """The agent of that name, such as `3_refine/editor`."""
        if name in self.agents:
            return self.agents[name]
        raise PackError(f"skill {self.name}: no agent {name!r}; {nearest(name, self.agents)}")

    def kind(self, name: str) -> Kind:
        """The kind of that name."""
        if (kind := self._kinds.get(name)) is not None:
            return kind
        raise PackError(f"skill {self.name}: no kind {name!r}; {nearest(name, [k.name for k in self.kinds])}")

    @cached_property
    def _kinds(self) -> Mapping[str, Kind]:
        return {kind.name: kind for kind in self.kinds}

    def of(self, step: str, setting: str) -> Any:
        """A number or list from skill.toml, or its default."""
        return self.settings[step][setting]

    def in_step(self, step: str) -> list[Agent]:
        """The pack's agents of one step, by name."""
        return [agent for name, agent in sorted(self.agents.items()) if name.startswith(step + "/")]

    def override(self, step: Step) -> Step:
        """The pack's own step of that name, or the one given."""
        return self.steps.get(getattr(step, "__name__", ""), step)

    def drawable(self, roles: frozenset[str]) -> list[Kind]:
        """The real kinds whose roles the recipe has."""
        return [k for k in self.kinds if k.tier == "real" and set(k.needs) <= roles]

    def only(self, kinds: Sequence[str]) -> "Skill":
        """This skill with these kinds alone drawn; the others stay, for what refinement makes of an instruction."""
        drawn = {self.kind(name).name for name in kinds}
        return replace(self, kinds=tuple(k if k.name in drawn else replace(k, tier="listed") for k in self.kinds))

    def through(self, transformers: Sequence[str]) -> "Skill":
        """This skill with these transformers alone; `identity` stands for the document as it is."""
        known = [agent.name.rsplit("/", 1)[-1] for agent in self.in_step("1_transform")]
        for name in transformers:
            if name not in (*known, "identity"):
                raise PackError(f"skill {self.name}: no transformer {name!r}; {nearest(name, (*known, 'identity'))}")
        agents = {
            n: a for n, a in self.agents.items() if not n.startswith("1_transform/") or n.rsplit("/", 1)[-1] in transformers
        }
        transform = {**self.settings["transform"], "original": "identity" in transformers}
        return replace(self, agents=agents, settings={**self.settings, "transform": transform})

    def in_actions(self, example: Any) -> list[dict[str, Any]]:
        """The row's messages with tool calls as text, in the pack's own `action_format`."""
        form = getattr(self.module, "action_format", None)
        if form is None:
            raise PackError(f"skill {self.name} has no action_format; export without --actions")
        return list(form(example))

    def __hash__(self) -> int:
        return hash((self.name, self.fingerprint))


def fits(suits: Sequence[str], genre: str, document_kind: str) -> bool:
    """Whether material of this genre, made from this kind of document, is among `suits`; empty: it is."""
    return not suits or genre in suits or f"{genre}/{document_kind}" in suits


def nearest(name: str, known: Any) -> str:
    """`did you mean 'x'?` or the list of what there is."""
    known = sorted(known)
    near = difflib.get_close_matches(name, known, 1)
    if near:
        return f"did you mean {near[0]!r}?"
    return "there are: " + (", ".join(known[:40]) + (" …" if len(known) > 40 else "") or "none")


# ── finding and loading ──────────────────────────────────────────────────────────────────────────────────────────


def built_in() -> list[str]:
    """Names of the packs that are in the box."""
    return sorted(p.parent.name for p in BUILT_IN.glob("*/skill.toml") if not p.parent.name.startswith("_"))


def find_skill(name: str | Path, near: Path | None = None) -> Path:
    """The folder of a skill: a path (relative to `near` too), a name in the box, or an installed pack's name."""
    for base in (Path(), near or Path()):
        if (base / name / "skill.toml").is_file():
            return (base / name).resolve()
    if "/" not in str(name) and (BUILT_IN / str(name) / "skill.toml").is_file():
        return BUILT_IN / str(name)
    for entry in importlib_entry_points():
        if entry.name == str(name):
            return Path(str(entry.load()))
    if Path(name).is_dir():
        raise PackError(f"{name} is a folder without skill.toml; `preceptor new {Path(name).name}` makes one that runs")
    raise PackError(f"no skill named {str(name)!r}; {nearest(str(name), built_in())}")


def importlib_entry_points() -> Any:
    """Installed packs: the entry points of group `preceptor.skills`, each a path to a folder."""
    from importlib.metadata import entry_points

    return entry_points(group="preceptor.skills")


def load_skill(name: str | Path, near: Path | None = None) -> Skill:
    """The skill in that folder or of that name, checked. Raises PackError with file, line and mend."""
    return _read(find_skill(name, near))


def _read(path: Path) -> Skill:
    """The pack, read once for as long as its files, and those of the packs below it, stay as they are."""
    return _load(path, _stamp(path))


@lru_cache(maxsize=64)
def _load(path: Path, stamp: str) -> Skill:
    head = read_toml(path / "skill.toml")
    reject_unknown(head, SKILL_KEYS, f"{path / 'skill.toml'}")
    base = _read(_extended(head["extends"], path)) if "extends" in head else None
    agents = dict(base.agents) if base else _shared_agents()
    agents |= _agents(path)
    module = _module(path)
    kinds = _merged(base.kinds if base else (), _kinds(path), head.get("remove", {}).get("kinds", ()), path, "kind")
    goals = _merged(base.goals if base else (), _goals(path), head.get("remove", {}).get("goals", ()), path, "goal")
    for gone in head.get("remove", {}).get("agents", ()):
        if agents.pop(gone, None) is None:
            raise PackError(f"{path / 'skill.toml'}: remove.agents: no agent {gone!r}; {nearest(gone, agents)}")
    given = {name: step for name in OVERRIDES if (step := getattr(module, name, None)) is not None}
    skill = Skill(
        name=path.name,
        title=head.get("title", path.name.replace("_", " ")),
        version=int(head.get("version", 1)),
        about=head.get("about", base.about if base else ""),
        path=path,
        settings=_settings(head, base, path),
        agents=agents,
        kinds=tuple(kinds),
        goals=tuple(goals),
        styles=_styles(path) or (base.styles if base else {}),
        steps={**(base.steps if base else {}), **given},
        builders={**(base.builders if base else {}), **getattr(module, "BUILDERS", {})},
        checks={**(base.checks if base else {}), **{c.name: c for c in getattr(module, "CHECKS", ())}},
        fingerprint=digest(base.fingerprint if base else "", *_texts(path)),
        module=module or (base.module if base else None),
    )
    return skill


def _extended(name: str, path: Path) -> Path:
    """The pack that the one at `path` is laid over: a name, or a path from that pack's own folder. Raises PackError where
    that leads back to it; a pack in the box may be laid over by one of its own name."""
    found = find_skill(name, path if name.startswith(".") else path.parent)
    if found == path and "/" not in name and (BUILT_IN / name / "skill.toml").is_file():
        found = BUILT_IN / name
    chain, at = [path.resolve()], found.resolve()
    while at not in chain:
        chain.append(at)
        below = read_toml(at / "skill.toml").get("extends")
        if below is None or at.parent == BUILT_IN:
            return found
        at = find_skill(below, at if below.startswith(".") else at.parent).resolve()
        if at == chain[-1] and (BUILT_IN / below / "skill.toml").is_file():
            return found
    raise PackError(f"{path / 'skill.toml'}: extends = {name!r} leads back to {at.name}; a pack cannot be laid over itself")


def read_toml(path: Path) -> dict[str, Any]:
    """The table in a TOML file; what is wrong in it becomes a PackError with the file's name."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise PackError(f"{path}: not TOML: {error}") from None
    except OSError as error:
        raise PackError(f"{path}: cannot be read: {error.strerror}") from None


def _settings(head: Mapping[str, Any], base: Skill | None, path: Path) -> dict[str, dict[str, Any]]:
    made: dict[str, dict[str, Any]] = {}
    for step, defaults in DEFAULTS.items():
        given = head.get(step, {})
        reject_unknown(given, tuple(defaults), f"{path / 'skill.toml'}: [{step}]")
        made[step] = {**defaults, **(base.settings[step] if base else {}), **given}
    if fault := quota_fault(made["quota"]):
        raise PackError(f"{path / 'skill.toml'}: [quota] {fault}")
    return made


def quota_fault(quota: Mapping[str, Any]) -> str:
    """What is wrong with these quotas; empty where nothing is."""
    share, kept = quota["unanswerable"], quota["kept"]
    numbers = isinstance(share, list | tuple) and all(isinstance(n, int | float) and 0 <= n <= 1 for n in share)
    if not numbers or len(share) not in (0, 2) or sorted(share) != list(share):
        return f"unanswerable = {share!r}: the least and the most share of the rows is wanted, such as [0.10, 0.15]"
    if not isinstance(kept, int | float) or not 0 < kept <= 1:
        return f"kept = {kept!r}: a number above 0 and up to 1 is wanted"
    return ""


def _agents(path: Path) -> dict[str, Agent]:
    made = {}
    for step in STEPS:
        for file in sorted((path / step).glob("*.md")):
            name = f"{step}/{file.stem}"
            made[name] = read_agent(file, f"{path.name}/{name}", **STEP_DEFAULTS.get(step, {}))
    return made


def _shared_agents() -> dict[str, Agent]:
    made = {}
    for file in sorted((BUILT_IN / "_shared").rglob("*.md")):
        if file.stem == "README":
            continue
        defaults = STEP_DEFAULTS.get(file.parent.name, {})
        made[f"_shared/{file.stem}"] = read_agent(file, f"_shared/{file.stem}", **defaults)
    return made


def _entries(path: Path, pattern: str, table: str) -> list[tuple[Path, dict[str, Any]]]:
    found = []
    for file in sorted(path.glob(pattern)):
        whole = read_toml(file)
        found += [(file, dict(entry)) for entry in whole.get(table, [])]
    return found


def _kinds(path: Path) -> list[Kind]:
    return [_entry(Kind, entry, file) for file, entry in _entries(path / "2_instruct", "taxonomy*.toml", "kind")]


def _goals(path: Path) -> list[Goal]:
    return [_entry(Goal, entry, file) for file, entry in _entries(path / "3_refine", "goals*.toml", "goal")]


def _entry(shape: Any, entry: Mapping[str, Any], file: Path) -> Any:
    if "name" not in entry:
        raise PackError(f"{file}: an entry without a name: {canonical(entry)[:120]}")
    where = f"{file}: {entry['name']}"
    reject_unknown(entry, [f.name for f in fields(shape)], where)
    return shape(**{k: tuple(v) if isinstance(v, list) else v for k, v in entry.items()})


def _merged(old: Sequence[Any], new: Sequence[Any], remove: Sequence[str], path: Path, what: str) -> list[Any]:
    names = [n.name for n in new]
    if twice := {n for n in names if names.count(n) > 1}:
        raise PackError(f"{path}: two {what}s named {sorted(twice)[0]!r}")
    for gone in remove:
        if gone not in [o.name for o in old]:
            raise PackError(
                f"{path / 'skill.toml'}: remove.{what}s: no {what} {gone!r}; " + nearest(gone, [o.name for o in old])
            )
    kept = [o for o in old if o.name not in names and o.name not in remove]
    return kept + list(new)


def _styles(path: Path) -> dict[str, tuple[Mapping[str, Any], ...]]:
    file = path / "4_respond" / "styles.toml"
    if not file.exists():
        return {}
    return {table: tuple(entries) for table, entries in read_toml(file).items() if isinstance(entries, list)}


def _module(path: Path) -> ModuleType | None:
    file = path / "skill.py"
    if not file.exists():
        return None
    if path.parent == BUILT_IN:
        return importlib.import_module(f"preceptor.skills.{path.name}.skill")
    name = f"preceptor_pack_{path.name}_{digest(path)}"
    spec = importlib.util.spec_from_file_location(name, file, submodule_search_locations=[str(path)])
    if spec is None or spec.loader is None:
        raise PackError(f"{file}: cannot be loaded as Python")
    for old in [m for m in sys.modules if m == name or m.startswith(f"{name}.")]:
        del sys.modules[old]  # the pack has changed since: what stands beside skill.py is read anew with it
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise PackError(f"{file}: {type(error).__name__}: {error}") from error
    return module


def _files(path: Path) -> list[tuple[str, Path]]:
    """The pack's text and code by place in it; golden rows and the README change nothing of a run."""
    found = []
    for file in sorted(path.rglob("*")):
        inside = file.relative_to(path).parts
        if file.suffix in (".md", ".toml", ".py") and inside[0] != "golden" and file.name != "README.md":
            found.append(("/".join(inside), file))
    return found


def _texts(path: Path) -> list[str]:
    return [part for name, file in _files(path) for part in (name, file.read_text(encoding="utf-8"))]


def _stamp(path: Path) -> str:
    """Another one when a file of the pack, or of one below it, is written, comes or goes."""
    states = [(name, *_state(file)) for name, file in (*_files(path), *_files(BUILT_IN / "_shared"))]
    below = read_toml(path / "skill.toml").get("extends")
    return digest(*states, _stamp(_extended(below, path)) if isinstance(below, str) else "")


def _state(file: Path) -> tuple[int, int]:
    known = file.stat()
    return known.st_mtime_ns, known.st_size
