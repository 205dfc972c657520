"""The run's memory: SQLite with one writer thread, group commit, a lock, and an epoch that fences off the dead.

    put(write, …) ─▶ queue ─▶ writer thread: BEGIN · epoch still ours? · all writes · COMMIT (fsync) ─▶ future resolved

A put is acknowledged once it is on the disk, never before. Exactly one connection writes; every other connection is
opened with mode=ro (SQLite before 3.51.3 can corrupt a WAL file when two connections write or checkpoint at once).
"""

import asyncio
import contextlib
import dataclasses
import queue
import sqlite3
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from preceptor.engine.lock import Lock
from preceptor.engine.seals import COLUMNS, broken, insert, missing, seal, with_seal
from preceptor.errors import ChangedRun, DamagedRun, DiskFull, RunLocked, UserError
from preceptor.points import reached

SCHEMA = 1
GROUP_ROWS = 256
GROUP_SECONDS = 0.025
GROUP_PAUSE = 0.001
GROUP_REPLIES = 12
"""Replies are not kept waiting for more than so many: a kill would lose them all."""
QUEUED_ROWS = 4096
"""Rows that may wait for the disk before whoever makes more of them waits too."""
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

    def __init__(self, folder: Path, *, steal: bool = False) -> None:
        """Lock `folder` and open its journal, made if absent.

        With `steal` it is taken from a process that holds it: that one writes nothing more and ends at its next commit.
        Raises RunLocked where another process has it, DiskFull where it cannot be written, ChangedRun where a newer
        Preceptor wrote it, DamagedRun where it cannot be read. What an earlier process had in the air when it died is
        charged here, at its worst case.
        """
        self.folder = folder
        self.path = folder / "run.db"
        self.broken: Exception | None = None
        self.closed = False
        self.queued = 0
        """Rows that wait for the disk."""
        self._eased = asyncio.Event()
        self.lock = Lock(folder / "run.lock", steal)
        try:
            reached("preceptor.journal.locked")
            self._db = _writer(self.path)
            self.epoch = _begun(self._db)
            reached("preceptor.journal.begun")
            self._reader = reader(folder)
        except BaseException as error:
            self.lock.release()
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
            self.queued += len(writes)
            self._queue.put(_Put(writes, done))
        return done

    async def room(self) -> None:
        """Few enough rows wait for the disk. Who makes rows without waiting for them to be stored asks this first."""
        while self.queued > QUEUED_ROWS and not self.broken:
            self._eased.clear()
            await self._eased.wait()

    def post(self, *writes: Write) -> None:
        """Like `put`, for what may be made again for nothing if it is lost; a failure shows at the next put."""
        self.put(*writes).add_done_callback(lambda done: done.cancelled() or done.exception())

    async def remember(self, key: str, value: Any) -> None:
        """Store `value` (JSON) under `key` in the run's own facts."""
        await self.put(*facts({key: value}))

    def close(self, clean: bool = True) -> None:
        """Write what is queued, mark the epoch as closed if nothing is in the air, and let the run go."""
        if self.closed:
            return
        self.closed = True
        self._queue.put(None)
        self._thread.join()
        try:
            if clean and not self.broken:
                reached("preceptor.journal.closing")
                self._db.execute("UPDATE spend SET closed = 1 WHERE epoch = ?", (self.epoch,))
                reached("preceptor.journal.closed")
                self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                reached("preceptor.journal.folded")
        except sqlite3.Error as error:
            self.broken = self.broken or _translated(error, self.path)
        finally:
            self._reader.close()
            self._db.close()
            self.lock.release()

    def _write(self) -> None:
        """The writer thread: groups of puts, one commit each."""
        while first := self._queue.get():
            group, last = self._gathered(first)
            reached("preceptor.journal.gathered")
            outcome = self._committed(group)
            self._tell(group, outcome)
            reached("preceptor.journal.told")
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
        except OSError as error:
            self.broken = _full(error, self.path)
        except RunLocked as error:
            self.broken = error
        return [self.broken] * len(group)

    def _tell(self, group: list[_Put], outcomes: list[Exception | None]) -> None:
        """Resolve the futures in their own loop: one wake-up for the whole group."""
        loop = group[0].done.get_loop()
        with contextlib.suppress(RuntimeError):  # a closed loop: whoever waited is gone, what was committed stays committed
            loop.call_soon_threadsafe(self._resolve, group, outcomes)

    def _resolve(self, group: list[_Put], outcomes: list[Exception | None]) -> None:
        for put, outcome in zip(group, outcomes, strict=True):
            self.queued -= len(put.writes)
            if put.done.cancelled():
                continue
            if outcome is None:
                put.done.set_result(None)
            else:
                put.done.set_exception(outcome)
        self._eased.set()

    def _transaction(self, group: Iterable[_Put]) -> None:
        run = self._db.execute
        run("BEGIN IMMEDIATE")
        try:
            reached("preceptor.journal.transaction")
            epoch = run("SELECT value FROM meta WHERE key = 'epoch'").fetchone()
            if epoch is None or int(epoch[0]) != self.epoch:
                raise RunLocked(f"another process has taken over {self.folder}; this one stops writing")
            for put in group:
                for sql, values, rows in put.writes:
                    touched = run(sql, values).rowcount
                    if rows is not None and touched != rows:
                        raise Doubled(f"{touched} rows where {rows} had to be")
                reached("preceptor.journal.half")
            reached("preceptor.journal.written")
            run("COMMIT")
            reached("preceptor.journal.committed")
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
    db = with_seal(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, check_same_thread=False))
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
        db = with_seal(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True, check_same_thread=False))
        _check_schema(db, path)
    except sqlite3.DatabaseError as error:
        db.close()
        raise damaged(path, str(error)) from error
    return db


