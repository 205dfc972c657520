"""A09, A10, A11: one process writes a run; who comes second is told who, and nobody is driven out by a guess."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest

from preceptor.engine.journal import Journal, Write, reader
from preceptor.engine.lock import Lock
from preceptor.errors import DiskFull, RunLocked

BOTH = """
import os, sys, time
from pathlib import Path
from preceptor.engine.journal import Journal
from preceptor.errors import RunLocked
folder = Path(sys.argv[1])
for number in range(int(sys.argv[2])):
    os.write(1, b"r"); sys.stdin.read(1)  # ready; go
    began = time.monotonic()
    try:
        journal = Journal(folder / str(number))
        said = "holds"
    except RunLocked as error:
        said = f"{error.exit_code} {error}"
    told = f"{os.getpid()}\\t{time.monotonic() - began:.3f}\\t{said}\\n".encode()
    os.write(1, told); sys.stdin.read(1)  # told; the other has told too
    if said == "holds":
        journal.close()
"""
STARTS = 50


def hashes(folder: Path) -> dict[str, str]:
    return {p.name: sha256(p.read_bytes()).hexdigest() for p in folder.iterdir() if p.name != "run.db-shm"}


def test_a09_of_two_processes_that_start_together_one_writes_and_the_other_is_told_who(tmp_path: Path) -> None:
    """Fifty times. The loser ends with 75 within a second, and has changed no file."""
    command = [sys.executable, "-c", BOTH, tmp_path, str(STARTS)]
    both = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) for _ in range(2)]
    try:
        for number in range(STARTS):
            for process in both:
                assert process.stdout is not None
                assert process.stdout.read(1) == b"r"
            for process in both[:: 1 if number % 2 else -1]:
                assert process.stdin is not None
                process.stdin.write(b".")
                process.stdin.flush()
            told = [process.stdout.readline().decode().rstrip("\n").split("\t") for process in both if process.stdout]
            (winner,) = [line for line in told if line[2] == "holds"]
            (loser,) = [line for line in told if line[2] != "holds"]
            assert loser[2].startswith("75 "), told
            assert f"process {winner[0]} on" in loser[2], told
            assert float(loser[1]) < 1
            held = json.loads((tmp_path / str(number) / "run.lock").read_bytes().rstrip(b"\0"))
            assert held["pid"] == int(winner[0])
            for process in both:
                assert process.stdin is not None
                process.stdin.write(b".")
                process.stdin.flush()
        assert [process.wait(10) for process in both] == [0, 0]
    finally:
        for process in both:
            process.kill()
            process.wait()


def test_a09_whoever_comes_second_changes_no_file(journal: Journal) -> None:
    before = hashes(journal.folder)
    with pytest.raises(RunLocked, match=f"process {os.getpid()} on") as refused:
        Journal(journal.folder)
    assert refused.value.exit_code == 75
    assert hashes(journal.folder) == before


STOPPED = """
import asyncio, sys
from pathlib import Path
from preceptor.engine.journal import Journal, Write
from preceptor.errors import RunLocked

async def main():
    journal = Journal(Path(sys.argv[1]))
    for number in range(10_000):
        try:
            await journal.put(Write("INSERT INTO meta VALUES (?, ?)", (f"k{number}", "old")))
        except RunLocked as error:
            journal.close()
            print(error, file=sys.stderr)
            raise SystemExit(error.exit_code)
        print(f"k{number}", flush=True)
        await asyncio.sleep(0.002)

