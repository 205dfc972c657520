"""What the simulated editor replies: marked changes that stand in the passage, and the answer that is right after them."""

import re
from collections.abc import Sequence
from typing import Any

from preceptor.draws import one
from preceptor.errors import Declined
from preceptor.prompts import TEXT_MOST
from preceptor.testing.invent import Source, clipped, invented, question_fields, shown
from preceptor.testing.mutators import entity, number, polarity
from preceptor.types import Agent, Field, Instruction, Request


def edit(agent: Agent, request: Request, source: Source, place: Sequence[Any]) -> dict[str, Any]:
    """Fields for the editor of this goal and this instruction. Raises Declined where nothing can be changed so."""
    instruction, goal = request.slots.get("instruction"), request.slots.get("goal")
    if not isinstance(instruction, Instruction) or goal is None:
        return invented(agent.fields, source, place)
    by = {f.name: f for f in agent.fields}
    made = question_fields(agent.fields, source, place, instruction.shape, instruction.data)
    change = _change(instruction, goal, source, place)
    _marked(made, by, change, source)
    if "routes" in by:
        made["routes"] = [{"words": clipped(change[0], 600), "leads": "It says so."}]
        made["either"] = [{"reply": reply, "story": "So it may have been."} for reply in ("the one", "the other")]
    if goal.answerability != "answerable":
        for name in ("answer", "answers", "items", "pairs", "options"):
            if name in by and by[name].optional:
                made.pop(name, None)
    else:
        _answered(made, by, instruction, goal, change, place)
    if "question" in by:
        made["question"] = _question(by["question"], instruction)
        if by["question"].optional and goal.edits == "material":
            made.pop("question")
    if "passage" in by:
        made.pop("passage", None)
    if "evidence" in by:
        made["evidence"] = [change[1]] if goal.flips and change[1] else _evidence(by["evidence"], instruction, change, source)
    return made


def _question(field: Field, instruction: Instruction) -> str:
    said = f"Taking all that is written here into account: {instruction.text}"
    return clipped(said, int(field.max or TEXT_MOST))


def _change(instruction: Instruction, goal: Any, source: Source, place: Sequence[Any]) -> tuple[str, str, str]:
    """Before, after, and the answer that is right after it (empty where it stays)."""
    gold = instruction.gold
    value = shown(float(gold.value)) if gold and isinstance(gold.value, int | float) else str(gold.value if gold else "")
    holding = [s for s in source.unique if value and value in s] or [
        q for q in (gold.evidence if gold else ()) if q and source.text.count(q) == 1
    ]
    before = holding[0] if holding else one(source.unique, *place, "before")
    if goal.answerability != "answerable":
        carrying = [s for s in source.unique if any(q and (q in s or s in q) for q in (gold.evidence if gold else ()))]
        before = next((s for s in carrying if s in holding), next(iter(carrying), before))
        after = before.replace(value, "some of it", 1) if value and value in before else _vague(before)
        return before, after, ""
    if goal.flips and gold is not None and gold.form in ("text", "number"):
        new = number(value, source.text, place) or entity(value, source.text, place) or "the opposite"
        if value in before:
            return before, before.replace(value, new, 1), new
    if goal.flips and gold is not None and gold.form in ("text", "number"):
        raise Declined("what the answer rests on stands nowhere by itself")
    if goal.flips and gold is not None and gold.form == "set":
        return _without_one(gold.value, source)
    after = number(before, source.text, place) or polarity(before, source.text, place) or _vague(before)
    return before, after, ""


def _without_one(values: Sequence[Any], source: Source) -> tuple[str, str, str]:
    """A sentence that is alone in naming one of the list's things, and the sentence without it."""
    for value in map(str, values if len(values) > 1 else ()):
        naming = [s for s in source.unique if value in s]
        if len(naming) == 1 and source.text.count(value) == naming[0].count(value):
            return naming[0], naming[0].replace(value, "another of them"), ""
    raise Declined("nothing of the list is named by one sentence alone")


