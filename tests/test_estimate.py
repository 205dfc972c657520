"""An estimate is close to what the run then takes, and what its pilot paid for is not paid for again."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import filled
from preceptor import factory
from preceptor.cli import main
from preceptor.engine.estimate import Sample, estimated
from preceptor.recipe import load_recipe

WORDS = ("harbour", "pilot", "lantern", "ledger", "quarry", "orchard", "turbine", "ferry", "archive", "kiln", "signal", "mason")
PRICE = "price = { input = 0.5, output = 2.0 }"


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    folder = tmp_path_factory.mktemp("endpoint")
    ledger, told = folder / "ledger", folder / "address"
    ledger.touch()
    command = [sys.executable, "-m", "preceptor.testing", "endpoint", "--ledger", ledger, "--tell", told, "--seconds", "280"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 30
        while not told.exists() and time.monotonic() < until:
            time.sleep(0.02)
        yield told.read_text(), ledger
    finally:
        process.kill()
        process.wait()


def notes(folder: Path, n: int) -> None:
    """Documents of one to eight paragraphs, the long ones rare."""
    (folder / "notes").mkdir()
    for number in range(n):
        lines = []
        for line in range(6 * (1 + 7 * (number % 7 == 3) + number % 3)):
            one, other = WORDS[(number + line) % 12], WORDS[(5 * number + 3 * line + 1) % 12]
            lines.append(
                f"The {one} {number} of the {other} kept {number * 7 + line * 3 + 2} {one}s in {1700 + number + line}."
            )
        (folder / f"notes/{number:03}.md").write_text(f"# Place {number}\n\n{' '.join(lines)}\n")


RECIPES: dict[str, dict[str, Any]] = {
    "reading, every step": {"n": 36, "skills": 'skills = ["reading_comprehension"]', "more": ""},
    "two skills, two passes": {
        "n": 20,
        "skills": 'skills = ["reading_comprehension", "text_modification"]\npasses = 2',
        "more": "",
    },
    "modification, without refinement": {
        "n": 48,
        "skills": "",
        "more": "[skills.text_modification]\nrefine = { share = 0.0 }\ninstruct = { pick = 2 }\n",
    },
}


@pytest.mark.parametrize("name", RECIPES)
def test_an_estimate_is_within_a_fifth_of_what_the_run_costs(name: str, tmp_path: Path, endpoint: tuple[str, Path]) -> None:
    url, ledger = endpoint
    case = RECIPES[name]
    notes(tmp_path, case["n"])
    file = tmp_path / "recipe.toml"
    teacher = f'teacher = {{ url = "{url}", model = "simulated", label_calls = true, {PRICE} }}'
    file.write_text(f'documents = ["notes/*.md"]\n{case["skills"]}\n{teacher}\n{case["more"]}[limits]\nin_flight = 8\n')
    recipe = load_recipe(file)

    began = len(ledger.read_text().split("\n"))
    told = factory.estimate(recipe, tmp_path / "run", signals=False)
    piloted = len(ledger.read_text().split("\n")) - began
    run = factory.run(recipe, tmp_path / "run", signals=False)
    took, calls = run.report["money"]["spent"], run.report["calls"]["calls"]
    money, off = told.whole["money"], told.whole["money"].middle / took - 1
    print(
        f"\n{name}: {told.done} of {told.items:.0f} items told {money.middle:.4f} ({money.low:.4f} to {money.high:.4f}); "
        f"it took {took:.4f}: {off:+.1%}. Calls {told.whole['calls'].middle:.0f}, {calls} were made"
    )
    assert abs(off) <= 0.20
    assert abs(told.whole["calls"].middle / calls - 1) <= 0.20
    assert told.done < 0.75 * told.items
    assert money.low <= took <= money.high or abs(off) <= 0.05
    assert sum(step["money"] for step in told.steps) == pytest.approx(money.middle)  # type: ignore[misc]
    assert len(ledger.read_text().split("\n")) - began == calls  # nothing is paid twice
    assert 0 < piloted < calls


def test_where_rows_are_asked_for_the_estimate_counts_up_to_them(tmp_path: Path) -> None:
    filled.written(tmp_path)
    model = filled.Teacher()
    models: Any = {"teacher": model, "judge": model}
    plan = filled.recipe(tmp_path, rows=300)
    told = factory.estimate(plan, tmp_path / "run", models=models, documents=filled.documents(60))
    assert told.whole["accepted"].middle == pytest.approx(300)
    run = factory.run(plan, tmp_path / "run", models=models, documents=filled.documents(60))
    assert run.report["target"]["ended"] == "filled"
    assert abs(told.whole["calls"].middle / run.report["calls"]["calls"] - 1) <= 0.25
    alone = filled.made(tmp_path, tmp_path / "alone", 60, rows=300)
    assert [e.id for e in run.each()] == [e.id for e in alone.each()]


def test_what_an_estimate_says_is_printed_per_skill_and_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from preceptor.scaffold import new_skill

    monkeypatch.chdir(tmp_path)
    new_skill("orders", tmp_path)
    (tmp_path / "recipe.toml").write_text(
        'documents = ["orders/golden/documents/*.md"]\nskills = ["orders"]\nteacher = "scripted:orders/trial.jsonl"\n'
    )
    done = CliRunner().invoke(main, ["estimate", "recipe.toml"])
    said = " ".join(done.output.split())
    assert done.exit_code == 0, said
    for words in ("rows accepted", "completion tokens", "orders 2_instruct", "pays for nothing of it again", "add price"):
        assert words in said
    done = CliRunner().invoke(main, ["run", "recipe.toml"])
    assert done.exit_code == 0


def test_amounts_follow_the_size_of_documents_where_they_do() -> None:
    done = [Sample("s", size) for size in (100, 200, 300, 400, 900, 1000)]
    for sample in done:
        sample.amounts["calls"] = 2 + sample.characters / 100
    told = estimated(done, {"s": [100] * 50 + [1000] * 50}, {}, slots=4, priced=False)
    assert told.whole["calls"].middle == pytest.approx(sum(s.amounts["calls"] for s in done) + 50 * 3 + 50 * 12)
    assert told.whole["calls"].off < 0.01
