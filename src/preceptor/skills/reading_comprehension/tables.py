"""Questions whose answer is read off a table by code: a cell, the largest of a column, a difference, the rows that fit.

The table is the document's own. A question is only built where the table settles it: names that stand once, columns
whose cells are all numbers, no ties.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from pathlib import Path
from typing import Any

from preceptor.draws import draw, one, shuffled
from preceptor.flows.shapes import LETTERS
from preceptor.prompts import fill
from preceptor.skill import Kind, read_toml
from preceptor.types import Dropped, Gold, Instruction, Material, Option

ROW = re.compile(r"^\s*\|(.+)\|\s*$")
RULE = re.compile(r"^[\s|:\-]+$")
NUMBER = re.compile(r"-?\d{1,3}(?:[ ,]\d{3})+(?:\.\d+)?|-?\d+(?:\.\d+)?")
FEWEST_ROWS, FEWEST_NUMBERS = 4, 4


@dataclass(frozen=True)
class TableRead:
    """A table as read: its columns' names, its rows, and which columns hold nothing but numbers."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    @property
    def names(self) -> list[str]:
        """The first cell of each row."""
        return [row[0] for row in self.rows]

    def cell(self, name: str, column: str) -> str:
        """What stands in that row and column."""
        return self.rows[self.names.index(name)][self.columns.index(column)]

    def numbers(self, column: str) -> list[Decimal] | None:
        """The column as numbers; None where a cell is none, or where they are years or codes."""
        at = self.columns.index(column)
        found = [number(row[at]) for row in self.rows]
        if any(n is None for n in found) or re.search(r"year|built|id\b|code|number|jahr", column, re.I):
            return None
        return [n for n in found if n is not None]


def number(cell: str) -> Decimal | None:
    """The cell as a number, if it is one and nothing else."""
    if not NUMBER.fullmatch(cell.strip()):
        return None
    try:
        return Decimal(cell.strip().replace(",", "").replace(" ", ""))
    except InvalidOperation:
        return None


def read_table(text: str) -> TableRead | None:
    """The first table of the text that one can ask about: at least four rows, each with a name of its own."""
    lines = [m[1] for m in map(ROW.match, text.splitlines()) if m and not RULE.match(m[0])]
    cells = [tuple(cell.strip() for cell in re.split(r"(?<!\\)\|", line)) for line in lines]
    if len(cells) <= FEWEST_ROWS:
        return None
    head, *rows = cells
    whole = [row for row in rows if len(row) == len(head)]
    names = [row[0] for row in whole]
    if len(whole) != len(rows) or len(set(names)) != len(names) or not all(names) or len(set(head)) != len(head):
        return None
    return TableRead(head, tuple(whole))


def numeric(table: TableRead) -> list[str]:
    """The columns that hold at least four different numbers."""
    found = []
    for column in table.columns[1:]:
        values = table.numbers(column)
        if values and len(set(values)) >= FEWEST_NUMBERS:
            found.append(column)
    return found


# ── builders: pure code, `(material, kind, seed) -> Instruction | Dropped` ───────────────────────────────────────


def lookup(material: Material, kind: Kind, seed: str) -> Instruction | Dropped:
    """One cell: the row by its name, the column by its head."""
    table, place = read_table(material.text), (seed, kind.name, material.id)
    if table is None:
        return _none(material, kind)
    column = one(table.columns[1:], *place, "column")
    once = [name for name in table.names if table.cell(name, column)]
    if not once:
        return _none(material, kind)
    name = one(once, *place, "row")
    answer = table.cell(name, column)
    gold = Gold("text", answer, (answer,), made_by="computed")
    return _made(material, kind, place, {"name": name, "column": said(column), "head": said(table.columns[0])}, gold, table)


def superlative(material: Material, kind: Kind, seed: str) -> Instruction | Dropped:
    """The row with the largest or smallest value among four named ones; no ties."""
    table, place = read_table(material.text), (seed, kind.name, material.id)
    columns = numeric(table) if table else []
    if table is None or not columns:
        return _none(material, kind)
    column = one(columns, *place, "column")
    values = dict(zip(table.names, table.numbers(column) or (), strict=True))
    names = draw(table.names, *place, "rows", k=4)
    if len({values[n] for n in names}) < len(names):
        return _none(material, kind, "rows tie")
    largest = one(("largest", "smallest"), *place, "which")
    best = (max if largest == "largest" else min)(names, key=lambda n: values[n])
    mixed = shuffled(names, *place, "options")
    options = tuple(Option(n, "credited" if n == best else "another_row", f"{said(column)}: {values[n]}") for n in mixed)
    gold = Gold("option", LETTERS[mixed.index(best)], (best,), made_by="computed")
    slots = {"column": said(column), "which": largest, "head": said(table.columns[0])}
    made = _made(material, kind, place, slots, gold, table)
    return replace(made, options=options)


