"""A08, A28: whatever a disk changes is seen, nothing that was changed is exported, and a torn tail costs only what nobody was
told of."""

import asyncio
import os
import random
import shutil
import sqlite3
import subprocess
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any

import engine_fakes as fakes
import pytest
from click.testing import CliRunner

from preceptor.cli import main
from preceptor.engine.fsck import Checked, fsck
from preceptor.engine.journal import Journal, Write, fork, reader
from preceptor.engine.run import run
from preceptor.engine.seals import COLUMNS
from preceptor.engine.store import Store
from preceptor.errors import DamagedRun, PreceptorError
from preceptor.export import export

FLIPS = 200
"""In the suite; a thousand and more in the soak."""


def made(folder: Path, n: int = 4) -> Path:
    async def go() -> None:
        journal = Journal(folder)
        out = fakes.outside(journal, fakes.Fake())
        await journal.remember("recipe", {"name": "tiny"})
        await run(fakes.items(n), fakes.produce, fakes.door(out), out, signals=False)
        journal.close()

    asyncio.run(go())
    return folder


@pytest.fixture(scope="module")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory.mktemp("fsck") / "run")


@pytest.fixture
def copy(healthy: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(healthy, tmp_path / "copy"))


def changed(folder: Path, sql: str, *values: Any) -> None:
    db = sqlite3.connect(folder / "run.db")
    assert db.execute(sql, values).rowcount > 0
    db.commit()
    db.close()


def test_a_healthy_run_has_no_faults_and_every_row_a_sum(healthy: Path) -> None:
    found = fsck(healthy)
    assert found.faults == ()
    assert found.rows > 100
    assert found.without == 0


@pytest.mark.parametrize(
    ("sql", "where"),
    [
        ("UPDATE nodes SET body = replace(body, 'a', 'b') WHERE type = 'example'", "nodes"),
        ("UPDATE nodes SET status = 'accepted' WHERE status = 'rejected'", "nodes"),
        ("UPDATE calls SET completion = replace(completion, 'e', 'x')", "calls"),
        ("UPDATE calls SET request = replace(request, 'text 1', 'text 7')", "calls"),
        ("UPDATE calls SET cost = cost + 1", "calls"),
        ("UPDATE items SET skill = 'other'", "items"),
        ("UPDATE items SET state = 'dropped' WHERE place = 1", "items"),
        ("UPDATE verdicts SET outcome = 'pass' WHERE outcome = 'fail'", "verdicts"),
        ("UPDATE events SET event = 'passed' WHERE event = 'entered'", "events"),
        ("UPDATE meta SET value = replace(value, 'tiny', 'huge') WHERE key = 'recipe'", "meta recipe"),
        ("DELETE FROM nodes WHERE type = 'material'", ""),
        ("DELETE FROM nodes WHERE item = ''", ""),
    ],
)
def test_what_was_changed_behind_its_back_is_named(sql: str, where: str, copy: Path) -> None:
    changed(copy, sql)
    found = fsck(copy)
    assert any(fault.where.startswith(where) for fault in found.faults), found.faults
    assert all(fault.todo for fault in found.faults)
    done = CliRunner().invoke(main, ["fsck", str(copy)])
    assert done.exit_code == 65
    assert "is damaged" in done.output


def test_nothing_of_a_damaged_run_is_exported(copy: Path, tmp_path: Path) -> None:
    changed(copy, "UPDATE nodes SET body = replace(body, 'a', 'b') WHERE type = 'example' AND status = 'accepted'")
    with pytest.raises(DamagedRun, match=r"is not what was written.*preceptor fsck"):
        export(copy, tmp_path / "dataset")
    assert not (tmp_path / "dataset").exists()
    assert not list(tmp_path.glob(".dataset*"))


async def test_a_fork_takes_over_every_reply_that_is_whole(copy: Path, tmp_path: Path) -> None:
    changed(copy, "UPDATE calls SET completion = '{}' WHERE rowid % 7 = 0")
    journal = Journal(tmp_path / "fork")
    assert await fork(journal, copy) == 24
    journal.close()
    assert fsck(tmp_path / "fork").faults == ()


def test_a_dataset_that_was_changed_is_named_too(copy: Path) -> None:
    export(copy)
    assert CliRunner().invoke(main, ["fsck", str(copy)]).exit_code == 0
    rows = copy / "dataset/rows.jsonl"
    rows.write_bytes(rows.read_bytes()[:-1] + b" ")
    done = CliRunner().invoke(main, ["fsck", str(copy), "--json"])
    assert done.exit_code == 65
    assert "dataset/rows.jsonl" in done.stdout


# ── flipped bytes ────────────────────────────────────────────────────────────────────────────────────────────────


def content(folder: Path) -> Any:
    """Everything that can be read of a run: every value of every row by every way that leads to it."""
    db = reader(folder)
    try:
        by_row, others = ("calls", "uses", "nodes", "items", "spend"), ("meta", "events", "verdicts", "twins")
        tables = {t: db.execute(f"SELECT * FROM {t} NOT INDEXED ORDER BY rowid").fetchall() for t in by_row}
        tables |= {t: db.execute(f"SELECT * FROM {t}").fetchall() for t in others}
        shape = db.execute("SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY rowid").fetchall()
        return tables, shape
    finally:
        db.close()


def exported(folder: Path, into: Path) -> str:
    """What an export would hand out, or nothing where it refuses."""
    try:
        made = export(folder, into)
    except (PreceptorError, sqlite3.Error):
        return ""
    rows = (made.folder / "rows.jsonl").read_bytes()
    shutil.rmtree(made.folder)
    return sha256(rows).hexdigest()


def looked(folder: Path) -> Checked | None:
    try:
        return fsck(folder)
    except PreceptorError:  # it can only be read as no run at all, and says so
        return None


