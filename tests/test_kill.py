"""Killed with SIGKILL at random instants, a run ends with the rows of one that was left alone, and pays again for no
more than was in the air at each kill. The endpoint is a process of its own and keeps the count."""

import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows.makings import template
from preceptor.engine.store import Store

SLOTS, DOCUMENTS = 16, 80
SEED = 11
START = (
    "import sys; from preceptor.recipe import load_recipe; from preceptor.factory import run; "
    "run(load_recipe(sys.argv[1]), sys.argv[2])"
)
WORDS = ("harbour", "pilot", "lantern", "ledger", "quarry", "orchard", "turbine", "ferry", "archive", "kiln", "signal", "mason")


@pytest.fixture
def endpoint(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    ledger, told = tmp_path / "ledger", tmp_path / "address"
    ledger.touch()
    command = [sys.executable, "-m", "preceptor.testing", "endpoint", "--ledger", ledger, "--tell", told]
    process = subprocess.Popen([*command, "--delay", "0.03", "--seconds", "280"], stdout=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 30
        while not told.exists() and time.monotonic() < until:
            time.sleep(0.02)
        yield told.read_text(), ledger
    finally:
        process.kill()
        process.wait()


def recipe(folder: Path, url: str) -> Path:
    """Documents that differ, the pack that `preceptor new` writes, and the endpoint."""
    template(folder)
    dice = random.Random(1)
    (folder / "notes").mkdir()
    for number in range(DOCUMENTS):
        pairs = [(dice.choice(WORDS), dice.choice(WORDS), dice.randint(3, 99)) for _ in range(9)]
        told = [f"The {one} of {number} and {other} has {steps} steps." for one, other, steps in pairs]
        (folder / f"notes/{number:03}.md").write_text(f"# Place {number}\n\n{' '.join(told)}\n")
    file = folder / "recipe.toml"
    teacher = f'teacher = {{ url = "{url}", model = "simulated" }}'
    file.write_text(f'documents = ["notes/*.md"]\nskills = ["mine"]\n{teacher}\n[limits]\nin_flight = {SLOTS}\n')
    return file


def start(file: Path, into: Path) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, "-c", START, file, into])


def rows(folder: Path) -> list[tuple[object, ...]]:
    """All that can be compared of every row: id, status, messages, drafts, verdicts."""
    store = Store(folder)
    try:
        assert store.law()["holds"]
        assert store.law()["items"]["pending"] == 0
        return [
            (r.node.id, r.node.status, r.node.messages, r.node.verdicts, [(d.answer, d.by) for d in r.node.drafts])
            for r in store.examples()
        ]
    finally:
        store.close()


def paid(ledger: Path) -> Counter[str]:
    """How often each request was paid for."""
    return Counter(line.split()[0] for line in ledger.read_text().splitlines())


@pytest.mark.parametrize("kills", [6, pytest.param(20, marks=pytest.mark.soak)])
def test_killed_at_random_instants_a_run_ends_as_if_it_had_been_left_alone(
    kills: int, tmp_path: Path, endpoint: tuple[str, Path]
) -> None:
    url, ledger = endpoint
    file = recipe(tmp_path, url)
    began = time.monotonic()
    assert start(file, tmp_path / "whole").wait(120) == 0
    whole, alone = rows(tmp_path / "whole"), paid(ledger)
    assert alone.total() >= 500
    assert len(whole) > 100

    ledger.write_bytes(b"")
    dice, killed = random.Random(SEED), tmp_path / "killed"
    for goal in sorted(dice.sample(range(1, len(alone) - SLOTS), kills)):
        process = start(file, killed)
        try:
            until = time.monotonic() + 60
            while len(paid(ledger)) < goal and process.poll() is None and time.monotonic() < until:
                time.sleep(0.003)
            assert process.poll() is None, "the run ended before it could be killed"
            process.send_signal(signal.SIGKILL)
            process.wait(30)
        finally:
            process.kill()
        time.sleep(0.06)  # what the dead process had sent is still being answered, and counted
    assert start(file, killed).wait(120) == 0

    again = paid(ledger)
    more, allowed = again.total() - alone.total(), kills * SLOTS
    seconds = time.monotonic() - began
    print(f"\n{alone.total()} calls alone, {more} more after {kills} kills, of {allowed} allowed; {seconds:.0f} s")
    assert rows(killed) == whole
    assert set(again) == set(alone)
    assert 0 < more <= allowed
