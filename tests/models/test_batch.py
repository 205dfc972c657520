"""Requests go to a folder once, replies are taken from it whenever and however they come."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from preceptor.errors import Parked
from preceptor.models import batch as batches
from preceptor.models import open_model, probe
from preceptor.models.batch import BatchModel
from preceptor.types import Completion, Request

SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": False}


@pytest.fixture(autouse=True)
def looks_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "LOOK_SECONDS", 0.0)


def request(number: int = 0, **more: Any) -> Request:
    return Request("pack/answer", ({"role": "user", "content": f"Question {number}"},), schema=SCHEMA, **more)


async def parked(model: BatchModel, *requests: Request) -> list[str]:
    for one in requests:
        with pytest.raises(Parked):
            await model.complete(one)
    return [line["custom_id"] for line in written(model.folder)]


def written(folder: Path) -> list[dict[str, Any]]:
    return [
        orjson.loads(row) for path in sorted(folder.glob("requests-*.jsonl")) for row in path.read_bytes().splitlines()
    ]


def answer(custom_id: str, content: str = '{"a": "yes"}', status: int = 200) -> str:
    body = {"model": "big", "choices": [{"message": {"content": content}, "finish_reason": "stop"}]}
    return orjson.dumps({"id": "x", "custom_id": custom_id, "response": {"status_code": status, "body": body}}).decode()


async def test_a_pending_request_is_a_whole_batch_line_and_is_never_written_twice(tmp_path: Path) -> None:
    model = BatchModel(tmp_path)
    await parked(model, request(), request(), request(sample=1), request(attempt=1))
    again = BatchModel(tmp_path)
    ids = await parked(again, request(), request(sample=1), request(1))
    assert len(ids) == len(set(ids)) == 4 == again.waiting()
    line = written(tmp_path)[0]
    assert (line["method"], line["url"]) == ("POST", "/v1/chat/completions")
    assert line["body"]["response_format"]["json_schema"]["schema"] == SCHEMA
    assert line["body"]["metadata"] == {"agent": "pack/answer"}
    assert line["body"]["max_tokens"] == 1500


@pytest.mark.parametrize("name", ["replies/any-name.jsonl", "replies-1.jsonl", "replies.jsonl"])
async def test_replies_are_taken_in_as_they_appear(tmp_path: Path, name: str) -> None:
    model = BatchModel(tmp_path)
    first, second = await parked(model, request(0), request(1))
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(answer(first) + "\n" + answer(second)[:40])
    reply = await model.complete(request(0))
    assert (reply.content, reply.model, reply.means) == ('{"a": "yes"}', "big", "json_schema")
    with pytest.raises(Parked):
        await model.complete(request(1))
    with path.open("a") as out:
        out.write(answer(second)[40:])
    assert (await model.complete(request(1))).content == '{"a": "yes"}'
    assert model.waiting() == 0
    assert not model.problems


async def test_answering_by_hand_takes_the_short_form(tmp_path: Path) -> None:
    model = BatchModel(tmp_path)
    ids = await parked(model, request(0), request(1), request(2))
    lines: list[dict[str, Any]] = [
        {"custom_id": ids[0], "content": {"reason": "so", "a": "no"}, "reasoning": "thought"},
        {"custom_id": ids[1], "content": "<think>hm</think>free text"},
        {"custom_id": ids[2], "calls": [{"name": "search", "arguments": {"query": "mill"}}]},
    ]
    (tmp_path / "replies.jsonl").write_bytes(b"\n".join(map(orjson.dumps, lines)))
    replies: list[Completion] = [await model.complete(request(n)) for n in range(3)]
    assert [(r.content, r.reasoning, r.finish) for r in replies] == [
        ('{"reason":"so","a":"no"}', "thought", "stop"),
        ("free text", "hm", "stop"),
        ("", "", "tool_calls"),
    ]
    assert replies[2].calls[0].arguments == {"query": "mill"}


async def test_bad_lines_are_told_by_line_and_stop_nothing(tmp_path: Path) -> None:
    notices: list[str] = []
    model = BatchModel(tmp_path, notice=notices.append)
    first, second, third = await parked(model, request(0), request(1), request(2))
    failed = orjson.dumps({"custom_id": second, "response": None, "error": {"message": "node died"}}).decode()
    rows = [answer(first), answer(first, "{}"), answer("f" * 16), "{torn", failed, answer(third, "", 400), '{"a": 1}']
    (tmp_path / "replies-a.jsonl").write_text("\n".join(rows) + "\n")
    assert (await model.complete(request(0))).content == '{"a": "yes"}'
    for number in (1, 2):
        with pytest.raises(Parked, match=r"replies-a\.jsonl line"):
            await model.complete(request(number))
    assert model.waiting() == 2
    assert notices == model.problems
    wanted = {
        2: "second time",
        3: "no request of this folder",
        4: "whole JSON",
        5: "node died",
        6: "400",
        7: "custom_id",
    }
    for line, words in wanted.items():
        assert any(f"line {line} " in said and words in said for said in model.problems), (line, model.problems)
    (tmp_path / "replies-b.jsonl").write_text(answer(second) + "\n")
    assert (await model.complete(request(1))).content == '{"a": "yes"}'


async def test_a_reply_file_rewritten_by_an_editor_is_read_anew(tmp_path: Path) -> None:
    model = BatchModel(tmp_path)
    (first,) = await parked(model, request(0))
    path = tmp_path / "replies.jsonl"
    path.write_text(answer(first, "draft") + "\n")
    assert (await model.complete(request(0))).content == "draft"
    path.write_text("\n" + answer(first, "a better one") + "\n")
    assert (await model.complete(request(0))).content == "a better one"
    path.unlink()
    assert model.waiting() == 1
    assert not model.problems


async def test_new_requests_go_to_a_new_file_once_the_last_one_was_answered(tmp_path: Path) -> None:
    model = BatchModel(tmp_path)
    (first,) = await parked(model, request(0))
    (tmp_path / "replies.jsonl").write_text(answer(first) + "\n")
    await model.complete(request(0))
    await parked(model, request(1), request(2))
    counts = [len(path.read_bytes().splitlines()) for path in model._requests()]
    assert counts == [1, 2]


async def test_a_request_line_cut_off_by_a_crash_is_written_anew(tmp_path: Path) -> None:
    await parked(BatchModel(tmp_path), request(0), request(1))
    path = tmp_path / "requests-001.jsonl"
    path.write_bytes(path.read_bytes()[:-30])
    notices: list[str] = []
    model = BatchModel(tmp_path, notice=notices.append)
    assert len(await parked(model, request(0), request(1))) == 2
    assert len(notices) == 1
    assert model.waiting() == 2


async def test_the_recipe_names_model_and_tools_and_a_probe_says_that_replies_come_later(tmp_path: Path) -> None:
    model = open_model({"batch": "b", "model": "Qwen", "tools": "action"}, base=tmp_path)
    found = await probe(model)
    assert not found.answers
    assert "later" in found.error
    assert written(tmp_path / "b")[0]["body"]["model"] == "Qwen"