def difference(material: Material, kind: Kind, seed: str) -> Instruction | Dropped:
    """By how much two rows differ in one column."""
    table, place = read_table(material.text), (seed, kind.name, material.id)
    columns = numeric(table) if table else []
    if table is None or not columns:
        return _none(material, kind)
    column = one(columns, *place, "column")
    first, second = draw(table.names, *place, "rows", k=2)
    high, low = sorted((number(table.cell(n, column)) or Decimal(0) for n in (first, second)), reverse=True)
    if high == low:
        return _none(material, kind, "the two rows are equal")
    working = [{"quote": table.cell(n, column), "value": str(number(table.cell(n, column)))} for n in (first, second)]
    gold = Gold("number", float(high - low), tuple(w["quote"] for w in working), made_by="computed")
    slots = {"column": said(column), "first": first, "second": second}
    made = _made(material, kind, place, slots, gold, table)
    return replace(made, data={**made.data, "working": working, "formula": f"{high} - {low}"})


def rows_that_fit(material: Material, kind: Kind, seed: str) -> Instruction | Dropped:
    """All rows whose value lies above a bound that parts the column between a quarter and a half."""
    table, place = read_table(material.text), (seed, kind.name, material.id)
    columns = numeric(table) if table else []
    if table is None or not columns:
        return _none(material, kind)
    column = one(columns, *place, "column")
    values = dict(zip(table.names, table.numbers(column) or (), strict=True))
    ranked = sorted(values.values(), reverse=True)
    wanted = max(2, len(ranked) // 3)
    if ranked[wanted - 1] == ranked[wanted]:
        return _none(material, kind, "rows tie at the bound")
    found = [name for name in table.names if values[name] >= ranked[wanted - 1]]
    gold = Gold("set", found, tuple(found), made_by="computed")
    slots = {"column": said(column), "bound": str(ranked[wanted]), "head": said(table.columns[0])}
    return _made(material, kind, place, slots, gold, table)


def compared(material: Material, kind: Kind, seed: str) -> Instruction | Dropped:
    """Which of two named rows has more in one column."""
    table, place = read_table(material.text), (seed, kind.name, material.id)
    pair = _pair(table, place)
    if table is None or pair is None:
        return _none(material, kind)
    column, first, second = pair
    more = one(("more", "less"), *place, "which")
    values = {n: number(table.cell(n, column)) or Decimal(0) for n in (first, second)}
    best = (max if more == "more" else min)(values, key=lambda n: values[n])
    gold = Gold("label", best, (best,), made_by="computed")
    slots = {"column": said(column), "first": first, "second": second, "which": more}
    made = _made(material, kind, place, slots, gold, table)
    return replace(made, data={**made.data, "labels": [first, second]})


def claimed(material: Material, kind: Kind, seed: str) -> Instruction | Dropped:
    """A statement that compares two rows, to be called true or false; as often the one as the other."""
    table, place = read_table(material.text), (seed, kind.name, material.id)
    pair = _pair(table, place)
    if table is None or pair is None:
        return _none(material, kind)
    column, first, second = pair
    true = (number(table.cell(first, column)) or Decimal(0)) > (number(table.cell(second, column)) or Decimal(0))
    gold = Gold("label", "true" if true else "false", (first, second), made_by="computed")
    return _made(material, kind, place, {"column": said(column), "first": first, "second": second}, gold, table)


def _pair(table: TableRead | None, place: tuple[Any, ...]) -> tuple[str, str, str] | None:
    """A column and two rows that differ in it."""
    columns = numeric(table) if table else []
    if table is None or not columns:
        return None
    column = one(columns, *place, "column")
    first, second = draw(table.names, *place, "rows", k=2)
    return None if number(table.cell(first, column)) == number(table.cell(second, column)) else (column, first, second)


def said(column: str) -> str:
    """A column's name as one says it."""
    return column.replace("_", " ").strip()


@lru_cache(maxsize=1)
def wordings() -> Mapping[str, Any]:
    """How the questions are put, several ways each."""
    return read_toml(Path(__file__).parent / "2_instruct" / "table_wordings.toml")


def _made(
    material: Material, kind: Kind, place: tuple[Any, ...], slots: Mapping[str, str], gold: Gold, table: TableRead
) -> Instruction:
    language = material.document.language
    told: Sequence[str] = wordings()[kind.name].get(language) or wordings()[kind.name]["en"]
    text = fill(one(told, *place, "wording"), slots)
    return Instruction(material, kind.name, text, kind.shape, gold=gold, data={**kind.data, **slots}, made_by="tables.py")


def _none(material: Material, kind: Kind, why: str = "no table that settles such a question") -> Dropped:
    return Dropped(material, "instruct", f"{kind.name}: {why}", "tables.py", kind.name)


BUILDERS = {
    "table_lookup": lookup,
    "table_superlative": superlative,
    "table_difference": difference,
    "table_rows": rows_that_fit,
    "table_compare": compared,
    "table_claim": claimed,
}
