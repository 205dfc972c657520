"""Read a prompt file, fill its slots, and read the fields of the reply.

An agent file is a Jinja template, with a TOML head between two `+++` lines where a default is wrong. Text that came
from outside stands between boundaries that carry a hash of it, so that nothing inside can close them.
"""

import re
import tomllib
import warnings
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, get_args

import orjson
from jinja2 import StrictUndefined, Template, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment
from pydantic import BaseModel, ConfigDict, ValidationError, create_model
from pydantic import Field as Bounds

from preceptor.draws import digest
from preceptor.errors import Declined, PackError, PreceptorError
from preceptor.types import Agent, Message
from preceptor.types import Field as ReplyField

HEAD = re.compile(r"\A\+\+\+\s*\n(.*?)\n\+\+\+\s*\n", re.S)
HEAD_KEYS = ("role", "temperature", "max_tokens", "tools", "suits", "prose", "declines", "rounds", "reply", "system", "draws")
FIELD_KEYS = ("type", "about", "min", "max", "choices", "of", "fields", "optional")
FIELD_TYPES = ("text", "number", "integer", "boolean", "choice", "list", "record")
TEXT_MOST, LIST_MOST = 2000, 12
BOUNDARY = re.compile(r"</?([a-z][a-z_]*)-[0-9a-f]{4}>")
CONTROL = re.compile(r"<\|[^|<>\n]{1,40}\|>")
"""Tokens of chat templates: harmless as text, not when a server reads them as turns."""


class Misfit(PreceptorError):
    """A reply does not fit the agent's fields; the message is what the model is told before its next attempt."""


# ── reading agent files ──────────────────────────────────────────────────────────────────────────────────────────


def read_agent(path: Path, name: str, **defaults: Any) -> Agent:
    """The agent in the file at `path`. Raises PackError with the file's name for a head that says what cannot be."""
    text = path.read_text(encoding="utf-8")
    head: dict[str, Any] = {}
    if found := HEAD.match(text):
        try:
            head = tomllib.loads(found[1])
        except tomllib.TOMLDecodeError as error:
            raise PackError(f"{path}: the head between +++ lines is not TOML: {error}") from None
        text = text[found.end() :]
    reject_unknown(head, HEAD_KEYS, f"{path}: an agent's head")
    fields = tuple(read_field(key, value, f"{path}: [reply]") for key, value in head.pop("reply", {}).items())
    settings = {**defaults, **{k: tuple(v) if isinstance(v, list) else v for k, v in head.items()}}
    agent = Agent(name, text.strip() + "\n", fields=fields, **settings)
    try:
        compiled(agent.template)
    except TemplateError as error:
        raise PackError(f"{path}: the template does not parse: {error}") from None
    return agent


def read_field(name: str, spec: Any, where: str) -> ReplyField:
    """One declared reply field; `of` may be a type's name or a table of a record's fields."""
    if isinstance(spec, str):
        spec = {"type": spec}
    if not isinstance(spec, dict):
        raise PackError(f'{where} {name}: say the type, such as {name} = {{ type = "text" }}')
    reject_unknown(spec, FIELD_KEYS, f"{where} {name}")
    kind = spec.get("type", "text")
    if kind not in FIELD_TYPES:
        raise PackError(f"{where} {name}: unknown type {kind!r}; there are: {', '.join(FIELD_TYPES)}")
    of = spec.get("of", "text") if kind == "list" else None
    inner: ReplyField | None = None
    if isinstance(of, dict):
        inner = read_field(
            "entry", of if "type" in of and isinstance(of["type"], str) else {"type": "record", "fields": of}, f"{where} {name}"
        )
    elif of is not None:
        inner = read_field("entry", of, f"{where} {name}")
    parts = tuple(read_field(k, v, f"{where} {name}") for k, v in spec.get("fields", {}).items())
    if kind == "choice" and not spec.get("choices"):
        raise PackError(f'{where} {name}: a choice needs choices = ["…", …]')
    return ReplyField(
        name,
        kind,
        spec.get("about", ""),
        spec.get("min"),
        spec.get("max"),
        tuple(map(str, spec.get("choices", ()))),
        inner,
        parts,
        bool(spec.get("optional", False)),
    )


def reject_unknown(table: Mapping[str, Any], known: Sequence[str], where: str) -> None:
    """Raise PackError for the first key that is not known, with the nearest that is."""
    import difflib

    for key in table:
        if key not in known:
            near = difflib.get_close_matches(key, known, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(known)}"
            raise PackError(f"{where}: unknown key {key!r}; {hint}")


# ── rendering ────────────────────────────────────────────────────────────────────────────────────────────────────