def _vague(sentence: str) -> str:
    gone = re.sub(r"\d[\d.,]*", "several", sentence)
    return gone if gone != sentence else f"By one account, {sentence[:1].lower()}{sentence[1:]}"


def _marked(made: dict[str, Any], by: dict[str, Field], change: tuple[str, str, str], source: Source) -> None:
    before, after, _ = change
    if "before" in by and "after" in by:
        if len(before) > int(by["before"].max or TEXT_MOST):
            raise Declined("the sentence to change is too long to be marked")
        made["before"], made["after"] = before, clipped(after, int(by["after"].max or TEXT_MOST))
    if "changes" in by:
        others = [s for s in source.unique if s != before and s not in before and before not in s and len(s) < 150]
        more = others[: max(0, int(by["changes"].min or 1) - 1)]
        if len(more) < int(by["changes"].min or 1) - 1:
            raise Declined("there are not enough places to change")
        made["changes"] = [{"before": before, "after": after}, *({"before": s, "after": f"{s} So it is told."} for s in more)]


def _answered(
    made: dict[str, Any],
    by: dict[str, Field],
    instruction: Instruction,
    goal: Any,
    change: tuple[str, str, str],
    place: Sequence[Any],
) -> None:
    """The answer after the edit, in the shape's own field."""
    gold, new = instruction.gold, change[2]
    if gold is None:
        return
    if "answer" in by:
        value: Any = new or gold.value
        if gold.form == "label" and goal.flips:
            others = [v for v in instruction.data.get("labels", ()) if v != gold.value]
            value = one(others, *place, "label") if others else gold.value
        if gold.form == "option" and goal.flips:
            value = "BA"["AB".find(str(gold.value))] if str(gold.value) in "AB" else "A"
        if by["answer"].type in ("number", "integer"):
            value = float(re.sub(r"[^\d.-]", "", str(value)) or 0)
        elif not isinstance(value, str):
            value = shown(float(value)) if isinstance(value, int | float) else str(value)
        made["answer"] = value
    for name, form in (("answers", "set"), ("items", "order")):
        if name in by:
            gone = {str(v) for v in gold.value if goal.flips and str(v) in change[0] and str(v) not in change[1]}
            made[name] = [v for v in gold.value if form != "set" or str(v) not in gone] if gold.form == form else []
            if gold.form != form:
                made.pop(name)
    if "pairs" in by:
        if gold.form == "pairs":
            made["pairs"] = [{"left": a, "right": b} for a, b in gold.value.items()]
        else:
            made.pop("pairs")
    if "options" in by and instruction.options:
        _options(made, by["options"], instruction)
    elif "options" in by:
        made.pop("options")


def _options(made: dict[str, Any], field: Field, instruction: Instruction) -> None:
    """The same options with closer wording: the credited stays credited."""
    inner = {f.name: f for f in (field.of.fields if field.of else ())}
    allowed = inner["role"].choices if "role" in inner else ()
    key = str(instruction.gold.value) if instruction.gold else "A"
    made["options"] = []
    for n, option in enumerate(instruction.options):
        credited = n == "ABCDEFGHIJ".index(key)
        role = "credited" if credited else option.role
        if allowed and role not in allowed:
            role = next(r for r in allowed if r != "credited")
        entry = {"text": f"{option.text}, as it stands here", "role": role, "reason": option.reason or "see the text"}
        made["options"].append({k: v for k, v in entry.items() if k in inner})


def _evidence(field: Field, instruction: Instruction, change: tuple[str, str, str], source: Source) -> list[str]:
    held = list(instruction.gold.evidence) if instruction.gold else []
    passage = source.text.replace(change[0], change[1], 1)
    if change[2] and change[2] in change[1]:
        return [change[1]]
    kept = [q for q in held if q in passage and q in source.text] or [s for s in source.unique if s != change[0]][:1]
    return kept[: int(field.max or 12)]
