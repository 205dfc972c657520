"""A run's rows as plain chat, and what of them is held back: documents by a rule on their name, wordings that exams use.

Functions, calls and results are written into the messages as text, so that one row is the same text for a folder of
weights, for llama.cpp and behind an endpoint, whatever each of them makes of native tool calls.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import orjson

from preceptor.draws import fraction
from preceptor.errors import UserError
from preceptor.prompts import fill
from preceptor.skill import Kind, Skill, read_toml
from preceptor.types import Example, Instruction, Message

HELD_OUT = 0.25
"""Share of the documents that no training row may come from."""
TEXTS = Path(__file__).with_name("exam.toml")
SLOT = re.compile(r"\{\{.*?\}\}|\{\w+\}")


@dataclass(frozen=True, slots=True)
class Row:
    """One conversation to learn from, and what is needed to look for it elsewhere."""

    id: str
    skill: str
    kind: str
    source: str
    messages: tuple[Message, ...]
    passage: str = ""
    instruction: str = ""
    answer: str = ""
    refined: bool = False


@lru_cache(maxsize=1)
def texts() -> Mapping[str, Any]:
    """Layouts and wordings of exams: no pack has them, and no training row may."""
    return read_toml(TEXTS)


# ── what is held back ────────────────────────────────────────────────────────────────────────────────────────────


def file_of(source: str) -> str:
    """The file of a source: rows of one table or records of one file belong together."""
    return source.split("#", 1)[0]


def held_out(source: str, share: float = HELD_OUT) -> bool:
    """Whether this document is for exams alone. Decided by its name, so that train and exam need not know of each other."""
    return fraction("held out", file_of(source)) < share


def wordings(kind: Kind, skill: Skill) -> Sequence[str]:
    """The English wordings that the kind's builder draws from; none for kinds that an agent words."""
    found = kind.data.get("wording") or ()
    if not found and (file := skill.path / "2_instruct" / "table_wordings.toml").is_file():
        found = read_toml(file).get(kind.name, {}).get("en", ())
    return list(found)


def reserved(kind: Kind, skill: Skill) -> str:
    """The wording of this kind that is for exams alone; empty where the kind has fewer than two."""
    found = wordings(kind, skill)
    return str(found[-1]) if len(found) > 1 else ""


def follows(text: str, wording: str) -> bool:
    """Whether a text is this wording with its slots filled."""
    if not wording:
        return False
    pattern = ".+?".join(re.escape(part) for part in SLOT.split(wording))
    return re.fullmatch(pattern, text.strip(), re.S) is not None


def for_exams(example: Example, skill: Skill) -> str:
    """Why this row must not be trained on: its document or its wording is held back. Empty for all others."""
    instruction = example.instruction
    if held_out(instruction.material.document.source):
        return "held-out document"
    return "held-out wording" if in_exam_words(instruction, skill) else ""


def in_exam_words(instruction: Instruction, skill: Skill) -> bool:
    """Whether the task, or one of those it is composed of, is put in a wording that is for exams alone."""
    parts = [str(request) for request in instruction.data.get("requests", ())]
    kinds = skill.kinds if parts else [k for k in skill.kinds if k.name == instruction.kind]
    return any(follows(text, reserved(kind, skill)) for text in (instruction.text, *parts) for kind in kinds)


# ── a row as plain chat ──────────────────────────────────────────────────────────────────────────────────────────


def row_of(example: Example, skill: str) -> Row:
    """The example as a training row."""
    instruction = example.instruction
    return Row(
        example.id,
        skill,
        instruction.kind,
        instruction.material.document.source,
        tuple(chat(example.messages, instruction.tools)),
        instruction.material.text if instruction.shows_material else "",
        instruction.text,
        example.answer,
        bool(instruction.goal),
    )


