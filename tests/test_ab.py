"""Two prompts on the same documents: differences are paired, the change alone is paid for, and no judge is won by a place."""

import re
from pathlib import Path
from typing import Any

import pytest

import filled
from preceptor import ab
from preceptor.draws import digest, fraction
from preceptor.errors import PackError, RecipeError
from preceptor.types import Request

GOOD = """
+++
[reply]
answer = { max = 600 }
final = { max = 200 }
+++
{{ block("task", task) }}
Answer with care.
"""


class Writer(filled.Teacher):
    """Answers right six times in ten, with care nine; as a judge, takes the row that says so, or always the first."""

    def __init__(self, biased: bool = False) -> None:
        super().__init__()
        self.agents: list[str] = []
        self._biased = biased

    def _said(self, request: Request, told: str) -> dict[str, Any]:
        self.agents.append(request.agent)
        prompt = request.messages[-1]["content"]
        if request.agent == "ab/prefer":
            first, second = re.findall(r"<row_[ab]-\w+>(.*?)</row_", prompt, re.S)
            careful = ["A" if "carefully" in first else "", "B" if "carefully" in second else ""]
            return {"reason": "so", "better": "A" if self._biased else "".join(careful) or "neither"}
        if request.agent.endswith("liked"):
            return {"good": True}
        if request.agent.endswith("answer"):
            careful = "with care" in prompt
            right = fraction("right", digest(prompt.split("Answer")[0])) < (0.9 if careful else 0.6)
            return {
                "answer": "It is carefully forty-two." if careful else "It is so.",
                "final": "forty-two" if right else "nine",
            }
        return super()._said(request, told)


def compared(folder: Path, model: Writer, new: str = GOOD, **other: Any) -> ab.Compared:
    filled.written(folder)
    (folder / "new.md").write_text(new.lstrip())
    models: Any = {"teacher": model, "judge": model}
    plan = filled.recipe(folder, **other)
    return ab.compare(
        plan, "small/4_respond/answer", folder / "new.md", folder / "ab", models=models, given=filled.documents(40)
    )


def test_a_better_prompt_shows_as_better_with_intervals_and_only_what_it_reaches_is_paid_for(tmp_path: Path) -> None:
    model = Writer()
    told = compared(tmp_path, model)
    assert told.documents == 30
    assert told.old.made == told.new.made == 90
    assert 0.15 < told.acceptance.middle < 0.45
    assert told.acceptance.low > 0
    assert told.rows.low > 0
    assert told.cost.high < 0  # fewer tokens for each accepted row
    assert told.old.calls == pytest.approx(told.new.calls, rel=0.2)
    asked = {agent: model.agents.count(agent) for agent in set(model.agents)}
    assert asked["small/2_instruct/count"] == 90  # shared by both arms
    assert asked["small/4_respond/answer"] == 180
    assert told.preferred is not None
    assert told.preferred.low > 0.9
    new, old, even = told.wins
    assert (old, even) == (0, 0)
    assert new > 30
    before = len(model.agents)
    assert compared(tmp_path, model) == told  # typed again, it is there
    assert len(model.agents) == before


def test_a_judge_that_goes_by_the_place_prefers_nobody(tmp_path: Path) -> None:
    told = compared(tmp_path, Writer(biased=True))
    assert told.wins[:2] == (0, 0)
    assert told.preferred is not None
    assert (told.preferred.low, told.preferred.high) == (0.5, 0.5)


def test_the_same_prompt_twice_differs_in_nothing(tmp_path: Path) -> None:
    filled.written(tmp_path)
    same = (tmp_path / "small/4_respond/answer.md").read_text()
    model = Writer()
    told = compared(tmp_path, model, same)
    assert (told.acceptance.low, told.acceptance.middle, told.acceptance.high) == (0, 0, 0)
    assert told.cost.middle == 0
    assert told.preferred is None
    assert model.agents.count("small/4_respond/answer") == 90


def test_what_cannot_be_compared_is_said_before_anything_is_paid_for(tmp_path: Path) -> None:
    filled.written(tmp_path)
    (tmp_path / "new.md").write_text("+++\n[reply]\nanswer = { max = 600 }\n+++\nAnswer.\n")
    plan, model = filled.recipe(tmp_path), Writer()
    models: Any = {"teacher": model, "judge": model}
    cases: list[tuple[str, str, type[Exception], str]] = [
        ("4_respond/anwser", "new.md", RecipeError, "did you mean"),
        ("4_respond/answer", "nowhere.md", RecipeError, "no such file"),
        ("4_respond/answer", "new.md", PackError, "lacks final"),
    ]
    for old, new, error, words in cases:
        with pytest.raises(error, match=words):
            ab.compare(plan, old, tmp_path / new, tmp_path / "ab", models=models, given=filled.documents(4))
    assert model.agents == []
