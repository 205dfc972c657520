"""Lives a whole life (run, export, fork, file) in a child for every line it reads, and stops it, or its disk, at a point.

A line is `FOLDER POINT#TIME KIND HASTY`; the answer is the child's exit code. All is imported once: a life costs little.
"""

import asyncio
import errno
import os
import signal
import sqlite3
import sys
import time
from pathlib import Path
from typing import Any

import engine_fakes as fakes

from preceptor.draws import digest
from preceptor.engine.journal import Journal, Write, fork
from preceptor.engine.money import Caps, Price
from preceptor.engine.run import run
from preceptor.errors import PreceptorError
from preceptor.export import export
from preceptor.files import whole
from preceptor.types import Completion, Request

SLOTS, ITEMS, BROKEN = 4, 6, 3
ON_DISK = {
    *(f"preceptor.journal.{name}" for name in ("begin", "transaction", "half", "written")),
    *(f"preceptor.file.{name}" for name in ("begun", "written", "synced")),
}
"""Where a disk that is full or broken says so."""


class Telling(Journal):
    """Writes down what it acknowledges, when it does."""

    told: int

    def put(self, *writes: Write) -> "asyncio.Future[None]":
        done = super().put(*writes)
        keys = [str(w.values[0]) for w in writes if w.sql.startswith("INSERT INTO calls")]
        keys += [str(w.values[1]) for w in writes if w.sql.startswith("INSERT INTO nodes") and w.values[3] == "example"]

        def acknowledged(stored: "asyncio.Future[None]") -> None:
            if keys and not stored.cancelled() and not stored.exception():
                os.write(self.told, "".join(f"{key}\n" for key in keys).encode())

        done.add_done_callback(acknowledged)
        return done


class Hasty(Telling):
    """The mutation: acknowledges before it commits."""

    def _committed(self, group: Any) -> Any:
        self._tell(group, [None] * len(group))
        time.sleep(0.005)  # the loop hears of it
        super()._committed(group)
        return []

    def _resolve(self, group: Any, outcomes: Any) -> None:
        if outcomes:
            super()._resolve(group, outcomes)


class Paid(fakes.Fake):
    """A model whose every call stands in the endpoint's own ledger before it is answered."""

    ledger: int

    async def complete(self, request: Request) -> Completion:
        key = digest(request.agent, request.messages[-1]["content"], request.sample, request.attempt)
        os.write(self.ledger, f"{key}\n".encode())
        return await super().complete(request)


def opened(file: Path) -> int:
    return os.open(file, os.O_CREAT | os.O_WRONLY | os.O_APPEND)


async def produce(item: Any, ask: Any) -> Any:
    await ask.use("adder", a=item.place, b=1)
    made = await fakes.produce(item, ask, questions=2)
    if item.place == BROKEN:
        raise KeyError("a bug")
    return made


async def live(folder: Path, hasty: bool) -> bool:
    """Run, export twice, export among other things, fork, write a file. Whether it was interrupted."""
    folder.mkdir(exist_ok=True)
    (Hasty if hasty else Telling).told = opened(folder / "told")
    Paid.ledger = opened(folder / "paid")
    journal = (Hasty if hasty else Telling)(folder / "run")
    try:
        model = Paid(seconds=0.001)
        out = fakes.outside(
            journal, model, slots=SLOTS, tools=[fakes.Adder()], prices={"fake": Price(1.0, 2.0)}, caps=Caps(money=100.0)
        )
        if (await run(fakes.items(ITEMS), produce, fakes.door(out), out)).interrupted:
            return True
    finally:
        journal.close()
    mixed = folder / "mixed"
    mixed.mkdir(exist_ok=True)
    (mixed / "notes.txt").write_text("mine")
    for into in (folder / "dataset", folder / "dataset", mixed):
        export(folder / "run", into)
    second = Journal(folder / "fork")
    try:
        await fork(second, folder / "run")
    finally:
        second.close()
    whole(folder / "note.json", '{"whole": true}')
    return False


def struck(point: str, kind: str, folder: Path) -> Any:
    """An audit hook that does it, once; a disk that is broken stays so."""
    point, _, time_ = point.partition("#")
    state = {"struck": False, "left": int(time_ or 1)}

    def hook(event: str, args: Any) -> None:
        if not event.startswith("preceptor."):
            return
        state["left"] -= event == point
        if not state["struck"] and not state["left"]:
            state["struck"] = True
            (folder / "struck").touch()
            if kind == "SIGKILL":
                os.kill(os.getpid(), signal.SIGKILL)
            if kind == "SIGINT":
                os.kill(os.getpid(), signal.SIGINT)
            if kind in ("ENOSPC", "EIO"):
                os.write(Paid.ledger, b"-\n")
        if state["struck"] and kind in ("ENOSPC", "EIO") and event in ON_DISK:
            if event.startswith("preceptor.file"):
                raise OSError(getattr(errno, kind), os.strerror(getattr(errno, kind)))
            error = sqlite3.OperationalError("database or disk is full" if kind == "ENOSPC" else "disk I/O error")
            error.sqlite_errorcode = sqlite3.SQLITE_FULL if kind == "ENOSPC" else sqlite3.SQLITE_IOERR
            raise error

    return hook


def child(folder: Path, point: str, kind: str, hasty: bool) -> int:
    if point != "-":
        folder.mkdir(exist_ok=True)
        sys.addaudithook(struck(point, kind, folder))
    try:
        return 130 if asyncio.run(live(folder, hasty)) else 0
    except PreceptorError as error:
        os.write(2, f"{error}\n".encode())
        return error.exit_code
    except KeyboardInterrupt:
        return 130


def main() -> None:
    for line in sys.stdin:
        folder, point, kind, hasty = line.split()
        if not (pid := os.fork()):
            code = 1
            try:
                code = child(Path(folder), point, kind, hasty == "1")
            finally:
                os._exit(code)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)


if __name__ == "__main__":
    main()
