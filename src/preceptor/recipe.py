"""A recipe: what to make, of what, with which models, how much, under which limits. One TOML file, read once, frozen."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from preceptor.errors import RecipeError
from preceptor.skill import DEFAULTS, nearest, quota_fault

ModelSpec = str | dict[str, Any]
ROLES = ("teacher", "judge", "weak")
UNPINNED = ("into", "limits", "name", "export", "prices", "rows")
"""What may change between two starts of one run: how fast, how much, and where to."""
ROWS = ("rows", "rows_by_kind")
"""Of a skill: pinned apart, because they may grow."""
MOST_PASSES = 1000


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Route(_Part):
    """Documents, by globs of their sources, that are taken through these transformers to these kinds and no others."""

    documents: tuple[str, ...]
    transformers: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()


class SkillChoice(_Part):
    """What a recipe says of one skill: which kinds, and which of the pack's numbers it sets otherwise."""

    kinds: tuple[str, ...] = ()
    """Only these; empty: all that are real."""
    rows: int | None = Field(default=None, ge=0)
    """Accepted rows of this skill; None: its share of the recipe's."""
    rows_by_kind: dict[str, Annotated[int, Field(ge=0)]] = Field(default_factory=dict)
    """Accepted rows of single kinds; the others share the rest."""
    without: tuple[str, ...] = ()
    transformers: tuple[str, ...] = ()
    """Only these of `1_transform`, `identity` among them; empty: all."""
    formats: tuple[str, ...] = ()
    """Globs of answer formats to draw from; empty: all that the pack has for the shape."""
    transform: dict[str, Any] = Field(default_factory=dict)
    instruct: dict[str, Any] = Field(default_factory=dict)
    refine: dict[str, Any] = Field(default_factory=dict)
    respond: dict[str, Any] = Field(default_factory=dict)
    verify: dict[str, Any] = Field(default_factory=dict)
    quota: dict[str, Any] = Field(default_factory=dict)
    documents: tuple[str, ...] = ()
    """Globs of sources this skill is taught with; empty: all documents."""
    routes: tuple[Route, ...] = ()
    """The first route that fits a document narrows what is made of it."""


class Limits(_Part):
    """Where a run stops. Money is in the currency of the price table."""

    cost: float | None = Field(default=None, gt=0)
    tokens: int | None = Field(default=None, gt=0)
    """Of prompts and replies together."""
    calls: int | None = Field(default=None, gt=0)
    hours: float | None = Field(default=None, gt=0)
    """Over all processes of the run, while calls are made."""
    candidates: int | None = Field(default=None, gt=0)
    """With `rows`: rows made, accepted or not, after which the target is given up; None: twenty for each row wanted."""
    in_flight: int = 16
    """Calls on the wire at once, per model."""
    ahead: int = Field(default=4, ge=1)
    """Items are begun while fewer than so many calls wait for each call on the wire; 1 finishes the first rows sooner."""


class SearchAddress(_Part):
    """An address that agents may search, beside the corpus."""

    url: str
    hosts: tuple[str, ...]
    results: str = "results"


class Recipe(_Part):
    """A recipe as read; relative paths are relative to the file it came from."""

    name: str = "run"
    seed: int = 1
    documents: tuple[str, ...] = ()
    licence: str = "unknown"
    language: str = ""
    """Force the language of all documents; empty: told from the text."""
    domain: str = ""
    brief: str = ""
    """What you want, in your own words; reaches every prompt."""
    examples: str = ""
    """A JSONL file of 5–50 rows of your own; they reach every prompt."""
    skills: dict[str, SkillChoice] = Field(default_factory=dict)
    teacher: ModelSpec | None = None
    judge: ModelSpec | None = None
    weak: ModelSpec | None = None
    models: dict[str, ModelSpec] = Field(default_factory=dict)
    """More models by name, for [agents]."""
    agents: dict[str, str] = Field(default_factory=dict)
    """Which model plays which agent: a name or glob of agents → a role or a name of [models]."""
    passes: int = Field(default=1, ge=1)
    """How often each document is taken, with other draws; with `rows`, the most passes, and unset: as many as it takes."""
    rows: int | None = Field(default=None, gt=0)
    """Accepted rows wanted in all; None: whatever the passes give."""
    start: Literal["transform", "respond"] = "transform"
    instructions: str = ""
    """With start = "respond": a JSONL file of instructions that exist already."""
    pause_after: Literal["", "instruct", "refine"] = ""
    into: str = ""
    chunk: tuple[int, int, int] = (1200, 3000, 6000)
    """Least, best and most characters of a document."""
    limits: Limits = Limits()
    prices: str = ""
    """A TOML file of prices by model name; a model's own `price` goes before it."""
    search: SearchAddress | None = None
    export: dict[str, Any] = Field(default_factory=dict)
    root: Path = Field(default=Path(), exclude=True)

    def path(self, written: str) -> Path:
        """A path as the recipe wrote it, from the recipe's own folder."""
        return Path(written) if Path(written).is_absolute() else self.root / written

    def roles(self) -> frozenset[str]:
        """The roles this recipe gives a model."""
        return frozenset(role for role in ROLES if getattr(self, role) is not None)

    def pinned(self) -> dict[str, Any]:
        """What a resumed run must find unchanged. Addresses and keys are not part of it, nor how fast."""
        whole = self.model_dump(mode="json", exclude=set(UNPINNED))
        for role in ROLES:
            whole[role] = _identity(whole[role])
        whole["models"] = {name: _identity(spec) for name, spec in whole["models"].items()}
        whole["skills"] = {n: {k: v for k, v in said.items() if k not in ROWS} for n, said in whole["skills"].items()}
        return whole

    @property
    def most_passes(self) -> int:
        """With a target: after so many passes it is given up."""
        return self.passes if "passes" in self.model_fields_set else MOST_PASSES


