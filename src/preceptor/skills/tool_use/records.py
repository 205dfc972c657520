"""Libraries that need no model: an API document or a table becomes operations, books and a simulator, by code alone."""

import csv
import io
import json
import keyword
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from preceptor.skills.tool_use.library import snake

OPERATION = re.compile(r"^## (GET|PUT|POST|DELETE|PATCH) (\S+)(?: \((\w+)\))?\s*$", re.M)
ENTRY = re.compile(r"^- ([\w\-.]+) \((?:(?:path|query), )?(.+?), (required|optional)\)(?:: (.*))?$", re.M)
SCHEMA = re.compile(r"^### (\w+)\s*$", re.M)
WRITES = ("create", "update", "act", "remove")
MOST_OPERATIONS = 9
TAKEN = ("state", "open", "input", "compile", "eval", "exec", "globals", "breakpoint")


@dataclass(frozen=True, slots=True)
class Part:
    """One parameter of an operation, or one field of a record."""

    name: str
    kind: str = "string"
    required: bool = False
    about: str = ""
    choices: tuple[str, ...] = ()
    refers: str = ""
    """The collection whose ids it holds."""
    least: float | None = None
    most: float | None = None
    example: str = ""
    pattern: str = ""
    default: Any = None
    field: str = ""
    """The record's field, where the parameter had to get another name."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One API of a library of records, and what the simulator does for it."""

    name: str
    act: str
    """find, get, create, update, act or remove."""
    collection: str
    parts: tuple[Part, ...]
    about: str = ""
    key: str = ""
    """The parameter that holds the record's id; empty for find and create."""
    action: str = ""


@dataclass(frozen=True, slots=True)
class Service:
    """Operations, and the fields of what they work on."""

    title: str
    operations: tuple[Operation, ...]
    fields: Mapping[str, tuple[Part, ...]] = field(default_factory=dict)
    rows: Mapping[str, Mapping[str, Mapping[str, Any]]] = field(default_factory=dict)
    """Records that the document itself holds, by collection and id."""
    ids: Mapping[str, str] = field(default_factory=dict)
    """What an id looks like, by collection, where the document shows one."""


# ── reading an API document ──────────────────────────────────────────────────────────────────────────────────────


def from_api(text: str, title: str = "") -> Service | None:
    """The service that an API document describes: OpenAPI itself, or its readable form. None where it has no operations."""
    text = in_words(text)
    heads = list(OPERATION.finditer(text))
    ends = [*(h.start() for h in heads[1:]), text.find("\n## Schemas") if "\n## Schemas" in text else len(text)]
    schemas = schemas_of(text)
    made = [read_operation(head, text[head.end() : end], schemas) for head, end in zip(heads, ends, strict=False)]
    operations = [o for o in made if o is not None]
    collections = list(dict.fromkeys(o.collection for o in operations))
    known = {snake(name): parts for name, parts in schemas.items()}
    fields = {c: known.get(singular(c)) or gathered(c, operations) for c in collections}
    linked = [replace(o, parts=tuple(refer(p, o, collections) for p in o.parts)) for o in operations]
    held = {c: tuple(refer(p, None, collections) for p in parts if p.name != "id") for c, parts in fields.items()}
    heading = re.search(r"^# (.+)$", text, re.M)
    named = distinct(linked)
    ids = {c: next((p.example or p.about for p in parts if p.name == "id"), "") for c, parts in fields.items()}
    title = title or (heading[1] if heading else "API")
    return Service(title, tuple(named[:MOST_OPERATIONS]), held, ids=ids) if named else None


def in_words(text: str) -> str:
    """An OpenAPI document in the readable form that the corpus gives it; other text as it is."""
    if OPERATION.search(text):
        return text
    from preceptor.corpus.openapi import api_text, is_openapi

    tree: Any = None
    try:
        tree = json.loads(text)
    except ValueError:
        try:
            import yaml

            tree = yaml.safe_load(text)
        except Exception:  # without PyYAML, or with text that is no YAML, there is nothing here to compute from
            return text
    return api_text(tree)[0] if is_openapi(tree) else text


def schemas_of(text: str) -> dict[str, tuple[Part, ...]]:
    """The named schemas, each with its fields; those that only list choices stand in for their name."""
    if "\n## Schemas" not in text:
        return {}
    part = text[text.index("\n## Schemas") :]
    heads = list(SCHEMA.finditer(part))
    bodies = {h[1]: part[h.end() : n.start() if n else len(part)] for h, n in zip(heads, [*heads[1:], None], strict=True)}
    choices = {
        name: tuple(m[1].split(", ")) for name, body in bodies.items() if (m := re.match(r"\s*- one of ([^()\n]+)\s*$", body))
    }
    return {name: tuple(read_parts(body, choices)) for name, body in bodies.items() if name not in choices}


