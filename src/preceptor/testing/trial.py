"""A whole run with the simulated teacher, counted: how far each kind came, how many right answers passed, which wrong ones
were rejected by the check that was named beforehand.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from preceptor.factory import Run
from preceptor.flows.verify import accepts
from preceptor.recipe import recipe_of
from preceptor.skill import Kind, Skill, load_skill
from preceptor.testing.mutators import predicted
from preceptor.testing.packs import deciding
from preceptor.testing.simulated import SimulatedTeacher, simulate
from preceptor.types import Document, Example

STATUSES = ("accepted", "rejected", "surplus")


@dataclass(slots=True)
class Reached:
    """What came of one kind: rows answered rightly, and those among them that passed; wrong ones, and those caught."""

    kind: str
    decided: bool
    rows: int = 0
    passed: int = 0
    wrong: int = 0
    caught: int = 0
    told: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        if not self.decided:
            return f"{self.kind}: {self.rows} rows reached, not decided"
        return f"{self.kind}: {self.passed} of {self.rows} right rows passed, {self.caught} of {self.wrong} wrong ones caught"


def trial(
    skill_name: str, into: Path, *, documents: Sequence[Document], wrong: str = "", kinds: Sequence[str] = ()
) -> dict[str, Reached]:
    """The run in the folder `into`, counted by kind. With `wrong`, answers are right ones made wrong by that mutator."""
    recipe = recipe_of({"name": "trial", "documents": ["given"], "skills": {skill_name: {"kinds": list(kinds)}}})
    teacher = SimulatedTeacher(wrong=wrong)
    run = simulate(recipe, into, teacher, documents=documents)
    return counted(run, load_skill(skill_name), teacher)


def counted(run: Run, skill: Skill, teacher: SimulatedTeacher) -> dict[str, Reached]:
    """The rows of a run by kind, judged by their first draft: what the teacher itself answered."""
    real = {k.name: k for k in skill.kinds if k.tier == "real"}
    found = {name: Reached(name, bool(deciding(kind, skill))) for name, kind in real.items()}
    for status in STATUSES:
        for example in run.examples(status):
            kind = real[example.instruction.kind]
            (_wrong if teacher.wrong else _right)(found[kind.name], example, kind, skill, teacher)
    return found


def _right(reached: Reached, example: Example, kind: Kind, skill: Skill, teacher: SimulatedTeacher) -> None:
    reached.rows += 1
    reached.passed += accepts(example.verdicts) and example.answered_by == "model"
    failed = [f"{v.check}: {v.evidence[:100]}" for v in example.verdicts if v.outcome == "fail"]
    reached.told += [f"{example.instruction.goal or 'seed'}: {line}" for line in failed]


def _wrong(reached: Reached, example: Example, kind: Kind, skill: Skill, teacher: SimulatedTeacher) -> None:
    named = predicted(teacher.wrong, kind, skill)
    if not named or example.instruction.id not in teacher.spoilt or not example.drafts:
        return
    draft = example.drafts[0]
    reached.rows += 1
    reached.wrong += 1
    if any(v.outcome == "fail" and v.check in named for v in draft.verdicts):
        reached.caught += 1
    else:
        reached.told.append(f"{teacher.wrong}, let pass: {str(draft.fields.get('final', draft.answer))[:120]}")


def table(reached: dict[str, Reached]) -> str:
    """One line a kind, with what went otherwise."""
    return "\n".join(line for one in reached.values() for line in (str(one), *(f"    {told}" for told in one.told[:3])))
