"""A recipe by batches: nothing is lost or bought twice, whatever becomes of a batch and wherever the process dies."""

import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import orjson
import pytest

from flows.makings import template
from preceptor import factory
from preceptor.engine.store import Store
from preceptor.errors import BudgetSpent, RecipeError
from preceptor.recipe import Recipe, load_recipe

DOCUMENTS = 12
START = (
    "import sys; from preceptor.recipe import load_recipe; from preceptor.factory import run; "
    "run(load_recipe(sys.argv[1]), sys.argv[2], poll=0.1, notice=lambda line: print(line, flush=True))"
)
WORDS = ("harbour", "pilot", "lantern", "ledger", "quarry", "orchard", "turbine", "ferry", "archive", "kiln", "signal", "mason")
Start = Callable[[str], tuple[str, Path]]


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Start]:
    """Starts a batch service of that mode; returns its address and its ledger."""
    started: list[subprocess.Popen[bytes]] = []

    def start(mode: str) -> tuple[str, Path]:
        ledger, told = tmp_path / f"{mode}.ledger", tmp_path / f"{mode}.address"
        ledger.touch()
        command = [sys.executable, "-m", "preceptor.testing", "batches", "--ledger", ledger, "--tell", told]
        command += ["--mode", mode, "--seconds", "200"]
        started.append(subprocess.Popen(command, stdout=subprocess.DEVNULL))
        until = time.monotonic() + 30
        while not told.exists() and time.monotonic() < until:
            time.sleep(0.02)
        return told.read_text(), ledger

    yield start
    for process in started:
        process.kill()
        process.wait()


def recipe(folder: Path, url: str, batch: str = "{ every = 0.05 }", more: str = "") -> Path:
    if not (folder / "mine").exists():
        template(folder)
        (folder / "notes").mkdir()
    for number in range(DOCUMENTS):
        told = [f"The {WORDS[(number + n) % 12]} of {number} has {7 * n + number} steps to the {WORDS[n]}." for n in range(9)]
        (folder / f"notes/{number:03}.md").write_text(f"# Place {number}\n\n{' '.join(told)}\n")
    file = folder / "recipe.toml"
    price = "price = { input = 1.0, output = 4.0 }"
    teacher = f'teacher = {{ url = "{url}", model = "simulated", label_calls = true, {price}{batch and f", batch = {batch}"} }}'
    file.write_text(f'documents = ["notes/*.md"]\nskills = ["mine"]\n{teacher}\n{more}')
    return file


def rows(folder: Path) -> list[tuple[object, ...]]:
    store = Store(folder)
    try:
        assert store.law()["holds"]
        assert store.law()["items"]["pending"] == 0
        return [(r.node.id, r.node.status, r.node.messages) for r in store.examples()]
    finally:
        store.close()


def noted(ledger: Path) -> Counter[str]:
    return Counter(line.split()[0] for line in ledger.read_text().splitlines())


def bought(ledger: Path) -> Counter[str]:
    """How often each call was paid for."""
    return Counter(line.split()[1] for line in ledger.read_text().splitlines() if line.startswith("paid"))


def done(file: Path, into: Path) -> factory.Run:
    return factory.run(load_recipe(file), into, poll=0.1, signals=False)


def test_the_same_recipe_by_batches_makes_rows_at_half_the_price_and_items_wait_outside_memory(
    tmp_path: Path, service: Start
) -> None:
    url, ledger = service("plain")
    run = done(recipe(tmp_path, url), tmp_path / "run")
    store = Store(tmp_path / "run")
    ((tokens_in, tokens_out, cost),) = store.rows("SELECT sum(prompt_tokens), sum(completion_tokens), sum(cost) FROM calls")
    assert store.rows("SELECT count(*) FROM held") == [(0,)]
    store.close()
    assert len(rows(tmp_path / "run")) > 10
    assert set(bought(ledger).values()) == {1}
    assert cost == pytest.approx((tokens_in * 0.5 + tokens_out * 2.0) * 1000, rel=0.001)
    assert 2 <= noted(ledger)["create"] <= 8  # a batch for each step, not one for each call
    assert run.report["money"]["reserved"] == pytest.approx(0, abs=1e-9)


