"""A recorded run is made again from its record; an edited prompt makes it stale and is named."""

import shutil
from pathlib import Path

import pytest

from preceptor.errors import PackError
from preceptor.recipe import load_recipe
from preceptor.skill import BUILT_IN
from preceptor.testing import SimulatedTeacher, record, replay_golden, stale
from preceptor.testing.simulated import simulate

RECIPE = 'name = "golden"\nteacher = "local"\ndocuments = ["documents/*.md"]\n[skills."{pack}"]\n'


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    pack = tmp_path / "pack"
    shutil.copytree(BUILT_IN / "_template" / "pack", pack)
    for old in (pack / "golden").glob("*.jsonl"):
        old.unlink()
    (pack / "golden" / "recipe.toml").write_text(RECIPE.format(pack=pack))
    simulate(load_recipe(pack / "golden" / "recipe.toml"), tmp_path / "run", SimulatedTeacher(), roles=("teacher",))
    assert record(tmp_path / "run", pack)["replies"] > 0
    return pack


def test_the_replay_has_the_rows_that_were_recorded(recorded: Path) -> None:
    again = replay_golden(recorded)
    assert (dict(again.unknown), dict(again.unasked), again.changed) == ({}, {}, ())
    assert stale(recorded) == []


def test_an_edited_prompt_is_stale_and_named(recorded: Path) -> None:
    answer = recorded / "4_respond" / "answer.md"
    answer.write_text(answer.read_text() + "\nBe brief.\n")
    assert any("pack/4_respond/answer" in line for line in stale(recorded))


def test_a_pack_without_a_record_says_how_to_make_one(tmp_path: Path) -> None:
    shutil.copytree(BUILT_IN / "_template" / "pack", tmp_path / "pack")
    assert stale(tmp_path / "pack") == []
    with pytest.raises(PackError, match=r"python -m preceptor\.testing record"):
        replay_golden(tmp_path / "pack")
