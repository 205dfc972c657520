"""Do these arguments fit a tool's declared parameters? The part of JSON Schema that tools use, and no more."""

import re
from collections.abc import Mapping
from typing import Any

_TYPES: Mapping[str, tuple[type, ...]] = {
    "string": (str,), "integer": (int,), "number": (int, float), "boolean": (bool,), "array": (list, tuple),
    "object": (dict, Mapping), "null": (type(None),),
}


def parameters(declaration: Mapping[str, Any]) -> Mapping[str, Any]:
    """The parameters of a declaration, be it the bare function or OpenAI's envelope around it."""
    found: Mapping[str, Any] = declaration.get("function", declaration).get("parameters", {})
    return found


def fault(schema: Mapping[str, Any], value: Any, where: str = "arguments") -> str:
    """What is wrong with `value` under `schema`, in words for a model; empty where nothing is."""
    kinds = schema.get("type", ())
    kinds = (kinds,) if isinstance(kinds, str) else tuple(kinds)
    if value is None and kinds and "null" not in kinds:
        return f"{where}: null, which is no value; leave out what is not given"
    if kinds and not any(_is(value, kind) for kind in kinds):
        return f"{where}: has to be {' or '.join(kinds)}, is {type(value).__name__}"
    if schema.get("enum") and value not in schema["enum"]:
        return f"{where}: {value!r} is not one of {', '.join(map(str, schema['enum']))}"
    if isinstance(value, str):
        wrong = _outside(schema, len(value), "minLength", "maxLength", f"{where}: characters")
        return wrong or _other_form(schema, value, where)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _outside(schema, value, "minimum", "maximum", where)
    if isinstance(value, list | tuple):
        wrong = _outside(schema, len(value), "minItems", "maxItems", f"{where}: entries")
        inner = schema.get("items", {})
        return wrong or next(filter(None, (fault(inner, v, f"{where}[{n}]") for n, v in enumerate(value))), "")
    return _object(schema, value, where) if isinstance(value, Mapping) else ""


def _is(value: Any, kind: str) -> bool:
    if isinstance(value, bool):
        return kind == "boolean"
    whole = isinstance(value, float) and value.is_integer()
    return isinstance(value, _TYPES.get(kind, ())) or (kind == "integer" and whole)


def _outside(schema: Mapping[str, Any], size: float, least: str, most: str, what: str) -> str:
    if least in schema and size < schema[least]:
        return f"{what}: at least {schema[least]}, is {size}"
    if most in schema and size > schema[most]:
        return f"{what}: at most {schema[most]}, is {size}"
    return ""


def _other_form(schema: Mapping[str, Any], value: str, where: str) -> str:
    pattern = schema.get("pattern")
    try:
        fits = not pattern or re.search(pattern, value)
    except re.error:  # JSON Schema's patterns are ECMAScript's; what Python cannot read decides nothing
        return ""
    return "" if fits else f"{where}: {value!r} does not have the form {pattern}"


def _object(schema: Mapping[str, Any], value: Mapping[str, Any], where: str) -> str:
    known = schema.get("properties", {})
    if missing := [name for name in schema.get("required", ()) if name not in value]:
        return f"{where}: {', '.join(missing)} missing"
    extra = [name for name in value if name not in known]
    if extra and schema.get("additionalProperties", not known) is False:
        return f"{where}: unknown {', '.join(extra)}; there are: {', '.join(known) or 'none'}"
    return next(filter(None, (fault(known[n], v, f"{where}.{n}") for n, v in value.items() if n in known)), "")
