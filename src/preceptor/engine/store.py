"""What a run holds, written and read: items, nodes, events, verdicts, and the law counted from them."""

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from preceptor.draws import digest
from preceptor.engine.journal import Write, clean, reader, tables_changed, unpack
from preceptor.engine.nodes import Lineage, laid_out, to_json
from preceptor.engine.seals import change, insert, missing
from preceptor.errors import UserError
from preceptor.types import Document, Dropped, Example, Named, Produced, Verdict

STATES = ("finished", "dropped", "quarantined", "pending")
STATUSES = ("accepted", "rejected", "surplus")
CRASHES = 3
"""The same crash so often, and the item is not tried again."""
PAGE = 1024


@dataclass(frozen=True, slots=True)
class Item(Named):
    """What the engine plans: a document, a skill, a pass."""

    document: Document
    skill: str
    pass_number: int = 0
    place: int = 0
    """Where it stands in plan order within its pass."""

    def _name(self) -> str:
        return digest("item", self.document.id, self.skill, self.pass_number)


@dataclass(frozen=True, slots=True)
class Stored:
    """A row or a drop as the run holds it, with its whole lineage."""

    item: str
    key: str
    skill: str
    node: Any


# ── writing: every function gives the writes of one put ──────────────────────────────────────────────────────────

_ITEM = f"{insert('items')} ON CONFLICT (id) DO NOTHING"
_NODE, _EVENT, _VERDICT, _TWIN = (insert(table) for table in ("nodes", "events", "verdicts", "twins"))
_OPEN = "WHERE id = ?6 AND state IN ('pending', 'quarantined')"
_MARK = f"{change('items', 'state', 'reason', 'crash', 'crashes', 'ended')} {_OPEN}"
_STATUS = f"{change('nodes', 'status')} WHERE item = ?2 AND key = ?3"


def planned(items: Iterable[Item]) -> list[Write]:
    """The items are pending, if they are not known yet, and their documents are stored once for all skills."""
    writes = []
    for item in items:
        d = item.document
        row = (item.id, item.pass_number, item.place, d.id, d.source, item.skill, "pending", "", "", 0, None)
        writes += [Write(_ITEM, row, None), *documents_kept([d])]
    return writes


def documents_kept(documents: Iterable[Document]) -> list[Write]:
    """The documents are stored, if they are not yet; whether anything is made of them is another matter."""
    nodes = (("", d.id, d.id, "document", None, None, d.kind, "", "", "", to_json(d)) for d in documents)
    return [Write(f"{_NODE} ON CONFLICT DO NOTHING", node, None) for node in nodes]


def kept(item: Item, produced: Produced) -> list[Write]:
    """All that came of the item, and last its mark. Raises nodes.Lost where a step let something disappear."""
    rows, events = laid_out(produced, item.document)
    of, writes = item.id, []
    for row in rows.rows.values():
        if row.key == item.document.id:
            continue  # stored when the item was planned
        node = row.node
        step, reason = (node.step, clean(node.reason)) if isinstance(node, Dropped) else ("", "")
        status = node.status if isinstance(node, Example) else ""
        values = (of, row.key, row.id, row.type, row.parent, row.before, row.kind, status, step, reason, row.body)
        writes.append(Write(_NODE, values))
        if isinstance(node, Example):
            writes += _said(of, row.key, 0, node.verdicts)
            if status == "accepted":
                writes.append(Write(_TWIN, (of, row.key, twin_of(node))))
    writes += [Write(_EVENT, (of, n, *event)) for n, event in enumerate(events)]
    reasons = [d.reason for d in produced.dropped]
    state = "finished" if produced.examples else "dropped"
    why = "" if produced.examples else (reasons[0] if reasons else "no step returned anything")
    return [*writes, Write(_MARK, (state, clean(why), "", 0, time.time(), of))]


def twin_of(example: Example) -> str:
    """Stands for what the row asks: two rows of equal twins put the same words to the student, but for case and blanks."""
    asked = (str(message.get("content") or "") for message in example.messages if message.get("role") == "user")
    return digest(*(" ".join(text.casefold().split()) for text in asked))


