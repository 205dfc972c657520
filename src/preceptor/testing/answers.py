"""The right answer to an instruction, written as an answerer would: read from its gold, or worked out from its text.

This is the oracle's side of the simulation. No check reads it.
"""

import re
from collections.abc import Mapping
from typing import Any

import orjson

from preceptor.flows.shapes import LETTERS
from preceptor.testing.invent import shown
from preceptor.types import Instruction

UNTOLD = {"en": "The text does not say.", "de": "Das sagt der Text nicht.", "hi": "पाठ यह नहीं बताता।"}


def right_final(instruction: Instruction) -> str:
    """The bare answer that is right."""
    gold = instruction.gold
    if gold is None or gold.form == "none" or gold.value is None:
        return _without_gold(instruction)
    match gold.form:
        case "number":
            return shown(float(gold.value)) if isinstance(gold.value, int | float) else str(gold.value)
        case "set" | "order":
            return orjson.dumps(list(gold.value)).decode()
        case "pairs":
            return orjson.dumps(dict(gold.value)).decode()
        case "state":
            return ""
    return str(gold.value)


def _without_gold(instruction: Instruction) -> str:
    if instruction.answerability != "answerable":
        code = instruction.material.language or instruction.material.document.language
        return UNTOLD.get(code, UNTOLD["en"])
    points = instruction.data.get("points") or ()
    return " ".join(str(p) for p in points) or f"This is what there is to say: {instruction.material.text[:400]}"


def right_answer(instruction: Instruction, fields: Mapping[str, Any], form: Mapping[str, str]) -> dict[str, str]:
    """Answer and final for the answerer's fields: the answer says the bare one, with words of the text around it."""
    final = right_final(instruction)
    gold = instruction.gold
    if gold is None or gold.form in ("none", "edit", "state"):
        return {"answer": final, "final": final}
    said = final
    if gold.form == "option":
        option = instruction.options[LETTERS.index(final)]
        said = f"({final}) {option.text}"
    elif gold.form == "number" and instruction.data.get("unit"):
        said = f"{final} {instruction.data['unit']}"
    elif gold.form in ("set", "order"):
        said = "\n".join(f"{n}. {v}" for n, v in enumerate(gold.value, 1))
    elif gold.form == "pairs":
        said = "\n".join(f"- {left}: {right}" for left, right in gold.value.items())
    evidence = gold.evidence[0] if gold.evidence and gold.form in ("text", "number", "label") else ""
    if evidence and not re.search(r"letter|bare|only|exact|json", " ".join(form.values()).lower()):
        said = f"{said} – as in: “{evidence}”"
    return {"answer": said, "final": final}