asyncio.run(main())
"""


async def test_a10_a_process_that_was_stopped_and_stolen_from_writes_nothing_more(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", STOPPED, tmp_path], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        for _ in range(20):
            process.stdout.readline()
        for _ in range(40):  # between two commits, as a process that hangs mostly is; in the midst of one see below
            process.send_signal(signal.SIGSTOP)
            with pytest.raises(RunLocked, match="--steal"):
                Journal(tmp_path)
            try:
                thief = Journal(tmp_path, steal=True)
                break
            except RunLocked:  # it was stopped with the database's own lock in its hands
                process.send_signal(signal.SIGCONT)
                await asyncio.sleep(0.003)
        before = {row[0] for row in thief.read("SELECT key FROM meta WHERE key LIKE 'k%'")}
        await thief.put(Write("INSERT INTO meta VALUES (?, ?)", ("k-new", "new")))
        process.send_signal(signal.SIGCONT)
        said, told = process.communicate(timeout=20)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 75
    assert "another process has taken over" in told
    assert {row[0] for row in thief.read("SELECT key FROM meta WHERE key LIKE 'k%'")} == before | {"k-new"}
    assert set(said.split()) <= before, "acknowledged, and not there"
    with pytest.raises(RunLocked, match=f"process {os.getpid()} on"):  # the new owner holds what has the name now
        Journal(tmp_path)
    await thief.put(Write("INSERT INTO meta VALUES (?, ?)", ("k-more", "new")))
    thief.close()
    Journal(tmp_path).close()


@pytest.mark.parametrize(
    "told",
    [
        {"pid": os.getpid(), "host": "here", "boot": "x", "started": "yesterday"},  # the number has a new owner
        {"pid": 1, "host": "another-host", "boot": "another-boot", "started": "yesterday"},  # moved here from elsewhere
        "no JSON at all",
        "",
    ],
)
def test_a11_what_a_lock_file_says_keeps_nobody_out_where_the_kernel_says_it_is_free(told: object, tmp_path: Path) -> None:
    (tmp_path / "run.lock").write_text(told if isinstance(told, str) else json.dumps(told))
    Journal(tmp_path).close()
    assert (tmp_path / "run.lock").read_bytes() == b""


def test_a11_a_lock_that_is_held_is_held_whatever_the_file_says(journal: Journal) -> None:
    for told, named in (
        ({"pid": 999999, "host": "another-host", "started": "yesterday"}, "process 999999 on another-host, since yesterday"),
        ("no JSON at all", "another process, which has not said which"),
        ([1], "another process, which has not said which"),
    ):
        (journal.folder / "run.lock").write_text(told if isinstance(told, str) else json.dumps(told))
        with pytest.raises(RunLocked, match=named):
            Journal(journal.folder)


def test_a11_on_a_disk_that_machines_share_the_file_is_believed(tmp_path: Path) -> None:
    mounts, lock = tmp_path / "mounts", tmp_path / "run/run.lock"
    mounts.write_text(f"none / ext4 rw 0 0\nserver:/x {tmp_path} nfs4 rw 0 0\n")
    lock.parent.mkdir()
    lock.write_text(json.dumps({"pid": 7, "host": "another-host", "boot": "another-boot", "started": "today"}))
    with pytest.raises(RunLocked, match=r"process 7 on another-host.*the disk is shared.*--steal"):
        Lock(lock, mounts=mounts)
    Lock(lock, steal=True, mounts=mounts).release()
    Lock(lock, mounts=mounts).release()  # it was let go of cleanly: nobody is there


def test_a11_a_folder_that_cannot_be_written_is_told_in_words(tmp_path: Path) -> None:
    """As root a folder's mode says nothing: then a disk that is mounted read-only is taken."""
    if os.geteuid() == 0:
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "ro,size=1m", "tmpfs", tmp_path], capture_output=True)
        if mounted.returncode:
            pytest.skip("root may not mount here")
    else:
        tmp_path.chmod(0o500)
    try:
        with pytest.raises(DiskFull, match=r"cannot write .*run\.lock.*writable, or take another folder") as refused:
            Journal(tmp_path)
    finally:
        if os.geteuid() == 0:
            subprocess.run(["umount", tmp_path], check=True)
        else:
            tmp_path.chmod(0o700)
    assert refused.value.exit_code == 74
    with pytest.raises(Exception, match="no run at"):
        reader(tmp_path)