def quarantined(item: str, trace: str, crash: str, crashes: int) -> Write:
    """The item is set aside with the traceback of its bug; `crashes` says how often the same bug has struck."""
    return Write(_MARK, ("quarantined", clean(trace), crash, crashes, time.time(), item))


def died(item: str, calls: int, deaths: int) -> Write:
    """The process died while the item's own code was on the processor, so often at the same place: after `calls` replies.
    After CRASHES deaths the item is set aside, so that it cannot end every run there is."""
    crash = f"died after {calls} replies"
    if deaths < CRASHES:
        return Write(_MARK, ("pending", "", crash, deaths, None, item), None)
    reason = f"the process died {deaths} times while this item was worked, each time after {calls} replies"
    return Write(_MARK, ("quarantined", reason, crash, deaths, time.time(), item), None)


def made_surplus(rows: Iterable[Stored]) -> list[Write]:
    """These rows passed, but their cells were full."""
    return [Write(f"{_STATUS} AND status = 'accepted'", ("surplus", row.item, row.key)) for row in rows]


def rechecked(row: Stored, generation: int, verdicts: Sequence[Verdict], status: str) -> list[Write]:
    """New verdicts beside the older ones, and what the row is by them."""
    return [*_said(row.item, row.key, generation, verdicts), Write(_STATUS, (status, row.item, row.key))]


def _said(item: str, example: str, generation: int, verdicts: Sequence[Verdict]) -> list[Write]:
    now, at = time.time(), (item, example, generation)
    said = [
        (v.check, v.version, v.outcome, clean(v.evidence), clean(v.hint), int(v.decides), v.by, now) for v in verdicts
    ]
    return [Write(_VERDICT, (*at, n, *verdict)) for n, verdict in enumerate(said)]


# ── reading ──────────────────────────────────────────────────────────────────────────────────────────────────────

_NODES = "SELECT key, type, parent, before, status, body FROM nodes WHERE "
_LAW = """
SELECT step, sum(event = 'entered'), sum(event = 'born'), sum(event = 'passed'), sum(event = 'dropped'),
  sum(event = 'entered' AND NOT EXISTS (SELECT 1 FROM events AS o
      WHERE o.item = e.item AND o.step = e.step AND o.source = e.node AND o.event IN ('passed', 'dropped')))
FROM events AS e GROUP BY step ORDER BY min(place)
"""
_CURRENT = """
SELECT item, example, "check", outcome, evidence FROM verdicts AS v WHERE generation =
  (SELECT max(generation) FROM verdicts AS o WHERE o.item = v.item AND o.example = v.example AND o."check" = v."check")
"""