@pytest.mark.parametrize("flips", [FLIPS, pytest.param(3000, marks=pytest.mark.soak)])
def test_a08_a_byte_that_a_disk_has_changed_is_seen_and_no_changed_row_is_exported(
    flips: int, healthy: Path, tmp_path: Path
) -> None:
    """A flip that changes no value that can be read (a byte of free space) is no damage; of all others one in a thousand
    may be missed."""
    whole, before = (healthy / "run.db").read_bytes(), content(healthy)
    good, dice = exported(healthy, tmp_path / "good"), random.Random(8)
    bad, out = tmp_path / "bad", (Path("/dev/shm") if os.path.isdir("/dev/shm") else tmp_path) / f"out-{os.getpid()}"
    bad.mkdir()
    harmless = seen = 0
    missed: list[int] = []
    for _ in range(flips):
        at = dice.randrange(len(whole))
        (bad / "run.db").write_bytes(whole[:at] + bytes([whole[at] ^ (1 << dice.randrange(8))]) + whole[at + 1 :])
        found = looked(bad)
        assert exported(bad, out) in ("", good), f"a flip of byte {at} changed what is exported"
        if found is None or found.faults:
            seen += 1
            continue
        same = content(bad) == before
        harmless += same
        if not same:
            missed.append(at)
    print(f"\n{flips} flips: {seen} seen, {harmless} without effect, {len(missed)} missed: {missed}")
    assert seen > flips / 3
    assert len(missed) <= flips / 1000


# ── torn tails ───────────────────────────────────────────────────────────────────────────────────────────────────

DYING = """
import asyncio, os, sys
from pathlib import Path
from preceptor.engine.journal import Journal, Write

async def main():
    journal = Journal(Path(sys.argv[1]))
    for number in range(12):
        await journal.put(Write("INSERT INTO meta VALUES (?, ?)", (f"k{number}", "x" * 50)))
        print(f"k{number} {(journal.folder / 'run.db-wal').stat().st_size}", flush=True)
    os._exit(0)

asyncio.run(main())
"""


@pytest.fixture
def torn(tmp_path: Path) -> tuple[Path, dict[str, int]]:
    """A run that died with its log full, and how long the log was when each key had been acknowledged."""
    told = subprocess.run([sys.executable, "-c", DYING, tmp_path / "run"], capture_output=True, text=True, check=True).stdout
    return tmp_path / "run", {key: int(size) for key, size in (line.split() for line in told.splitlines())}


def test_a08_a_log_cut_off_at_any_byte_holds_all_that_was_acknowledged_before_it(
    torn: tuple[Path, dict[str, int]], tmp_path: Path
) -> None:
    """Every byte of the headers of the last three frames, and every 61st of their pages."""
    folder, acknowledged = torn
    raw, frame = (folder / "run.db-wal").read_bytes(), 24 + 4096
    assert len(raw) == max(acknowledged.values())
    ends = [n for n in range(len(raw) - 3 * frame, len(raw) + 1) if (len(raw) - n) % frame > frame - 26 or n % 61 == 0]
    cut = tmp_path / "cut"
    for end in ends:
        shutil.rmtree(cut, ignore_errors=True)
        shutil.copytree(folder, cut, ignore=shutil.ignore_patterns("*-shm", "*-wal"))
        (cut / "run.db-wal").write_bytes(raw[:end])
        db = sqlite3.connect(cut / "run.db")
        there = {key for (key,) in db.execute("SELECT key FROM meta WHERE key LIKE 'k%'")}
        db.close()
        due = {key for key, size in acknowledged.items() if size <= end}
        assert due <= there <= acknowledged.keys(), f"cut at {end} of {len(raw)}"
        assert there == {f"k{n}" for n in range(len(there))}, "not a prefix"


def test_a08_a_log_that_a_disk_changed_in_the_middle_is_not_taken_for_a_torn_tail(
    torn: tuple[Path, dict[str, int]], tmp_path: Path
) -> None:
    """SQLite itself forgets all that stands behind the changed byte, without a word."""
    folder, acknowledged = torn
    assert fsck(folder).faults == ()
    raw, dice = (folder / "run.db-wal").read_bytes(), random.Random(2)
    last = sorted(set(acknowledged.values()))[-2]
    bad = tmp_path / "bad"
    for _ in range(60):
        shutil.rmtree(bad, ignore_errors=True)
        shutil.copytree(folder, bad, ignore=shutil.ignore_patterns("*-shm", "*-wal"))
        at = dice.randrange(32, last)
        (bad / "run.db-wal").write_bytes(raw[:at] + bytes([raw[at] ^ 64]) + raw[at + 1 :])
        assert any(fault.where == "run.db-wal" for fault in fsck(bad).faults), at
    for end in range(len(raw) - 4120, len(raw)):  # a torn tail is none
        if end % 211 == 0:
            (bad / "run.db-wal").write_bytes(raw[:end])
            assert not [fault for fault in fsck(bad).faults if fault.where == "run.db-wal"]


def test_every_column_but_the_sum_is_in_the_sums(healthy: Path) -> None:
    """A column that is added to a table is either sealed or unreadable by this test."""
    store = Store(healthy)
    for table, columns in COLUMNS.items():
        there = [row[1] for row in store.rows(f"PRAGMA table_info({table})")]
        assert there == [*columns, "sum"], table
    store.close()


async def test_rows_without_sums_are_counted_and_pass(journal: Journal) -> None:
    await journal.put(Write("INSERT INTO uses VALUES ('k', 'i', 't', '1', '{}', '{}', NULL, 0, 0, 1, NULL)"))
    found = fsck(journal.folder)
    assert (found.faults, found.without) == ((), 1)
