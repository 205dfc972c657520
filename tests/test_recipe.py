"""Recipes: read once, refused with the key and the nearest known one, pinned in what a run stands on."""

from pathlib import Path
from typing import Any

import pytest

from preceptor.errors import RecipeError
from preceptor.prompts import fill
from preceptor.recipe import load_recipe, ready, recipe_of
from preceptor.skill import BUILT_IN

INIT = BUILT_IN / "_template/recipe.toml.jinja"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("sed = 1", "unknown key 'sed'; did you mean 'seed'?"),
        ("[limits]\ncots = 1", "unknown key 'limits.cots'; did you mean 'cost'?"),
        ('[skills.a]\nkindz = ["x"]', "did you mean 'kinds'?"),
        ("[skills.a]\nrespond = { anwsers = 2 }", "skills.a.respond: unknown key 'anwsers'; did you mean 'answers'?"),
        ("[skills.a]\nroutes = [{ documents = ['x'], kinde = ['y'] }]", "kinde"),
        ("passes = 0", "passes: "),
        ('start = "middle"', "start: "),
        ("seed = ", "not TOML"),
        ('pause_after = "respond"', "pause_after: "),
    ],
)
def test_what_is_wrong_in_a_recipe_is_said_with_file_and_key(text: str, says: str, tmp_path: Path) -> None:
    file = tmp_path / "recipe.toml"
    file.write_text(text)
    with pytest.raises(RecipeError) as refused:
        load_recipe(file)
    assert says in str(refused.value)
    assert str(file) in str(refused.value)
    assert refused.value.exit_code == 2


def test_a_recipe_that_is_not_there_says_what_writes_one(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="preceptor init"):
        load_recipe(tmp_path / "none.toml")
    with pytest.raises(RecipeError, match="is a folder"):
        load_recipe(tmp_path)


@pytest.mark.parametrize("url", ["", "http://localhost:8000/v1"])
def test_the_recipe_that_init_writes_can_be_read_and_asks_for_a_teacher_where_none_was_given(url: str, tmp_path: Path) -> None:
    slots = {"name": "mine", "documents": ["notes/**/*.md"], "url": url, "model": url and "m", "key_env": ""}
    (tmp_path / "recipe.toml").write_text(fill(INIT.read_text(encoding="utf-8"), slots))
    recipe = load_recipe(tmp_path / "recipe.toml")
    assert (recipe.documents, set(recipe.skills)) == (
        ("notes/**/*.md",),
        {"reading_comprehension", "text_modification", "tool_use"},
    )
    if url:
        assert ready(recipe).teacher == {"url": url, "model": "m"}
    else:
        with pytest.raises(RecipeError, match="names no teacher"):
            ready(recipe)


@pytest.mark.parametrize(
    ("change", "pinned"),
    [
        ({"seed": 2}, True),
        ({"brief": "x"}, True),
        ({"judge": {"url": "http://y/v1", "model": "j"}}, True),
        ({"teacher": {"url": "http://x/v1", "model": "other"}}, True),
        ({"teacher": {"url": "http://x/v1", "model": "m", "effort": "high"}}, True),
        ({"teacher": {"url": "http://moved/v1", "model": "m", "key_env": "K", "price": {"input": 1}}}, False),
        ({"limits": {"cost": 3.0}}, False),
        ({"name": "n"}, False),
        ({"into": "elsewhere"}, False),
    ],
)
def test_what_a_run_stands_on_is_pinned_and_addresses_are_not(change: dict[str, Any], pinned: bool) -> None:
    base = {"teacher": {"url": "http://x/v1", "model": "m"}, "skills": ["a"], "documents": ["d"]}
    assert (recipe_of(base).pinned() != recipe_of({**base, **change}).pinned()) is pinned


def test_paths_are_from_the_recipes_own_folder(tmp_path: Path) -> None:
    (tmp_path / "recipe.toml").write_text("")
    recipe = load_recipe(tmp_path / "recipe.toml")
    assert recipe.path("notes") == tmp_path / "notes"
    assert recipe.path("/notes") == Path("/notes")
