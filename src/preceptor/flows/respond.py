"""A strong model answers; a critic reads the answer, a reviser mends it, and every draft is kept.

answerer ─▶ checks ─▶ passed ─────────────────────────▶ Example
              ╰─▶ failed ─▶ critic ─▶ reviser ─▶ checks ─▶ …       (`respond.rounds` times)
answers = k ─▶ k answerers; the first draft that passes is the row, the rest are kept beside it
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

import orjson

from preceptor.errors import Declined, StepError
from preceptor.flows.row import answer_of, format_of, opening, styled, task_of, untold
from preceptor.flows.shapes import LETTERS
from preceptor.flows.verify import holds, weigh
from preceptor.skill import Skill
from preceptor.types import Agent, Ask, Draft, Dropped, Example, Gold, Instruction, Message, Reply, Verdict

Messages: TypeAlias = tuple[Message, ...]


async def respond(instruction: Instruction, skill: Skill, ask: Ask) -> list[Example | Dropped]:
    """One example: the first answer that passes what code can check, as revised, else the last; all drafts stay with it."""
    instruction = styled(instruction, skill, ask.seed)
    row = opening(instruction, skill)
    drafts: list[Draft] = []
    refusals: list[str] = []
    for sample in range(skill.of("respond", "answers")):
        try:
            draft = await answered(instruction, skill, ask, sample, row)
        except StepError as error:
            refusals.append(f"declined: {error}" if isinstance(error, Declined) else str(error))
            continue
        drafts += await reflected(draft, instruction, skill, ask, sample)
        if holds(drafts[-1].verdicts):
            break
    drafts += await by_gold(instruction, drafts, skill, ask)
    if not drafts:
        return [Dropped(instruction, "respond", refusals[-1], answerer_name(instruction, skill), instruction.kind)]
    return [example_of(instruction, drafts, skill, row)]


def answerer_name(instruction: Instruction, skill: Skill) -> str:
    """The agent that answers this kind."""
    return f"4_respond/{skill.kind(instruction.kind).answerer or 'answer'}"


async def answered(instruction: Instruction, skill: Skill, ask: Ask, sample: int, row: Messages) -> Draft:
    """The answerer's draft. It has seen the task alone: no gold, no roles, no plan."""
    agent = narrowed(skill.agent(answerer_name(instruction, skill)), instruction, skill)
    reply = await ask(
        agent,
        history=instruction.history,
        sample=sample,
        task=row[-1]["content"],
        format=format_of(instruction, skill),
        kind=skill.kind(instruction.kind),
        material_text=instruction.material.text,
    )
    return await draft_of(reply, "answerer", instruction, skill, ask, row)


def narrowed(agent: Agent, instruction: Instruction, skill: Skill) -> Agent:
    """The agent with `final` held to what may be said: a letter, a label, or that the text does not tell. In a bare
    format that is the whole answer, and `answer` is not asked for beside it."""
    choices = LETTERS[: len(instruction.options)] if instruction.options else instruction.data.get("labels", ())
    if not choices or instruction.shape not in ("multiple_choice", "label"):
        return agent
    sure = instruction.gold is not None and instruction.gold.made_by == "computed"
    open_ = "" if sure else untold(instruction, skill)
    said = tuple(dict.fromkeys((*map(str, choices), *([open_] if open_ else ()))))
    bare = instruction.style.format.startswith("bare")
    fields = tuple(
        replace(f, type="choice", choices=said, min=None, max=None) if f.name == "final" and f.type == "text" else f
        for f in agent.fields
        if not (bare and f.name == "answer")
    )
    return replace(agent, fields=fields)


async def draft_of(
    reply: Reply, by: str, instruction: Instruction, skill: Skill, ask: Ask, row: Messages | None = None
) -> Draft:
    """The reply as a draft, with the verdicts of all checks that need no other model."""
    answer, fields = answer_of(reply)
    draft = Draft(answer, by, fields, reply.transcript, reasoning=reply.reasoning, model=reply.model)
    return replace(draft, verdicts=await weigh(example_of(instruction, [draft], skill, row), skill, ask, judged=False))


async def reflected(draft: Draft, instruction: Instruction, skill: Skill, ask: Ask, sample: int) -> list[Draft]:
    """The draft and its revisions, the best last. A revision that breaks a passing draft is kept, but not as the last."""
    drafts = [draft]
    always = skill.of("respond", "reflect") == "always"
    for number in range(skill.of("respond", "rounds")):
        best = drafts[-1]
        if (holds(best.verdicts) and not (always and number == 0)) or "4_respond/critic" not in skill.agents:
            break
        try:
            critique, revision = await revised(best, instruction, skill, ask, sample)
        except StepError:  # no critique or no revision to be had: the draft stands as it is
            break
        drafts[-1] = replace(best, critique=critique)
        if revision is None:
            break
        if holds(best.verdicts) and not holds(revision.verdicts):
            drafts.insert(len(drafts) - 1, revision)
            break
        drafts.append(revision)
    return drafts


