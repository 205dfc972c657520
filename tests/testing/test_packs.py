"""A pack that is not whole is told so, with the file and what would be right."""

import shutil
from pathlib import Path

import pytest

from preceptor.skill import BUILT_IN, built_in
from preceptor.testing import counts_of_skill, faults_of_pack


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    shutil.copytree(BUILT_IN / "_template" / "pack", tmp_path / "pack")
    return tmp_path / "pack"


@pytest.mark.parametrize("name", built_in())
def test_the_packs_in_the_box_are_whole(name: str) -> None:
    assert faults_of_pack(name, golden=False) == []


def test_the_template_is_whole(pack: Path) -> None:
    assert faults_of_pack(pack) == []


FAULTS = [
    ("2_instruct/taxonomy.toml", "final_matches", "final_match", "no check 'final_match'; did you mean 'final_matches'?"),
    ("2_instruct/stated_figure.md", "{{ kind.about }}", "{{ kid.about }}", "stated_figure.md: 'kid' is undefined"),
    ("4_respond/answer.md", "{{ block", "{{ blok", "'blok' is undefined"),
    ("3_refine/goals.toml", "harder_question", 'harder_question"\nsuggester = "sugester', "no suggester 'sugester'"),
    ("4_respond/styles.toml", "{{ text }}", "{{ txt }}", "layout text_first: template: 'txt' is undefined"),
    ("2_instruct/taxonomy.toml", 'shape   = "short"', 'shape = "short"\nsuits = ["notise"]', "did you mean 'notice'?"),
    ("skill.toml", '"refusal"', '"refusl"', "verify.checks: no check 'refusl'; did you mean 'refusal'?"),
]


@pytest.mark.parametrize(("file", "right", "wrong", "told"), FAULTS, ids=[f[3][:30] for f in FAULTS])
def test_a_fault_is_named_with_its_file_and_what_would_be_right(
    pack: Path, file: str, right: str, wrong: str, told: str
) -> None:
    text = (pack / file).read_text()
    assert right in text
    (pack / file).write_text(text.replace(right, wrong, 1))
    assert any(told in fault for fault in faults_of_pack(pack)), faults_of_pack(pack)


def test_what_is_in_the_box_is_counted() -> None:
    counts = {name: counts_of_skill(name) for name in ("reading_comprehension", "text_modification", "tool_use")}
    assert all(c["kinds"] >= least for c, least in zip(counts.values(), (43, 18, 7)))
    assert all(c["executable"] + c["judged"] == c["kinds"] for c in counts.values())
