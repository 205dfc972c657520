"""Everything that flows, as rows and back: a node's own fields as JSON, its lineage as keys of other nodes."""

import types
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import cache
from operator import attrgetter
from typing import Any, TypeAlias, Union

from preceptor.engine.journal import pack, unpack
from preceptor.types import Document, Dropped, Example, Instruction, Material, Produced

Node: TypeAlias = Document | Material | Instruction | Example | Dropped
TYPES: dict[str, type[Any]] = {t.__name__.lower(): t for t in (Document, Material, Instruction, Example, Dropped)}
LINKS: dict[type[Any], tuple[str, str]] = {
    Document: ("", ""),
    Material: ("document", "parent"),
    Instruction: ("material", "parent"),
    Example: ("instruction", ""),
    Dropped: ("item", ""),
}
"""For each type: the field that holds what it was made from, and the one that holds what it was changed from."""


def to_json(node: Any) -> str:
    """The node's own fields as JSON, without the nodes that it holds. NaN becomes null, as in all JSON here."""
    kind: Any = type(node)
    names, values = _own(kind)
    return pack(dict(zip(names, values(node), strict=True)))


@cache
def _own(kind: Any) -> tuple[tuple[str, ...], Callable[[Any], tuple[Any, ...]]]:
    """The names of a type's own fields, and what reads them all."""
    names = tuple(f.name for f in fields(kind) if f.name not in LINKS[kind])
    return names, attrgetter(*names)


def from_json(kind: type[Any], text: str, made_from: Any = None, changed_from: Any = None) -> Any:
    """The node that `to_json` was given, tuples and all, when it is given the nodes that it held."""
    holds, changed = LINKS[kind]
    value = {name: restore(held) for name, restore, held in _matched(kind, unpack(text))}
    if holds:
        value[holds] = made_from
    if changed:
        value[changed] = changed_from
    return kind(**value)


def _matched(kind: Any, body: Mapping[str, Any]) -> Iterator[tuple[str, Callable[[Any], Any], Any]]:
    for name, restore in _restorers(kind):
        if name in body:
            yield name, restore, body[name]


@cache
def _restorers(kind: Any) -> tuple[tuple[str, Callable[[Any], Any]], ...]:
    hints = typing.get_type_hints(kind)
    links = LINKS.get(kind, ("", ""))
    return tuple((f.name, _restorer(hints[f.name])) for f in fields(kind) if f.name not in links)


def _restorer(hint: Any) -> Callable[[Any], Any]:
    """How a value of this type comes back from JSON: tuples and records are rebuilt, the rest is what it is."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin is tuple:
        one = _restorer(inner[0])
        return tuple if one is _same else lambda value: tuple(one(v) for v in value)
    if origin in (Union, types.UnionType):
        (some,) = [_restorer(h) for h in inner if h is not type(None)] if type(None) in inner else [_same]
        return lambda value: None if value is None else some(value)
    if is_dataclass(hint) and isinstance(hint, type):
        return lambda value: hint(**{name: restore(v) for name, restore, v in _matched(hint, value)})
    return _same


def _same(value: Any) -> Any:
    return value


# ── an item's results as rows ────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Row:
    """A node as it is stored."""

    key: str
    """The node's id; a second node of the same id and another body gets `.2`, so that nothing is overwritten."""
    id: str
    node: Any
    type: str
    parent: str | None
    before: str | None
    body: str

    @property
    def kind(self) -> str:
        """What it is a case of: a genre for material, a kind of the taxonomy for the rest."""
        node = self.node.instruction if self.type == "example" else self.node
        return str(getattr(node, "genre", None) or getattr(node, "kind", ""))


class Rows:
    """The nodes of one item, each once, in the order in which they were first seen."""

    def __init__(self, root: Any, finals: Iterable[Example] = ()) -> None:
        """`root` is the item's document; `finals` are its examples as they ended: a step's earlier view of the same row
        is the same node."""
        self.rows: dict[str, Row] = {}
        self._of: dict[int, tuple[Any, str]] = {}
        self._finals: dict[str, Example] = {}
        self.key(root)
        for example in finals:
            self._finals.setdefault(example.id, example)
        for example in finals:
            self.key(example)

    def key(self, node: Any) -> str:
        """The key under which `node` stands, added with its whole lineage if it is new."""
        known = self._of.get(id(node))
        if known is None:
            known = (node, self._add(node))
            self._of[id(node)] = known
        return known[1]

    def _add(self, node: Any) -> str:
        if isinstance(node, Example) and (final := self._finals.get(node.id)) and node.status == "made":
            node = final
        holds, changed = LINKS[type(node)]
        parent = self.key(getattr(node, holds)) if holds else None
        earlier = getattr(node, changed) if changed else None
        before = self.key(earlier) if earlier is not None else None
        body, name = to_json(node), str(node.id)
        key, n = name, 1
        while (there := self.rows.get(key)) and (there.body, there.parent, there.before) != (body, parent, before):
            n += 1
            key = f"{name}.{n}"
        if there is None:
            self.rows[key] = Row(key, name, node, type(node).__name__.lower(), parent, before, body)
        return key


def laid_out(produced: Produced, root: Any) -> tuple[Rows, list[tuple[str, str, str, str]]]:
    """The item's nodes, and its events as (step, event, node, source). Raises Lost where something disappeared."""
    rows = Rows(root, produced.examples)
    events: list[tuple[str, str, str, str]] = []
    entered: set[str] = set()
    passed: dict[str, str] = {}
    for trace in produced.trace:
        source = rows.key(trace.entered)
        if not trace.out:
            raise Lost(f"step {trace.step} returned nothing for {trace.entered.id}; what it could not use is a Dropped")
        entered.add(source)
        events.append((trace.step, "entered", source, source))
        for n, node in enumerate(trace.out):
            key = rows.key(node)
            if n:
                events.append((trace.step, "born", key, source))
            events.append((trace.step, "dropped" if isinstance(node, Dropped) else "passed", key, source))
            if not isinstance(node, Dropped):
                passed[key] = trace.step
    ends = {rows.key(node) for node in (*produced.examples, *produced.dropped)}
    if lost := [f"{key} (from {step})" for key, step in passed.items() if key not in entered and key not in ends]:
        raise Lost(f"passed on, and then neither entered a step nor became a row: {', '.join(lost[:5])}")
    told = {key for _, event, key, _ in events if event == "dropped"}
    if unsaid := [key for key, row in rows.rows.items() if row.type == "dropped" and (key in ends) != (key in told)]:
        raise Lost(f"dropped in the trace and in the result are not the same: {', '.join(unsaid[:5])}")
    return rows, events


class Lost(Exception):
    """A flow let something disappear: a bug, found before anything of the item is stored."""


# ── back from rows ───────────────────────────────────────────────────────────────────────────────────────────────


class Lineage:
    """The nodes of one item, rebuilt from their rows as they are asked for; shared parents are one object."""

    def __init__(self, rows: Iterable[tuple[str, str, str | None, str | None, str, str]]) -> None:
        """`rows` are (key, type, parent, before, status, body)."""
        self._rows = {row[0]: row for row in rows}
        self._made: dict[str, Any] = {}

    def node(self, key: str) -> Any:
        """The node under `key` with everything that it was made from."""
        if key in self._made:
            return self._made[key]
        _, kind, parent, before, status, body = self._rows[key]
        made = from_json(TYPES[kind], body, parent and self.node(parent), before and self.node(before))
        if kind == "example" and made.status != status:
            made = replace(made, status=status)
        self._made[key] = made
        return made

    def __contains__(self, key: str) -> bool:
        return key in self._rows
