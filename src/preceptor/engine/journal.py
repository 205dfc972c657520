"""The run's memory: SQLite with one writer thread, group commit, a lock, and an epoch that fences off the dead.

    put(write, …) ─▶ queue ─▶ writer thread: BEGIN · epoch still ours? · all writes · COMMIT (fsync) ─▶ future resolved

A put is acknowledged once it is on the disk, never before. Exactly one connection writes; every other connection is
opened with mode=ro (SQLite before 3.51.3 can corrupt a WAL file when two connections write or checkpoint at once).
"""

import asyncio
import contextlib
import dataclasses
import errno
import fcntl
import os
import queue
import socket
import sqlite3
import threading
import time
from collections.abc import Iterable, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from preceptor.errors import ChangedRun, DiskFull, RunLocked, UserError

SCHEMA = 1
GROUP_ROWS = 256
GROUP_SECONDS = 0.025
GROUP_PAUSE = 0.001
GROUP_REPLIES = 12
"""Replies are not kept waiting for more than so many: a kill would lose them all."""
_FULL = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN)


class Write(NamedTuple):
    """One statement of a put, and how many rows it must touch (None: any number)."""

    sql: str
    values: Sequence[Any] = ()
    rows: int | None = 1


class Doubled(Exception):
    """A put would have stored something twice, marked what was not there, or held what cannot be stored: a bug."""


_BUGS = (
    sqlite3.IntegrityError, sqlite3.InterfaceError, sqlite3.ProgrammingError, Doubled, TypeError, ValueError, OverflowError,
)
"""What is wrong with one put alone: a duplicate, or a value that SQLite cannot hold."""


class _Put(NamedTuple):
    writes: tuple[Write, ...]
    done: "asyncio.Future[None]"