def read_operation(head: re.Match[str], body: str, schemas: Mapping[str, Any]) -> Operation | None:
    """One operation of the readable form; None for what is deprecated or has no collection."""
    method, path, given = head.groups()
    steps = [s for s in path.strip("/").split("/") if s]
    words = [s for s in steps if not s.startswith("{")]
    if not words or "\nDeprecated." in body:
        return None
    keyed = next((s.strip("{}") for s in steps if s.startswith("{")), "")
    collection = snake(words[0] if keyed or len(words) == 1 else words[-1])
    after = words[1:] if keyed else []
    act = {"GET": "get" if keyed else "find", "POST": "act" if keyed else "create", "DELETE": "remove"}.get(method, "update")
    if method == "GET" and after:
        return None
    sections = body.split("Responses:")[0]
    choices = {n: p[0].choices for n, p in schemas.items() if len(p) == 1 and p[0].choices}
    parts = tuple(p for p in read_parts(sections, choices) if not p.name.lower().startswith("x-"))
    # The first paragraph alone: what follows are conditions that a service built by code does not keep.
    about = " ".join(re.split(r"\n\s*\n|\nParameters:|\nRequest body|\nResponses:", body.strip())[0].split())
    verb = {"create": "add", "act": after[-1] if after else "act"}.get(act, act)
    name = snake(given or f"{verb}_{singular(collection)}")
    return Operation(
        name,
        act,
        collection,
        parts,
        about.strip(),
        keyed if keyed else "",
        snake(after[-1]) if act == "act" and after else name,
    )


def read_parts(text: str, choices: Mapping[str, tuple[str, ...]]) -> list[Part]:
    """Parameters or fields from their lines."""
    return [part_of(m[1], m[2], m[3] == "required", m[4] or "", choices) for m in ENTRY.finditer(text)]


def part_of(name: str, kind: str, required: bool, about: str, choices: Mapping[str, tuple[str, ...]]) -> Part:
    among = tuple(kind.removeprefix("one of ").split(", ")) if kind.startswith("one of ") else choices.get(kind, ())
    sort = (
        "date"
        if "date" in kind
        else next((k for k in ("integer", "number", "boolean", "list") if kind.startswith(k)), "string")
    )

    def bound(words: str) -> str:
        found = re.search(rf"(?:^|; ){words} ([^;]+)", about)
        return found[1].strip() if found else ""

    least, most, default = bound("at least"), bound("at most"), bound("default")
    plain = re.sub(
        r"(?:^|; )(?:at least|at most|min length|max length|max items|pattern|default|for example) [^;]+", "", about
    ).strip("; ")
    value: Any = None
    if default:
        value = {"true": True, "false": False}.get(default.lower(), default)
        value = int(default) if sort == "integer" and default.lstrip("-").isdigit() else value
    return Part(
        name, sort, required, plain, among, "", number(least), number(most), bound("for example"), bound("pattern"), value
    )


def whole(value: float | None) -> float | int | None:
    return int(value) if value is not None and value.is_integer() else value


def number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def singular(name: str) -> str:
    """`loans` as `loan`, `categories` as `category`."""
    if name.endswith("ies"):
        return name[:-3] + "y"
    return name[:-1] if name.endswith("s") and not name.endswith("ss") else name


def refer(part: Part, operation: Operation | None, collections: Sequence[str]) -> Part:
    """The part, with the collection whose ids it holds where its name or place tells."""
    if operation is not None and part.name == operation.key:
        return replace(part, refers=operation.collection, required=True)
    stem = snake(part.name).removesuffix("_id")
    found = next((c for c in collections if singular(c) == stem and snake(part.name).endswith("_id")), "")
    return replace(part, refers=found)


def gathered(collection: str, operations: Sequence[Operation]) -> tuple[Part, ...]:
    """The fields of a collection without a schema: what is sent when an entry is made or changed, and what can be filtered."""
    parts = {
        p.name: p
        for o in operations
        if o.collection == collection and o.act in ("create", "update", "find")
        for p in o.parts
        if p.name not in ("limit", "q", "page", "offset", "sort") and p.name != o.key
    }
    if "name" in parts:
        return tuple(parts.values())
    points = any(snake(name).endswith("_id") for name in parts)
    return (Part("name", "string", True, "the person it is for" if points else ""), *parts.values())