async def fork(journal: Journal, source: Path) -> int:
    """Give `journal` every reply that the run at `source` has paid for; returns how many. They cost nothing here.

    Rows that a disk has changed are left out, and all that comes after a place that cannot be read: they are bought again.
    """
    old, given = reader(source), 0
    sealed = {table for table in ("calls", "uses") if table not in set(missing(old))}
    try:
        for table in ("calls", "uses"):
            names = COLUMNS[table]
            sql = f"{insert(table)} ON CONFLICT (key) DO NOTHING"
            intact = f"WHERE NOT {broken(table)}" if table in sealed else ""
            cursor = old.execute(f"SELECT {', '.join(names)} FROM {table} {intact}")
            while rows := _readable(cursor):
                await journal.put(*(Write(sql, (*row[:-1], 0), None) for row in rows))
                reached("preceptor.fork.copied")
                given += len(rows) if table == "calls" else 0
    finally:
        old.close()
    return given


def _readable(cursor: sqlite3.Cursor) -> list[Any]:
    try:
        return cursor.fetchmany(GROUP_ROWS)
    except sqlite3.DatabaseError:
        return []


def facts(values: Mapping[str, Any]) -> list[Write]:
    """The run's own facts, stored together, each with its sum."""
    sql = "INSERT INTO meta VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value"
    packed = {key: pack(value) for key, value in values.items()}
    sums = {f"sum of {key}": str(seal(value)) for key, value in packed.items()}
    return [Write(sql, fact) for fact in (packed | sums).items()]


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


def _writer(path: Path) -> sqlite3.Connection:
    db = with_seal(sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=512))
    for pragma in ("journal_mode = wal", "synchronous = FULL", "busy_timeout = 10000", "cache_size = -16000"):
        db.execute(f"PRAGMA {pragma}")
    reached("preceptor.journal.opened")
    if db.execute("SELECT 1 FROM sqlite_master WHERE name = 'meta'").fetchone():
        _check_schema(db, path)
        if tables_changed(db):
            raise damaged(path, "its tables are not those that were made")
    grown = "".join(f"ALTER TABLE {table} ADD COLUMN sum INTEGER;" for table in missing(db) if _there(db, table))
    tables = files("preceptor.engine").joinpath("schema.sql").read_text("utf-8")
    db.executescript(f"BEGIN IMMEDIATE; {grown} {tables} COMMIT;")
    db.execute("INSERT INTO meta VALUES ('schema', ?) ON CONFLICT DO NOTHING", (str(SCHEMA),))
    if _fact(db, "tables") != (made := _tables(db)):
        db.execute("INSERT OR REPLACE INTO meta VALUES ('tables', ?)", (made,))
    reached("preceptor.journal.tables")
    return db


def tables_changed(db: sqlite3.Connection) -> bool:
    """Whether the tables' own definitions are others than those that were made."""
    return _fact(db, "tables") not in ("", _tables(db))


def _fact(db: sqlite3.Connection, key: str) -> str:
    row = db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
    return str(row[0]) if row else ""


def _tables(db: sqlite3.Connection) -> str:
    return str(seal(*(text for (text,) in db.execute("SELECT sql FROM sqlite_master ORDER BY name"))))


def _there(db: sqlite3.Connection, table: str) -> bool:
    return db.execute("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?", (table,)).fetchone() is not None


def _begun(db: sqlite3.Connection) -> int:
    """A new epoch; what earlier epochs left open is charged, because it may have been billed."""
    with db:
        db.execute("BEGIN IMMEDIATE")
        reached("preceptor.journal.begin")
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
        return _full(error, path)
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return RunLocked(f"another process holds {path}: {error}")
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return damaged(path, str(error))
    return error


def _full(error: Exception, path: Path) -> DiskFull:
    return DiskFull(
        f"cannot write {path}: {error}. Everything acknowledged is stored; "
        f"make room in {path.parent}, then type the same command"
    )


def damaged(path: Path, what: str) -> DamagedRun:
    """What to say of a journal that is not what was written."""
    return DamagedRun(
        f"{path} is damaged: {what}. `preceptor fsck {path.parent}` says what is; put a copy back, or start a new run that "
        f"takes over every reply that is whole: preceptor run RECIPE --into NEW_FOLDER --fork {path.parent}"
    )


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
    return dict(value) if hasattr(value, "keys") else str(value)