def block(name: str, text: Any) -> str:
    """Outside text between boundaries that carry a hash of it; it cannot close them, and opens no chat turn."""
    inside = CONTROL.sub(lambda m: m[0].replace("|", "¦"), str(text).strip())
    tag = f"{name}-{digest(name, inside)[:4]}"
    return f"<{tag}>\n{inside}\n</{tag}>"


def quiet(value: Any) -> Any:
    """An inline slot: boundaries and chat tokens in it are taken apart; long text belongs in a block."""
    if isinstance(value, str) and "<" in value and not isinstance(value, Quoted):
        return CONTROL.sub(lambda m: m[0].replace("|", "¦"), BOUNDARY.sub(r"‹\1›", value))
    return "" if value is None else value


class Quoted(str):
    """Text that `block` has quoted already."""


def _block(name: str, text: Any) -> Quoted:
    return Quoted(block(name, text))


def _environment() -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(
        undefined=StrictUndefined,
        finalize=quiet,
        autoescape=False,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals = {"block": _block}
    environment.filters["json"] = lambda value: orjson.dumps(value, default=str).decode()
    return environment


@lru_cache(maxsize=4096)
def compiled(template: str) -> Template:
    """The template, compiled once."""
    return _lean(_environment().from_string(template))


def _lean(template: Template) -> Template:
    """The template with its globals as one plain dict: Jinja copies them for every rendering, and by itself does so through a
    chain of maps."""
    template.globals = dict(template.globals)
    return template


def render(template: str, slots: Mapping[str, Any], where: str = "template") -> str:
    """`template` with its slots filled. A slot that the step does not provide is a PackError that names it."""
    try:
        return compiled(template).render(slots).strip()
    except TemplateError as error:
        raise PackError(f"{where}: {error}; this step provides: {', '.join(sorted(slots))}") from None


def fill(template: str, slots: Mapping[str, Any]) -> str:
    """A template of whole lines (a card, a recipe) with its slots as they are: not quoted and not taken apart."""
    return _plain(template, True).render(slots)


def laid_out(template: str, slots: Mapping[str, Any]) -> str:
    """A row's layout with its slots as they are, and every line break where its author wrote it."""
    return _plain(template, False).render(slots)


@lru_cache(maxsize=512)
def _plain(template: str, whole_lines: bool) -> Template:
    environment = ImmutableSandboxedEnvironment(
        undefined=StrictUndefined, autoescape=False, trim_blocks=whole_lines, lstrip_blocks=whole_lines
    )
    return _lean(environment.from_string(template))


def messages(agent: Agent, slots: Mapping[str, Any], history: Sequence[Message] = (), frame: str = "") -> tuple[Message, ...]:
    """What is sent: the frame and the agent's own system text, the history, and the filled prompt.

    A prompt that renders to nothing adds no turn: an agent that goes on with a conversation has its text in `system`.
    """
    system = "\n\n".join(part for part in (frame, agent.system and render(agent.system, slots, agent.name)) if part)
    prompt = render(agent.template, slots, agent.name)
    if agent.fields:
        prompt += "\n\n" + fields_request(agent)
    opening: tuple[Message, ...] = ({"role": "system", "content": system},) if system else ()
    asked: tuple[Message, ...] = ({"role": "user", "content": prompt},) if prompt else ()
    return (*opening, *history, *asked)


@lru_cache(maxsize=1024)
def fields_request(agent: Agent) -> str:
    """The fields in words. Endpoints that enforce a schema do not all show it to the model, and people read no schemas."""
    template = (Path(__file__).parent / "reply.jinja").read_text(encoding="utf-8")
    return fill(template, {"agent": agent}).strip()


# ── reply fields ─────────────────────────────────────────────────────────────────────────────────────────────────


def schema_of(agent: Agent) -> dict[str, Any] | None:
    """The JSON schema of the agent's reply; None where the reply is prose. Property order is generation order."""
    if not agent.fields or agent.prose:
        return None
    properties = {f.name: _schema(f) for f in agent.fields}
    required = [f.name for f in agent.fields if not f.optional]
    if agent.declines:
        about = "Only where the task cannot be done with this material: why, in one line. Otherwise null."
        properties["decline"] = {"type": ["string", "null"], "maxLength": 400, "description": about}
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _schema(field: ReplyField) -> dict[str, Any]:
    made: dict[str, Any]
    match field.type:
        case "text":
            made = {"type": "string", "minLength": int(1 if field.min is None else field.min)}
            made["maxLength"] = int(field.max or TEXT_MOST)
        case "choice":
            made = {"type": "string", "enum": list(field.choices)}
        case "list":
            assert field.of is not None
            made = {"type": "array", "items": _schema(field.of), "minItems": int(field.min or 0)}
            made["maxItems"] = int(field.max or LIST_MOST)
        case "record":
            made = {
                "type": "object",
                "properties": {f.name: _schema(f) for f in field.fields},
                "required": [f.name for f in field.fields if not f.optional],
                "additionalProperties": False,
            }
        case "number" | "integer" as kind:
            made = {"type": kind}
            made |= {k: v for k, v in (("minimum", field.min), ("maximum", field.max)) if v is not None}
        case _:
            made = {"type": "boolean"}
    if field.about:
        made["description"] = field.about
    return made


def read_reply(agent: Agent, text: str) -> Mapping[str, Any]:
    """The validated fields of a reply; empty for an agent of free prose.

    Raises Declined where the agent declined, and Misfit with words for the next attempt where the reply does not fit.
    """
    if not agent.fields:
        if not text.strip():
            raise Misfit("The reply is empty.")
        if agent.declines and text.lstrip()[:8].upper() == "DECLINE:":
            raise Declined(text.lstrip()[8:].strip())
        return {}
    value = _json_of(agent, text)
    if agent.declines and isinstance(value, dict):
        reason = value.pop("decline", None)
        if isinstance(reason, str) and reason.strip(NO_REASON).lower() not in ("", "null", "none", "no", "false", "n/a"):
            raise Declined(reason.strip())
    try:
        return _model_of(agent).model_validate(_left_out(agent.fields, value)).model_dump(exclude_none=True)
    except ValidationError as error:
        lines = [f"- {'.'.join(map(str, e['loc'])) or 'the reply'}: {e['msg']}" for e in error.errors()[:8]]
        raise Misfit("The reply does not fit:\n" + "\n".join(lines)) from None


def _left_out(fields: Sequence[ReplyField], value: Any) -> Any:
    """The reply without optional texts that are empty: many models write "" for what they leave out."""
    if not isinstance(value, dict):
        return value
    spare = {f.name for f in fields if f.optional and f.type == "text"}
    return {key: said for key, said in value.items() if not (key in spare and said == "")}


NO_REASON = " \t\n.,;:-{}[]()\"'`"
"""What may stand around the word null where a model means that it does not decline."""
FIELDS_TAIL = re.compile(r"<fields>\s*(.*?)\s*</fields>", re.S)
FENCE = re.compile(r"\A\s*```(?:json)?\s*\n(.*?)\n\s*```\s*\Z", re.S)


def _json_of(agent: Agent, text: str) -> Any:
    if agent.prose:
        tails = FIELDS_TAIL.findall(text)
        if not tails:
            raise Misfit("The reply has no JSON object between <fields> and </fields> at its end.")
        text = tails[-1]
    if fenced := FENCE.match(text):
        text = fenced[1]
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise Misfit(f"The reply is not JSON: {error}.") from None


def prose_of(text: str) -> str:
    """The prose of a thinking agent's reply, without its tagged tail."""
    return FIELDS_TAIL.sub("", text).strip()


@lru_cache(maxsize=1024)
def _model_of(agent: Agent) -> type[BaseModel]:
    return _record("Reply", agent.fields)


def _record(name: str, fields: Sequence[ReplyField]) -> type[BaseModel]:
    made: dict[str, Any] = {}
    for f in fields:
        bounds = _bounds(f)
        made[f.name] = (_type(f) | None, None) if f.optional else (_type(f), Bounds(**bounds) if bounds else ...)
    with warnings.catch_warnings():  # a field may bear the name of one of pydantic's own attributes, such as `register`
        warnings.filterwarnings("ignore", message="Field name .* shadows an attribute")
        return create_model(name, __config__=ConfigDict(extra="ignore", str_strip_whitespace=True), **made)


def _bounds(field: ReplyField) -> dict[str, Any]:
    match field.type:
        case "text":
            return {"min_length": int(1 if field.min is None else field.min), "max_length": int(field.max or TEXT_MOST)}
        case "list":
            return {"min_length": int(field.min or 0), "max_length": int(field.max or LIST_MOST)}
        case "number" | "integer":
            return {k: v for k, v in (("ge", field.min), ("le", field.max)) if v is not None}
    return {}


def _type(field: ReplyField) -> Any:
    match field.type:
        case "text":
            return str
        case "number":
            return float
        case "integer":
            return int
        case "boolean":
            return bool
        case "choice":
            return Literal[field.choices]
        case "list":
            assert field.of is not None
            from typing import Annotated

            bounds = _bounds(field.of)
            inner = _type(field.of)
            return list[Annotated[inner, Bounds(**bounds)] if bounds else inner]  # type: ignore[misc]
    return _record(field.name, field.fields)


def field_names(agent: Agent) -> tuple[str, ...]:
    """The names of the fields an agent replies with."""
    return tuple(f.name for f in agent.fields)


assert set(FIELD_TYPES) == set(get_args(ReplyField.__annotations__["type"]))
