"""A02, A22: at every named point, killed, interrupted, or with a disk that is full or broken: nothing acknowledged is lost,
nothing is doubled, little is paid again, and the same command ends as if nothing had been."""

import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from preceptor.engine.fsck import fsck
from preceptor.engine.store import Store
from preceptor.errors import PreceptorError
from preceptor.export.place import MANIFEST, faults_of
from preceptor.points import POINTS

HERE, SOURCE = Path(__file__).parent, Path(__file__).parents[2] / "src/preceptor"
KINDS = {"SIGKILL": (-9, 0), "SIGINT": (0, 130), "ENOSPC": (0, 74), "EIO": (0, 74)}
"""How a life may end that was struck so. 0: the point was passed when all was done, or what it hit could wait."""
SLOTS = 4
Live = Callable[..., int]


@pytest.fixture(scope="module")
def live() -> Iterator[Live]:
    process = subprocess.Popen([sys.executable, HERE / "crasher.py"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    stdin, stdout = process.stdin, process.stdout
    assert stdin
    assert stdout

    def one(folder: Path, point: str = "-", kind: str = "-", hasty: bool = False) -> int:
        stdin.write(f"{folder} {point} {kind} {int(hasty)}\n")
        stdin.flush()
        return int(stdout.readline())

    yield one
    process.kill()
    process.wait()


def rows(run: Path) -> list[Any]:
    store = Store(run)
    try:
        assert store.law()["holds"]
        return [row.node for row in store.examples()]
    finally:
        store.close()


def stored(run: Path) -> set[str]:
    """Keys of replies and rows on the disk; none where there is no run yet."""
    try:
        store = Store(run)
    except PreceptorError:
        return set()
    try:
        keys = store.rows("SELECT key FROM calls UNION ALL SELECT key FROM nodes WHERE type = 'example'")
        return {key for (key,) in keys}
    except sqlite3.OperationalError:
        return set()
    finally:
        store.close()


def lines(file: Path) -> list[str]:
    return file.read_text().split() if file.exists() else []


@pytest.fixture(scope="module")
def unharmed(live: Live, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("crash") / "unharmed"
    assert live(folder) == 0
    return folder


def lost(folder: Path) -> set[str]:
    """What was acknowledged and is not there."""
    return set(lines(folder / "told")) - stored(folder / "run")


def test_every_point_is_listed_and_stands_in_the_code() -> None:
    texts = "".join(file.read_text() for file in SOURCE.rglob("*.py") if file.name != "points.py")
    assert set(re.findall(r'reached\("([\w.]+)"\)', texts)) == set(POINTS)
    assert len(POINTS) >= 25


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("point", POINTS)
def test_a02_whatever_happens_at_a_point_the_same_command_ends_as_if_nothing_had_been(
    point: str, kind: str, live: Live, unharmed: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "life"
    code = live(folder, point, kind)
    assert (folder / "struck").exists(), "the point was never reached"
    assert code in KINDS[kind]
    assert not lost(folder)
    paid = lines(folder / "paid")
    if "-" in paid:
        assert len(paid) - paid.index("-") - 1 <= SLOTS, "calls went on after the disk had broken"
    if (folder / "dataset").exists():
        assert faults_of(folder / "dataset") == []
    if (folder / "mixed" / MANIFEST).exists():
        assert faults_of(folder / "mixed") == []
    assert code or (folder / "note.json").exists() or kind == "SIGINT"

    assert live(folder) == 0
    assert not lost(folder)
    assert rows(folder / "run") == rows(unharmed / "run")
    assert fsck(folder / "run").faults == fsck(folder / "fork").faults == ()
    assert stored(folder / "run") == stored(unharmed / "run")
    again = [key for key in lines(folder / "paid") if key != "-"]
    assert set(again) == set(lines(unharmed / "paid"))
    assert len(again) - len(set(again)) <= SLOTS
    for into in ("dataset", "mixed"):
        assert faults_of(folder / into) == []
        assert (folder / into / "rows.jsonl").read_bytes() == (unharmed / into / "rows.jsonl").read_bytes()
    assert (folder / "mixed/notes.txt").read_text() == "mine"
    assert (folder / "note.json").read_text() == '{"whole": true}'
    assert not list(folder.glob(".*"))


def test_a02_a_journal_that_acknowledges_before_it_commits_is_caught(live: Live, tmp_path: Path) -> None:
    """The mutation: were it so, the test above would fail."""
    caught = []
    for point in ("preceptor.journal.transaction", "preceptor.journal.half", "preceptor.journal.written"):
        for kind in ("SIGKILL", "ENOSPC"):
            folder = tmp_path / f"{point}-{kind}"
            live(folder, f"{point}#6", kind, hasty=True)
            caught.append(bool(lost(folder)))
    assert sum(caught) >= 2, "a life that loses what it acknowledged is taken for a good one"
