"""A put is acknowledged once it is on the disk; two processes never write; a full disk loses nothing acknowledged."""

import asyncio
import os
import resource
import sqlite3
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from preceptor.engine.journal import SCHEMA, Doubled, Journal, Write, fork, reader
from preceptor.errors import ChangedRun, DiskFull, RunLocked, UserError

META = "INSERT INTO meta VALUES (?, ?)"


def stored(folder: Path) -> set[str]:
    db = reader(folder)
    try:
        return {row[0] for row in db.execute("SELECT key FROM meta WHERE key LIKE 'k%'")}
    finally:
        db.close()


async def test_a_put_that_is_acknowledged_can_be_read_at_once(journal: Journal) -> None:
    await journal.put(Write(META, ("k1", "1")), Write(META, ("k2", "2")))
    assert stored(journal.folder) == {"k1", "k2"}


async def test_puts_made_together_share_commits(journal: Journal) -> None:
    commits = 0
    transaction = journal._transaction

    def counted(group: object) -> None:
        nonlocal commits
        commits += 1
        transaction(group)  # type: ignore[arg-type]

    journal._transaction = counted  # type: ignore[method-assign]
    await asyncio.gather(*(journal.put(Write(META, (f"k{n}", "0"))) for n in range(1000)))
    assert len(stored(journal.folder)) == 1000
    assert commits <= 100


async def test_a_duplicate_is_a_loud_bug_and_harms_nobody_else(journal: Journal) -> None:
    puts = [journal.put(Write(META, (key, "0"))) for key in ("k1", "k2", "k1", "k3")]
    told = await asyncio.gather(*puts, return_exceptions=True)
    assert [type(t) for t in told] == [type(None), type(None), Doubled, type(None)]
    assert stored(journal.folder) == {"k1", "k2", "k3"}


async def test_a_value_that_cannot_be_stored_harms_nobody_else(journal: Journal) -> None:
    puts = [journal.put(Write(META, (key, value))) for key, value in (("k1", "0"), ("k2", "\ud800"), ("k3", [1]), ("k4", ""))]
    told = await asyncio.gather(*puts, return_exceptions=True)
    assert [type(t) for t in told] == [type(None), Doubled, Doubled, type(None)]
    await journal.put(Write(META, ("k5", "0")))
    assert stored(journal.folder) == {"k1", "k4", "k5"}


async def test_a_mark_on_what_is_not_there_is_refused_with_all_that_came_with_it(journal: Journal) -> None:
    with pytest.raises(Doubled):
        await journal.put(Write(META, ("k1", "0")), Write("UPDATE items SET state = 'finished' WHERE id = 'none'"))
    assert stored(journal.folder) == set()


async def test_a_second_process_is_refused_and_told_who_writes(journal: Journal) -> None:
    script = "import sys, pathlib; from preceptor.engine.journal import Journal; Journal(pathlib.Path(sys.argv[1]))"
    command = [sys.executable, "-c", script, journal.folder]
    result = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=30)
    assert "RunLocked" in result.stderr
    assert f"process {os.getpid()} on" in result.stderr
    await journal.put(Write(META, ("k1", "0")))


async def test_a_process_whose_epoch_was_taken_writes_nothing_more(journal: Journal) -> None:
    db = sqlite3.connect(journal.path)
    db.execute("UPDATE meta SET value = '99' WHERE key = 'epoch'")
    db.commit()
    db.close()
    with pytest.raises(RunLocked, match="taken over"):
        await journal.put(Write(META, ("k1", "0")))
    with pytest.raises(RunLocked):
        await journal.put(Write(META, ("k2", "0")))
    assert stored(journal.folder) == set()


async def test_readers_see_a_run_while_it_is_written_and_cannot_write_it(journal: Journal) -> None:
    db = reader(journal.folder)
    await journal.put(Write(META, ("k1", "0")))
    assert db.execute("SELECT count(*) FROM meta WHERE key = 'k1'").fetchone() == (1,)
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        db.execute("DELETE FROM meta")
    db.close()


def test_a_run_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    Journal(tmp_path).close()
    db = sqlite3.connect(tmp_path / "run.db")
    db.execute("UPDATE meta SET value = ? WHERE key = 'schema'", (SCHEMA + 1,))
    db.commit()
    db.close()
    for open_it in (Journal, reader):
        with pytest.raises(ChangedRun, match="newer Preceptor"):
            open_it(tmp_path)


def test_a_folder_without_a_run_says_so(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no run at"):
        reader(tmp_path)


FULL = """
    import asyncio, resource, sys
    from pathlib import Path
    from preceptor.engine.journal import Journal, Write
    from preceptor.errors import DiskFull

    async def main():
        journal = Journal(Path(sys.argv[1]))
        resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, resource.RLIM_INFINITY))
        async def one(n):
            try:
                await journal.put(Write("INSERT INTO meta VALUES (?, ?)", (f"k{n}", "x" * 3000)))
                print(f"k{n}", flush=True)
            except DiskFull:
                return True
        full = [await asyncio.gather(*(one(f"{batch}-{n}") for n in range(8))) for batch in range(40)]
        assert any(full[-1]), "the disk never filled"
        assert not any(set(later) - {True} for later in full[-5:]), "written after the disk was full"
        journal.close()

    asyncio.run(main())
"""


@pytest.mark.skipif(not hasattr(resource, "RLIMIT_FSIZE"), reason="no file size limit on this system")
def test_a_full_disk_stops_the_run_and_keeps_all_that_was_acknowledged(tmp_path: Path) -> None:
    command = [sys.executable, "-c", textwrap.dedent(FULL), tmp_path]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr
    acknowledged = set(result.stdout.split())
    assert 20 < len(acknowledged) < 320
    assert acknowledged <= stored(tmp_path)
    journal = Journal(tmp_path)  # with room again, the same run goes on
    journal.close()
    assert acknowledged <= stored(tmp_path)


def test_a_disk_without_any_room_is_told_in_words(tmp_path: Path) -> None:
    script = (
        "import resource, sys; from pathlib import Path; from preceptor.engine.journal import Journal\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0)); Journal(Path(sys.argv[1]))"
    )
    result = subprocess.run([sys.executable, "-c", script, tmp_path], capture_output=True, text=True, timeout=30)
    assert DiskFull.__name__ in result.stderr
    assert "type the same command" in result.stderr


async def test_a_fork_inherits_replies_and_owes_nothing_for_them(journal: Journal, tmp_path: Path) -> None:
    columns = "key, item, agent, model, request, completion, outcome, cost, started, ended, sample, attempt, epoch"
    values = ("a", "i", "g", "m", "{}", "{}", "ok", 5, 0, 0, 0, 0, 1)
    await journal.put(Write(f"INSERT INTO calls ({columns}) VALUES ({', '.join('?' * len(values))})", values))
    other = Journal(tmp_path / "fork")
    assert await fork(other, journal.folder) == 1
    assert other.read("SELECT key, cost, epoch FROM calls") == [("a", 5, 0)]
    other.close()
