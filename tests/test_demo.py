"""What the demo promises: rows of every skill, most of them by the model, and an end in minutes."""

from types import SimpleNamespace
from typing import Any

import pytest

from preceptor.demo import ROWS, demo_recipe, enough
from preceptor.factory import plan_of

SKILLS = ("reading_comprehension", "text_modification", "tool_use")


def made(accepted: tuple[int, int, int], by_model: int) -> Any:
    """A run that stands so."""
    kinds = [{"skill": skill, "accepted": n} for skill, n in zip(SKILLS, accepted, strict=True)]
    return SimpleNamespace(report={"kinds": kinds, "answered_by": {"model": by_model}})


@pytest.mark.parametrize(
    ("accepted", "by_model", "expected"),
    [((9, 2, 1), 9, True), ((9, 1, 1), 9, False), ((12, 1, 0), 12, False), ((12, 0, 1), 12, False), ((9, 2, 1), 5, False)],
)
def test_another_pass_is_made_until_every_skill_has_a_row_and_half_of_them_are_by_the_model(
    accepted: tuple[int, int, int], by_model: int, expected: bool
) -> None:
    assert enough(made(accepted, by_model), demo_recipe()) is expected
    assert ROWS == 12


def test_the_demos_recipe_names_documents_kinds_and_transformers_that_exist() -> None:
    plan = plan_of(demo_recipe())
    assert tuple(plan.skills) == SKILLS
    assert all(demo_recipe().path(p).exists() for p in demo_recipe().documents)
