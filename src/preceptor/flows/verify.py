"""Every check leaves a verdict: code first, then controls and judges; nothing is thrown away here."""

from collections.abc import Sequence
from dataclasses import replace

from preceptor.checks import find
from preceptor.checks.base import Check
from preceptor.flows.together import together
from preceptor.skill import Skill
from preceptor.types import Ask, Dropped, Example, Instruction, Verdict


async def verify(example: Example, skill: Skill, ask: Ask) -> list[Example]:
    """The example with all its verdicts, accepted or rejected. Judges and controls are asked only of what code let pass."""
    verdicts = example.verdicts or await weigh(example, skill, ask, judged=False)
    if holds(verdicts):
        verdicts += await weigh(example, skill, ask, judged=True)
    return [replace(example, verdicts=verdicts, status="accepted" if accepts(verdicts) else "rejected")]


def checks_of(instruction: Instruction, skill: Skill) -> list[Check]:
    """The checks of this kind, then those of the whole skill, each once."""
    names = dict.fromkeys((*skill.kind(instruction.kind).checks, *skill.of("verify", "checks")))
    return [check_of(name, skill) for name in names]


def check_of(name: str, skill: Skill) -> Check:
    """The check of that name, the pack's own before those in the box."""
    return find(name, skill)


async def weigh(example: Example, skill: Skill, ask: Ask, *, judged: bool) -> tuple[Verdict, ...]:
    """Verdicts of the checks that ask another model (`judged`), or of those that do not."""
    checks = [check for check in checks_of(example.instruction, skill) if bool(check.needs) == judged]
    return tuple(await together([check(example, skill, ask) for check in checks]))


def holds(verdicts: Sequence[Verdict]) -> bool:
    """Whether nothing failed. Where code decided, a judge's word does not count against it."""
    decided = any(v.decides and v.by == "code" and v.outcome == "pass" for v in verdicts)
    return not any(v.outcome == "fail" and (v.by == "code" or not decided) for v in verdicts)


def accepts(verdicts: Sequence[Verdict]) -> bool:
    """Whether nothing failed and something decided: a check that tells right from wrong, or a judge."""
    return holds(verdicts) and any(v.outcome == "pass" and (v.decides or v.by != "code") for v in verdicts)


async def fails_before_answering(instruction: Instruction, skill: Skill, ask: Ask) -> Dropped | None:
    """The instruction dropped by the first item check that it fails: no answer is paid for. `instruct.checks` are for
    all kinds, `instruct.early` are those of a kind's own checks that need no answer."""
    bare = Example(instruction, "", ())
    own = set(skill.kind(instruction.kind).checks)
    for name in (*skill.of("instruct", "checks"), *(n for n in skill.of("instruct", "early") if n in own)):
        verdict = await check_of(name, skill)(bare, skill, ask)
        if verdict.outcome == "fail":
            return Dropped(
                instruction,
                "refine" if instruction.parent else "instruct",
                f"{name}: {verdict.evidence}",
                kind=instruction.kind,
            )
    return None
