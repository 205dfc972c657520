"""An example as a training row: the conversation as `datasets` and TRL read it, and beside it where it comes from.

Arguments of tool calls are objects, as TRL's documentation gives them, never JSON in a string and never padded with
nulls: in Parquet `messages` and `tools` are lists of JSON values (pyarrow's json type, `datasets`' Json feature).
"""

from collections.abc import Mapping
from typing import Any, Literal

import orjson

from preceptor.types import Example, Instruction, Material, Message

Reasoning = Literal["drop", "field", "think"]
JSON_COLUMNS = ("messages", "tools", "prompt", "chosen", "rejected")
"""Columns that hold lists of JSON values."""


def row_of(example: Example, skill: str, item: str = "", *, reasoning: Reasoning = "drop") -> dict[str, Any]:
    """One row: `messages`, `tools`, kind, verdicts, gold and lineage. With `field` reasoning has a column of its own,
    with `think` it stands in <think> tags before the last answer, with `drop` it is left out."""
    instruction = example.instruction
    messages = [plain(m) for m in example.messages]
    if reasoning == "think" and example.reasoning:
        messages[-1] = {**messages[-1], "content": f"<think>\n{example.reasoning}\n</think>\n\n{messages[-1]['content']}"}
    row = {
        "id": example.id,
        "messages": messages,
        "tools": [wrapped(t) for t in instruction.tools],
        "skill": skill,
        "kind": instruction.kind,
        "genre": instruction.material.genre,
        "answerability": instruction.answerability,
        "answered_by": example.answered_by,
        "status": example.status,
        "tries": example.tries,
        "model": example.model,
        "language": language(instruction),
        "domain": instruction.material.data.get("domain") or instruction.material.document.domain,
        "shape": instruction.shape,
        "gold": as_json({"form": g.form, "value": g.value, "made_by": g.made_by} if (g := instruction.gold) else None),
        "verdicts": as_json(
            [
                {
                    "check": v.check,
                    "outcome": v.outcome,
                    "decides": v.decides,
                    "version": v.version,
                    "by": v.by,
                    "evidence": v.evidence,
                }
                for v in example.verdicts
            ]
        ),
        "style": as_json(
            {
                "format": instruction.style.format,
                "length": instruction.style.length,
                "register": instruction.style.register,
                "layout": instruction.style.layout,
            }
        ),
        "lineage": as_json(lineage(example, item)),
        "source": instruction.material.document.source,
        "licence": instruction.material.document.licence,
        "characters": sum(len(str(m.get("content") or "")) for m in messages),
    }
    if reasoning == "field":
        row["reasoning"] = example.reasoning
    return row


def language(instruction: Instruction) -> str:
    """The language of the row."""
    return instruction.material.language or instruction.material.document.language


def as_json(value: Any) -> str:
    """A column that is looked at, not trained on: JSON as text, so that rows of all kinds share one schema."""
    return orjson.dumps(value, default=str).decode()


def plain(message: Message) -> dict[str, Any]:
    """The message without empty fields, its tool calls with arguments as objects."""
    made = {k: v for k, v in message.items() if v is not None and not (k == "tool_calls" and not v)}
    if "tool_calls" in made:
        made["tool_calls"] = [_call(c) for c in made["tool_calls"]]
        made.setdefault("content", "")
    return made


def _call(call: Mapping[str, Any]) -> dict[str, Any]:
    function = call["function"]
    arguments = function["arguments"]
    arguments = orjson.loads(arguments) if isinstance(arguments, str) else arguments
    kept = {k: v for k, v in call.items() if k not in ("function", "index") and v is not None}
    return {"type": "function", **kept, "function": {"name": function["name"], "arguments": arguments}}


def wrapped(tool: Mapping[str, Any]) -> dict[str, Any]:
    """A tool's declaration in the form of a function tool."""
    return dict(tool) if "function" in tool else {"type": "function", "function": dict(tool)}


def lineage(example: Example, item: str = "") -> dict[str, Any]:
    """Which document, which agents, which refinement, which models: enough to find all of it in the run."""
    instruction = example.instruction
    document = instruction.material.document
    goals = []
    step: Instruction | None = instruction
    while step is not None and step.parent is not None:
        goals.append({"goal": step.goal, "suggestion": step.suggestion, "parent": step.parent.id})
        step = step.parent
    return {
        "item": item,
        "document": document.id,
        "source": document.source,
        "span": document.span,
        "material": instruction.material.id,
        "transformer": instruction.material.genre,
        "change": _change(instruction.material),
        "instruction": instruction.id,
        "made_by": instruction.made_by,
        "refinement": goals,
        "drafts": [
            {
                "by": d.by,
                "model": d.model,
                "critique": d.critique,
                "failed": [v.check for v in d.verdicts if v.outcome == "fail"],
            }
            for d in example.drafts
        ],
    }


def _change(material: Material) -> Any:
    return dict(material.change) if material.change else None
