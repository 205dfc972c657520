"""How the fields of a generator become an instruction: one shape of task, one form of gold.

shape            fields                                      gold
short            question, answer, accepts, evidence         text
number           question, answer, unit, working, formula    number
set              question, answers, evidence                 set
order            question, items in the right order          order    (shown shuffled)
pairs            question, pairs of left and right           pairs    (right column shuffled)
multiple_choice  question, options with role and reason      option   (shuffled; the key is a letter)
label            question, labels, answer                    label
open             question, points                            none     (judged by its points)
unanswerable     question, missing                           none
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

from preceptor.draws import shuffled
from preceptor.errors import ReplyError
from preceptor.skill import Goal, Kind
from preceptor.types import Agent, Answerability, Gold, Instruction, Material, Option

LETTERS = "ABCDEFGHIJ"
CREDITED = "credited"
TAKEN = ("question", "request", "answer", "answers", "accepts", "evidence", "options", "unit")
"""Fields that have a place of their own; all others are kept in `data`, for checks to stand on."""


def instruction_of(kind: Kind, material: Material, fields: Mapping[str, Any], agent: str, seed: str) -> Instruction:
    """The instruction that a generator's fields describe. Raises ReplyError where they contradict themselves."""
    text = fields.get("question") or fields.get("request") or ""
    data = {**kind.data, **{k: v for k, v in fields.items() if k not in TAKEN}}
    bare = Instruction(material, kind.name, text, kind.shape, data=data, made_by=agent)
    return with_gold(bare, fields, seed)


def with_gold(instruction: Instruction, fields: Mapping[str, Any], seed: str) -> Instruction:
    """The instruction with gold, options and what is shown taken from `fields`, in the form of its shape."""
    if instruction.shape == "unanswerable" or fields.get("answerable") is False:
        return replace(instruction, gold=Gold("none", None), answerability="unanswerable")
    make = GOLDS.get(instruction.shape)
    return make(instruction, fields, (seed, "shape", instruction.material.id, instruction.kind)) if make else instruction


def edited(
    parent: Instruction, goal: Goal, kind: Kind, material: Material, fields: Mapping[str, Any], agent: str, seed: str
) -> Instruction:
    """The instruction an editor made of `parent`: what its fields do not change stays as it was."""
    question = fields.get("question") or fields.get("request") or parent.text
    noted = {k: v for k, v in fields.items() if k not in (*TAKEN, "passage", "before", "after", "changes")}
    bare = replace(
        parent,
        material=material,
        text=question,
        parent=parent,
        goal=goal.name,
        depth=parent.depth + 1,
        data={**parent.data, **noted},
        made_by=agent,
    )
    if goal.answerability != "answerable":
        return replace(bare, gold=Gold("none", None), answerability=cast(Answerability, goal.answerability))
    if "options" in fields or ("question" not in fields and not answers(fields)):
        return with_gold(bare, fields, seed) if "options" in fields else bare
    return regold(bare, fields, seed)


def with_drawn(fields: Mapping[str, Any], drawn: Mapping[str, str], agent: Agent) -> Mapping[str, Any]:
    """The generator's fields with what was drawn for it. A drawn `answer` is the answer: where the generator wrote
    `labels` in the reader's language, the one in the same place."""
    if not drawn:
        return fields
    if "answer" not in drawn:
        return {**fields, "drawn": drawn}
    choices = agent.draws["answer"]
    labels = list(fields.get("labels") or choices)
    if len(labels) != len(choices) or len(set(labels)) != len(labels):
        raise ReplyError(f"there have to be {len(choices)} labels, each another: {', '.join(choices)}")
    return {**fields, "drawn": drawn, "answer": labels[list(choices).index(drawn["answer"])]}


def with_twin(instruction: Instruction, fields: Mapping[str, Any], seed: str) -> list[Instruction]:
    """An unanswerable instruction beside the answerable twin that its generator wrote: twin first, and its parent."""
    given = fields.get("twin")
    if not given:
        return [instruction]
    data = {k: v for k, v in instruction.data.items() if k != "twin"}
    bare = replace(instruction, text=given["question"], shape="short", answerability="answerable", gold=None, data=data)
    twin = with_gold(bare, given, seed)
    return [twin, replace(instruction, data=data, parent=twin)]


def answers(fields: Mapping[str, Any]) -> bool:
    """Whether an editor said what the right answer is now."""
    return any(fields.get(name) not in (None, "", []) for name in ("answer", "answers", "items", "pairs"))


