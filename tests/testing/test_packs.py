"""A pack that is not whole is told so, with the file and what would be right."""

import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from preceptor.checks import all_checks
from preceptor.checks.fits import OF_CODE, OF_FIELD, OF_GOLD
from preceptor.cli import main
from preceptor.skill import BUILT_IN, built_in, load_skill
from preceptor.testing import counts_of_skill, faults_of_pack, notes_of_pack


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
    ("2_instruct/taxonomy.toml", "final_matches", "final_match", "final_matches; did you mean 'final_matches'?"),
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


def put(pack: Path, shape: str, checks: str, more: str = "") -> list[str]:
    """What is found where the first kind has this shape and these checks."""
    file = pack / "2_instruct/taxonomy.toml"
    text = file.read_text().replace('shape   = "short"', f'shape = "{shape}"\n{more}', 1)
    file.write_text(text.replace('checks  = ["final_matches"]', f"checks = {checks}", 1))
    return [fault for fault in faults_of_pack(pack) if "taxonomy.toml" in fault]


NEVER = [
    ("order", "order_right", "stands on a field 'order'", "there are: gold_order, final_matches"),
    ("short", "gold_order", "gold of the form order; this shape has gold of the form text", "there are: gold_text,"),
    ("open", "gold_text", "this shape has no gold", "write one in skill.py"),
    ("edit", "gold_edit", "needs what only code makes", "write one in skill.py"),
    ("state", "end_state", "needs what only code makes", "write one in skill.py"),
]


@pytest.mark.parametrize(("shape", "name", "why", "instead"), NEVER, ids=[f"{n[1]} of {n[0]}" for n in NEVER])
def test_a_kind_that_its_checks_could_never_decide_is_refused(
    pack: Path, shape: str, name: str, why: str, instead: str
) -> None:
    (fault,) = put(pack, shape, f'["{name}"]')
    assert "stated_figure: nothing can decide it" in fault
    assert why in fault
    assert instead in fault


def test_a_check_that_stands_on_a_field_is_taken_where_the_kind_has_the_field(pack: Path) -> None:
    assert put(pack, "short", '["order_right"]', 'data = { order = { by = "date" } }') == []


def test_every_deciding_check_in_the_box_is_known_to_fit_or_not() -> None:
    box = {name for name, check in all_checks().items() if check.decides}
    told = {*OF_GOLD, *OF_FIELD, *OF_CODE}
    assert told <= box
    assert box - told == {"content_words_kept"}  # stands on the two texts alone


def test_an_unknown_check_is_answered_with_those_that_fit_the_shape(pack: Path) -> None:
    (fault,) = put(pack, "order", '["gold_ordr"]')
    assert fault.endswith(
        "no check 'gold_ordr'; for the shape 'order' there are: gold_order, final_matches; did you mean 'gold_order'?"
    )


def test_each_kind_is_told_with_shape_tier_and_what_decides_it(pack: Path) -> None:
    counts = counts_of_skill(pack)
    assert {"skill", "kinds", "listed", "gold_first", "executable", "judged", "tools"} < set(counts)
    assert counts["kinds_detail"][0] == {
        "kind": "stated_figure",
        "shape": "short",
        "tier": "real",
        "checks": ["final_matches"],
        "judges": [],
    }
    shown = CliRunner().invoke(main, ["skills", str(pack)], catch_exceptions=False).output
    assert [line for line in shown.splitlines() if line.split()[:4] == ["yes_or_no", "label", "real", "final_matches"]]


def test_the_copied_readme_is_noted_until_it_is_written(pack: Path) -> None:
    (note,) = notes_of_pack(pack)
    assert "README.md is still the copied one" in note
    assert CliRunner().invoke(main, ["check", str(pack)]).exit_code == 0
    (pack / "README.md").write_text("# Harbours\n\nReads orders.\n")
    assert notes_of_pack(pack) == []


def test_a_right_order_fits_what_a_new_pack_may_answer(pack: Path) -> None:
    (final,) = [field for field in load_skill(pack).agents["4_respond/answer"].fields if field.name == "final"]
    entries = [f"{n}. the {word} boat is led through the inner gate" for n, word in enumerate(("first", "second", "third"), 1)]
    assert final.max is not None
    assert final.max >= 4 * len("\n".join(entries))