def test_a_window_counts_calls(tmp_path: Path, service: Start) -> None:
    url, ledger = service("plain")
    done(recipe(tmp_path, url, "{ every = 0.05, window = 5 }"), tmp_path / "run")
    sizes = [len(file.read_text().splitlines()) for file in (tmp_path / "run/batches").rglob("requests-*.jsonl")]
    assert max(sizes) <= 5
    assert noted(ledger)["create"] == len(sizes) >= sum(bought(ledger).values()) / 5
    assert set(bought(ledger).values()) == {1}


def test_without_waiting_the_run_submits_and_ends_and_the_same_command_takes_the_replies_in(
    tmp_path: Path, service: Start
) -> None:
    url, ledger = service("plain")
    file = recipe(tmp_path, url)
    first = factory.run(load_recipe(file), tmp_path / "run", signals=False)
    assert first.ended is not None
    assert first.ended.waiting_requests >= DOCUMENTS
    assert noted(ledger)["create"] == 1
    for _ in range(12):
        time.sleep(0.3)
        run = factory.run(load_recipe(file), tmp_path / "run", signals=False)
        if run.ended and not run.ended.waiting_requests:
            break
    assert len(rows(tmp_path / "run")) > 10
    assert set(bought(ledger).values()) == {1}


def killed_when(file: Path, into: Path, ledger: Path, seen: str, times: int = 1) -> None:
    """A process is at the run until the service has noted that so often; then it is killed."""
    process = subprocess.Popen([sys.executable, "-c", START, file, into], stdout=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 40
        while noted(ledger)[seen] < times and time.monotonic() < until:
            assert process.poll() is None, "it ended before it could be killed"
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        process.wait(20)
    finally:
        process.kill()


@pytest.mark.parametrize(("seen", "times"), [("upload", 1), ("create", 1), ("paid", 5), ("create", 2)])
def test_killed_before_and_after_submitting_and_while_it_waits_nothing_is_lost_or_bought_twice(
    seen: str, times: int, tmp_path: Path, service: Start
) -> None:
    url, ledger = service("plain")
    file = recipe(tmp_path, url)
    done(file, tmp_path / "whole")
    alone = set(bought(ledger))
    ledger.write_text("")
    killed_when(file, tmp_path / "killed", ledger, seen, times)
    done(file, tmp_path / "killed")
    assert rows(tmp_path / "killed") == rows(tmp_path / "whole")
    assert set(bought(ledger)) == alone
    assert set(bought(ledger).values()) == {1}


def test_a_batch_that_was_made_while_the_process_died_is_found_by_its_tag(tmp_path: Path, service: Start) -> None:
    url, ledger = service("hang")
    file = recipe(tmp_path, url)
    killed_when(file, tmp_path / "run", ledger, "create")
    said: list[str] = []
    factory.run(load_recipe(file), tmp_path / "run", poll=0.1, signals=False, notice=said.append)
    assert any("was submitted before the last end" in line for line in said)
    made = [line.split()[2] for line in ledger.read_text().splitlines() if line.startswith("create")]
    assert len(made) == len(set(made))  # no file was submitted twice
    assert len(rows(tmp_path / "run")) > 10
    assert set(bought(ledger).values()) == {1}


def test_a_batch_that_was_made_twice_because_no_list_showed_it_is_found_by_its_tag_and_cancelled(
    tmp_path: Path, service: Start
) -> None:
    url, ledger = service("late")
    file = recipe(tmp_path, url)
    killed_when(file, tmp_path / "run", ledger, "create")
    said: list[str] = []
    factory.run(load_recipe(file), tmp_path / "run", poll=0.1, signals=False, notice=said.append)
    tags = Counter(line.split()[2] for line in ledger.read_text().splitlines() if line.startswith("create"))
    assert max(tags.values()) == 2
    assert noted(ledger)["cancel"] == 1
    assert any("once more; it is cancelled" in line for line in said)
    assert set(bought(ledger).values()) == {1}


def test_what_an_expired_batch_did_is_taken_in_and_the_rest_goes_again(tmp_path: Path, service: Start) -> None:
    url, ledger = service("expire")
    done(recipe(tmp_path, url), tmp_path / "run")
    assert len(rows(tmp_path / "run")) > 10
    assert set(bought(ledger).values()) == {1}
    (folder,) = (tmp_path / "run/batches").iterdir()
    ended = {orjson.loads(path.read_bytes())["status"] for path in folder.glob("batch-*.json")}
    assert ended == {"expired", "completed"}
    assert len((folder / "requests-002.jsonl").read_text().splitlines()) >= 0.6 * DOCUMENTS


def test_a_batch_that_vanishes_counts_as_paid_and_goes_again(tmp_path: Path, service: Start) -> None:
    url, ledger = service("vanish")
    run = done(recipe(tmp_path, url), tmp_path / "run")
    assert len(rows(tmp_path / "run")) > 10
    spent = run.report["spent"]
    assert spent["charged"] > 0
    assert 0 < sum(n - 1 for n in bought(ledger).values()) <= noted(ledger)["paid"] / 2
    store = Store(tmp_path / "run")
    assert store.rows("SELECT count(*) FROM held") == [(0,)]
    store.close()


def test_errors_in_passing_go_again_and_errors_for_good_are_drops_with_the_services_words(
    tmp_path: Path, service: Start
) -> None:
    url, ledger = service("errors")
    run = done(recipe(tmp_path, url), tmp_path / "run")
    assert len(rows(tmp_path / "run")) > 5
    assert set(bought(ledger).values()) == {1}
    reasons = " ".join(drop["reason"] for drop in run.report["drops"])
    assert "400 no such thing" in reasons
    assert "overloaded" not in reasons


def test_a_cap_holds_what_a_batch_has_until_its_replies_are_in(tmp_path: Path, service: Start) -> None:
    url, ledger = service("slow")
    limits = "[limits]\ncost = 0.035\n"
    file = recipe(tmp_path, url, more=limits)
    for _ in range(2):  # held by one process, it is held by the next
        with pytest.raises(BudgetSpent, match="held for a batch"):
            factory.run(load_recipe(file), tmp_path / "run", signals=False)
    store = Store(tmp_path / "run")
    ((held, calls),) = store.rows("SELECT sum(money), count(*) FROM held")
    store.close()
    assert 0.02e9 < held <= 0.035e9
    assert 2 <= calls < DOCUMENTS
    assert noted(ledger)["paid"] == 0


def test_an_id_that_stands_twice_is_refused_before_anything_is_submitted(tmp_path: Path, service: Start) -> None:
    url, ledger = service("plain")
    file = recipe(tmp_path, url)
    from preceptor.models import open_model

    spec = load_recipe(file).teacher
    assert isinstance(spec, dict)
    model = open_model(spec, folder=tmp_path / "run")
    folder = model.folder  # type: ignore[attr-defined]
    line = orjson.dumps({"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": {}})
    (folder / "requests-001.jsonl").write_bytes(line + b"\n" + line + b"\n")
    with pytest.raises(RecipeError, match="a stands there 2 times"):
        factory.run(load_recipe(file), tmp_path / "run", signals=False)
    assert noted(ledger).total() == 0


@pytest.mark.parametrize("waits", [True, False])
def test_a_number_of_rows_is_reached_by_batches_too(waits: bool, tmp_path: Path, service: Start) -> None:
    url, ledger = service("plain")
    file = recipe(tmp_path, url, more="")
    file.write_text("rows = 15\npasses = 6\n" + file.read_text())
    run = done(file, tmp_path / "run")
    for _ in range(0 if waits else 60):
        run = factory.run(load_recipe(file), tmp_path / "again", signals=False)
        if run.ended and not run.ended.waiting_requests:
            break
        time.sleep(0.1)
    told = run.report["target"]
    assert (told["accepted"], told["ended"]) == (15, "filled")
    assert run.ended is not None
    assert (run.ended.waiting_requests, run.ended.progress.parked) == (0, 0)
    assert [e.id for e in factory.Run(tmp_path / "run").each()] == [e.id for e in run.each()]
    assert max(bought(ledger).values()) <= (1 if waits else 2)


def test_a_batch_may_be_asked_directly_later_in_the_same_run(tmp_path: Path, service: Start) -> None:
    url, _ = service("plain")
    by_batch = load_recipe(recipe(tmp_path, url))
    direct = load_recipe(recipe(tmp_path, url, batch=""))
    assert isinstance(by_batch, Recipe)
    assert by_batch.pinned() == direct.pinned()