class Store:
    """A run's journal, read only. Many may read while one writes."""

    def __init__(self, folder: Path) -> None:
        """Raises UserError where there is no run at `folder`."""
        self.folder = folder
        self._db = reader(folder)
        self.without_sums = set(missing(self._db))
        """Tables of a run that an older Preceptor wrote, whose rows have no sums."""

    def close(self) -> None:
        self._db.close()

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        """The rows of any query, for reports that this file does not know."""
        return self._db.execute(sql, values).fetchall()

    def each(self, sql: str, values: Sequence[Any] = ()) -> Iterator[Any]:
        """The rows of a query one by one, for tables that are larger than memory."""
        yield from self._db.execute(sql, values)

    @contextmanager
    def instant(self) -> Iterator[None]:
        """All that is read inside is of one instant, whatever is written meanwhile."""
        if self._db.in_transaction:
            yield
            return
        self._db.execute("BEGIN")
        try:
            yield
        finally:
            self._db.execute("COMMIT")

    def tables_changed(self) -> bool:
        """Whether a disk has changed what the tables are."""
        return tables_changed(self._db)

    def meta(self, key: str) -> Any:
        """The fact that the run stored under `key`; None where there is none."""
        found = self.rows("SELECT value FROM meta WHERE key = ?", (key,))
        return unpack(found[0][0]) if found else None

    # ── items ────────────────────────────────────────────────────────────────────────────────────────────────────

    def states(self) -> dict[str, int]:
        """How many items are in each state."""
        return dict.fromkeys(STATES, 0) | dict(self.rows("SELECT state, count(*) FROM items GROUP BY state"))

    def known(self, ids: Sequence[str]) -> dict[str, bool]:
        """Those of these items that are planned already, and whether they are to do: pending, or quarantined and worth
        another try."""
        marks = ", ".join("?" * len(ids))
        sql = f"SELECT id, state = 'pending' OR state = 'quarantined' AND crashes < ? FROM items WHERE id IN ({marks})"
        return {row[0]: bool(row[1]) for row in self.rows(sql, (CRASHES, *ids))}

    def begun(self, ids: Sequence[str]) -> set[str]:
        """Which of these items have a reply or a tool's result in the journal."""
        marks = ", ".join("?" * len(ids))
        sql = " UNION ".join(f"SELECT item FROM {table} WHERE item IN ({marks})" for table in ("calls", "uses"))
        return {row[0] for row in self.rows(sql, (*ids, *ids))}

    def pending(self) -> Iterator[str]:
        """The ids of all pending items in plan order, read as they are wanted: there may be a million."""
        after: tuple[Any, ...] = (-1, -1, "")
        sql = (
            "SELECT pass, place, id FROM items WHERE state = 'pending' AND (pass, place, id) > (?, ?, ?) "
            f"ORDER BY pass, place, id LIMIT {PAGE}"
        )
        while page := self.rows(sql, after):
            yield from (row[2] for row in page)
            after = page[-1]

    def item(self, item: str) -> Item:
        """The item as it was planned, with its document."""
        sql = "SELECT document, skill, pass, place FROM items WHERE id = ?"
        ((document, skill, number, place),) = self.rows(sql, (item,))
        return Item(self._document(document), skill, number, place)

    def documents(self, ids: Sequence[str] | None = None) -> list[Document]:
        """These documents; without `ids`, every one that has been planned, in plan order."""
        sql = "SELECT document FROM items GROUP BY document ORDER BY min(pass), min(place), min(id)"
        return [self._document(key) for key in (ids if ids is not None else [row[0] for row in self.rows(sql)])]

    def _document(self, key: str) -> Any:
        return Lineage(self.rows(f"{_NODES} item = '' AND key = ?", (key,))).node(key)

    def crash(self, item: str) -> tuple[str, int]:
        """The bug that struck the item last, and how often in a row."""
        ((crash, crashes),) = self.rows("SELECT crash, crashes FROM items WHERE id = ?", (item,))
        return crash, crashes

    def struck(self, item: str) -> list[Write]:
        """What is to be stored of a death that the item is suspected of; nothing where it is not open."""
        found = self.rows("SELECT crash, crashes FROM items WHERE id = ? AND state IN ('pending', 'quarantined')", (item,))
        if not found:
            return []
        ((calls,),) = self.rows("SELECT count(*) FROM calls WHERE item = ?", (item,))
        ((crash, times),) = found
        return [died(item, calls, times + 1 if crash == f"died after {calls} replies" else 1)]

    # ── rows and drops ───────────────────────────────────────────────────────────────────────────────────────────

    def examples(
        self, status: str | None = None, skill: str | None = None, kind: str | None = None
    ) -> Iterator[Stored]:
        """Rows in plan order with their lineage and current verdicts; by default all but unverified ones."""
        wanted = [("n.status = ?", status), ("i.skill = ?", skill), ("n.kind = ?", kind)]
        tests = ["n.type = 'example'", "n.status <> 'made'", *(test for test, value in wanted if value is not None)]
        yield from self._stored(tests, [value for _, value in wanted if value is not None])

    def dropped(self, step: str | None = None, skill: str | None = None) -> Iterator[Stored]:
        """Drops in plan order, each with what went in, the step and the reason."""
        wanted = [("n.step = ?", step), ("i.skill = ?", skill)]
        tests = ["n.type = 'dropped'", *(test for test, value in wanted if value is not None)]
        yield from self._stored(tests, [value for _, value in wanted if value is not None])

    def _stored(self, tests: Sequence[str], values: Sequence[Any]) -> Iterator[Stored]:
        sql = (
            "SELECT n.item, n.key, i.skill FROM nodes AS n JOIN items AS i ON i.id = n.item "
            f"WHERE {' AND '.join(tests)} ORDER BY i.pass, i.place, i.id, n.rowid"
        )
        at, lineage = "", Lineage(())
        for item, key, skill in self.rows(sql, values):
            if item != at:
                at, lineage = item, self.lineage(item)
            yield Stored(item, key, skill, self._with_verdicts(item, key, lineage.node(key)))

    def lineage(self, item: str) -> Lineage:
        """All nodes of the item."""
        own = f"{_NODES} item = '' AND key = (SELECT document FROM items WHERE id = ?) UNION ALL {_NODES} item = ?"
        return Lineage(self.rows(own, (item, item)))

    def _with_verdicts(self, item: str, key: str, node: Any) -> Any:
        """The node with the newest verdict of every check, where it was rechecked."""
        if not isinstance(node, Example):
            return node
        history = self.verdicts(item, key)
        if not any(generation for generation, _, _ in history):
            return node
        newest = {verdict.check: generation for generation, _, verdict in history}
        current = {c: [v for g, _, v in history if v.check == c and g == newest[c]] for c in newest}
        return replace(node, verdicts=tuple(v for said in current.values() for v in said))

    def verdicts(self, item: str, example: str) -> list[tuple[int, float, Verdict]]:
        """Every verdict ever given of the row as (generation, when, verdict), oldest first."""
        sql = (
            'SELECT generation, given, "check", outcome, evidence, hint, decides, version, "by" FROM verdicts '
            "WHERE item = ? AND example = ? ORDER BY generation, place"
        )
        said = self.rows(sql, (item, example))
        return [(r[0], r[1], Verdict(r[2], r[3], r[4], r[5], bool(r[6]), r[7], r[8])) for r in said]

    def next_generation(self) -> int:
        """The number of the next recheck."""
        return int(self.rows("SELECT coalesce(max(generation), 0) + 1 FROM verdicts")[0][0])

    # ── the way of one thing ─────────────────────────────────────────────────────────────────────────────────────

    def why(self, wanted: str) -> dict[str, Any]:
        """The way of one row, drop or other node, found by its id or the beginning of one.

        Returns its item, the node, its lineage from the document on, the events that name any of it, its verdicts, and
        the item's calls and uses. An item's own id stands for its document. Raises UserError where nothing, or more
        than one thing, has this id.
        """
        item, key = self._found(wanted)
        way = [key]
        links = {row[0]: row[2] for row in self.rows(f"{_NODES} item = ?", (item,))}
        while parent := links.get(way[-1]):
            way.append(parent)
        lineage = self.lineage(item)
        sql = "SELECT step, event, node, source FROM events WHERE item = ? ORDER BY place"
        events = _tables(self.rows(sql, (item,)), ("step", "event", "node", "source"))
        ((skill, state, reason),) = self.rows("SELECT skill, state, reason FROM items WHERE id = ?", (item,))
        return {
            "item": {"id": item, "skill": skill, "state": state, "reason": reason},
            "node": self._with_verdicts(item, key, lineage.node(key)),
            "lineage": [lineage.node(k) for k in reversed(way)],
            "events": [event for event in events if event["node"] in way],
            "verdicts": [{"generation": g, "given": t, **asdict(v)} for g, t, v in self.verdicts(item, key)],
            "calls": self.calls(item),
            "uses": self.uses(item),
        }

    def _found(self, wanted: str) -> tuple[str, str]:
        """The item and the key of what this id, or this beginning of one, stands for: a node, or an item."""
        test = "{0} >= ? AND {0} < ? || '~' LIMIT 50"
        found = self.rows(f"SELECT id, item, key FROM nodes WHERE {test.format('id')}", (wanted, wanted))
        found += self.rows(f"SELECT id, id, document FROM items WHERE {test.format('id')}", (wanted, wanted))
        if not found:
            raise UserError(f"nothing in this run has the id {wanted!r}; `preceptor status RUN` shows what there is")
        if len(names := sorted({row[0] for row in found})) > 1:
            raise UserError(f"{wanted!r} begins more than one id: {', '.join(names[:8])}")
        _, item, key = found[0]
        if not item:  # a document belongs to all skills that were made from it: its first item tells of it
            item = self.rows("SELECT id FROM items WHERE document = ? ORDER BY pass, place, id LIMIT 1", (key,))[0][0]
        return item, key

    def calls(self, item: str) -> list[dict[str, Any]]:
        """The item's calls in the order in which they were sent, requests and completions unpacked."""
        names = ("key", "agent", "model", "request", "completion", "outcome", "note", "prompt_tokens",
                 "completion_tokens", "reasoning_tokens", "cost", "started", "ended", "sample", "attempt")
        rows = self.rows(f"SELECT {', '.join(names)} FROM calls WHERE item = ? ORDER BY started, key", (item,))
        return [_unpacked(dict(zip(names, row, strict=True)), "request", "completion") for row in rows]

    def uses(self, item: str) -> list[dict[str, Any]]:
        """The item's tool uses, in order."""
        names = ("tool", "version", "arguments", "result", "error", "started", "seconds")
        rows = self.rows(f"SELECT {', '.join(names)} FROM uses WHERE item = ? ORDER BY started, key", (item,))
        return [_unpacked(dict(zip(names, row, strict=True)), "arguments", "result") for row in rows]

    # ── counts ───────────────────────────────────────────────────────────────────────────────────────────────────

    def law(self) -> dict[str, Any]:
        """Nothing disappears: items, steps and examples, each term counted by itself; `holds` says that they add up."""
        with self.instant():
            items = {"planned": self._count("items"), **self.states()}
            steps = {row[0]: dict(zip(("entered", "born", "passed", "dropped", "pending"), row[1:], strict=True))
                     for row in self.rows(_LAW)}
            rows = "nodes WHERE type = 'example' AND status"
            examples = {s: self._count(f"{rows} = '{s}'") for s in STATUSES}
            examples["made"] = self._count(f"{rows} <> 'made'")
        holds = items["planned"] == sum(items[s] for s in STATES)
        holds &= all(s["entered"] + s["born"] == s["passed"] + s["dropped"] + s["pending"] for s in steps.values())
        holds &= examples["made"] == sum(examples[s] for s in STATUSES)
        return {"items": items, "steps": steps, "examples": examples, "holds": holds}

    def _count(self, what: str) -> int:
        return int(self.rows(f"SELECT count(*) FROM {what}")[0][0])

    def by_kind(self) -> list[dict[str, Any]]:
        """Per skill, kind and step: how many of each event. A document's kind is what it is, a material's its genre."""
        sql = (
            "SELECT i.skill, n.kind, e.step, e.event, count(*) FROM events AS e JOIN items AS i ON i.id = e.item "
            "JOIN nodes AS n ON n.item IN (e.item, '') AND n.key = e.node "
            "GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, min(e.place)"
        )
        return _tables(self.rows(sql), ("skill", "kind", "step", "event", "count"))

    def rows_by_kind(self) -> list[dict[str, Any]]:
        """Per skill and kind: how many rows of each status, by whom they were answered, after how many tries."""
        sql = (
            "SELECT i.skill, n.kind, n.status, json_extract(n.body, '$.answered_by'), json_extract(n.body, '$.tries'), "
            "count(*) FROM nodes AS n JOIN items AS i ON i.id = n.item WHERE n.type = 'example' AND n.status <> 'made' "
            "GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3, 4, 5"
        )
        return _tables(self.rows(sql), ("skill", "kind", "status", "answered_by", "tries", "count"))

    def by_answerability(self) -> list[dict[str, Any]]:
        """Per skill: how many accepted rows can be answered, cannot, or stand on a false premise; and how many of those
        that cannot have the row that they were made from beside them."""
        sql = (
            "SELECT i.skill, json_extract(p.body, '$.answerability'), count(*), sum(EXISTS (SELECT 1 FROM nodes AS b "
            "JOIN nodes AS q ON q.item = b.item AND q.id = b.id AND q.type = 'instruction' "
            "JOIN nodes AS t ON t.item = b.item AND t.parent = q.key AND t.type = 'example' AND t.status = 'accepted' "
            "WHERE b.item = n.item AND b.key = p.before)) "
            "FROM nodes AS n JOIN nodes AS p ON p.item = n.item AND p.key = n.parent JOIN items AS i ON i.id = n.item "
            "WHERE n.type = 'example' AND n.status = 'accepted' GROUP BY 1, 2 ORDER BY 1, 2"
        )
        return _tables(self.rows(sql), ("skill", "answerability", "count", "beside"))

    def failures(self) -> list[dict[str, Any]]:
        """Per skill, kind and check: how many rows it failed, by its newest verdict."""
        sql = (
            f"SELECT i.skill, n.kind, v.\"check\", count(DISTINCT n.rowid) FROM ({_CURRENT}) AS v "
            "JOIN nodes AS n ON n.item = v.item AND n.key = v.example JOIN items AS i ON i.id = n.item "
            "WHERE v.outcome = 'fail' GROUP BY 1, 2, 3 ORDER BY 4 DESC, 1, 2, 3"
        )
        return _tables(self.rows(sql), ("skill", "kind", "check", "count"))

    def drops(self) -> list[dict[str, Any]]:
        """Per skill, step and reason: how many were dropped, most first."""
        sql = (
            "SELECT i.skill, n.step, n.kind, n.reason, count(*) FROM nodes AS n JOIN items AS i ON i.id = n.item "
            "WHERE n.type = 'dropped' GROUP BY 1, 2, 3, 4 ORDER BY 5 DESC, 1, 2, 3, 4"
        )
        return _tables(self.rows(sql), ("skill", "step", "kind", "reason", "count"))

    def by_agent(self) -> list[dict[str, Any]]:
        """Per agent and model: calls of this run by outcome, tokens, dollars, seconds."""
        sql = (
            "SELECT agent, model, count(*), sum(outcome = 'ok'), sum(outcome = 'declined'), sum(outcome = 'misfit'), "
            "sum(outcome = 'cut'), sum(outcome IN ('refused', 'empty', 'error')), sum(prompt_tokens), "
            "sum(completion_tokens), sum(reasoning_tokens), sum(cost) / 1e9, sum(ended - started) "
            "FROM calls WHERE epoch > 0 GROUP BY 1, 2 ORDER BY 3 DESC, 1"
        )
        names = ("agent", "model", "calls", "ok", "declined", "misfit", "cut", "failed", "prompt_tokens",
                 "completion_tokens", "reasoning_tokens", "dollars", "seconds")
        return _tables(self.rows(sql), names)

    def spent(self) -> dict[str, float]:
        """Money: settled with answers, and charged for what was in the air when a process died."""
        settled = self.rows("SELECT coalesce(sum(cost), 0) / 1e9 FROM calls WHERE epoch > 0")[0][0]
        charged = self.rows("SELECT coalesce(sum(charged), 0) / 1e9 FROM spend")[0][0]
        return {"settled": settled, "charged": charged}

    def set_aside(self) -> float:
        """Money that the process at work may have in the air, and that is held for batches."""
        air = self.rows("SELECT coalesce(sum(allowance), 0) / 1e9 FROM spend WHERE closed = 0")[0][0]
        return float(air + self.rows("SELECT coalesce(sum(money), 0) / 1e9 FROM held")[0][0])

    def cached_share(self) -> float | None:
        """Which part of the prompt tokens came from the endpoint's prefix cache; None where it has reported none."""
        ((cached, prompt),) = self.rows(
            "SELECT coalesce(sum(cached_tokens), 0), coalesce(sum(prompt_tokens), 0) FROM calls WHERE epoch > 0"
        )
        return cached / prompt if cached else None


def _tables(rows: Iterable[Sequence[Any]], names: Sequence[str]) -> list[dict[str, Any]]:
    return [dict(zip(names, row, strict=True)) for row in rows]


def _unpacked(row: dict[str, Any], *names: str) -> dict[str, Any]:
    return row | {name: row[name] and unpack(row[name]) for name in names}

