"""Accepted rows as the target: cell by cell, the shortest prefix of plan order that fills them all is the dataset.

    plan order:  pass, document, skill      decided ─▶ ✓ ✓ ✓ · ✓ · ·      only what has nothing undecided before it
                                                          ╰ frontier        counts, so the order of completion does not

A row that passed counts for its cell, unless an earlier one asks the same, or the cell is full: then it is surplus. When
the frontier reaches the row that fills the last cell, the run ends. When it reaches the ceiling on candidates, or nothing
more comes of a cell, the run ends too and says what it tried.
"""

from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from preceptor.engine.journal import Journal, Write
from preceptor.engine.seals import change
from preceptor.errors import ChangedRun

CANDIDATES = 20
"""Rows made for each row wanted, after which a target is given up, where the recipe does not say otherwise."""
BARREN_PASSES, BARREN_ITEMS = 3, 30
"""A cell that gave no row in so many passes, and so many items, is given up."""
FULL, TWIN, BEYOND = "its cell was full", "asks what {} asks", "after the last row that was needed"

_ROWS = (
    "SELECT n.key, n.id, n.kind, n.status, n.reason, coalesce(t.twin, n.id) FROM nodes AS n "
    "LEFT JOIN twins AS t ON t.item = n.item AND t.example = n.key WHERE n.item = ? AND n.type = 'example' ORDER BY n.rowid"
)
_MARK = f"{change('nodes', 'status', 'reason')} WHERE item = ?3 AND key = ?4"
_BEYOND = (
    f"{change('nodes', 'status', 'reason')} WHERE type = 'example' AND status = 'accepted' AND item IN "
    "(SELECT id FROM items WHERE (pass, place, skill) > (SELECT pass, place, skill FROM items WHERE id = ?3))"
)


class Target:
    """What the cells still want. It is told of items as they are planned, in plan order, and as they are decided."""

    def __init__(self, journal: Journal, cells: Mapping[tuple[str, str], int], most: int) -> None:
        """`cells` by skill and kind ("": the skill's other kinds); `most` rows may be made, accepted or not."""
        self.cells, self.most = cells, most
        self.taken: Counter[tuple[str, str]] = Counter()
        self.candidates = 0
        self.given_up: set[tuple[str, str]] = set()
        self._journal = journal
        self._queue: deque[tuple[str, str]] = deque()
        self._decided: set[str] = set()
        self._seen: dict[str, str] = {}
        self._last = ""
        self._in_pass = 0
        self._passes: Counter[tuple[str, str]] = Counter()
        self._items: Counter[tuple[str, str]] = Counter()

    @property
    def wanted(self) -> int:
        """Rows of all cells together."""
        return sum(self.cells.values())

    @property
    def full(self) -> bool:
        """Whether every cell has its rows."""
        return all(self.taken[cell] >= n for cell, n in self.cells.items())

    @property
    def over(self) -> bool:
        """Whether nothing more is to be made: all cells are full, or the ceiling is reached."""
        return self.full or self.candidates >= self.most

    def open(self) -> list[tuple[str, str]]:
        """The cells that want rows and have not been given up."""
        return [cell for cell, n in self.cells.items() if self.taken[cell] < n and cell not in self.given_up]

    # ── the frontier ─────────────────────────────────────────────────────────────────────────────────────────────

    def planned(self, items: Iterable[tuple[str, str]], to_do: Iterable[str]) -> None:
        """These items (id, skill) come next in plan order; those that are not `to_do` are decided."""
        left = set(to_do)
        for item, skill in items:
            self._in_pass += 1
            self._queue.append((item, skill))
            if item not in left:
                self._decided.add(item)
        self._advance()

    def decided(self, item: str) -> None:
        """All that comes of this item is stored."""
        self._decided.add(item)
        self._advance()

    def _advance(self) -> None:
        while self._queue and self._queue[0][0] in self._decided and not self.over:
            item, skill = self._queue.popleft()
            self._decided.discard(item)
            self._last = item
            for cell in self.open():
                self._items[cell] += cell[0] == skill
            for row in self._journal.read(_ROWS, (item,)):
                self._weigh(item, skill, *row)

    def _weigh(self, item: str, skill: str, key: str, id: str, kind: str, status: str, reason: str, twin: str) -> None:
        """The row is taken, or surplus, or not in question; where the run says otherwise, it is corrected."""
        self.candidates += 1
        if status not in ("accepted", "surplus"):
            return
        cell = (skill, kind) if (skill, kind) in self.cells else (skill, "")
        now, why = "accepted", ""
        if twin in self._seen:
            now, why = "surplus", TWIN.format(self._seen[twin])
        elif self.taken[cell] >= self.cells.get(cell, 0):
            now, why = "surplus", FULL
        else:
            self.taken[cell] += 1
            self._passes[cell] = self._items[cell] = 0
            self._seen[twin] = id
        if (now, why) != (status, reason):
            self._journal.post(Write(_MARK, (now, why, item, key)))

    # ── the end of a pass, and of the run ────────────────────────────────────────────────────────────────────────

    def end_pass(self) -> None:
        """Every item of a pass is decided. Cells of which nothing has come for long are given up."""
        for cell in self.open():
            self._passes[cell] += 1
            if not self._in_pass or (self._passes[cell] >= BARREN_PASSES and self._items[cell] >= BARREN_ITEMS):
                self.given_up.add(cell)
        self._in_pass = 0

    async def close(self) -> None:
        """Every row that stands where it should is stored so; where the run is over, what was made beyond is surplus."""
        beyond = [Write(_BEYOND, ("surplus", BEYOND, self._last), None)] if self.over and self._last else []
        await self._journal.put(*beyond)

    def why(self, whole: bool) -> str:
        """How it stands with the target, in a word: filled, ceiling, barren, passes (they are over), or open.

        `whole` says that no pass is left undecided.
        """
        if self.full:
            return "filled"
        if self.over:
            return "ceiling"
        return "barren" if not self.open() else "passes" if whole else "open"


