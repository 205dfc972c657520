"""The pack's own steps: a library with a simulator behind it, calls before words, conversations that are carried out.

transform  document ─▶ APIs ─▶ grown ─▶ books ─▶ simulator ─▶ trial          or, for records, all of it computed
instruct   kind ─▶ plan (calls, facts, person) ─▶ carried out ─▶ gold ─▶ the first message
refine     task and conversation ─▶ ways ─▶ a new plan ─▶ carried out anew, held to what the goal promises
respond    assistant ⇄ service, assistant ⇄ person ─▶ STOP or FAILED; the first attempt that passes is the row
"""

from collections.abc import Sequence
from dataclasses import replace

from preceptor.errors import Declined, StepError
from preceptor.flows.verify import holds, weigh
from preceptor.skill import Skill
from preceptor.skills.tool_use.action_format import action_format
from preceptor.skills.tool_use.build import transform
from preceptor.skills.tool_use.refining import refine
from preceptor.skills.tool_use.tasks import instruct, language_of
from preceptor.skills.tool_use.trajectory import converse, draft_of, walked
from preceptor.types import Ask, Draft, Dropped, Example, Instruction

__all__ = ["action_format", "instruct", "refine", "respond", "transform"]


async def respond(instruction: Instruction, skill: Skill, ask: Ask) -> list[Example | Dropped]:
    """The row: the first conversation that passes what code can check, else the last; every other stays as a draft."""
    drafts: list[Draft] = []
    refusals: list[str] = []
    for sample in range(skill.of("respond", "answers")):
        try:
            draft = draft_of(await converse(instruction, skill, ask, sample), "answerer")
        except StepError as error:
            refusals.append(f"declined: {error}" if isinstance(error, Declined) else str(error))
            continue
        drafts.append(await weighed(draft, instruction, skill, ask))
        if holds(drafts[-1].verdicts):
            break
    drafts += await by_gold(instruction, drafts, skill, ask)
    if not drafts:
        return [Dropped(instruction, "respond", refusals[-1], "4_respond/assistant", instruction.kind)]
    return [example_of(instruction, drafts)]


async def weighed(draft: Draft, instruction: Instruction, skill: Skill, ask: Ask) -> Draft:
    return replace(draft, verdicts=await weigh(example_of(instruction, [draft]), skill, ask, judged=False))


async def by_gold(instruction: Instruction, drafts: Sequence[Draft], skill: Skill, ask: Ask) -> list[Draft]:
    """Where no model's conversation passed and code had planned the task: the planned one, in fixed words, marked as gold."""
    wordings = {entry["language"]: entry for entry in skill.styles["gold"]}
    wording = wordings.get(language_of(instruction.material))
    computed = instruction.gold is not None and instruction.gold.made_by == "computed"
    if not computed or wording is None or any(holds(d.verdicts) for d in drafts):
        return []
    draft = await weighed(draft_of(await walked(instruction, wording, ask), "gold"), instruction, skill, ask)
    return [draft] if holds(draft.verdicts) else []


def example_of(instruction: Instruction, drafts: Sequence[Draft]) -> Example:
    """The example whose conversation is the best of the drafts: the first that passed, else the last."""
    best = next((d for d in drafts if holds(d.verdicts)), drafts[-1])
    return Example(
        instruction,
        best.answer,
        best.messages,
        best.fields,
        tuple(drafts),
        best.verdicts,
        answered_by="gold" if best.by == "gold" else "model",
        tries=len(drafts),
        reasoning=best.reasoning,
        model=best.model,
        data=best.data,
    )
