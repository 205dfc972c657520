"""The right answer to an instruction, written as an answerer would: read from its gold, or worked out from its text.

This is the oracle's side of the simulation. No check reads it.
"""

from collections.abc import Mapping
from typing import Any

import orjson

from preceptor.flows.shapes import LETTERS
from preceptor.testing.invent import clipped, shown
from preceptor.types import Instruction

UNTOLD = {
    "en": "The text does not say: that is not stated in it.",
    "de": "Das ist im Text nicht angegeben; er sagt es nicht.",
    "hi": "यह पाठ में नहीं बताया गया है।",
}
SAYS = {
    "en": ("The text says:", "That is how the text has it, read from beginning to end.", "Answer:"),
    "de": ("Im Text steht:", "So steht es im Text, wenn man ihn von Anfang bis Ende liest.", "Antwort:"),
    "hi": ("पाठ में लिखा है:", "पाठ को शुरू से अंत तक पढ़ने पर यही निकलता है।", "उत्तर:"),
}
OPEN_FINAL = {"en": "not in the text", "de": "im Text nicht angegeben", "hi": "पाठ में नहीं बताया गया"}
FALSE_FINAL = {"en": "false premise:", "de": "falsche Voraussetzung:", "hi": "गलत मान्यता:"}


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
        if instruction.answerability == "false_premise":
            truth = str(instruction.data.get("truth") or instruction.material.text[:200])
            return f"{FALSE_FINAL.get(code, FALSE_FINAL['en'])} {truth}"
        return OPEN_FINAL.get(code, OPEN_FINAL["en"])
    return f"This is what there is to say: {clipped(instruction.material.text, 400)}"


def right_answer(instruction: Instruction, form: Mapping[str, str]) -> dict[str, str]:
    """Answer and final: the bare result, and the result as the drawn format wants it said."""
    gold = instruction.gold
    if gold is None or gold.form in ("none", "edit", "state"):
        final = right_final(instruction)
        said = _open(instruction, final)
        if form.get("name", "").startswith("json"):
            said = orjson.dumps({"evidence": [], "answer": final}).decode()
        return {"answer": said, "final": final}
    final = right_final(instruction)
    return {"answer": said_as(form.get("name", ""), instruction, final), "final": final}


def _open(instruction: Instruction, final: str) -> str:
    if instruction.answerability == "false_premise":
        return f"That is not so. {instruction.data.get('truth', '')} ({final})"
    if instruction.answerability != "answerable":
        code = instruction.material.language or instruction.material.document.language
        return UNTOLD.get(code, UNTOLD["en"])
    return final


def said_as(name: str, instruction: Instruction, final: str) -> str:
    """The answer in the format of that name: bare, json, last (ends with it), first (opens with it), or free."""
    gold = instruction.gold
    assert gold is not None
    evidence = clipped(" ".join(gold.evidence[0].split()), 300) if gold.evidence else ""
    bare = _bare(instruction, final)
    how = name.partition("_")[0]
    if how == "bare":
        return bare
    if how == "json":
        if gold.form in ("set", "order", "pairs"):
            return final
        value: Any = final
        if gold.form == "number":
            value = float(final) if "." in final else int(final)
        return orjson.dumps({"evidence": evidence, "label" if gold.form == "label" else "answer": value}).decode()
    code = instruction.material.language or instruction.material.document.language
    says, plain, result = SAYS.get(code, SAYS["en"])
    why = f"{says} “{clipped(evidence, 90)}”" if evidence else plain
    if how == "last":
        return f"{why}\n\n{result} {bare}"
    named = f"({final}) {instruction.options[LETTERS.index(final)].text}" if gold.form == "option" else bare
    return f"{named}\n\n{why}"


def _bare(instruction: Instruction, final: str) -> str:
    """The result as people write it: lists one entry a line."""
    gold = instruction.gold
    assert gold is not None
    match gold.form:
        case "set":
            return "\n".join(str(v) for v in gold.value)
        case "order":
            return "\n".join(f"{n}. {v}" for n, v in enumerate(gold.value, 1))
        case "pairs":
            return "\n".join(f"{left} – {right}" for left, right in gold.value.items())
    return final