class Journal:
    """The one writer of a run folder. Open it, `await put(…)`, close it."""

    def __init__(self, folder: Path) -> None:
        """Lock `folder` and open its journal, made if absent.

        Raises RunLocked where another process has it, DiskFull where it cannot be written, UserError where a newer
        Preceptor wrote it. What an earlier process had in the air when it died is charged here, at its worst case.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.path = folder / "run.db"
        self.broken: Exception | None = None
        self.closed = False
        self._lock = _locked(folder / "run.lock")
        try:
            self._db = _writer(self.path)
            self.epoch = _begun(self._db)
            self._reader = reader(folder)
        except BaseException as error:
            os.close(self._lock)
            if isinstance(error, sqlite3.Error):
                raise _translated(error, self.path) from error
            raise
        self._queue: queue.SimpleQueue[_Put | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._write, name="journal", daemon=True)
        self._thread.start()

    # ── writing ──────────────────────────────────────────────────────────────────────────────────────────────────

    def put(self, *writes: Write) -> "asyncio.Future[None]":
        """A future that is done when all of `writes` are on the disk, together. They are ordered as put.

        Raises (through the future) Doubled, DiskFull, or RunLocked where another process took the run over.
        """
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self.broken:
            done.set_exception(self.broken)
        else:
            self._queue.put(_Put(writes, done))
        return done

    def post(self, *writes: Write) -> None:
        """Like `put`, for what may be made again for nothing if it is lost; a failure shows at the next put."""
        self.put(*writes).add_done_callback(lambda done: done.cancelled() or done.exception())

    async def remember(self, key: str, value: Any) -> None:
        """Store `value` (JSON) under `key` in the run's own facts."""
        sql = "INSERT INTO meta VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value"
        await self.put(Write(sql, (key, pack(value))))

    def close(self, clean: bool = True) -> None:
        """Write what is queued, mark the epoch as closed if nothing is in the air, and let the run go."""
        if self.closed:
            return
        self.closed = True
        self._queue.put(None)
        self._thread.join()
        try:
            if clean and not self.broken:
                self._db.execute("UPDATE spend SET closed = 1 WHERE epoch = ?", (self.epoch,))
                self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.Error as error:
            self.broken = self.broken or _translated(error, self.path)
        finally:
            self._reader.close()
            self._db.close()
            os.close(self._lock)

    def _write(self) -> None:
        """The writer thread: groups of puts, one commit each."""
        while first := self._queue.get():
            group, last = self._gathered(first)
            outcome = self._committed(group)
            _tell(group, outcome)
            if last:
                return

    def _gathered(self, first: _Put) -> tuple[list[_Put], bool]:
        """What is queued now and comes in quick succession, within the bounds of a group. The fsync of one group gathers
        the next; a commit costs as much time of ours for one row as for fifty, so it also waits for puts that come as fast
        as that: after a moment with none, nobody is kept waiting."""
        group, rows, until = [first], len(first.writes), time.monotonic() + GROUP_SECONDS
        came, replies = True, 1
        while rows < GROUP_ROWS:
            try:
                more = self._queue.get_nowait()
            except queue.Empty:
                if not came or replies >= GROUP_REPLIES or time.monotonic() > until:
                    break
                time.sleep(GROUP_PAUSE)
                came = False
                continue
            if more is None:
                return group, True
            came = True
            group.append(more)
            rows += len(more.writes)
            replies += len(more.writes) == 1
        return group, False

    def _committed(self, group: list[_Put]) -> list[Exception | None]:
        """Commit the group; where one put is a bug, commit the others one by one."""
        if self.broken:
            return [self.broken] * len(group)
        try:
            self._transaction(group)
            return [None] * len(group)
        except _BUGS as error:
            if len(group) == 1:
                return [Doubled(f"{error}: {group[0].writes[0].sql[:60]}")]
            return [outcome for put in group for outcome in self._committed([put])]
        except sqlite3.Error as error:
            self.broken = _translated(error, self.path)
        except RunLocked as error:
            self.broken = error
        return [self.broken] * len(group)

    def _transaction(self, group: Iterable[_Put]) -> None:
        run = self._db.execute
        run("BEGIN IMMEDIATE")
        try:
            epoch = run("SELECT value FROM meta WHERE key = 'epoch'").fetchone()
            if epoch is None or int(epoch[0]) != self.epoch:
                raise RunLocked(f"another process has taken over {self.folder}; this one stops writing")
            for put in group:
                for sql, values, rows in put.writes:
                    touched = run(sql, values).rowcount
                    if rows is not None and touched != rows:
                        raise Doubled(f"{touched} rows where {rows} had to be")
            run("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                run("ROLLBACK")
            raise

    # ── reading (from the event loop's own read-only connection) ─────────────────────────────────────────────────

    def read(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        """Rows of what is committed."""
        return self._reader.execute(sql, values).fetchall()

    def meta(self, key: str) -> Any:
        """The fact stored under `key`; None where there is none."""
        rows = self.read("SELECT value FROM meta WHERE key = ?", (key,))
        return unpack(rows[0][0]) if rows else None


def reader(folder: Path) -> sqlite3.Connection:
    """A read-only connection to a run's journal; it may stay open while the run is written, and cannot lock it."""
    path = folder / "run.db"
    if not path.exists():
        raise UserError(f"no run at {folder}: there is no run.db in it; `preceptor run RECIPE` makes one")
    db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, check_same_thread=False)
    try:
        _check_schema(db, path)
    except sqlite3.OperationalError as error:
        if "no such table" in str(error):
            db.close()
            raise UserError(f"the run at {folder} is only just beginning: there is nothing in it yet") from None
        # A folder that may not be written has no place for SQLite's shared memory; without a WAL none is needed.
        db.close()
        wal = path.with_name("run.db-wal")
        if wal.exists() and wal.stat().st_size:
            raise
        db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True, check_same_thread=False)
        _check_schema(db, path)
    return db


async def fork(journal: Journal, source: Path) -> int:
    """Give `journal` every reply that the run at `source` has paid for; returns how many. They cost nothing here."""
    old, given = reader(source), 0
    try:
        for table in ("calls", "uses"):
            cursor = old.execute(f"SELECT * FROM {table}")
            names = [column[0] for column in cursor.description]
            marks, epoch = ", ".join("?" * len(names)), names.index("epoch")
            sql = f"INSERT INTO {table} VALUES ({marks}) ON CONFLICT (key) DO NOTHING"
            while rows := cursor.fetchmany(GROUP_ROWS):
                kept = [(*row[:epoch], 0, *row[epoch + 1 :]) for row in rows]
                await journal.put(*(Write(sql, row, None) for row in kept))
                given += len(rows) if table == "calls" else 0
    finally:
        old.close()
    return given


def pack(value: Any) -> str:
    """`value` as JSON text. Lone surrogates and integers beyond 64 bits, which orjson refuses, survive too: text that
    begins with a line break (JSON allows it) is the standard library's, and read by it."""
    try:
        return orjson.dumps(value, default=_plain).decode()
    except (TypeError, orjson.JSONEncodeError):
        import json

        return "\n" + json.dumps(value, default=_plain)


