"""Whether an edit of the passage does what it was made for: nothing tells any more, or the new key rests on new words.

`edit_bites` is code and asks nobody: what the editor named as ways to the answer must be gone. `no_way_left` has a reader
who has not seen the key look for an answer that the edited passage settles or favours.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from preceptor.checks.base import check, failed, not_applicable, passed
from preceptor.checks.controls import is_flip, put
from preceptor.checks.judged import lettered
from preceptor.checks.words import stands_in, tokens
from preceptor.errors import StepError
from preceptor.types import Ask, Example, Instruction, Verdict


@check(
    decides=False,
    version=1,
    sees="after an edit of the passage: every way to the answer that the editor names is gone and two replies are open; or "
    "the new answer rests on words that were not there before",
    blind="a way that the editor overlooked: no_way_left has a reader look; a list's evidence, where an entry only fell off",
)
async def edit_bites(example: Example, skill: Any, ask: Ask) -> Verdict:
    instruction, parent = example.instruction, example.instruction.parent
    if parent is None or not instruction.goal or parent.material.text == instruction.material.text:
        return not_applicable("the passage was not edited")
    if instruction.answerability == "unanswerable":
        return cut(instruction, parent)
    if is_flip(instruction, skill):
        return turned(instruction, parent)
    return not_applicable("the edit is not to change the answer")


def cut(instruction: Instruction, parent: Instruction) -> Verdict:
    """Whether the ways that the editor named have been cut, the old evidence among them, and two replies are left open."""
    routes: Sequence[Mapping[str, Any]] = instruction.data.get("routes") or ()
    for route in routes:
        words = str(route["words"])
        if not stands_in(words, parent.material.text):
            return failed(f"a way to the answer is quoted that was not in the passage: {words[:120]!r}")
        if stands_in(words, instruction.material.text):
            return failed(f"a way to the answer stands there still: {words[:120]!r}")
    gold = parent.gold
    old = [q for q in (gold.evidence if gold and gold.made_by != "computed" else ()) if stands_in(q, parent.material.text)]
    if old and all(stands_in(q, instruction.material.text) for q in old):
        return failed(f"all that the answer rested on stands there still: {old[0][:120]!r}")
    either = [tokens(str(e["reply"])) for e in instruction.data.get("either") or ()]
    if any(left == right for at, left in enumerate(either) for right in either[:at]):
        return failed("the two replies that are to be open are one")
    if not routes and not old:
        return not_applicable("neither ways to the answer nor evidence are named")
    return passed(f"{len(routes)} ways cut, {len(old)} quotations of the old evidence looked at")


def turned(instruction: Instruction, parent: Instruction) -> Verdict:
    """Whether the new answer rests on words that the passage did not have before the edit."""
    gold = instruction.gold
    if gold is None or not gold.evidence:
        return not_applicable("the new answer names no evidence")
    if gold.form == "set":
        return not_applicable("a list may turn by what fell off it")
    if new := [quote for quote in gold.evidence if not stands_in(quote, parent.material.text)]:
        return passed(f"rests on {new[0][:80]!r}, which is new")
    return failed(f"all that the new answer rests on was there before: {gold.evidence[0][:120]!r}")


@check(
    decides=False,
    needs=("judge",),
    version=1,
    sees="a reader who looks for every reply that the passage could give finds none that it settles, or favours alone",
    blind="a way that reader and editor both overlook",
)
async def no_way_left(example: Example, skill: Any, ask: Ask) -> Verdict:
    instruction = example.instruction
    if instruction.answerability != "unanswerable":
        return not_applicable("the text is to tell")
    labels = [str(label) for label in instruction.data.get("labels", ())]
    try:
        reply = await ask(
            skill.agent("_shared/ways_to_answer"),
            passage=instruction.material.text,
            question=put(instruction),
            options=lettered(instruction),
            labels=labels,
        )
    except StepError as error:
        return not_applicable(f"the reader gave no finding: {error}")
    return open_by(reply.fields.get("replies") or ())


def open_by(replies: Sequence[Mapping[str, Any]]) -> Verdict:
    """Pass where no reply is settled, and none is favoured above all others."""
    for standing in ("settled", "favoured"):
        found = [r for r in replies if r["standing"] == standing]
        if len(found) == 1 or (found and standing == "settled"):
            told = f"{str(found[0]['reply'])[:80]!r} by {str(found[0]['words'])[:120]!r}"
            return failed(f"a reader finds the answer {standing}: {told}")
    return passed(f"a reader finds {len(replies)} replies, none settled and none favoured alone")
