"""Is a run what was written? The database, every row's sum, what refers to what, and the law, each looked at by itself."""

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from preceptor.draws import digest
from preceptor.engine import wal
from preceptor.engine.ask import key_of
from preceptor.engine.journal import unpack
from preceptor.engine.seals import COLUMNS, HASHED, broken, seal
from preceptor.engine.store import STATES, STATUSES, Store
from preceptor.errors import DamagedRun, UserError

MOST = 20
"""Faults of one sort that are told one by one."""
REFERENCES = {
    "a node of an item that is not planned": (
        "SELECT item, key FROM nodes AS n WHERE item <> '' AND NOT EXISTS (SELECT 1 FROM items WHERE id = n.item)"
    ),
    "an item without its document": (
        "SELECT id, document FROM items AS i WHERE NOT EXISTS (SELECT 1 FROM nodes WHERE item = '' AND key = i.document)"
    ),
    "a node made from one that is not there": (
        "SELECT item, key FROM nodes AS n WHERE n.parent IS NOT NULL AND NOT EXISTS "
        "(SELECT 1 FROM nodes WHERE item IN (n.item, '') AND key = n.parent)"
    ),
    "an event of a node that is not there": (
        "SELECT item, node FROM events AS e WHERE NOT EXISTS (SELECT 1 FROM nodes WHERE item IN (e.item, '') AND key = e.node)"
    ),
    "a verdict on a row that is not there": (
        "SELECT item, example FROM verdicts AS v WHERE NOT EXISTS (SELECT 1 FROM nodes WHERE item = v.item AND key = v.example)"
    ),
    "a finished item of which nothing is stored": (
        "SELECT id, skill FROM items AS i WHERE state = 'finished' AND NOT EXISTS (SELECT 1 FROM nodes WHERE item = i.id)"
    ),
    "an item in no state that there is": f"SELECT id, state FROM items WHERE state NOT IN {STATES}",
    "an example of no status that there is": (
        f"SELECT item, key FROM nodes WHERE type = 'example' AND status NOT IN {(*STATUSES, 'made')}"
    ),
}
"""What must not be there → a query that finds it."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is not as it was written, and what to do."""

    where: str
    what: str
    todo: str


@dataclass(frozen=True, slots=True)
class Checked:
    """What a look at a run found."""

    folder: Path
    faults: tuple[Fault, ...]
    rows: int
    """Rows whose sum was held against their content."""
    without: int
    """Rows that were written before there were sums."""


def fsck(folder: Path) -> Checked:
    """All faults of the run at `folder`, which may be going on meanwhile. Changes nothing. Raises UserError where
    there is no run.

    What it cannot see: a byte that nothing reads, and the loss of the newest commits together with all trace of them.
    """
    faults = [Fault("run.db-wal", lost, _copy(folder))] if (lost := wal.lost(folder / "run.db-wal")) else []
    try:
        store = Store(folder)
    except DamagedRun as error:
        return Checked(folder, (*faults, Fault("run.db", str(error.__cause__ or error), _copy(folder))), 0, 0)
    except UserError:
        if not faults:
            raise
        return Checked(folder, tuple(faults), 0, 0)  # all there was stood in the log
    rows = without = 0
    try:
        with store.instant():
            faults += [Fault("run.db", line, _copy(folder)) for line in _integrity(store)]
            faults += [Fault("run.db", "its tables are not those that were made", _copy(folder))] * store.tables_changed()
            for table in COLUMNS:
                seen, bare, found = _sums(store, table, folder)
                rows, without, faults = rows + seen, without + bare, faults + found
            faults += [*_facts(store, folder), *_names(store, folder), *_references(store, folder), *_law(store)]
    except sqlite3.Error as error:
        faults.append(Fault("run.db", f"cannot be read to its end: {error}", _copy(folder)))
    except (ValueError, TypeError) as error:
        faults.append(Fault("run.db", f"holds what is no value of its place: {error}", _copy(folder)))
    finally:
        store.close()
    return Checked(folder, tuple(faults), rows, without)


