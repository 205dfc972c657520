"""Killed with SIGKILL at random instants, a run ends with the rows of one that was left alone, and pays again for no
more than was in the air at each kill. The endpoint is a process of its own and keeps the count."""

import os
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

SLOTS, DOCUMENTS, KILLS = 16, 60, 20
SEED = 11
START = (
    "import sys; from preceptor.recipe import load_recipe; from preceptor.factory import run; "
    "run(load_recipe(sys.argv[1]), sys.argv[2])"
)
WORDS = ("harbour", "pilot", "lantern", "ledger", "quarry", "orchard", "turbine", "ferry", "archive", "kiln", "signal", "mason")


class Ledger:
    """The endpoint's own count, read on as it grows: a line for every call, written before it is answered."""

    def __init__(self, file: Path) -> None:
        self.file, self.calls = file, Counter[str]()
        self._at = file.stat().st_size

    def read(self) -> "Counter[str]":
        with self.file.open("rb") as held:
            held.seek(self._at)
            new = held.read()
        whole = new[: new.rfind(b"\n") + 1]
        self._at += len(whole)
        self.calls.update(line.split()[0] for line in whole.decode().splitlines())
        return self.calls


def environment(folder: Path) -> dict[str, str]:
    """Compiled once for all twenty-two processes: a machine that keeps no bytecode would spend its time compiling."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return kept | {"PYTHONPYCACHEPREFIX": str(folder / "compiled")}


@pytest.fixture
def endpoint(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    ledger, told = tmp_path / "ledger", tmp_path / "address"
    ledger.touch()
    command = [sys.executable, "-m", "preceptor.testing", "endpoint", "--ledger", ledger, "--tell", told]
    command += ["--delay", "0.03", "--seconds", "280"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environment(tmp_path))
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
    return subprocess.Popen([sys.executable, "-c", START, file, into], env=environment(file.parent))


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


def pending(folder: Path) -> int:
    store = Store(folder)
    try:
        law = store.law()
        assert law["holds"]
        return int(law["items"]["pending"])
    finally:
        store.close()


@pytest.mark.parametrize("kills", [KILLS, pytest.param(60, marks=pytest.mark.soak)])
def test_killed_at_random_instants_a_run_ends_as_if_it_had_been_left_alone(
    kills: int, tmp_path: Path, endpoint: tuple[str, Path]
) -> None:
    file = recipe(tmp_path, endpoint[0])
    began, alone = time.monotonic(), Ledger(endpoint[1])
    assert start(file, tmp_path / "whole").wait(120) == 0
    whole, once = rows(tmp_path / "whole"), alone.read()
    assert once.total() >= 500
    assert len(whole) > 100

    ledger, dice, killed = Ledger(endpoint[1]), random.Random(SEED), tmp_path / "killed"
    for goal in sorted(dice.sample(range(1, len(once) - SLOTS), kills)):
        before, later = ledger.read().total(), dice.uniform(0, 0.03)
        process = start(file, killed)
        try:
            until = time.monotonic() + 60
            while process.poll() is None and time.monotonic() < until:
                # it has sent something itself, and as many different calls as the dice say have been paid for
                if ledger.read().total() > before and len(ledger.calls) >= goal:
                    break
                time.sleep(0.005)
            time.sleep(later)
            assert process.poll() is None, "the run ended before it could be killed"
            process.send_signal(signal.SIGKILL)
            process.wait(30)
        finally:
            process.kill()
        time.sleep(0.05)  # what the dead process had sent is still being counted
        assert ledger.read().total() > before
        assert pending(killed) > 0
    assert start(file, killed).wait(120) == 0

    again = ledger.read()
    more, allowed, seconds = again.total() - once.total(), kills * SLOTS, time.monotonic() - began
    print(f"\n{once.total()} calls alone, {more} more after {kills} kills, of {allowed} allowed; {seconds:.0f} s")
    assert rows(killed) == whole
    assert set(again) == set(once)
    assert 0 < more <= allowed