def distinct(operations: Sequence[Operation]) -> list[Operation]:
    """Each name once; of an operation whose key is not among its parts, with it put there."""
    made: dict[str, Operation] = {}
    for o in operations:
        if o.key and o.key not in [p.name for p in o.parts]:
            o = replace(o, parts=(Part(o.key, "string", True, refers=o.collection), *o.parts))
        made.setdefault(o.name, replace(o, parts=tuple(callable_part(p, o) for p in o.parts)))
    return list(made.values())


def callable_part(part: Part, operation: Operation) -> Part:
    """The part under a name that a Python function can have: `state` is the books, and some words are the language's."""
    if part.name.isidentifier() and not keyword.iskeyword(part.name) and part.name not in TAKEN:
        return part
    return replace(part, name=f"{singular(operation.collection)}_{snake(part.name)}", field=part.name)


# ── reading a table ──────────────────────────────────────────────────────────────────────────────────────────────


def from_table(text: str, title: str = "") -> Service | None:
    """A records service over the rows of a table (CSV, TSV or Markdown). None where there are too few rows."""
    rows = rows_of(text)
    if len(rows) < 4 or len(rows[0]) < 2 or len({len(r) for r in rows}) != 1:
        return None
    columns = [snake(re.sub(r"[^\w\s-]", " ", name)) or f"column_{n}" for n, name in enumerate(rows[0])]
    if len(set(columns)) != len(columns):
        return None
    subject = (
        singular(columns[0])
        if columns[0] not in ("id", "no", "nr", "name")
        else singular(snake(title.split()[0]) if title else "entry")
    )
    collection = subject + "s" if not subject.endswith("s") else subject
    parts = tuple(column_of(name, [r[n] for r in rows[1:]]) for n, name in enumerate(columns) if name != "id")
    prefix = subject[:1].upper() or "E"
    held = {}
    for place, row in enumerate(rows[1:15]):
        key = f"{prefix}{204 + 7 * place}"
        held[key] = {"id": key, **{p.name: valued(p, row[columns.index(p.name)]) for p in parts}, "note": ""}
    key_part = Part(f"{subject}_id", "string", True, f"the id of the {subject}, such as {prefix}204", refers=collection)
    open_parts = [replace(p, required=False) for p in parts]
    operations = (
        Operation(
            f"find_{collection}",
            "find",
            collection,
            (Part("q", "string", False, "words that stand in the entry"), *open_parts[1:3]),
            f"Find {collection} by words or by exact values; notes are not searched for and not shown.",
        ),
        Operation(
            f"get_{subject}", "get", collection, (key_part,), f"One {subject} with all that is recorded of it.", key_part.name
        ),
        Operation(
            f"update_{subject}",
            "update",
            collection,
            (key_part, *open_parts[1:]),
            f"Change values of one {subject}; what is not given stays as it is.",
            key_part.name,
        ),
        Operation(
            f"remove_{subject}",
            "remove",
            collection,
            (key_part,),
            f"Take one {subject} out of the records for good.",
            key_part.name,
        ),
    )
    return Service(title or collection, operations, {collection: parts}, {collection: held})


def rows_of(text: str) -> list[list[str]]:
    """The cells of the first table in a text."""
    lines = [line for line in text.strip().splitlines() if line.strip()]
    piped = [line for line in lines if line.strip().startswith("|")]
    if len(piped) >= 4:
        cells = [[c.strip() for c in line.strip().strip("|").split("|")] for line in piped]
        return [row for row in cells if not all(re.fullmatch(r":?-+:?", c) for c in row)]
    try:
        dialect = csv.Sniffer().sniff("\n".join(lines[:20]), delimiters=",;\t")
    except csv.Error:
        return []
    return [[c.strip() for c in row] for row in csv.reader(io.StringIO("\n".join(lines)), dialect)]


def column_of(name: str, values: Sequence[str]) -> Part:
    """A column as a field: a number where all cells are, choices where a few values come again and again."""
    filled = [v for v in values if v]
    if filled and all(re.fullmatch(r"-?\d+", v) for v in filled):
        return Part(name, "integer", least=min(map(float, filled)), most=max(map(float, filled)))
    if filled and all(re.fullmatch(r"-?\d+(\.\d+)?", v) for v in filled):
        return Part(name, "number", least=min(map(float, filled)), most=max(map(float, filled)))
    if filled and all(re.fullmatch(r"\d{4}-\d\d-\d\d", v) for v in filled):
        return Part(name, "date")
    few = tuple(dict.fromkeys(filled))
    return Part(name, "string", choices=few if 2 <= len(few) <= 5 and len(filled) >= 2 * len(few) else ())