def regold(instruction: Instruction, fields: Mapping[str, Any], seed: str) -> Instruction:
    """The instruction with the answer that an editor gave for it; options keep their places."""
    if instruction.shape != "multiple_choice":
        return with_gold(instruction, fields, seed) if answers(fields) else instruction
    if not answers(fields):  # only the question was put otherwise: what was right still is
        return instruction
    said = str(fields.get("answer", "")).strip()
    texts = [option.text for option in instruction.options]
    letter = said.strip("().").upper() if len(said.strip("().")) == 1 else ""
    if not letter and said in texts:
        letter = LETTERS[texts.index(said)]
    if letter not in LETTERS[: len(texts)] or not letter:
        raise ReplyError(f"the editor's answer {said[:60]!r} is none of the options")
    evidence = tuple(fields.get("evidence", ()))
    return replace(instruction, gold=Gold("option", letter, evidence))


def _text(instruction: Instruction, fields: Mapping[str, Any], _: tuple[Any, ...]) -> Instruction:
    gold = Gold("text", fields["answer"], tuple(fields.get("evidence", ())), tuple(fields.get("accepts", ())))
    return replace(instruction, gold=gold)


def _number(instruction: Instruction, fields: Mapping[str, Any], _: tuple[Any, ...]) -> Instruction:
    working = fields.get("working", instruction.data.get("working", ()))
    evidence = tuple(fields.get("evidence", ())) or tuple(w["quote"] for w in working if "quote" in w)
    unit = fields.get("unit") or instruction.data.get("unit", "")
    return replace(
        instruction,
        gold=Gold("number", fields["answer"], evidence, tuple(fields.get("accepts", ()))),
        data={**instruction.data, "unit": unit},
    )


def _set(instruction: Instruction, fields: Mapping[str, Any], _: tuple[Any, ...]) -> Instruction:
    found = fields.get("answers", fields.get("answer"))
    return replace(instruction, gold=Gold("set", list(found or ()), tuple(fields.get("evidence", ()))))


def _order(instruction: Instruction, fields: Mapping[str, Any], place: tuple[Any, ...]) -> Instruction:
    items = list(fields.get("items") or fields.get("answers") or ())
    shown = _moved(items, place)
    data = {k: v for k, v in instruction.data.items() if k != "items"}
    return replace(instruction, gold=Gold("order", items, tuple(fields.get("evidence", ()))), data={**data, "shown": shown})


def _pairs(instruction: Instruction, fields: Mapping[str, Any], place: tuple[Any, ...]) -> Instruction:
    pairs = {str(p["left"]): str(p["right"]) for p in fields["pairs"]}
    if len(pairs) != len(fields["pairs"]):
        raise ReplyError("two pairs share their left side")
    data = {k: v for k, v in instruction.data.items() if k != "pairs"}
    data |= {"left": list(pairs), "right": _moved(sorted(set(pairs.values())), place)}
    return replace(instruction, gold=Gold("pairs", pairs, tuple(fields.get("evidence", ()))), data=data)


def _moved(things: list[Any], place: tuple[Any, ...]) -> list[Any]:
    """The things in another order than they came, where there is another."""
    for turn in range(8):
        if (mixed := shuffled(things, *place, turn)) != things:
            return mixed
    return list(reversed(things))


def _options(instruction: Instruction, fields: Mapping[str, Any], place: tuple[Any, ...]) -> Instruction:
    options = [Option(o["text"], o.get("role", ""), o.get("reason", "")) for o in fields["options"]]
    if sum(o.role == CREDITED for o in options) != 1:
        raise ReplyError("not exactly one option is the credited one")
    mixed = tuple(shuffled(options, *place, instruction.text))
    key = LETTERS[[o.role for o in mixed].index(CREDITED)]
    return replace(instruction, options=mixed, gold=Gold("option", key, tuple(fields.get("evidence", ()))))


def _label(instruction: Instruction, fields: Mapping[str, Any], _: tuple[Any, ...]) -> Instruction:
    labels = list(fields.get("labels") or instruction.data.get("labels", ()))
    if labels and fields["answer"] not in labels:
        raise ReplyError(f"the answer {str(fields['answer'])[:60]!r} is none of the labels")
    gold = Gold("label", fields["answer"], tuple(fields.get("evidence", ())))
    return replace(instruction, gold=gold, data={**instruction.data, "labels": labels})


def _open(instruction: Instruction, fields: Mapping[str, Any], _: tuple[Any, ...]) -> Instruction:
    return instruction


GOLDS = {
    "short": _text,
    "number": _number,
    "set": _set,
    "order": _order,
    "pairs": _pairs,
    "multiple_choice": _options,
    "label": _label,
    "open": _open,
}
