"""Preference pairs: a better and a worse answer to the same prompt, with who made each and how one knows.

draft      an answer that failed its checks, beside the one that passed
revision   a draft, beside the better revision of it
twin       the answer that was right before the passage was changed, beside the one that is right now
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from preceptor.export.rows import as_json, plain, wrapped
from preceptor.types import Draft, Example, Verdict


def pairs_of(examples: Iterable[tuple[Example, str]]) -> Iterator[dict[str, Any]]:
    """All pairs among accepted examples, given with their skill, in their order; no pair twice."""
    held = list(examples)
    answers = {e.instruction.id: e for e, _ in held}
    seen: set[str] = set()
    for example, skill in held:
        for pair in (*_drafts(example, skill), *_twins(example, skill, answers)):
            key = as_json((pair["prompt"], pair["chosen"], pair["rejected"]))
            if key not in seen and pair["chosen"] != pair["rejected"]:
                seen.add(key)
                yield pair


def _drafts(example: Example, skill: str) -> Iterator[dict[str, Any]]:
    chosen = next((d for d in example.drafts if d.answer == example.answer and not failures(d.verdicts)), None)
    if chosen is None:
        return
    for draft in example.drafts:
        if draft is chosen or not failures(draft.verdicts):
            continue
        why = "revision" if chosen.by == "reviser" and draft.critique else "draft"
        yield _pair(
            example,
            skill,
            why,
            _tail(example, chosen),
            _tail(example, draft),
            _maker(chosen),
            _maker(draft),
            failures(draft.verdicts),
        )


def _twins(example: Example, skill: str, answers: dict[str, Example]) -> Iterator[dict[str, Any]]:
    instruction = example.instruction
    parent = instruction.parent
    if parent is None or parent.id not in answers or parent.text != instruction.text or not instruction.material.change:
        return
    before = answers[parent.id]
    if before.fields.get("final") == example.fields.get("final"):
        return
    last = [{"role": "assistant", "content": before.answer}]
    yield _pair(
        example,
        skill,
        "twin",
        _answer(example),
        last,
        example.model or example.answered_by,
        before.model or before.answered_by,
        ["right only before the passage was changed"],
    )


def failures(verdicts: Sequence[Verdict]) -> list[str]:
    """Names of the checks that failed."""
    return [v.check for v in verdicts if v.outcome == "fail"]


def _maker(draft: Draft) -> str:
    return f"{draft.by}: {draft.model}" if draft.model else draft.by


def prompt_length(example: Example) -> int:
    """How many messages of the row stand before what the student learns to write."""
    return len(example.instruction.history) + bool(example.instruction.style.system) + 1


def _answer(example: Example) -> list[dict[str, Any]]:
    return [plain(m) for m in example.messages[prompt_length(example) :]]


def _tail(example: Example, draft: Draft) -> list[dict[str, Any]]:
    if draft.messages and draft.messages[0].get("role") in ("system", "user"):
        return [plain(m) for m in draft.messages[prompt_length(example) :]]
    return [{"role": "assistant", "content": draft.answer}]


def _pair(
    example: Example,
    skill: str,
    why: str,
    chosen: list[dict[str, Any]],
    rejected: list[dict[str, Any]],
    chosen_by: str,
    rejected_by: str,
    failed: Sequence[str],
) -> dict[str, Any]:
    return {
        "prompt": [plain(m) for m in example.messages[: prompt_length(example)]],
        "chosen": chosen,
        "rejected": rejected,
        "tools": [wrapped(t) for t in example.instruction.tools],
        "skill": skill,
        "kind": example.instruction.kind,
        "pair": why,
        "chosen_by": chosen_by,
        "rejected_by": rejected_by,
        "failed": list(failed),
        "example": example.id,
    }