def intact(store: Store) -> dict[str, int]:
    """How many examples there are of each status, and how many drops, counted one by one: for whoever hands rows out.

    Raises DamagedRun where a node, a verdict or a fact is not what was written.
    """
    folder = store.folder
    try:
        faults = [f for table in ("items", "nodes", "verdicts") for f in _sums(store, table, folder)[2]]
        faults += _facts(store, folder)
        counted = store.rows(
            "SELECT CASE type WHEN 'example' THEN status ELSE type END, count(*) FROM nodes NOT INDEXED "
            "WHERE type IN ('example', 'dropped') GROUP BY 1"
        )
    except sqlite3.DatabaseError as error:
        faults = [Fault("run.db", f"cannot be read to its end: {error}", _copy(folder))]
    if faults:
        raise DamagedRun(
            f"{folder} is damaged: {faults[0].where}: {faults[0].what}. Nothing of it is written. "
            f"`preceptor fsck {folder}` names all that is wrong, and what to do"
        )
    return dict(counted)


def _integrity(store: Store) -> Iterator[str]:
    """What SQLite itself finds: pages, order, indexes against their tables."""
    for (line,) in store.rows(f"PRAGMA integrity_check({MOST})"):
        if line != "ok":
            yield str(line)


def _sums(store: Store, table: str, folder: Path) -> tuple[int, int, list[Fault]]:
    """Rows with a sum, rows without, and those whose content is another than was written."""
    name = ", ".join(f'"{column}"' for column in COLUMNS[table][:3])
    hashed = ", ".join(("item", *HASHED[table])) if table in HASHED else ""
    if table in store.without_sums:
        if not store.rows("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?", (table,)):
            return 0, 0, []
        return 0, store.rows(f"SELECT count(*) FROM {table} NOT INDEXED")[0][0], []
    ((seen, all_),) = store.rows(f"SELECT count(sum), count(*) FROM {table} NOT INDEXED")
    bad = store.rows(f"SELECT {name} FROM {table} NOT INDEXED WHERE {broken(table)} LIMIT {MOST}")
    faults = [Fault(f"{table} {' '.join(map(str, row))}", "is not what was written", _fork(folder)) for row in bad]
    if hashed:
        for key, item, request in store.each(f"SELECT key, {hashed} FROM {table} NOT INDEXED WHERE epoch > 0"):
            if key_of(item, request) != key:
                faults.append(Fault(f"{table} {key}", "its request is not what was sent", _fork(folder)))
    return seen, all_ - seen, faults[:MOST]


def _facts(store: Store, folder: Path) -> list[Fault]:
    """Facts of the run whose sum does not fit, or which cannot be read."""
    held = dict(store.rows("SELECT key, value FROM meta"))
    sums = {key.removeprefix("sum of "): value for key, value in held.items() if key.startswith("sum of ")}
    bad = [key for key, value in sums.items() if key not in held or str(seal(held[key])) != value]
    bad += [key for key in ("epoch", "schema") if not str(held.get(key, "")).isdigit()]
    return [Fault(f"meta {key}", "is not what was written", _copy(folder)) for key in bad]


def _names(store: Store, folder: Path) -> list[Fault]:
    """Items whose id is not that of their document, skill and pass."""
    faults = []
    for item, document, skill, number in store.each("SELECT id, document, skill, pass FROM items"):
        if digest("item", document, skill, number) != item:
            faults.append(Fault(f"items {item}", "is not the item of its document, skill and pass", _copy(folder)))
    for key, body in store.each("SELECT key, body FROM nodes WHERE item = ''"):
        if unpack(body)["id"] != key:
            faults.append(Fault(f"nodes {key}", "is not the document of its id", _copy(folder)))
    return faults[:MOST]


def _references(store: Store, folder: Path) -> Iterator[Fault]:
    for what, sql in REFERENCES.items():
        for row in store.rows(f"{sql} LIMIT {MOST}"):
            yield Fault(" ".join(map(str, row)), what, _fork(folder))


def _law(store: Store) -> Iterator[Fault]:
    law = store.law()
    if not law["holds"]:
        yield Fault("law", f"items, steps or examples do not add up: {law}", "report it, with the run: it is a bug")


def _copy(folder: Path) -> str:
    return f"put a copy of the folder back; without one: preceptor run RECIPE --into NEW_FOLDER --fork {folder}"


def _fork(folder: Path) -> str:
    return f"start a new run that takes over every reply that is whole: preceptor run RECIPE --into NEW_FOLDER --fork {folder}"