def chat(messages: Sequence[Message], tools: Sequence[Mapping[str, Any]] = ()) -> list[dict[str, str]]:
    """The conversation as system, user and assistant messages of text alone."""
    made: list[dict[str, str]] = []
    names: dict[str, str] = {}
    for message in messages:
        role, content = str(message["role"]), str(message.get("content") or "")
        if role == "tool":
            name = names.get(str(message.get("tool_call_id")), "the call")
            made.append({"role": "user", "content": f"Result of {name}: {content}"})
            continue
        calls = [call_of(call) for call in message.get("tool_calls") or ()]
        names |= {str(c["id"]): c["function"]["name"] for c in message.get("tool_calls") or ()}
        lines = [content, *(written(call["name"], call["arguments"]) for call in calls)]
        made.append({"role": role, "content": "\n".join(line for line in lines if line)})
    if tools:
        told = fill(str(texts()["functions"]), {"functions": "\n".join(map(signature, tools))}).strip()
        opening = made[0]["content"] + "\n\n" if made and made[0]["role"] == "system" else ""
        made = [{"role": "system", "content": opening + told}, *(made[1:] if opening else made)]
    return made


def call_of(call: Mapping[str, Any]) -> dict[str, Any]:
    """Name and arguments of a tool call."""
    arguments = call["function"]["arguments"]
    return {"name": call["function"]["name"], "arguments": orjson.loads(arguments) if isinstance(arguments, str) else arguments}


def written(name: str, arguments: Mapping[str, Any]) -> str:
    """A call as the student writes it."""
    return orjson.dumps({"name": name, "arguments": arguments}).decode()


def signature(tool: Mapping[str, Any]) -> str:
    """A function in one line: its parameters, the optional ones with a question mark, and what it does."""
    function = tool.get("function", tool)
    schema = function.get("parameters", {})
    needed = set(schema.get("required", ()))
    parts = [
        f"{name}{'' if name in needed else '?'}: {'|'.join(map(str, p['enum'])) if 'enum' in p else p.get('type', 'any')}"
        for name, p in schema.get("properties", {}).items()
    ]
    about = str(function.get("description", "")).split("; ")[0].rstrip(".")
    return f"- {function['name']}({', '.join(parts)}): {about}"


# ── from a run ───────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Held:
    """A run's accepted rows: those to train on, and why the others are not."""

    rows: tuple[Row, ...]
    left_out: Mapping[str, int]


def training_rows(run: Path) -> Held:
    """The accepted rows of a run that may be trained on. Raises UserError where there is no run or no row."""
    from preceptor.engine.store import Store
    from preceptor.export import skill_of

    if not (run / "run.db").is_file():
        raise UserError(f"no run at {run}; a run's folder holds run.db. Make one: preceptor run RECIPE")
    store = Store(run)
    try:
        recipe, stored = store.meta("recipe") or {}, list(store.examples("accepted"))
    finally:
        store.close()
    skills = {name: skill_of(name, recipe) for name in {s.skill for s in stored}}
    rows, left_out = [], dict[str, int]()
    for held in stored:
        why = for_exams(held.node, skills[held.skill])
        if why:
            left_out[why] = left_out.get(why, 0) + 1
        else:
            rows.append(row_of(held.node, held.skill))
    if not rows:
        why = ", ".join(f"{n} {w}" for w, n in left_out.items()) or "it has no accepted row"
        raise UserError(f"nothing to train on in {run}: {why}")
    return Held(tuple(rows), left_out)


def opening_for(instruction: Instruction) -> list[dict[str, str]]:
    """System and user message of an exam item: layouts and words that no training row has."""
    from preceptor.flows.row import options_text

    said = texts()
    shown = instruction.shows_material and not instruction.data.get("text_in_history")
    slots = {
        "passage": instruction.material.text if shown else "",
        "question": instruction.text,
        "options": options_text(instruction),
        "wording": said["wording"].get(instruction.shape, ""),
    }
    layout = said["layout"]["edit" if instruction.shape == "edit" else "other"]
    system = {"role": "system", "content": str(said["system"][instruction.shape if instruction.shape == "edit" else "other"])}
    return [system, *map(dict, instruction.history), {"role": "user", "content": laid(str(layout), slots)}]


def laid(template: str, slots: Mapping[str, str]) -> str:
    """The layout filled."""
    from preceptor.prompts import laid_out

    return str(laid_out(template, slots)).strip()
