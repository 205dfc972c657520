"""The fault endpoint: its modes as they are written, and each of them once on a real socket against our own client."""

import asyncio
import os
from typing import Any

import pytest
from click.testing import CliRunner

from preceptor.cli import main
from preceptor.errors import EndpointError, PreceptorError, RecipeError, ReplyError
from preceptor.models.limits import Patience
from preceptor.models.openai import Endpoint, OpenAIModel
from preceptor.testing.chaos import MODES, SHAPES, Chaos, mode, modes_of
from preceptor.testing.chaos_wire import served
from preceptor.types import Completion, Request

QUICK = Patience(attempts=2, base=0.01, cap=0.02, seconds=1, longest=2, outage=0.1)
KEY = "sk-very-secret"
ASKED = Request("pack/4_respond/answer", ({"role": "user", "content": "Well?"},), max_tokens=50)


async def met(*written: str) -> Completion | PreceptorError:
    """What one call to an endpoint with these modes comes to."""
    async with served(Chaos(modes_of(["ok,latency=0.01", *written]))) as url:
        endpoint = Endpoint(url, "chaos", key_env="KEY", timeout=1.5)
        model = OpenAIModel(endpoint, environ={"KEY": KEY}, patience=QUICK)
        try:
            return await model.complete(ASKED)
        except PreceptorError as error:
            return error
        finally:
            await model.close()


ENDS = ("429", "503", "529", "500", "502", "401", "403", "404", "402", "hang", "slow", "reset", "reset_headers", "reset_body")
ENDS += ("cut_json", "length_wrong", "chunk_wrong", "html", "redirect", "no_choices", "nan", "surrogates", "key_echo")
ENDS += ("400", "422", "413", "sse_cut", "sse_no_done", "sse_error", "sse_beats")


@pytest.mark.parametrize("name", ENDS)
async def test_b15_what_is_broken_never_comes_back_as_an_answer_nor_shows_the_key(name: str) -> None:
    """B11, B12, B14, B15, B24: one real-socket smoke of each mode that no answer comes of."""
    told = await met(name)
    assert isinstance(told, EndpointError)
    assert KEY not in str(told)
    if name in ("401", "403", "402", "key_echo"):
        assert "`KEY`" in str(told)
    if name == "redirect":
        assert "127.0.0.2" in str(told)


SAID: dict[str, dict[str, Any]] = {
    "null_content": {"content": "", "finish": "length", "reasoning": "and so on"},
    "length": {"finish": "length"},
    "refusal": {"finish": "content_filter"},
    "filter": {"finish": "content_filter", "content": ""},
    "only_think": {"content": "", "reasoning": "so it goes"},
    "wrong_model": {"model": "another-model"},
}


@pytest.mark.parametrize("name", SAID)
async def test_b18_an_answer_that_is_none_says_what_it_is(name: str) -> None:
    """B17–B19: cut, refused, filtered, thought away and answered by another: each is told as what it is."""
    told = await met(name)
    assert isinstance(told, Completion)
    assert {key: getattr(told, key) for key in SAID[name]} == SAID[name]


async def test_b20_a_usage_that_is_missing_or_absurd_is_estimated() -> None:
    """B20: estimate, never negative."""
    for name in ("no_usage", "absurd_usage"):
        told = await met(name)
        assert isinstance(told, Completion)
        assert 0 < told.prompt_tokens < 1000
        assert 0 < told.completion_tokens < 100_000


async def test_empty_and_tool_call_modes_are_read_for_what_they_are() -> None:
    empty, bad, twins = [await met(name) for name in ("empty", "bad_arguments", "twin_ids")]
    assert isinstance(empty, Completion)
    assert isinstance(bad, Completion)
    assert isinstance(twins, Completion)
    assert not empty.content.strip()
    assert [call.arguments for call in bad.calls] == [None]
    assert len({call.id for call in twins.calls}) == 2


async def test_b25_a_bomb_and_a_stream_without_end_are_stopped_and_ten_megabytes_are_not() -> None:
    """B25: gzip bomb, 10 MB answer, 1 GB stream: typed reject at 32 MB."""
    for name in ("gzip_bomb", "endless"):
        told = await met(name)
        assert isinstance(told, ReplyError | EndpointError)
    huge = await met("huge")
    assert isinstance(huge, Completion)
    assert len(huge.content) == 10_000_000


async def test_b13_calls_that_hang_leave_no_socket_behind() -> None:
    """B13: sockets closed (fd count ±5)."""
    before = len(os.listdir("/proc/self/fd"))
    await asyncio.gather(*(met("hang") for _ in range(10)))
    assert abs(len(os.listdir("/proc/self/fd")) - before) <= 5


async def test_shares_times_and_texts_decide_who_meets_a_mode() -> None:
    chaos = Chaos(modes_of(["ok,latency=0.001", "500:0.3,delay=0.001", "400,match=poison,delay=0.001"]))
    met = [await chaos.serve(f"r{n}", "poison" if n % 10 == 0 else "") for n in range(300)]
    counts = {name: sum(one.mode == name for one in met) for name in ("ok", "500", "400")}
    assert 60 <= counts["500"] <= 120
    assert 15 <= counts["400"] <= 30
    again = Chaos(modes_of(["ok,latency=0.001", "500:0.3,delay=0.001", "400,match=poison,delay=0.001"]))
    assert [await again.serve(f"r{n}", "poison" if n % 10 == 0 else "") for n in range(300)] == met


@pytest.mark.parametrize(
    ("written", "words"),
    [("503s", "did you mean 503"), ("429,aftr=1", "no setting 'aftr'"), ("limit,k=x", "write it like"), ("429:x", "write it")],
)
def test_a_mode_that_does_not_exist_is_named(written: str, words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        mode(written)


def test_the_command_tells_its_address_and_refuses_a_mode_that_does_not_exist() -> None:
    told = CliRunner().invoke(main, ["chaos", "--mode", "503@0-5", "--seconds", "0.01"])
    assert told.exit_code == 0
    assert told.output.startswith("http://127.0.0.1:")
    wrong = CliRunner().invoke(main, ["chaos", "--mode", "hangs"])
    assert isinstance(wrong.exception, RecipeError) or "did you mean hang" in wrong.output


def test_every_mode_is_met_by_a_test_of_this_file_or_of_load() -> None:
    others = {"no_usage", "absurd_usage", "empty", "bad_arguments", "twin_ids", "gzip_bomb", "endless", "huge"}
    assert set(MODES) == {*ENDS, *SAID, *SHAPES, *others}