async def revised(draft: Draft, instruction: Instruction, skill: Skill, ask: Ask, sample: int) -> tuple[str, Draft | None]:
    """What the critic said, and the reviser's draft; none where the critic found nothing to mend."""
    problems = problems_of(draft, instruction)
    shown: dict[str, Any] = {
        "task": task_of(instruction, skill),
        "draft": draft.answer,
        "final": bare_result(draft),
        "problems": problems,
        "results": [m for m in draft.messages if m.get("role") == "tool"],
        "format": format_of(instruction, skill),
        "kind": skill.kind(instruction.kind),
        "material_text": instruction.material.text,
    }
    said = await ask(skill.agent("4_respond/critic"), sample=sample, **shown)
    critique = said.text if not said.fields else str(said.fields.get("critique") or said.text)
    if said.fields.get("good") is True and not problems:
        return critique, None
    reply = await ask(narrowed(skill.agent("4_respond/reviser"), instruction, skill), sample=sample, critique=critique, **shown)
    return critique, await draft_of(reply, "reviser", instruction, skill, ask)


def bare_result(draft: Draft) -> str:
    """The draft's bare result as text."""
    final = draft.fields.get("final", "")
    return final if isinstance(final, str) else orjson.dumps(final, default=str).decode()


def problems_of(draft: Draft, instruction: Instruction) -> list[str]:
    """The failed checks as the critic is told of them: hints, and what was found where that shows nothing of the key. Never
    a check's name: that a check of open questions failed would tell how the question ends. What looks at the item alone
    has no hint, since no draft can mend it; where nothing can be said, this says so."""
    failed = [v for v in draft.verdicts if v.outcome == "fail"]
    told = [problem(v, draft, instruction) for v in failed if v.hint]
    return told or ([UNTOLD] if any(v.decides for v in failed) else [])


UNTOLD = "The result did not pass. What it was held against cannot be shown: work it out anew from the text, and compare."


def problem(verdict: Verdict, draft: Draft, instruction: Instruction) -> str:
    """One failed check. A check that compares with the key never says what it found."""
    shown = f"{draft.answer}\n{bare_result(draft)}"
    if verdict.decides or any(secret in verdict.evidence and secret not in shown for secret in secrets(instruction)):
        return verdict.hint
    return verdict.hint if verdict.evidence in verdict.hint else f"{verdict.hint} (found: {verdict.evidence})"


def secrets(instruction: Instruction) -> list[str]:
    """What is right, and the words that it rests on."""
    if instruction.gold is None or instruction.gold.value is None:
        return []
    value = instruction.gold.value
    parts = [*value, *value.values()] if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else [value]
    return [text for text in map(str, (*parts, *instruction.gold.accepts, *instruction.gold.evidence)) if text]


async def by_gold(instruction: Instruction, drafts: Sequence[Draft], skill: Skill, ask: Ask) -> list[Draft]:
    """Where code computed the right answer and no draft passed, that answer as the last draft, marked as such."""
    gold = instruction.gold
    if gold is None or not usable(gold) or any(holds(d.verdicts) for d in drafts):
        return []
    draft = Draft(str(gold.value), "gold", {"final": str(gold.value)})
    verdicts = await weigh(example_of(instruction, [draft], skill), skill, ask, judged=False)
    return [replace(draft, verdicts=verdicts)] if holds(verdicts) else []


def usable(gold: Gold) -> bool:
    """Whether gold is a whole answer, built by code: the edited text itself, not a fact that an answer must hold."""
    return gold.made_by == "computed" and gold.form == "edit" and isinstance(gold.value, str)


def example_of(instruction: Instruction, drafts: Sequence[Draft], skill: Skill, row: Messages | None = None) -> Example:
    """The example whose answer is the best of the drafts: the last that passed (no further answer is drawn once one
    has, so what follows it are revisions that passed too), else the last. `row` is its opening, where that is known."""
    best = next((d for d in reversed(drafts) if holds(d.verdicts)), drafts[-1])
    messages = (*(row or opening(instruction, skill)), {"role": "assistant", "content": best.answer})
    return Example(
        instruction,
        best.answer,
        messages,
        best.fields,
        tuple(drafts),
        best.verdicts,
        answered_by="gold" if best.by == "gold" else "model",
        tries=len(drafts),
        reasoning=best.reasoning,
        model=best.model,
        data=best.data,
    )