def clean(text: str) -> str:
    """`text` without lone surrogates, for columns that are not JSON."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def unpack(text: str) -> Any:
    """What `pack` was given."""
    if not text.startswith("\n"):
        return orjson.loads(text)
    import json

    return json.loads(text)


# ── opening ──────────────────────────────────────────────────────────────────────────────────────────────────────


def _locked(path: Path) -> int:
    """A descriptor that holds the run. The kernel lets go of it when the process dies, however it dies."""
    handle = os.open(path, os.O_CREAT | os.O_RDWR, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        told = os.pread(handle, 4096, 0)
        os.close(handle)
        if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
            raise
        raise RunLocked(_who(path, told)) from None
    mine = {"pid": os.getpid(), "host": socket.gethostname(), "started": time.strftime("%Y-%m-%d %H:%M:%S%z")}
    try:
        os.ftruncate(handle, 0)
        os.pwrite(handle, orjson.dumps(mine), 0)
    except OSError as error:
        os.close(handle)
        raise DiskFull(f"cannot write {path}: {error.strerror}; make room there, then type the same command") from None
    return handle


def _who(path: Path, told: bytes) -> str:
    try:
        who = orjson.loads(told)
        owner = f"process {who['pid']} on {who['host']}, since {who['started']}"
    except (orjson.JSONDecodeError, KeyError, TypeError):
        owner = "another process, which has not said which"
    return f"{path.parent} is being written by {owner}. Wait for it or stop it; `preceptor status` reads it meanwhile"


def _writer(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=512)
    for pragma in ("journal_mode = wal", "synchronous = FULL", "busy_timeout = 10000", "cache_size = -16000"):
        db.execute(f"PRAGMA {pragma}")
    if db.execute("SELECT 1 FROM sqlite_master WHERE name = 'meta'").fetchone():
        _check_schema(db, path)
    db.executescript("BEGIN;" + files("preceptor.engine").joinpath("schema.sql").read_text("utf-8") + "COMMIT;")
    db.execute("INSERT INTO meta VALUES ('schema', ?) ON CONFLICT DO NOTHING", (str(SCHEMA),))
    return db


def _begun(db: sqlite3.Connection) -> int:
    """A new epoch; what earlier epochs left open is charged, because it may have been billed."""
    with db:
        db.execute("BEGIN IMMEDIATE")
        row = db.execute("SELECT value FROM meta WHERE key = 'epoch'").fetchone()
        epoch = int(row[0]) + 1 if row else 1
        set_epoch = "INSERT INTO meta VALUES ('epoch', ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value"
        db.execute(set_epoch, (str(epoch),))
        dead = "SELECT epoch FROM spend WHERE closed = 0"
        db.execute(f"UPDATE lent SET charged = charged + allowance, allowance = 0 WHERE epoch IN ({dead})")
        db.execute("UPDATE spend SET charged = charged + allowance, closed = 1 WHERE closed = 0")
        db.execute("INSERT INTO spend (epoch, started) VALUES (?, ?)", (epoch, time.time()))
    return epoch


def _check_schema(db: sqlite3.Connection, path: Path) -> None:
    row = db.execute("SELECT value FROM meta WHERE key = 'schema'").fetchone()
    if row and int(row[0]) > SCHEMA:
        raise ChangedRun(
            f"{path} was written by a newer Preceptor (journal {row[0]}; this one knows up to {SCHEMA}). "
            "Type: pip install --upgrade preceptor"
        )


def _translated(error: sqlite3.Error, path: Path) -> Exception:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in _FULL:
        return DiskFull(
            f"cannot write {path}: {error}. Everything acknowledged is stored; "
            f"make room in {path.parent}, then type the same command"
        )
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return RunLocked(f"another process holds {path}: {error}")
    return error


def _tell(group: list[_Put], outcomes: list[Exception | None]) -> None:
    """Resolve the futures in their own loop: one wake-up for the whole group."""
    loop = group[0].done.get_loop()
    with contextlib.suppress(RuntimeError):  # a closed loop: whoever waited is gone, what was committed stays committed
        loop.call_soon_threadsafe(_resolve, group, outcomes)


def _resolve(group: list[_Put], outcomes: list[Exception | None]) -> None:
    for put, outcome in zip(group, outcomes, strict=True):
        if put.done.cancelled():
            continue
        if outcome is None:
            put.done.set_result(None)
        else:
            put.done.set_exception(outcome)


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
    return dict(value) if hasattr(value, "keys") else str(value)
