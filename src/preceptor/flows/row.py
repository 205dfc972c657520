"""The row as the student will see it: what is asked, in which words and layout, and what comes back as an answer.

Format, length, register, system message and layout are drawn by rule from the pack's styles, so that rows do not all
look alike, and stored with the row.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import orjson

from preceptor.draws import draw
from preceptor.flows.shapes import LETTERS
from preceptor.prompts import laid_out
from preceptor.skill import Skill
from preceptor.types import Instruction, Message, Reply, Style

PLAIN_LAYOUT: Mapping[str, Any] = {
    "name": "plain",
    "template": "{% if passage %}{{ passage }}\n\n{% endif %}{{ question }}{% if options %}\n\n{{ options }}{% endif %}"
    "{% if wording %}\n\n{{ wording }}{% endif %}",
}
NO_STYLE: Mapping[str, Any] = {"name": "plain", "wording": [""], "final": "the bare answer"}


def styled(instruction: Instruction, skill: Skill, seed: str) -> Instruction:
    """The instruction with its style drawn; a style that it has already stays."""
    if instruction.style != Style():
        return instruction
    fit = [f for f in skill.styles.get("format", ()) if instruction.shape in f.get("shapes", (instruction.shape,))]

    def drawn(table: str, entries: tuple[Mapping[str, Any], ...] | list[Mapping[str, Any]], key: str) -> Mapping[str, Any]:
        found = entries and draw(
            entries,
            seed,
            "style",
            table,
            instruction.id,
            name=lambda e: str(e[key]),
            weight=lambda e: float(e.get("share", 1.0)),
        )
        return found[0] if found else {}

    form = drawn("format", fit, "name")
    lengths = [e for e in skill.styles.get("length", ()) if e["name"] in form.get("lengths", (e["name"],))]
    style = Style(
        format=str(form.get("name", "plain")),
        length=str(drawn("length", lengths, "name").get("name", "" if "lengths" in form else "medium")),
        register=str(drawn("register", skill.styles.get("register", ()), "name").get("name", "neutral")),
        system=localised(drawn("system", skill.styles.get("system", ()), "text"), "text", language_of(instruction)),
        layout=str(drawn("layout", skill.styles.get("layout", ()), "name").get("name", "plain")),
    )
    return instruction if style == instruction.style else replace(instruction, style=style)


def language_of(instruction: Instruction) -> str:
    """The language the row is in."""
    return instruction.material.language or instruction.material.document.language


def localised(entry: Mapping[str, Any], key: str, language: str) -> Any:
    """`entry[key]` in this language: its own wording, else English for English and nothing for another."""
    if language in ("en", "und", ""):
        return entry.get(key, "")
    return entry.get(f"{key}_{language}", "")


def phrase(skill: Skill, table: str, language: str) -> str:
    """The agreed words of this table in this language, else in English."""
    return next((str(localised(e, "text", language) or e["text"]) for e in skill.styles.get(table, ())), "")


def entry_of(skill: Skill, table: str, name: str, default: Mapping[str, Any]) -> Mapping[str, Any]:
    """The entry of a style table by its name."""
    return next((e for e in skill.styles.get(table, ()) if e.get("name") == name), default)


def untold(instruction: Instruction, skill: Skill) -> str:
    """How `final` says in the row's language that the text does not tell; empty where one of the task's labels says it."""
    return "" if skill.kind(instruction.kind).data.get("every_case") else phrase(skill, "untold", language_of(instruction))


def format_of(instruction: Instruction, skill: Skill) -> dict[str, str]:
    """What the answerer is told of the form: the name, what `final` must hold, the drawn length (empty where the form
    itself says it) and register, and how `final` says that the text does not tell (`untold`)."""
    entry = entry_of(skill, "format", instruction.style.format, NO_STYLE)
    length = entry_of(skill, "length", instruction.style.length, {})
    register = entry_of(skill, "register", instruction.style.register, {})
    return {
        "name": instruction.style.format,
        "final": str(entry.get("final", "the bare answer")),
        "about": str(entry.get("about", "")),
        "length": str(length.get("wording", instruction.style.length)),
        "register": str(register.get("wording", instruction.style.register)),
        "untold": untold(instruction, skill),
        "mistaken": phrase(skill, "mistaken", language_of(instruction)),
    }


def task_of(instruction: Instruction, skill: Skill) -> str:
    """Exactly the user's message of the row: passage, question, options and the wording of the format."""
    language = language_of(instruction)
    entry = entry_of(skill, "format", instruction.style.format, NO_STYLE)
    wordings = localised(entry, "wording", language) or [""]
    wordings = [wordings] if isinstance(wordings, str) else wordings
    wording = draw(wordings, "wording", instruction.id)[0]
    layout = entry_of(skill, "layout", instruction.style.layout, PLAIN_LAYOUT)
    template = localised(layout, "template", language) or PLAIN_LAYOUT["template"]
    passage = instruction.material.text if instruction.shows_material and not instruction.data.get("text_in_history") else ""
    slots = {
        "passage": passage,
        "text": passage,
        "question": instruction.text,
        "request": instruction.text,
        "options": options_text(instruction),
        "wording": wording,
    }
    return laid_out(template, slots).strip()


def options_text(instruction: Instruction) -> str:
    """What stands below the question: options by letter, items or columns in the shuffled order, or labels."""
    if instruction.options:
        return "\n".join(f"({LETTERS[i]}) {option.text}" for i, option in enumerate(instruction.options))
    data = instruction.data
    if data.get("shown"):
        return "\n".join(f"- {item}" for item in data["shown"])
    if data.get("left") and data.get("right"):
        left = "\n".join(f"{i}. {item}" for i, item in enumerate(data["left"], 1))
        return left + "\n\n" + "\n".join(f"- {item}" for item in data["right"])
    if data.get("labels"):
        return "\n".join(f"- {label}" for label in data["labels"])
    return ""


def opening(instruction: Instruction, skill: Skill) -> tuple[Message, ...]:
    """The row up to the answer: system message where one was drawn, earlier turns, the task."""
    system: tuple[Message, ...] = ()
    if instruction.style.system:
        system = ({"role": "system", "content": instruction.style.system},)
    return (*system, *instruction.history, {"role": "user", "content": task_of(instruction, skill)})


def answer_of(reply: Reply) -> tuple[str, dict[str, Any]]:
    """The answer the student will learn to write, and the fields with the bare answer in `final`."""
    fields = dict(reply.fields)
    answer = next((fields[name] for name in ("answer", "text", "final") if name in fields), reply.text)
    answer = answer if isinstance(answer, str) else orjson.dumps(answer).decode()
    fields.setdefault("final", answer)
    return answer, fields
