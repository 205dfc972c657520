"""Whatever flows comes back from the store as it was, tuples and lineage and all."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from preceptor.engine.journal import Journal, pack, unpack
from preceptor.engine.nodes import LINKS, Lost, Rows, from_json, laid_out, to_json
from preceptor.engine.store import Item, Store, kept, planned
from preceptor.types import (
    Document,
    Draft,
    Dropped,
    Example,
    Gold,
    Instruction,
    Material,
    Option,
    Produced,
    Style,
    Trace,
    Verdict,
)

words = st.text(st.characters(codec="utf-8"), max_size=12)
plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False) | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=6,
)
data = st.dictionaries(words, plain, max_size=3)
messages = st.lists(st.fixed_dictionaries({"role": words, "content": words}), max_size=2).map(tuple)
golds = st.builds(Gold, words, plain, st.lists(words, max_size=2).map(tuple), st.lists(words, max_size=2).map(tuple))
verdicts = st.lists(st.builds(Verdict, words, st.sampled_from(["pass", "fail", "na"]), words), max_size=2).map(tuple)
drafts = st.lists(st.builds(Draft, words, words, data, messages, verdicts), max_size=2).map(tuple)
options = st.lists(st.builds(Option, words, words, words), max_size=3).map(tuple)
documents = st.builds(Document, words, words, words, st.tuples(st.integers(0, 9), st.integers(0, 9)))
materials = st.builds(Material, documents, words, words, data, change=data, language=words)
changed = st.builds(lambda m, text: Material(m.document, m.genre, text, parent=m), materials, words)
instructions = st.builds(
    Instruction, materials | changed, words, words, options=options, gold=st.none() | golds, history=messages,
    tools=st.lists(data, max_size=1).map(tuple), data=data, style=st.builds(Style, words),
)
refined = st.builds(lambda i, m, text: Instruction(m, i.kind, text, parent=i, depth=1), instructions, changed, words)
examples = st.builds(
    Example, instructions | refined, words, messages, data, drafts, verdicts, st.sampled_from(["accepted", "rejected"])
)
drops = st.builds(Dropped, documents | materials | instructions | examples, words, words, words, words)


@given(documents | materials | changed | instructions | refined | examples | drops)
@settings(deadline=None, max_examples=60)
def test_every_node_comes_back_exactly(node: Any) -> None:
    holds, before = LINKS[type(node)]
    parents = (getattr(node, holds) if holds else None, getattr(node, before) if before else None)
    assert from_json(type(node), to_json(node), *parents) == node


@pytest.mark.parametrize("value", ["\ud800", 2**80, {"a": ["\udfff"]}, {"é": 1.5}, None])
def test_text_that_is_no_text_and_numbers_beyond_the_machine_survive(value: Any) -> None:
    assert unpack(pack(value)) == value


@given(st.lists(examples, max_size=2))
@settings(deadline=None, max_examples=15)
def test_rows_hold_every_lineage_whatever_the_ids(rows: list[Example]) -> None:
    laid = Rows(Document("root", "", ""), rows)
    assert {to_json(row) for row in rows} == {row.body for row in laid.rows.values() if row.type == "example"}


async def test_a_rows_lineage_is_restored_from_the_store(tmp_path: Path) -> None:
    item = Item(Document("d", "text", "a.md", (1, 5)), "tiny")
    seed = Instruction(Material(item.document, "identity", "text"), "k", "Q?", options=(Option("a", "credited"),))
    edited = Material(item.document, "identity", "other text", parent=seed.material, change={"before": "text"})
    refined = Instruction(edited, "k", "Q?", parent=seed, gold=Gold("set", ["x"], ("e",)), goal="flip")
    made = Example(refined, "A", ({"role": "user", "content": "Q?"},))
    row = replace(made, status="accepted", verdicts=(Verdict("c", "pass"),))
    lost = Dropped(seed, "respond", "no reply")
    trace = (
        Trace("transform", item.document, (seed.material,)),
        Trace("instruct", seed.material, (seed,)),
        Trace("refine", seed, (seed, refined)),
        Trace("respond", seed, (lost,)),
        Trace("respond", refined, (made,)),
        Trace("verify", made, (row,)),
    )
    journal = Journal(tmp_path)
    await journal.put(*planned([item]))
    await journal.put(*kept(item, Produced((row,), (lost,), trace)))
    store = Store(tmp_path)
    assert [s.node for s in store.examples()] == [row]
    assert [s.node for s in store.dropped("respond")] == [lost]
    assert store.item(item.id) == item
    assert store.law()["holds"]
    assert store.law()["steps"]["respond"] == {"entered": 2, "born": 0, "passed": 1, "dropped": 1, "pending": 0}
    store.close()
    journal.close()


def test_a_drop_that_the_trace_does_not_show_is_caught() -> None:
    document = Document("d", "text", "a.md")
    lost = Dropped(document, "transform", "no")
    with pytest.raises(Lost, match="not the same"):
        laid_out(Produced((), (lost,)), document)
