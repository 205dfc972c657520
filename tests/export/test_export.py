"""A dataset is what the run holds: read back by `datasets` it is equal, exported twice it is the same, and its card is true."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from export.makings import answered, own_rows, simulated, stored
from flows.makings import instruction, pack
from preceptor.engine.store import Store
from preceptor.export import export
from preceptor.export.preference import pairs_of
from preceptor.export.rows import row_of
from preceptor.types import Example


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return simulated(tmp_path_factory.mktemp("export"))


@pytest.fixture
def own(tmp_path: Path) -> Path:
    return stored(tmp_path / "own", own_rows())


def held(folder: Path, status: str = "accepted") -> list[dict[str, Any]]:
    """The rows as the store has them."""
    store = Store(folder)
    try:
        return [row_of(s.node, s.skill, s.item) for s in store.examples(status)]
    finally:
        store.close()


def lines(file: Path) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in file.read_bytes().splitlines()]


def nulls(value: Any) -> Iterator[Any]:
    """Every None inside."""
    if value is None:
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from nulls(inner)


# ── what is in it ────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_run_of_these_tests_holds_what_they_promise(run: Path) -> None:
    rows = held(run)
    libraries = {orjson.dumps(row["tools"]) for row in rows if row["tools"]}
    assert {row["skill"] for row in rows} == {"reading_comprehension", "text_modification", "tool_use"}
    assert len(libraries) >= 2
    assert any(sum(m["role"] == "user" for m in row["messages"]) > 2 for row in rows)
    assert any("tool_calls" in m for row in rows for m in row["messages"])


@pytest.mark.parametrize("form", ["parquet", "json"])
@pytest.mark.filterwarnings("ignore")
def test_read_back_by_datasets_the_rows_are_equal_to_the_store(form: str, run: Path, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets", reason="datasets is not installed: make test installs it")
    made = export(run, tmp_path / "dataset")
    file = made.folder / f"rows.{'parquet' if form == 'parquet' else 'jsonl'}"
    read = list(datasets.load_dataset(form, data_files=str(file), split="train", cache_dir=str(tmp_path / "cache")))
    for row in read:
        assert row.pop("tokens") > 0
    assert read == held(run)
    for row in read:
        assert not list(nulls([row["messages"], row["tools"]]))


def test_parquet_and_jsonl_hold_the_same_rows_and_calls_are_objects(run: Path, tmp_path: Path) -> None:
    rows = lines(export(run, tmp_path / "dataset").folder / "rows.jsonl")
    calls = [c for row in rows for m in row["messages"] for c in m.get("tool_calls", ())]
    assert len(calls) > 5
    assert all(c["type"] == "function" and isinstance(c["function"]["arguments"], dict) for c in calls)
    assert all(t["type"] == "function" and "parameters" in t["function"] for row in rows for t in row["tools"])
    ids = [m["tool_call_id"] for row in rows for m in row["messages"] if m["role"] == "tool"]
    assert set(ids) <= {c["id"] for c in calls}


def test_exported_twice_every_file_is_the_same(run: Path, tmp_path: Path) -> None:
    one, two = export(run, tmp_path / "one"), export(run, tmp_path / "two")
    assert one.files == two.files
    for name in one.files:
        assert (one.folder / name).read_bytes() == (two.folder / name).read_bytes(), name


def test_rows_with_tools_can_be_written_as_actions(run: Path, tmp_path: Path) -> None:
    plain, acted = (lines(export(run, tmp_path / n, actions=a).folder / "rows.jsonl") for n, a in (("p", False), ("a", True)))
    assert [row["id"] for row in plain] == [row["id"] for row in acted]
    for before, after in zip(plain, acted, strict=True):
        if not before["tools"]:
            assert before == after
            continue
        assert after["tools"] == []
        assert not any("tool_calls" in m or m["role"] == "tool" for m in after["messages"])
        said = "\n".join(m["content"] for m in after["messages"])
        assert all(m["content"].startswith("## ACTION_TYPE\n") for m in after["messages"] if m["role"] == "assistant")
        for message in before["messages"]:
            for call in message.get("tool_calls", ()):
                assert call["function"]["name"] in said


def test_a_pack_of_ones_own_is_found_where_the_recipe_found_it(tmp_path: Path) -> None:
    form = "def action_format(example):\n    return [{'role': 'user', 'content': 'acted'}]\n"
    pack(tmp_path, {"skill.py": form}, name="own")
    tool = {"name": "look", "parameters": {"type": "object", "properties": {}}}
    rows = [answered(instruction(tools=(tool,)), "seventeen")]
    run = stored(tmp_path / "run", rows, skills={"./own": {}}, root=str(tmp_path))
    (acted,) = lines(export(run, tmp_path / "d", actions=True).folder / "rows.jsonl")
    assert acted["messages"] == [{"role": "user", "content": "acted"}]


@pytest.mark.parametrize(
    ("way", "column", "last"),
    [
        ("drop", None, "seventeen"),
        ("field", "I counted the berths.", "seventeen"),
        ("think", None, "<think>\nI counted the berths.\n</think>\n\nseventeen"),
    ],
)
def test_reasoning_is_dropped_in_a_column_or_in_the_answer(
    way: Any, column: str | None, last: str, own: Path, tmp_path: Path
) -> None:
    row = lines(export(own, tmp_path / "d", reasoning=way).folder / "rows.jsonl")[0]
    assert (row.get("reasoning"), row["messages"][-1]["content"]) == (column, last)


# ── pairs ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_there_is_a_pair_of_each_sort_and_it_says_who_made_what(own: Path, tmp_path: Path) -> None:
    pairs = lines(export(own, tmp_path / "d").folder / "preference.jsonl")
    told = {
        (p["pair"], p["chosen"][0]["content"], p["rejected"][0]["content"], p["chosen_by"], p["rejected_by"]) for p in pairs
    }
    assert told == {
        ("draft", "seventeen", "ten", "answerer: teacher-1", "answerer: teacher-1"),
        ("twin", "twelve", "seventeen", "teacher-1", "teacher-1"),
        ("revision", "three nights", "two nights", "reviser: teacher-1", "answerer: teacher-1"),
        ("draft", "THE GATE", "The Gate", "gold", "answerer: teacher-1"),
    }
    first = next(p for p in pairs if p["chosen"][0]["content"] == "seventeen")
    assert [m["role"] for m in first["prompt"]] == ["system", "user"]
    assert first["failed"] == ["gold_text"]
    assert {p["example"] for p in pairs} == {row["id"] for row in held(own)}


def test_a_draft_that_passed_is_not_the_worse_half_of_a_pair() -> None:
    from dataclasses import replace

    example = own_rows()[0]
    passing = replace(example.drafts[0], verdicts=example.verdicts)
    assert not list(pairs_of([(replace(example, drafts=(passing, example.drafts[1])), "own")]))


def test_no_pair_is_written_twice() -> None:
    example = own_rows()[0]
    assert len(list(pairs_of([(example, "own"), (example, "own")]))) == 1


# ── the card ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_card_counts_what_the_store_holds(run: Path, tmp_path: Path) -> None:
    made = export(run, tmp_path / "dataset")
    card = (made.folder / "README.md").read_text()
    rows, store = held(run), Store(run)
    try:
        nodes: list[Example] = [s.node for s in store.examples()]
        calls = store.rows("SELECT count(*) FROM calls")[0][0]
        kinds = Counter((s.skill, s.node.instruction.kind) for s in store.examples("accepted"))
    finally:
        store.close()
    accepted = [e for e in nodes if e.status == "accepted"]
    documents = {e.instruction.material.document.id for e in accepted}
    decided = sum(any(v.decides and v.outcome == "pass" for v in e.verdicts) for e in accepted)
    multi = sum(sum(m["role"] == "user" for m in row["messages"]) > 1 for row in rows)
    tools = sum(any("tool_calls" in m for m in row["messages"]) for row in rows)
    gold = sum(e.answered_by == "gold" for e in accepted)
    for line in (
        f"{len(rows)} rows made by Preceptor",
        f"from {len(documents)} documents.",
        f'- Answered by a model: {len(rows) - gold}. By gold that code computed (`answered_by = "gold"`): {gold}.',
        f"tells right from wrong: {decided}. By a judge alone: {len(rows) - decided}.",
        f"- Preference pairs: {made.pairs}",
        f"- Multi-turn rows: {multi}; rows with tool calls: {tools};",
        f"{calls} calls,",
        *(f"| {licence} | " for licence in {row["licence"] for row in rows}),
        "counted by `words-1`",
    ):
        assert line in card, line
    for (skill, kind), count in kinds.items():
        assert f"| {skill} | {kind} | {count} |" in card
    for status in ("rejected", "surplus"):
        assert len(lines(made.folder / f"{status}.jsonl")) == sum(e.status == status for e in nodes)


def test_the_card_names_gold_tries_pairs_limits_and_what_was_left_out(own: Path, tmp_path: Path) -> None:
    card = (export(own, tmp_path / "d", reasoning="think").folder / "README.md").read_text()
    for line in (
        'Answered by a model: 3. By gold that code computed (`answered_by = "gold"`): 1.',
        "Tries until the answer that was kept: 1: 1, 2: 3.",
        "Preference pairs: 4 (draft 2, revision 1, twin 1).",
        "2 kinds of own need a judge;",
        "Reasoning of the teacher: in <think> tags.",
        "- This is a small set: no kind has five accepted rows,",
        "| gold_text | 1 | yes | 4 | 0 | 0 |",
    ):
        assert line in card, line
    assert card.startswith("---\nlicense: other\nlanguage: [en]\n")


def test_the_card_names_small_kinds_only_beside_larger_ones(tmp_path: Path) -> None:
    many = [answered(instruction(kind="large", text=f"How many of {n}?"), "seventeen") for n in range(5)]
    run = stored(tmp_path / "own", [*own_rows(), *many])
    card = (export(run, tmp_path / "d").folder / "README.md").read_text()
    assert "- Kinds with fewer than five accepted rows, too few to say anything of: count." in card
    assert "small set" not in card


LICENCES = [
    (["CC0-1.0", "CC0-1.0"], "license: cc0-1.0\nlanguage"),
    (["EUPL-1.2"], "license: other\nlicense_name: EUPL-1.2\nlanguage"),
    (["CC0-1.0", "MIT"], "license: other\nlanguage"),
    (["unknown"], "license: other\nlanguage"),
]


@pytest.mark.parametrize(("stated", "head"), LICENCES, ids=[h.split()[-2] for _, h in LICENCES])
def test_the_card_states_the_one_licence_that_all_documents_state(tmp_path: Path, stated: list[str], head: str) -> None:
    made = instruction().material
    documents = [replace(made.document, text=f"{made.text} {n}", licence=name) for n, name in enumerate(stated)]
    rows = [answered(instruction(material=replace(made, document=d)), "seventeen") for d in documents]
    card = (export(stored(tmp_path / "own", rows), tmp_path / "d").folder / "README.md").read_text()
    assert card.startswith(f"---\n{head}: [en]\n")


def test_a_run_without_rows_is_exported_as_what_it_is(tmp_path: Path) -> None:
    made = export(stored(tmp_path / "own", []), tmp_path / "d")
    assert (made.rows, made.pairs) == (0, 0)
    card = (made.folder / "README.md").read_text()
    assert "0 rows made by Preceptor" in card
    assert 'data_files: [{split: train, path: "rows.jsonl"}]' in card


def test_the_card_points_at_files_that_are_there(own: Path, tmp_path: Path) -> None:
    made = export(own, tmp_path / "d")
    named = [part.split('"')[1] for part in (made.folder / "README.md").read_text().splitlines() if "data_files" in part]
    assert named == ["rows.parquet", "preference.parquet"]
    assert set(named) <= set(made.files)