def _identity(spec: Any) -> Any:
    """What of a model makes its replies: neither where it is, nor how often, how fast and for how much it is asked."""
    if not isinstance(spec, Mapping):
        return spec
    where = ("url", "key_env", "name", "weight", "batch")
    loose = (*where, "in_flight", "rpm", "tpm", "timeout", "price", "label_calls", "means", "tools")
    if "endpoints" in spec:
        shared = {k: v for k, v in spec.items() if k != "endpoints"}
        each = [_identity({**shared, **one}) for one in spec["endpoints"] if isinstance(one, Mapping)]
        same = all(one == each[0] for one in each)
        return each[0] if each and same else {"endpoints": each}
    return {k: v for k, v in spec.items() if k not in loose}


def load_recipe(path: str | Path) -> Recipe:
    """The recipe in the file. Raises RecipeError with the file, the key and the nearest known one."""
    file = Path(path)
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RecipeError(f"no recipe at {file}; `preceptor init FOLDER --url … --model …` writes one") from None
    except IsADirectoryError:
        raise RecipeError(f"{file} is a folder; a recipe is a TOML file, such as {file / 'recipe.toml'}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(f"{file}: not TOML: {error}") from None
    return recipe_of(table, file.parent, str(file))


def recipe_of(table: Mapping[str, Any], root: Path = Path(), where: str = "recipe") -> Recipe:
    """The recipe that a table describes."""
    made = dict(table)
    if isinstance(made.get("skills"), list):
        made["skills"] = {name: {} for name in made["skills"]}
    try:
        recipe = Recipe.model_validate({**made, "root": root})
    except ValidationError as error:
        raise RecipeError("\n".join(f"{where}: {_said(e)}" for e in error.errors()[:6])) from None
    for name, choice in recipe.skills.items():
        for step, defaults in DEFAULTS.items():
            for key in getattr(choice, step, {}):
                if key not in defaults:
                    raise RecipeError(f"{where}: skills.{name}.{step}: unknown key {key!r}; {nearest(key, defaults)}")
        if fault := quota_fault({**DEFAULTS["quota"], **choice.quota}):
            raise RecipeError(f"{where}: skills.{name}.quota.{fault}")
    return recipe


def _said(error: Any) -> str:
    place = ".".join(map(str, error["loc"]))
    if error["type"] == "extra_forbidden":
        key = str(error["loc"][-1])
        parts: dict[str, type[BaseModel]] = {"limits": Limits, "skills": SkillChoice, "search": SearchAddress}
        part = parts.get(str(error["loc"][0]), Recipe)
        return f"unknown key {place!r}; {nearest(key, [k for k in part.model_fields if k != 'root'])}"
    return f"{place}: {error['msg'][0].lower() + error['msg'][1:]}"


def ready(recipe: Recipe, where: str = "recipe", *, given: bool = False) -> Recipe:
    """The recipe, if a run can start with it: a teacher, something to teach, something to teach it with (unless the caller
    has `given` documents)."""
    if recipe.teacher is None:
        raise RecipeError(
            f"{where} names no teacher. Add one line, such as\n"
            '    teacher = { url = "http://localhost:8000/v1", model = "…", key_env = "MY_KEY" }\n'
            'or teacher = "batch:FOLDER" to answer by files, or teacher = "local" for the embedded model '
            "(which proves the machinery and is no teacher)."
        )
    if not recipe.skills:
        raise RecipeError(f'{where} names no skill; add, such as, skills = ["reading_comprehension"]')
    if recipe.start == "respond" and not recipe.instructions and not given:
        raise RecipeError(f'{where}: start = "respond" needs instructions = "FILE.jsonl", a row per instruction')
    if recipe.start == "transform" and not recipe.documents and not given:
        raise RecipeError(f'{where} names no documents; add, such as, documents = ["notes/**/*.md"]')
    return recipe