def twins_marked(read: Any, grown: Sequence[int]) -> list[Write]:
    """Of accepted rows that ask the same, all but the lowest in plan order become surplus. `read` runs a query.

    `grown` says how many documents there were each time that some were added: their rows come after all older ones.
    """
    doubled = "SELECT twin FROM twins GROUP BY twin HAVING count(*) > 1"
    age = "".join(f"(i.place >= {int(count)}) + " for count in grown)
    order = f"PARTITION BY t.twin ORDER BY {age}0, i.pass, i.place, i.skill, n.rowid"
    sql = (
        f"SELECT item, key, first FROM (SELECT n.item, n.key, first_value(n.id) OVER ({order}) AS first, "
        f"row_number() OVER ({order}) AS nth FROM twins AS t JOIN nodes AS n ON n.item = t.item AND n.key = t.example "
        f"JOIN items AS i ON i.id = n.item WHERE t.twin IN ({doubled}) AND n.status = 'accepted') WHERE nth > 1"
    )
    return [Write(_MARK, ("surplus", TWIN.format(first), item, key)) for item, key, first in read(sql)]


def agreed(before: Sequence[Sequence[Any]] | None, cells: Mapping[tuple[str, str], int], fresh: bool) -> None:
    """The target may be this one: a run's first, or one that wants no less of any cell than before. Raises ChangedRun."""
    if fresh or before == [[*cell, n] for cell, n in cells.items()]:
        return
    had = {(skill, kind): n for skill, kind, n in before or ()}
    if set(had) == set(cells) and all(cells[cell] >= n for cell, n in had.items()):
        return
    every = {**had, **cells}
    told = ", ".join(f"{_named(c)} {had.get(c, 'no number')} → {cells.get(c, 'no number')}" for c in every)
    raise ChangedRun(
        f"the rows that this run is to make may grow, cell by cell, and nothing else: {told}.\n"
        "Undo that, or start a new run that re-pays only what is new: preceptor run RECIPE --into NEW_FOLDER --fork THIS_RUN"
    )


def _named(cell: tuple[str, str]) -> str:
    return f"{cell[0]}/{cell[1] or 'other kinds'}"
