"""A whole run with the simulated teacher: right answers pass, wrong ones are rejected by the check named for them."""

import asyncio
import os
from pathlib import Path

import pytest

from preceptor import corpus
from preceptor.draws import fraction
from preceptor.recipe import recipe_of
from preceptor.skill import load_skill
from preceptor.testing import MUTATORS, SimulatedTeacher, simulate
from preceptor.testing.gates import default_documents
from preceptor.testing.trial import Reached, table, trial
from preceptor.types import Completion, Document, Request

SKILLS = ("reading_comprehension", "text_modification", "tool_use")
SEEDS = Path(os.environ.get("PRECEPTOR_SEEDS", Path(__file__).parents[2] / "shared" / "seeds"))
HERE = pytest.mark.skipif(not SEEDS.is_dir(), reason=f"no seeds at {SEEDS}; say where with PRECEPTOR_SEEDS")
BATCH = 8


def seeds(limit: int = 0) -> list[Document]:
    """Documents of the seeds: all, or a few files of each sort."""
    files = [f for folder in ("code", "guides", "peps") for f in sorted((SEEDS / folder).iterdir())[:2]] if limit else [SEEDS]
    return list(corpus.read(files, root=SEEDS).documents)[: limit or None]


def passed(reached: dict[str, Reached]) -> float:
    decided = [r for r in reached.values() if r.decided]
    return sum(r.passed for r in decided) / max(1, sum(r.rows for r in decided))


@HERE
@pytest.mark.parametrize("skill", SKILLS)
def test_right_answers_on_the_seeds_pass(skill: str, tmp_path: Path) -> None:
    reached = trial(skill, tmp_path / "run", documents=seeds(4 if skill == "tool_use" else 10))
    assert sum(r.rows for r in reached.values()) >= 12
    assert passed(reached) >= 0.95, table(reached)


@pytest.mark.parametrize("skill", SKILLS[:2])
@pytest.mark.parametrize("wrong", MUTATORS)
def test_every_wrong_answer_is_rejected_by_the_check_named_for_its_mutator(skill: str, wrong: str, tmp_path: Path) -> None:
    reached = trial(skill, tmp_path / "run", documents=default_documents()[:8], wrong=wrong)
    assert sum(r.wrong for r in reached.values()) >= 4
    assert [str(r) for r in reached.values() if r.caught < r.wrong] == [], table(reached)


@pytest.mark.parametrize("wrong", ["number", "entity", "scope", "polarity"])
def test_wrong_conversations_are_rejected_by_the_check_named_for_their_mutator(wrong: str, tmp_path: Path) -> None:
    reached = trial("tool_use", tmp_path / "run", documents=default_documents()[:2], wrong=wrong)
    assert sum(r.wrong for r in reached.values()) >= 3
    assert [str(r) for r in reached.values() if r.caught < r.wrong] == [], table(reached)


class Unhurried(SimulatedTeacher):
    """Answers as the other does, in another order."""

    async def complete(self, request: Request) -> Completion:
        await asyncio.sleep(0.002 * fraction("order", request.agent, len(str(request.messages))))
        return await super().complete(request)


def test_a_quota_of_unanswerable_rows_is_kept_in_whatever_order_replies_come(tmp_path: Path) -> None:
    plain = {"name": "quota", "documents": ["given"], "skills": ["reading_comprehension"]}
    documents = default_documents()
    first = simulate(recipe_of({**plain, "passes": 3}), tmp_path / "first", documents=documents)
    narrow = recipe_of({**plain, "limits": {"in_flight": 5}})
    second = simulate(narrow, tmp_path / "second", Unhurried(), documents=documents[:8])
    rows, again = first.examples(), [e.id for e in second.examples()]
    assert again == [e.id for e in rows][: len(again)]
    (quota,) = first.report["quotas"]
    assert (quota["least"], quota["most"], quota["of"]) == (0.10, 0.15, len(rows))
    print(f"\n{quota['rows']} of {len(rows)} rows are unanswerable: {quota['share']:.1%}; {quota['beside']} beside their twin")
    assert len(rows) >= 300
    assert 0.08 <= quota["share"] <= 0.17
    assert quota["beside"] >= 0.9 * quota["rows"]


@HERE
@pytest.mark.soak
@pytest.mark.parametrize("skill", SKILLS)
def test_all_seeds_take_every_kind_as_far_as_verification(skill: str, tmp_path: Path) -> None:
    """In batches of kinds, so that each is drawn often enough. The seeds hold a single table, so ours stand beside them."""
    real = [k for k in load_skill(skill).kinds if k.tier == "real"]
    kinds = [k.name for k in real if list(k.suits) != ["identity/table"]]
    batches = [kinds[start : start + BATCH] for start in range(0, len(kinds), BATCH)]
    batches += [[k.name] for k in real if k.name not in kinds]
    reached: dict[str, Reached] = {}
    tables = [d for d in default_documents() if d.kind == "table"]
    for batch in batches:
        documents = seeds() + tables if batch[0] in kinds else tables
        made = trial(skill, tmp_path / f"run-{batch[0]}", documents=documents, kinds=batch)
        reached |= {kind: made[kind] for kind in batch}
    print(table(reached))
    assert [k for k, r in reached.items() if not r.rows] == []
    assert [str(r) for r in reached.values() if r.decided and r.passed < 0.95 * r.rows] == []
