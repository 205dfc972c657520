"""An OpenAPI or Swagger description as one readable section per operation, references resolved."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
DEEPEST = 4  # levels of a schema that are written out; deeper ones are named


def is_openapi(tree: Any) -> bool:
    return isinstance(tree, dict) and ("openapi" in tree or "swagger" in tree) and isinstance(tree.get("paths"), dict)


def api_text(tree: Mapping[str, Any]) -> tuple[str, str, str]:
    """The description as Markdown, its title, and the licence it names (empty for none)."""
    info = mapping(tree.get("info"))
    title = one_line(info.get("title")) or "API"
    licence = mapping(info.get("license"))
    parts = [f"# {title}", *overview(tree, info)]
    for path, item in mapping(tree.get("paths")).items():
        item = resolved(item, tree)
        for method in METHODS:
            if isinstance(item.get(method), dict):
                parts.append(operation(str(path), method, item[method], item, tree))
    schemas = mapping(mapping(tree.get("components")).get("schemas")) or mapping(tree.get("definitions"))
    if schemas:
        parts.append("## Schemas")
        parts += [f"### {name}\n\n" + "\n".join(schema_lines(schema, tree)) for name, schema in schemas.items()]
    return "\n\n".join(part for part in parts if part), title, str(licence.get("identifier") or licence.get("name") or "")


def overview(tree: Mapping[str, Any], info: Mapping[str, Any]) -> Iterator[str]:
    """Description, version, addresses and authentication."""
    yield str(info.get("description") or "").strip()
    facts = [f"Version: {info['version']}"] if info.get("version") else []
    facts += [f"Server: {mapping(server).get('url')}" for server in listing(tree.get("servers"))]
    if tree.get("host"):
        facts.append(f"Server: {tree['host']}{tree.get('basePath', '')}")
    schemes = mapping(mapping(tree.get("components")).get("securitySchemes")) or mapping(tree.get("securityDefinitions"))
    for name, scheme in schemes.items():
        scheme = mapping(scheme)
        words = [str(scheme[key]) for key in ("type", "scheme", "in", "name") if scheme.get(key)]
        facts.append(f"Authentication: {name} ({', '.join(words)})")
    yield "\n".join(facts)


def operation(path: str, method: str, op: Mapping[str, Any], item: Mapping[str, Any], tree: Mapping[str, Any]) -> str:
    """One operation: name, purpose, parameters, body and answers."""
    name = op.get("operationId")
    lines = [f"## {method.upper()} {path}" + (f" ({name})" if name else ""), ""]
    for key in ("summary", "description"):
        if op.get(key):
            lines += [str(op[key]).strip(), ""]
    if op.get("deprecated"):
        lines += ["Deprecated.", ""]
    parameters = [resolved(p, tree) for p in [*listing(item.get("parameters")), *listing(op.get("parameters"))]]
    rows = [parameter(p, tree) for p in parameters if p.get("in") != "body"]
    lines += ["Parameters:", *rows, ""] if rows else []
    lines += body(op, parameters, tree)
    lines += answers(op, tree)
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


def parameter(p: Mapping[str, Any], tree: Mapping[str, Any]) -> str:
    schema = resolved(p.get("schema") or p, tree)
    need = "required" if p.get("required") else "optional"
    return f"- {p.get('name')} ({p.get('in')}, {type_of(schema, tree)}, {need})" + about(p, schema)


def body(op: Mapping[str, Any], parameters: list[Mapping[str, Any]], tree: Mapping[str, Any]) -> list[str]:
    """What is sent: OpenAPI's requestBody or Swagger's body parameter."""
    sent = resolved(op.get("requestBody"), tree)
    schema = next((content.get("schema") for content in map(mapping, mapping(sent.get("content")).values())), None)
    schema = schema or next((p.get("schema") for p in parameters if p.get("in") == "body"), None)
    if not schema:
        return []
    need = " (required)" if sent.get("required") else ""
    return [f"Request body{need}:", *schema_lines(schema, tree), ""]


def answers(op: Mapping[str, Any], tree: Mapping[str, Any]) -> list[str]:
    lines = []
    for code, answer in mapping(op.get("responses")).items():
        answer = resolved(answer, tree)
        schema = next((mapping(c).get("schema") for c in mapping(answer.get("content")).values()), answer.get("schema"))
        kind = f" Returns {type_of(schema, tree)}." if schema else ""
        lines.append(f"- {code}: {one_line(answer.get('description'))}{kind}")
    return ["Responses:", *lines] if lines else []


def schema_lines(schema: Any, tree: Mapping[str, Any], depth: int = 0) -> list[str]:
    """A schema as an indented list of its properties."""
    schema = resolved(schema, tree)
    parts = [resolved(part, tree) for part in listing(schema.get("allOf"))]
    required = {str(name) for part in [schema, *parts] for name in listing(part.get("required"))}
    properties = {k: v for part in [*parts, schema] for k, v in mapping(part.get("properties")).items()}
    if not properties:
        return ["  " * depth + f"- {type_of(schema, tree)}{about(schema, schema)}"]
    lines = []
    for name, value in properties.items():
        inner = resolved(value, tree)
        need = "required" if name in required else "optional"
        lines.append("  " * depth + f"- {name} ({type_of(value, tree)}, {need})" + about(mapping(value), inner))
        if depth < DEEPEST and mapping(inner.get("properties")) and "$ref" not in mapping(value):
            lines += schema_lines(inner, tree, depth + 1)
    return lines


def type_of(schema: Any, tree: Mapping[str, Any], depth: int = 0) -> str:
    """The type in words: `string`, `one of a, b`, `list of Loan`."""
    named = mapping(schema).get("$ref")
    if named:
        return str(named).rpartition("/")[2]
    schema = mapping(schema)
    if schema.get("enum"):
        return "one of " + ", ".join(map(str, listing(schema["enum"])))
    if schema.get("type") == "array" and depth < DEEPEST:
        return "list of " + type_of(schema.get("items") or {}, tree, depth + 1)
    for key, word in (("oneOf", " or "), ("anyOf", " or "), ("allOf", " and ")):
        if schema.get(key) and depth < DEEPEST:
            return word.join(type_of(part, tree, depth + 1) for part in listing(schema[key]))
    kind = schema.get("type") or ("object" if schema.get("properties") else "any")
    kind = " or ".join(map(str, kind)) if isinstance(kind, list) else str(kind)
    return kind + (f" ({schema['format']})" if schema.get("format") else "")


def about(thing: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    """Description, bounds, default and example, as the tail of a line."""
    words = [one_line(thing.get("description") or (schema.get("description") if thing is not schema else ""))]
    for key, label in (
        ("minimum", "at least"), ("maximum", "at most"), ("minLength", "min length"), ("maxLength", "max length"),
        ("maxItems", "max items"), ("pattern", "pattern"), ("default", "default"), ("example", "for example"),
    ):  # fmt: skip
        if key in schema or key in thing:
            words.append(f"{label} {one_line(schema.get(key, thing.get(key)))}")
    said = "; ".join(word for word in words if word)
    return f": {said}" if said else ""


def resolved(thing: Any, tree: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a local `$ref` points at, or `thing`; an empty mapping where it points nowhere or in a circle."""
    for _ in range(20):
        here = mapping(thing)
        pointer = here.get("$ref")
        if not isinstance(pointer, str):
            return here
        if not pointer.startswith("#/"):
            return {"description": f"see {pointer}"}
        thing = tree
        for key in pointer[2:].split("/"):
            thing = mapping(thing).get(key.replace("~1", "/").replace("~0", "~"))
    return {}


def mapping(thing: Any) -> Mapping[str, Any]:
    return thing if isinstance(thing, dict) else {}


def listing(thing: Any) -> list[Any]:
    return thing if isinstance(thing, list) else []


def one_line(thing: Any) -> str:
    if isinstance(thing, bool):
        return "true" if thing else "false"
    return " ".join(str(thing).split()) if thing is not None else ""
