"""The test double: says what it was told to, and says plainly when it was told nothing."""

from pathlib import Path
from typing import Any

import pytest

from preceptor import errors
from preceptor.models import open_model, probe
from preceptor.models.scripted import Line, ScriptedModel, read_script
from preceptor.types import Completion, Request


def request(agent: str = "pack/4_respond/answer", prompt: str = "Who built the mill?", **more: Any) -> Request:
    return Request(agent, ({"role": "user", "content": prompt},), **more)


async def test_replies_of_an_agent_come_in_their_order_and_a_single_one_always() -> None:
    model = ScriptedModel({"*/answer": ["wrong", {"final": "B"}], "*/critic": "fine"})
    assert [(await model.complete(request())).content for _ in range(2)] == ["wrong", '{"final":"B"}']
    assert [(await model.complete(request("x/critic"))).content for _ in range(3)] == ["fine"] * 3
    assert [r.agent for r in model.requests][:2] == ["pack/4_respond/answer"] * 2
    assert not model.unused()


async def test_a_line_can_want_text_in_the_prompt_a_sample_or_an_attempt() -> None:
    model = ScriptedModel(
        [
            Line(contains="mill", attempt=0, text="first try"),
            Line(contains=("mill", "Who"), attempt=1, text="second try"),
            Line(contains="bridge", text="the bridge"),
        ]
    )
    for _ in range(2):
        assert (await model.complete(request(attempt=1))).content == "second try"
        assert (await model.complete(request())).content == "first try"
    assert (await model.complete(request(prompt="Which bridge?"))).content == "the bridge"


async def test_a_line_can_call_tools_reason_be_cut_and_break_its_arguments() -> None:
    model = ScriptedModel(
        [
            Line(calls=[{"name": "search", "arguments": {"query": "mill"}}], reasoning="look it up"),
            Line(calls=[{"name": "search", "arguments": '{"query": '}]),
            Line(text="a long reply", cut=6),
            Line(text="no", finish="content_filter"),
        ]
    )
    called = await model.complete(request())
    assert (called.finish, called.calls[0].arguments, called.reasoning) == (
        "tool_calls",
        {"query": "mill"},
        "look it up",
    )
    assert (await model.complete(request())).calls[0].arguments is None
    cut = await model.complete(request())
    assert (cut.content, cut.finish) == ("a long", "length")
    assert (await model.complete(request())).finish == "content_filter"


async def test_a_line_can_raise_and_a_function_can_do_anything() -> None:
    def by_prompt(request: Request) -> Any:
        return errors.ReplyError("no") if "bridge" in request.messages[0]["content"] else {"seen": request.slots["n"]}

    model = ScriptedModel(by_prompt)
    assert (await model.complete(request(slots={"n": 3}))).content == '{"seen":3}'
    with pytest.raises(errors.ReplyError):
        await model.complete(request(prompt="bridge"))
    with pytest.raises(errors.Parked):
        await ScriptedModel([Line(error="Parked", text="later")]).complete(request())
    own = Completion("mine", model="me")
    assert await ScriptedModel([own]).complete(request()) is own


async def test_without_a_matching_line_the_error_shows_agent_prompt_and_what_there_is() -> None:
    model = ScriptedModel({"*/critic": "fine", "*/answer": ["one"]})
    await model.complete(request())
    with pytest.raises(errors.EndpointError) as caught:
        await model.complete(request("pack/5_verify/judge", "Judge this.\nSecond line."))
    said = str(caught.value)
    assert all(words in said for words in ("pack/5_verify/judge", "| Judge this.", "| Second line.", "'*/critic'"))
    with pytest.raises(errors.EndpointError, match="used up"):
        await model.complete(request())


async def test_a_script_is_a_file_of_json_lines_or_toml(tmp_path: Path) -> None:
    lines = ("# comment", '{"agent": "*/answer", "fields": {"final": "B"}}', "", '{"agent": "*/x", "text": "t"}')
    (tmp_path / "s.jsonl").write_text("\n".join(lines))
    (tmp_path / "s.toml").write_text('[[reply]]\nagent = "*/answer"\nfields = { final = "B" }\n')
    for name in ("s.jsonl", "s.toml"):
        model = open_model(f"scripted:{name}", base=tmp_path)
        assert (await model.complete(request())).content == '{"final":"B"}'


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"agent": "a"}\n{"agent', "line 2"),
        ('{"agnet": "a"}', "did you mean 'agent'"),
        ("[1]", "no object"),
        ('{"error": "NoSuchError"}', "EndpointError"),
    ],
)
def test_a_broken_script_names_its_line_and_what_it_should_be(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "s.jsonl").write_text(text)
    with pytest.raises(errors.RecipeError, match=words.replace("(", r"\(")):
        read_script(tmp_path / "s.jsonl")


async def test_probing_a_script_without_lines_says_so() -> None:
    found = await probe(ScriptedModel())
    assert not found.answers
    assert "no scripted reply" in found.error


async def test_a_request_without_a_line_shows_the_end_of_its_task_which_a_line_can_name() -> None:
    shared = "You make rows for training.\n" * 40
    text = "The gate opens at noon. " * 40
    task = f"<task-3fa9>\n{text}\n\nWhen does it close?\n</task-3fa9>\n\nAnswer in one sentence."
    asked = Request("pack/4_respond/answer", ({"role": "system", "content": shared}, {"role": "user", "content": task}))
    with pytest.raises(errors.EndpointError) as caught:
        await ScriptedModel([Line(agent="*/answer", contains="at midnight", text="x")]).complete(asked)
    assert "When does it close?" in str(caught.value)
    assert "You make rows for training." in str(caught.value)
    assert "at midnight" in str(caught.value)
    assert len(str(caught.value)) < 1800
