"""Arguments fit what a tool declares, or the words say why not."""

from typing import Any

import pytest

from preceptor.arguments import fault

SCHEMA = {
    "type": "object",
    "properties": {
        "days": {"type": "integer", "minimum": 1},
        "shed": {"type": "string", "enum": ["a", "b"], "default": "a"},
        "tag": {"type": "string", "pattern": "^T[0-9]{4}$"},
        "odd": {"type": "string", "pattern": "(?<unreadable"},
        "words": {"type": "array", "items": {"type": "string"}, "maxItems": 2},
    },
    "required": ["days"],
}


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ({"days": 2}, ""),
        ({"days": 2.0}, ""),
        ({"days": 0}, "at least 1"),
        ({"days": "2"}, "has to be integer"),
        ({"days": True}, "has to be integer"),
        ({}, "days missing"),
        ({"days": 2, "shed": "c"}, "not one of a, b"),
        ({"days": 2, "shed": None}, "leave out what is not given"),
        ({"days": 2, "x": 1}, "unknown x"),
        ({"days": 2, "tag": "T0417"}, ""),
        ({"days": 2, "tag": "417"}, "does not have the form"),
        ({"days": 2, "odd": "anything"}, ""),
        ({"days": 2, "words": ["a", 1]}, "words[1]: has to be string"),
        ({"days": 2, "words": ["a", "b", "c"]}, "at most 2"),
    ],
)
def test_arguments_fit_their_schema_or_say_why_not(value: dict[str, Any], why: str) -> None:
    said = fault(SCHEMA, value)
    assert why in said
    assert bool(why) is bool(said)
