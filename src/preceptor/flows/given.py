"""Instructions that exist already: a row of a file becomes an instruction, and only its answer is made."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import orjson

from preceptor.errors import RecipeError
from preceptor.flows.shapes import GOLDS, with_gold
from preceptor.skill import Kind, Skill
from preceptor.types import Document, Instruction, Material

KEYS = (
    "instruction",
    "question",
    "passage",
    "kind",
    "shape",
    "answer",
    "answers",
    "accepts",
    "options",
    "labels",
    "items",
    "pairs",
    "unit",
    "evidence",
    "system",
    "history",
    "points",
    "language",
    "data",
)
GOLD_CHECKS = {
    "short": "gold_text",
    "number": "gold_number",
    "set": "gold_set",
    "order": "gold_order",
    "pairs": "gold_pairs",
    "multiple_choice": "option_key",
    "label": "gold_label",
}


def with_given(skill: Skill) -> Skill:
    """The skill with one kind for each shape that a given instruction may have: `given_short`, `given_open` …"""
    kinds = [
        Kind(f"given_{shape}", "An instruction that existed already.", shape=shape, checks=(check,), tier="listed")
        for shape, check in GOLD_CHECKS.items()
    ]
    kinds.append(
        Kind(
            "given_open",
            "An instruction that existed already.",
            shape="open",
            checks=("rubric",),
            needs=("judge",),
            tier="listed",
        )
    )
    return replace(skill, kinds=(*skill.kinds, *(k for k in kinds if k.name not in {o.name for o in skill.kinds})))


def given(document: Document, skill: Skill, seed: str) -> Instruction:
    """The instruction in a document of kind `instruction`, whose text is the row as JSON."""
    row: Mapping[str, Any] = orjson.loads(document.text)
    if unknown := [key for key in row if key not in KEYS]:
        raise RecipeError(f"{document.source}: unknown key {unknown[0]!r}; there are: {', '.join(KEYS)}")
    text = row.get("instruction") or row.get("question")
    if not text:
        raise RecipeError(f"{document.source}: a row needs `instruction`, the task in words")
    kind = skill.kind(row["kind"]) if "kind" in row else skill.kind(f"given_{shape_of(row)}")
    passage = str(row.get("passage", ""))
    material = Material(document, "given", passage, language=row.get("language", document.language))
    bare = Instruction(
        material,
        kind.name,
        text,
        kind.shape,
        shows_material=bool(passage),
        made_by="given",
        history=tuple(row.get("history", ())),
        data={**kind.data, **row.get("data", {}), "points": list(row.get("points", ()))},
    )
    return with_gold(bare, row, seed) if kind.shape in GOLDS else bare


def shape_of(row: Mapping[str, Any]) -> str:
    """The shape that a row's own keys tell."""
    if "shape" in row:
        return str(row["shape"])
    for key, shape in (
        ("options", "multiple_choice"),
        ("labels", "label"),
        ("pairs", "pairs"),
        ("items", "order"),
        ("answers", "set"),
    ):
        if key in row:
            return shape
    if "answer" in row:
        return "number" if isinstance(row["answer"], int | float) and not isinstance(row["answer"], bool) else "short"
    return "open"
