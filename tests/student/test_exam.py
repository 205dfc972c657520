"""What is held back from training, what counts as a leak, and what an endpoint that is right on 137 items scores."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import web

from preceptor.errors import UserError
from preceptor.skill import load_skill
from preceptor.student import gold
from preceptor.student.evaluate import Marked, Result, bootstrapped, evaluate, same_call, table, wilson, write_result
from preceptor.student.evaluate import read_result as read
from preceptor.student.exam import Exam, Item, Seen, examples_by_code, items_of, read_exam, row_up_to_calls, write_exam
from preceptor.student.rows import chat, file_of, follows, held_out, reserved, row_of
from preceptor.types import Document
from student.makings import exam, files, reading, rows


def test_no_items_document_passage_instruction_or_answer_is_in_the_training_rows() -> None:
    seen = Seen(rows())
    assert len(rows()) > 50
    assert len(exam().items) > 20
    taught = {file_of(row.source) for row in rows()}
    said = {row.instruction for row in rows()}
    for item in exam().items:
        assert seen.leak(item) == ""
        assert item.source not in taught
        assert item.instruction not in said
        assert not any(item.passage in str(m["content"]) for row in rows() for m in row.messages)


def planted(what: str, item: Item) -> Item:
    row = rows()[0]
    if what == "document":
        return replace(item, source=row.source)
    if what == "passage":
        return replace(item, passage="Found elsewhere.\n" + "\n".join(row.passage.splitlines()[2:4]) + "\nAnd more.")
    if what == "instruction":
        return replace(item, instruction=row.instruction.replace("?", " ?") + " Now.")
    return replace(item, answer=f"As it stands there: {row.passage.splitlines()[2]} {row.passage.splitlines()[3]}")


@pytest.mark.parametrize("what", ["document", "passage", "instruction", "answer"])
def test_an_item_that_is_planted_in_the_training_rows_is_found(what: str) -> None:
    item = exam().items[0]
    assert Seen(rows()).leak(planted(what, item)) == what


def test_a_short_call_that_a_row_ends_in_is_found_and_a_label_is_not() -> None:
    call = '{"name":"get_light","arguments":{"light_id":"L204"}}'
    row = replace(rows()[0], messages=({"role": "user", "content": "Which?"}, {"role": "assistant", "content": call}))
    item = replace(exam().items[0], answer=call)
    assert Seen([row]).leak(item) == "answer"
    assert Seen(rows()).leak(replace(item, answer="true")) == ""


def test_training_rows_and_items_share_no_wording_and_no_layout() -> None:
    skill = reading()
    for kind in (skill.kind("table_claim"), skill.kind("table_superlative")):
        kept = reserved(kind, skill)
        assert kept
        assert not any(follows(row.instruction, kept) for row in rows() if row.kind == kind.name)
        assert all(follows(item.instruction, kept) for item in exam().items if item.kind == kind.name)
    openings = {str(row.messages[0]["content"]) for row in rows()}
    assert not openings & {item.messages[0]["content"] for item in exam().items}


def test_documents_are_held_out_by_file_and_for_ever() -> None:
    aside = {name for name in files() if held_out(name)}
    assert 5 < len(aside) < 30
    assert all(held_out(f"{name}#3") for name in aside)


def test_the_gold_of_every_item_is_right_and_another_items_gold_is_not() -> None:
    sat = marked_with(exam(), [item.answer for item in exam().items])
    assert all(m.right for m in sat.marked)
    other = {"true": "false", "false": "true", "A": "B", "B": "C", "C": "D", "D": "A"}
    wrong = marked_with(exam(), [other[item.answer] for item in exam().items])
    assert not any(m.right for m in wrong.marked)


def marked_with(made: Exam, said: list[str]) -> Result:
    return evaluate("scripted", made, answer=lambda model, asked, **_: said)


# ── tool use and edits by code ───────────────────────────────────────────────────────────────────────────────────


def test_a_tool_row_is_plain_text_and_its_items_are_the_next_calls() -> None:
    skill = load_skill("tool_use")
    one = dict(list(files().items())[:1])
    made = asyncio.run(examples_by_code(skill, one, "1", exam=True, kinds=["several_apis_all_parameters"], rounds=2))
    example = next(e for e in made if len(gold.cuts(e)) == 2)
    row = row_up_to_calls(example, "tool_use")
    assert all(isinstance(m["content"], str) and set(m) == {"role", "content"} for m in row.messages)
    assert "- find_" in str(row.messages[0]["content"])
    first, second = items_of(example, skill)
    assert first.messages[-1]["role"] == "user"
    assert len(second.messages) == len(first.messages) + 2
    assert same_call(first.call, first.answer)
    assert not same_call(first.call, second.answer)
    assert not same_call(first.call, f"I call {first.answer}")
    assert row.messages[-1]["content"] == second.answer


def test_a_call_is_written_as_text_and_its_result_told_to_the_assistant() -> None:
    calls = [{"id": "c1", "type": "function", "function": {"name": "get_tide", "arguments": '{"day":"2026-03-01"}'}}]
    told = chat([
        {"role": "user", "content": "When?"},
        {"role": "assistant", "content": "", "tool_calls": calls},
        {"role": "tool", "tool_call_id": "c1", "content": "06:10"},
        {"role": "assistant", "content": "At 06:10."},
    ])  # fmt: skip
    assert [m["content"] for m in told] == [
        "When?", '{"name":"get_tide","arguments":{"day":"2026-03-01"}}', "Result of get_tide: 06:10", "At 06:10.",
    ]  # fmt: skip


def test_edits_are_built_of_paragraphs_and_pass_the_packs_checks() -> None:
    skill = load_skill("text_modification")
    paragraph = "The harbour master of Dunnet Quay keeps two lists. One of them names the boats that are in, the other those "
    document = Document("d", paragraph + "that have been seen from Dunnet Quay and may come in by night.", "quay.txt")
    made = asyncio.run(examples_by_code(skill, {"quay.txt": [document]}, "1", exam=False))
    assert {"case", "redact"} <= {e.instruction.kind for e in made}
    assert all(e.status == "accepted" and e.answered_by == "gold" for e in made)
    assert all(row_of(e, skill.name).passage for e in made)


# ── an endpoint ──────────────────────────────────────────────────────────────────────────────────────────────────


@contextmanager
def endpoint(said: dict[str, str]) -> Iterator[str]:
    """An OpenAI-compatible address that answers each last message with what the script says."""
    ready, address, held = threading.Event(), list[str](), list[tuple[asyncio.AbstractEventLoop, asyncio.Event]]()

    async def chat_(request: web.Request) -> web.Response:
        body = await request.json()
        assert body["temperature"] == 0
        text = said[body["messages"][-1]["content"]]
        message = {"role": "assistant", "content": text}
        usage = {"prompt_tokens": 1, "completion_tokens": 1}
        choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
        return web.json_response({"id": "1", "model": "scripted", "usage": usage, "choices": choices})

    async def serve() -> None:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", chat_)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        address.append(f"http://127.0.0.1:{runner.addresses[0][1]}/v1")
        stop = asyncio.Event()
        held.append((asyncio.get_running_loop(), stop))
        ready.set()
        await stop.wait()
        await runner.cleanup()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    assert ready.wait(20)
    try:
        yield address[0]
    finally:
        loop, stop = held[0]
        loop.call_soon_threadsafe(stop.set)
        thread.join(20)


def test_an_endpoint_that_is_right_on_137_known_items_scores_exactly_137(tmp_path: Path) -> None:
    whole = exam(150, 160)
    items = {item.messages[-1]["content"]: item for item in whole.items}
    assert len(items) >= 140
    made = Exam(tuple(items.values()), whole.shots)
    known = {item.id for item in made.items[::-1][:137]}
    script = {text: item.answer if item.id in known else "I could not say." for text, item in items.items()}
    file = tmp_path / "exam.jsonl"
    write_exam(made, file)
    with endpoint(script) as url:
        result = evaluate(url, file, name="scripted")
    assert {m.id for m in result.marked if m.right} == known
    assert sum(m.right for m in result.marked) == 137
    assert read_exam(file) == made
    write_result(result, tmp_path / "result.json")
    assert read(tmp_path / "result.json") == result


def test_three_solved_tasks_stand_before_an_item_and_come_from_training_documents() -> None:
    asked: list[int] = []
    made = exam()
    evaluate("scripted", made, shots=3, answer=lambda m, a, **_: [asked.append(len(x.messages)) or "" for x in a])  # type: ignore[func-returns-value]
    assert set(asked) == {1 + 6 + 1}
    assert all(not held_out(shot.source) for shot in made.shots)
    with pytest.raises(UserError, match="solved tasks"):
        evaluate("scripted", replace(made, shots=()), shots=3, answer=lambda m, a, **_: [""] * len(a))


# ── intervals ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_wilsons_interval_is_the_published_one() -> None:
    found = wilson(8, 10)
    assert (round(found.low, 3), round(found.high, 3)) == (0.490, 0.943)
    assert wilson(0, 20).low == 0
    assert wilson(0, 20).high == pytest.approx(0.161, abs=0.001)


def test_items_of_one_document_widen_the_interval() -> None:
    alike = [(f"d{n // 20}", float((n // 20) % 2)) for n in range(200)]
    apart = [(f"d{n}", value) for n, (_, value) in enumerate(alike)]
    assert bootstrapped(alike).high - bootstrapped(alike).low > 2 * (bootstrapped(apart).high - bootstrapped(apart).low)


def test_two_models_are_paired_item_by_item_and_only_on_one_exam() -> None:
    def result(name: str, right: set[int]) -> Result:
        return Result(name, "e", 0, tuple(Marked(f"{n}", "s", "k", f"d{n}", "", n in right) for n in range(40)))

    line = table(result("b", set(range(30))), result("a", set(range(20))))[0]
    assert line["against"] == pytest.approx(0.25)
    assert line["against_interval"][0] > 0.1
    with pytest.raises(UserError, match="another exam"):
        table(result("b", set()), Result("a", "f", 0, ()))


def test_the_core_and_the_exam_never_import_torch() -> None:
    code = (
        "import sys, preceptor, preceptor.cli, preceptor.factory, preceptor.student.exam, preceptor.student.evaluate, "
        "preceptor.student.train, preceptor.student.proof, preceptor.student.answer\n"
        "assert not {'torch', 'transformers', 'trl'} & set(sys.modules), 'a trainer was imported'"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
