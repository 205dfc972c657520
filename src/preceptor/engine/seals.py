"""A sum beside every stored row, so that what a disk has changed is seen, named, and never exported."""

import sqlite3
from collections.abc import Iterator
from zlib import crc32

COLUMNS: dict[str, tuple[str, ...]] = {
    table: tuple(names.split())
    for table, names in {
        "calls": "key item agent model request completion outcome note prompt_tokens completion_tokens reasoning_tokens "
        "cached_tokens cost started ended sample attempt epoch",
        "uses": "key item tool version arguments result error started seconds epoch",
        "items": "id pass place document source skill state reason crash crashes ended",
        "nodes": "item key id type parent before kind status step reason body",
        "twins": "item example twin",
        "events": "item place step event node source",
        "verdicts": "item example generation place check version outcome evidence hint decides by given",
    }.items()
}
"""The columns of every sealed table but the sum itself, in the order in which a row is written."""
HASHED = {"calls": {"request"}}
"""Left out of the sum, because the row's key is a hash of it already."""


def seal(*values: str | int | float | None) -> int:
    """The sum of a row's values: CRC-32, which misses one change in four thousand million."""
    return crc32("\x1f".join(map(str, values)).encode("utf-8", "surrogatepass"))


def with_seal(db: sqlite3.Connection) -> sqlite3.Connection:
    """`db`, which now knows `seal` in its SQL."""
    db.create_function("seal", -1, seal, deterministic=True)
    return db


def insert(table: str) -> str:
    """The statement that stores a row of all the table's columns together with its sum."""
    marks = {name: f"?{n}" for n, name in enumerate(COLUMNS[table], 1)}
    return f"INSERT INTO {table} ({_list(marks)}, sum) VALUES ({', '.join(marks.values())}, {_seal(table, marks)})"


def change(table: str, *names: str) -> str:
    """The statement, up to its WHERE, that changes these columns to ?1, ?2 … and the sum with them."""
    new = {name: f"?{n}" for n, name in enumerate(names, 1)}
    sets = ", ".join(f"{_quoted(name)} = {mark}" for name, mark in new.items())
    values = {name: new.get(name, _quoted(name)) for name in COLUMNS[table]}
    return f"UPDATE {table} SET {sets}, sum = {_seal(table, values)}"


def broken(table: str) -> str:
    """The condition that holds of a row that is not what was written. Rows older than sums have none and pass."""
    return f"(sum IS NOT NULL AND sum <> {_seal(table, {name: _quoted(name) for name in COLUMNS[table]})})"


def missing(db: sqlite3.Connection) -> Iterator[str]:
    """The tables of a journal that was begun before rows had sums."""
    for table in COLUMNS:
        if not any(column[1] == "sum" for column in db.execute(f"PRAGMA table_info({table})")):
            yield table


def _seal(table: str, values: dict[str, str]) -> str:
    return f"seal({', '.join(v for name, v in values.items() if name not in HASHED.get(table, ()))})"


def _list(names: dict[str, str]) -> str:
    return ", ".join(map(_quoted, names))


def _quoted(name: str) -> str:
    return f'"{name}"'
