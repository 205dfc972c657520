"""Killed at any instant, a run loses nothing, doubles nothing, and pays again only for what was in the air."""

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from preceptor.engine.store import Store

HERE = Path(__file__).parent
ITEMS, SLOTS, CALLS = 90, 16, 7


@pytest.fixture
def endpoint(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    ledger, told = tmp_path / "paid", tmp_path / "url"
    process = subprocess.Popen([sys.executable, HERE / "endpoint.py", ledger, told])
    try:
        until = time.monotonic() + 20
        while not told.exists() and time.monotonic() < until:
            time.sleep(0.02)
        yield told.read_text(), ledger
    finally:
        process.kill()
        process.wait()


def start(folder: Path, url: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, HERE / "worker.py", folder, url, str(ITEMS), str(SLOTS)])


def rows(folder: Path) -> list[str]:
    store = Store(folder)
    try:
        assert store.law()["holds"]
        return [row.node.id for row in store.examples()]
    finally:
        store.close()


def test_a_run_killed_again_and_again_ends_as_if_it_had_never_been(tmp_path: Path, endpoint: tuple[str, Path]) -> None:
    url, ledger = endpoint
    assert start(tmp_path / "whole", url).wait(60) == 0
    whole = rows(tmp_path / "whole")
    assert len(set(whole)) == len(whole) == ITEMS * 3
    assert len(ledger.read_text().split()) == ITEMS * CALLS
    ledger.write_text("")

    dice, kills = random.Random(4), 0
    for _ in range(40):
        process = start(tmp_path / "killed", url)
        try:
            if kills < 8:
                before = ledger.stat().st_size
                until = time.monotonic() + 20
                while ledger.stat().st_size == before and process.poll() is None and time.monotonic() < until:
                    time.sleep(0.001)  # the dice begin with the first call
                time.sleep(dice.uniform(0, 0.07))
                process.send_signal(signal.SIGKILL)
            code = process.wait(60)
        finally:
            process.kill()
        if code == 0:
            break
        assert code == -signal.SIGKILL
        kills += 1
        if (tmp_path / "killed" / "run.db").exists():
            assert Store(tmp_path / "killed").law()["holds"]
    assert kills == 8
    assert code == 0

    paid = Counter(ledger.read_text().split())
    assert rows(tmp_path / "killed") == whole
    assert len(paid) == ITEMS * CALLS
    assert paid.total() - len(paid) <= kills * SLOTS
    db = sqlite3.connect(tmp_path / "killed" / "run.db")
    assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    db.close()


def test_ctrl_c_lets_what_is_in_the_air_arrive_and_nothing_is_paid_twice(
    tmp_path: Path, endpoint: tuple[str, Path]
) -> None:
    url, ledger = endpoint
    process = start(tmp_path / "run", url)
    until = time.monotonic() + 20
    while not (ledger.exists() and ledger.stat().st_size > 2000) and time.monotonic() < until:
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGINT)
    assert process.wait(30) == 130
    stored = Store(tmp_path / "run")
    assert stored.rows("SELECT count(*) FROM calls")[0][0] == len(ledger.read_text().split())
    assert stored.law()["items"]["pending"] > 0
    stored.close()
    assert start(tmp_path / "run", url).wait(60) == 0
    assert len(rows(tmp_path / "run")) == ITEMS * 3
    assert max(Counter(ledger.read_text().split()).values()) == 1
