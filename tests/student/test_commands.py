"""train, exam and evaluate as a user types them, over a run of the simulated teacher."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from preceptor.cli import main
from preceptor.recipe import recipe_of
from preceptor.student.exam import read_exam
from preceptor.student.rows import held_out, training_rows
from preceptor.testing import simulate
from student.makings import files, tiny

pytestmark = [pytest.mark.student, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    for name, (document,) in list(files().items())[:14]:
        lines = [line.strip("| ").split(" | ") for line in document.text.splitlines() if "---" not in line]
        (folder / name).write_text("\n".join(",".join(line) for line in lines), encoding="utf-8")
    skills = {"reading_comprehension": {"kinds": ["table_claim", "table_lookup"], "transformers": ["identity"]}}
    table = {"documents": ["*.csv"], "skills": skills, "seed": 3, "licence": "CC0-1.0", "language": "en"}
    simulate(recipe_of(table, folder), folder / "run")
    return folder / "run"


def typed(*words: str) -> str:
    done = CliRunner().invoke(main, list(words), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def test_a_runs_rows_train_a_student_that_sits_the_runs_exam(run: Path, tmp_path: Path) -> None:
    held = training_rows(run)
    assert held.left_out["held-out document"] > 0
    assert not any(held_out(row.source) for row in held.rows)
    base = tiny(tmp_path / "base", [str(m["content"]) for row in held.rows for m in row.messages])
    student = tmp_path / "student"
    told = json.loads(typed("train", str(run), "--base", str(base), "--into", str(student), "--steps", "2", "--json"))
    assert told["steps"] == 2
    assert (student / "curves.png").is_file()

    exam = json.loads(typed("exam", str(run), "--items", "12", "--json"))
    assert exam["items"] == 12
    assert {item.skill for item in read_exam(run).items} == {"reading_comprehension"}

    before = tmp_path / "before.json"
    line = ["evaluate", str(base), str(run / "exam.jsonl"), "--into", str(before), "--json"]
    assert json.loads(typed(*line))["items"] == 12
    after = json.loads(typed("evaluate", str(student), str(run), "--against", str(before), "--json"))
    assert after["table"][0]["against_interval"]
    assert "of   12" in typed("evaluate", str(student), str(run))


def test_what_is_no_run_and_no_exam_is_said(run: Path, tmp_path: Path) -> None:
    def refused(*words: str) -> str:
        done = CliRunner().invoke(main, list(words))
        assert done.exit_code == 2
        return str(done.stderr)

    assert "preceptor run RECIPE" in refused("train", str(tmp_path), "--into", str(tmp_path / "s"))
    assert "preceptor exam RUN" in refused("evaluate", "local", str(tmp_path / "none.jsonl"))
    made = json.loads(typed("exam", str(run), "--into", str(tmp_path / "e.jsonl"), "--json"))
    assert "--model NAME" in refused("evaluate", "http://127.0.0.1:9/v1", made["file"])