def valued(part: Part, text: str) -> Any:
    if part.kind == "integer" and re.fullmatch(r"-?\d+", text):
        return int(text)
    return float(text) if part.kind == "number" and text else text


# ── from a service to a library ──────────────────────────────────────────────────────────────────────────────────


def tools_of(service: Service) -> list[dict[str, Any]]:
    """The operations as OpenAI declares functions."""
    made = []
    for o in service.operations:
        properties = {p.name: property_of(p) for p in o.parts}
        required = [p.name for p in o.parts if p.required]
        schema = {"type": "object", "properties": properties, "required": required, "additionalProperties": False}
        made.append(
            {
                "type": "function",
                "function": {"name": o.name, "description": o.about or o.name.replace("_", " "), "parameters": schema},
            }
        )
    return made


def property_of(part: Part) -> dict[str, Any]:
    kind = {"date": "string", "list": "array"}.get(part.kind, part.kind)
    made: dict[str, Any] = {
        "type": kind,
        "description": (part.about or part.name.replace("_", " ")) + (" (YYYY-MM-DD)" if part.kind == "date" else ""),
    }
    if kind == "array":
        made["items"] = {"type": "string"}
    if part.choices and kind == "string":
        made["enum"] = list(part.choices)
    if part.kind in ("integer", "number"):
        made |= {name: v for name, v in (("minimum", whole(part.least)), ("maximum", whole(part.most))) if v is not None}
    if part.default is not None:
        made["default"] = part.default
    return made


def effects_of(service: Service) -> dict[str, str]:
    return {o.name: "writes" if o.act in WRITES else "reads" for o in service.operations}


def code_of(service: Service) -> str:
    """The simulator: the shared service text, and one function per operation."""
    core = Path(__file__).with_name("service.py").read_text(encoding="utf-8")
    core = core[core.index("def _record") :]
    return (
        "from typing import Any\n\n"
        + core
        + "\n\n"
        + "\n\n\n".join(function_of(o, service.fields[o.collection]) for o in service.operations)
        + "\n"
    )


def function_of(o: Operation, fields: Sequence[Part]) -> str:
    """The Python function of one operation. A filter that is no field of the records filters nothing."""
    order = sorted(o.parts, key=lambda p: not p.required)
    head = ", ".join(["state", *(p.name if p.required else f"{p.name}={p.default!r}" for p in order)])
    known = {f.name for f in fields}
    given = "{" + ", ".join(f"{(p.field or p.name)!r}: {p.name}" for p in o.parts if p.name != o.key) + "}"
    refers = {p.field or p.name: p.refers for p in o.parts if p.refers and p.name != o.key}
    filters = "{" + ", ".join(f"{(p.field or p.name)!r}: {p.name}" for p in o.parts if (p.field or p.name) in known) + "}"
    names = [p.name for p in o.parts]
    words, limit = ("q" if "q" in names else "None"), ("limit" if "limit" in names else "None")
    body = {
        "find": f"_find(state, {o.collection!r}, {filters}, {words}, {limit})",
        "get": f"_get(state, {o.collection!r}, {o.key})",
        "create": f"_create(state, {o.collection!r}, {refers!r}, {given})",
        "update": f"_update(state, {o.collection!r}, {o.key}, {refers!r}, {given})",
        "act": f"_act(state, {o.collection!r}, {o.key}, {o.action!r}, {given})",
        "remove": f"_remove(state, {o.collection!r}, {o.key})",
    }[o.act]
    return f"def {o.name}({head}):\n    return {body}"


def data_of(service: Service) -> list[dict[str, Any]]:
    """The operations as plain records, for the builders of plans."""
    return [
        {
            "api": o.name,
            "act": o.act,
            "collection": o.collection,
            "key": o.key,
            "action": o.action,
            "about": o.about,
            "parts": [
                {
                    "name": p.name,
                    "field": p.field or p.name,
                    "kind": p.kind,
                    "required": p.required,
                    "choices": list(p.choices),
                    "refers": p.refers,
                    "least": p.least,
                    "most": p.most,
                    "about": p.about,
                }
                for p in o.parts
            ],
        }
        for o in service.operations
    ]
