"""What a user of any OpenAI-compatible endpoint may rely on."""

import asyncio
import pickle
from typing import Any

import orjson
import pytest

from models.endpoint import Says, endpoint, refused, said
from preceptor.errors import EndpointError, PreceptorError, RecipeError, ReplyError
from preceptor.models import most_tokens, open_model, probe
from preceptor.models.limits import Patience
from preceptor.models.openai import Endpoint, OpenAIModel, Secret, base_url
from preceptor.types import Completion, Request

SCHEMA = {
    "type": "object",
    "properties": {"note": {"type": "string", "maxLength": 40}, "verdict": {"type": "string", "enum": ["yes", "no"]}},
    "required": ["verdict"],
    "additionalProperties": False,
}
TOOL = {
    "type": "function",
    "function": {
        "name": "calculator",
        "parameters": {"type": "object", "properties": {"expression": {"type": "string"}}, "required": ["expression"]},
    },
}
QUICK = Patience(attempts=4, base=0.01, cap=0.05, seconds=3, longest=5, outage=0.2)


def request(**more: Any) -> Request:
    return Request(**{"agent": "pack/4_respond/answer", "messages": ({"role": "user", "content": "Well?"},), **more})


def model(url: str, notices: list[str] | None = None, **settings: Any) -> OpenAIModel:
    environ = {"TEST_KEY": "sk-very-secret"}
    said_of = notices.append if notices is not None else (lambda words: None)
    return OpenAIModel(Endpoint(url, "m", **settings), notice=said_of, environ=environ, patience=QUICK)


async def asked(answer: Says, **settings: Any) -> Completion:
    async with endpoint(answer) as there:
        one = model(there.url, **settings)
        try:
            return await one.complete(request())
        finally:
            await one.close()


REPLIES = {
    "plain": (said("hello"), {"content": "hello", "finish": "stop", "prompt_tokens": 11, "completion_tokens": 7}),
    "reasoning_content": (said("4", message={"reasoning_content": "2+2"}), {"content": "4", "reasoning": "2+2"}),
    "reasoning": (said("4", message={"reasoning": "2+2"}), {"content": "4", "reasoning": "2+2"}),
    "inline think": (said("<think>2+2</think>\n4"), {"content": "4", "reasoning": "2+2"}),
    "think without start": (said("2+2\n</think>\n\n4"), {"content": "4", "reasoning": "2+2"}),
    "think without end": (said("<think>2+", finish="length"), {"content": "", "reasoning": "2+", "finish": "length"}),
    "think quoted in JSON": (said('{"a": "</think>"}'), {"content": '{"a": "</think>"}', "reasoning": ""}),
    "parts": (
        said([{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}, {"type": "text", "text": "4"}]),
        {"content": "4", "reasoning": "hm"},
    ),
    "null content, all reasoned away": (
        said(None, message={"reasoning_content": "and so on"}, finish="length"),
        {"content": "", "reasoning": "and so on", "finish": "length"},
    ),
    "cut": (said("once upon", finish="length"), {"content": "once upon", "finish": "length"}),
    "cut without a reason": (said("", finish=None), {"content": "", "finish": "length"}),
    "refusal": (said(None, message={"refusal": "I can't."}), {"content": "I can't.", "finish": "content_filter"}),
    "filter": (said("", finish="content_filter"), {"finish": "content_filter"}),
    "filter as an error": (refused("The response was filtered: content_filter"), {"finish": "content_filter"}),
    "token details": (
        said(
            usage={
                "prompt_tokens": 90,
                "completion_tokens": 50,
                "completion_tokens_details": {"reasoning_tokens": 30},
                "prompt_tokens_details": {"cached_tokens": 64},
            }
        ),
        {"prompt_tokens": 90, "completion_tokens": 50, "reasoning_tokens": 30, "cached_tokens": 64},
    ),
    "no usage": (said("hello there", usage=None), {"prompt_tokens": 2, "completion_tokens": 4}),
    "absurd usage": (said("hi", usage={"prompt_tokens": -3, "completion_tokens": 1e30}), {"completion_tokens": 1}),
    "null details": (said("hi", usage={**said().body["usage"], "prompt_tokens_details": None}), {"cached_tokens": 0}),
    "other model": (said("hi", model="n"), {"model": "n"}),
}


@pytest.mark.parametrize("case", REPLIES)
async def test_a_reply_is_read_the_same_wherever_the_endpoint_puts_its_parts(case: str) -> None:
    answer, wanted = REPLIES[case]
    completion = await asked(answer)
    assert {name: getattr(completion, name) for name in wanted} == wanted


async def test_native_calls_keep_broken_arguments_and_get_ids_of_their_own() -> None:
    calls = [
        {"id": "x", "function": {"name": "calculator", "arguments": '{"expression": "1+1"}'}},
        {"id": "x", "function": {"name": "calculator", "arguments": '{"expression": '}},
    ]
    completion = await asked(said(None, message={"tool_calls": calls}, finish="tool_calls"))
    assert completion.finish == "tool_calls"
    assert [call.arguments for call in completion.calls] == [{"expression": "1+1"}, None]
    assert completion.calls[1].raw == '{"expression": '
    assert len({call.id for call in completion.calls}) == 2


def knows(*refusals: tuple[Any, str], reply: Says | None = None) -> Any:
    """An endpoint that answers 400 with the words of the first refusal whose test the body fits."""

    def answer(body: dict[str, Any]) -> Says:
        for hit, words in refusals:
            if hit(body):
                return refused(words)
        return reply or said('{"verdict": "yes"}')

    return answer


def strict(body: dict[str, Any]) -> bool:
    return bool(body.get("response_format", {}).get("type") == "json_schema")


LADDERS = {
    "json_schema": (knows(), "json_schema", "json_schema"),
    "subset": (
        knows(
            (
                lambda b: (
                    strict(b) and "maxLength" in b["response_format"]["json_schema"]["schema"]["properties"]["note"]
                ),
                "Invalid schema for response_format 'reply': 'maxLength' is not permitted.",
            ),
            reply=said('{"note": null, "verdict": "yes"}'),
        ),
        "json_schema",
        "json_schema_subset",
    ),
    "json_object": (knows((strict, "response_format type json_schema is not supported")), "json_object", "json_object"),
    "instructions": (
        knows((lambda b: "response_format" in b, "Unknown parameter: response_format")),
        "instructions",
        "instructions",
    ),
}


@pytest.mark.parametrize("case", LADDERS)
async def test_a_schema_is_held_by_the_strictest_means_the_endpoint_has_and_that_is_remembered(case: str) -> None:
    answers, means, learnt = LADDERS[case]
    notices: list[str] = []
    async with endpoint(by=answers) as there:
        one = model(there.url, notices)
        first = await one.complete(request(schema=SCHEMA))
        sends = len(there.sent)
        again = await one.complete(request(schema=SCHEMA, sample=1))
        await one.close()
        assert len(there.sent) == sends + 1, "what was learnt is not asked again"
        in_prompt = "JSON schema" in there.sent[-1]["messages"][0]["content"]
    assert (first.means, again.means, one.fit.means) == (means, means, learnt)
    assert orjson.loads(first.content) == {"verdict": "yes"}
    assert in_prompt == (means in ("json_object", "instructions"))
    assert len(notices) == len(set(notices)) == sends - 1


async def test_an_endpoint_that_ignores_the_schema_is_asked_in_the_prompt_after_three_replies() -> None:
    notices: list[str] = []
    async with endpoint(said("Sure! Here you are.")) as there:
        one = model(there.url, notices)
        for sample in range(4):
            await one.complete(request(schema=SCHEMA, sample=sample))
        await one.close()
    assert one.fit.means == "instructions"
    assert "response_format" not in there.sent[-1]
    assert len(notices) == 1


PARAMETERS = {
    "max_completion_tokens": (
        "max_tokens",
        "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
        {"max_completion_tokens": 1500},
        {},
    ),
    "temperature": (
        "temperature",
        "Unsupported value: 'temperature' does not support 0.3, only the default (1).",
        {},
        {},
    ),
    "metadata": ("metadata", "Extra inputs are not permitted: body -> metadata", {}, {"label_calls": True}),
    "top_k": (
        "top_k",
        "Unrecognized request argument supplied: top_k",
        {},
        {"extra_body": {"top_k": 20, "min_p": 0.1}},
    ),
    "budget": ("thinking_token_budget", "unknown field `thinking_token_budget`", {}, {"reasoning_budget": 500}),
}


@pytest.mark.parametrize("case", PARAMETERS)
async def test_a_parameter_the_endpoint_does_not_know_is_left_out_with_one_notice(case: str) -> None:
    key, words, instead, settings = PARAMETERS[case]
    notices: list[str] = []
    async with endpoint(by=knows((lambda body: key in body, words))) as there:
        one = model(there.url, notices, **settings)
        await asyncio.gather(*(one.complete(request(sample=n, temperature=0.3)) for n in range(5)))
        await one.close()
        last = there.sent[-1]
    assert key not in last
    assert instead.items() <= last.items()
    assert "min_p" in last or "top_k" not in settings.get("extra_body", {})
    assert len(notices) == 1
    assert key in notices[0]
    assert words[:20] in notices[0]


async def test_system_messages_move_into_the_user_message_where_the_template_refuses_them() -> None:
    def answers(body: dict[str, Any]) -> Says:
        return refused("System role not supported") if body["messages"][0]["role"] == "system" else said()

    async with endpoint(by=answers) as there:
        one = model(there.url)
        await one.complete(request(messages=({"role": "system", "content": "S"}, {"role": "user", "content": "U"})))
        await one.close()
    assert there.sent[-1]["messages"] == [{"role": "user", "content": "S\n\nU"}]


async def test_tools_become_action_objects_where_the_model_has_no_native_calls() -> None:
    action = said('{"action": "calculator", "arguments": {"expression": "2*17"}}')
    answers = knows((lambda b: "tools" in b, '"auto" tool choice requires --enable-auto-tool-choice'), reply=action)
    async with endpoint(by=answers) as there:
        one = model(there.url)
        first = await one.complete(request(tools=(TOOL,), schema=SCHEMA))
        call = first.calls[0]
        turn = {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.raw}}
        history = (
            {"role": "user", "content": "2*17?"},
            {"role": "assistant", "content": None, "tool_calls": [turn]},
            {"role": "tool", "tool_call_id": call.id, "content": "34"},
        )
        await one.complete(request(messages=history, tools=(TOOL,)))
        await one.close()
        sent = there.sent
    assert (first.finish, call.name, call.arguments, first.content) == (
        "tool_calls",
        "calculator",
        {"expression": "2*17"},
        "",
    )
    branches = sent[1]["response_format"]["json_schema"]["schema"]["anyOf"]
    assert [sorted(branch["properties"]) for branch in branches] == [["action", "arguments"], ["answer"]]
    assert branches[1]["properties"]["answer"] == SCHEMA
    assert [m["role"] for m in sent[-1]["messages"]] == ["user", "assistant", "user"]
    assert "34" in sent[-1]["messages"][2]["content"]
    assert "calculator" in sent[-1]["messages"][0]["content"]


@pytest.mark.parametrize(
    ("answer", "content"), [('{"answer": {"verdict": "no"}}', '{"verdict":"no"}'), ('{"answer": "no"}', "no")]
)
async def test_the_answer_of_an_action_object_is_the_reply(answer: str, content: str) -> None:
    async with endpoint(said(answer)) as there:
        one = model(there.url, tools="action")
        reply = await one.complete(request(tools=(TOOL,)))
        await one.close()
    assert (reply.content, reply.calls, reply.finish) == (content, (), "stop")


async def test_native_tools_leave_the_reply_free_and_ask_for_the_schema_in_the_prompt() -> None:
    async with endpoint() as there:
        one = model(there.url)
        reply = await one.complete(request(tools=(TOOL,), schema=SCHEMA))
        await one.close()
    assert "response_format" not in there.sent[0]
    assert there.sent[0]["tools"] == [TOOL]
    assert reply.means == "instructions"


async def test_the_recipe_sets_effort_budget_bounds_and_anything_else() -> None:
    settings = {"effort": "low", "reasoning_budget": 800, "extra_body": {"top_k": 5}, "label_calls": True}
    async with endpoint() as there:
        one = model(there.url, **settings)
        await one.complete(request(max_tokens=200))
        await one.close()
        other = model(there.url, max_completion_tokens=9000)
        await other.complete(request(max_tokens=200))
        await other.close()
    first, second = there.sent
    assert first["reasoning_effort"] == "low"
    assert first["max_tokens"] == 1000
    assert first["top_k"] == 5
    assert first["metadata"] == {"agent": "pack/4_respond/answer"}
    assert second["max_completion_tokens"] == 9000
    assert "max_tokens" not in second
    assert most_tokens(one, request(max_tokens=200)) == 1000


ERRORS = {
    "no key": (refused("Incorrect API key sk-very-secret", 401), EndpointError, ["refuses the key", "`TEST_KEY`"]),
    "forbidden": (refused("no", 403), EndpointError, ["`TEST_KEY`"]),
    "no model": (refused("The model does not exist", 404), EndpointError, ["'m'", "it lists: good-model, other-model"]),
    "no money": (refused("You exceeded your current quota", 429), EndpointError, ["credit", "`TEST_KEY`"]),
    "moved": (
        Says(b"", 307, {"Location": "https://u:p@evil.example/v1?k=1"}),
        EndpointError,
        ["https://evil.example/v1;"],
    ),
    "a web page": (Says(b"<!doctype html><html>Welcome</html>"), EndpointError, ["web page"]),
    "too long": (
        refused("This model's maximum context length is 4096 tokens, you sent 9000"),
        ReplyError,
        ["4096", "9000"],
    ),
    "bad setting": (refused("temperature out of range"), EndpointError, ["out of range", "answered none so far"]),
    "no JSON": (Says(b'{"choices": [{"mess'), EndpointError, ["no JSON"]),
    "no choices": (Says({"choices": []}), EndpointError, ["no choices"]),
    "a list": (Says([1, 2]), EndpointError, ["list"]),
    "error with 200": (Says({"error": {"message": "provider down", "code": 502}}), EndpointError, ["provider down"]),
    "oversized": (Says(b'{"a": "' + b"x" * (33 * 2**20) + b'"}'), ReplyError, ["32 MB"]),
    "waits a day": (refused("slow down", 429, **{"Retry-After": "86400"}), EndpointError, ["24.0 h", "same command"]),
    "hung up": (Says(hang_up=True), EndpointError, ["does not answer"]),
    "too slow": (Says(delay=1.0), EndpointError, ["within 0"]),
}


@pytest.mark.parametrize("case", ERRORS)
async def test_an_error_says_what_happened_and_what_to_check_and_never_the_key(case: str) -> None:
    answer, kind, words = ERRORS[case]
    async with endpoint(answer, models=["good-model", "other-model"]) as there:
        one = model(there.url, key_env="TEST_KEY", timeout=0.3 if case == "too slow" else 5)
        with pytest.raises(PreceptorError) as caught:
            await one.complete(request())
        await one.close()
        assert there.headers[0]["Authorization"] == "Bearer sk-very-secret"
    assert type(caught.value) is kind
    assert all(word in str(caught.value) for word in words), str(caught.value)
    assert "sk-very-secret" not in str(caught.value)
    assert "u:p" not in str(caught.value)


async def test_nobody_at_the_address_is_said_soon_and_plainly() -> None:
    one = model("http://127.0.0.1:9/v1")
    with pytest.raises(EndpointError, match=r"127\.0\.0\.1:9"):
        await one.complete(request())
    await one.close()


@pytest.mark.parametrize(
    "headers", [{"Retry-After": "0.3"}, {"retry-after-ms": "300"}], ids=["seconds", "milliseconds"]
)
async def test_no_call_is_sent_before_the_endpoint_allows_it(headers: dict[str, str]) -> None:
    notices: list[str] = []
    async with endpoint(refused("slow down", 429, **headers), said()) as there:
        one = model(there.url, notices, in_flight=4)
        await asyncio.gather(one.complete(request()), *(_later(one, n) for n in range(3)))
        await one.close()
        assert len(there.sent) == 5
        assert min(at - there.at[0] for at in there.at[1:]) >= 0.29
    assert notices == ["waiting 0.3 s for the rate limit of m"]


async def _later(one: OpenAIModel, sample: int) -> Completion:
    await asyncio.sleep(0.05)
    return await one.complete(request(sample=sample + 1))


@pytest.mark.parametrize("fault", [Says(b"busy", 503), Says({}, 500), Says(b'{"cho'), Says(hang_up=True)])
async def test_passing_trouble_is_tried_again_and_never_taken_for_a_reply(fault: Says) -> None:
    async with endpoint(said("first"), fault, fault, said("at last")) as there:
        one = model(there.url)
        await one.complete(request())
        reply = await one.complete(request(sample=1))
        await one.close()
    assert reply.content == "at last"
    assert len(there.sent) == 4


async def test_a_request_that_always_fails_ends_alone_while_the_endpoint_answers_others() -> None:
    def answers(body: dict[str, Any]) -> Says:
        return Says({}, 500) if body["messages"][0]["content"] == "poison" else said()

    async with endpoint(by=answers) as there:
        one = model(there.url)
        await one.complete(request())
        with pytest.raises(ReplyError, match="while it answers others"):
            await one.complete(request(messages=({"role": "user", "content": "poison"},)))
        await one.complete(request(sample=2))
        await one.close()
    assert sum(body["messages"][0]["content"] == "poison" for body in there.sent) <= QUICK.attempts


async def test_an_endpoint_that_goes_down_stops_the_run_and_fails_no_item() -> None:
    async with endpoint(said(), Says({}, 500)) as there:
        one = model(there.url)
        await one.complete(request())
        with pytest.raises(EndpointError, match="does not answer"):
            await one.complete(request(sample=1))
        await one.close()


async def test_at_most_the_recipes_number_of_calls_is_in_flight() -> None:
    async with endpoint(by=lambda body: Says(said().body, delay=0.02)) as there:
        one = model(there.url, in_flight=3)
        await asyncio.gather(*(one.complete(request(sample=n)) for n in range(12)))
        await one.close()
        assert there.most_at_once == 3


async def test_another_model_than_asked_is_told_once() -> None:
    notices: list[str] = []
    async with endpoint(said(model="provider/m-2026-08-06"), said(model="cheap-one")) as there:
        one = model(there.url, notices)
        for sample in range(3):
            await one.complete(request(sample=sample))
        await one.close()
    assert len(notices) == 1
    assert "cheap-one" in notices[0]


async def test_a_key_shows_nowhere() -> None:
    one = model("http://127.0.0.1:9", key_env="TEST_KEY")
    assert "sk-very-secret" not in f"{one.__dict__!r} {one.endpoint!r} {Secret('sk-very-secret')!s}"
    with pytest.raises(TypeError):
        pickle.dumps(Secret("sk-very-secret"))
    await one.close()


@pytest.mark.parametrize(
    ("url", "wanted"),
    [
        ("http://localhost:8000/v1/", "http://localhost:8000/v1"),
        ("https://h/v1/chat/completions", "https://h/v1"),
        ("https://h/openai?api-version=1", "https://h/openai"),
        ("localhost:8000", None),
        ("https://user:pass@h/v1", None),
    ],
)
def test_an_address_is_taken_as_people_write_it(url: str, wanted: str | None) -> None:
    if wanted is None:
        with pytest.raises(RecipeError) as caught:
            base_url(url)
        assert "user:pass" not in str(caught.value)
    else:
        assert base_url(url) == wanted


SPECS = {
    "typo": ({"url": "http://h", "model": "m", "in_fligth": 3}, "in_flight"),
    "no model": ({"url": "http://h"}, "needs `model`"),
    "no url": ({"model": "m"}, "needs a `url`"),
    "key not set": ({"url": "http://h", "model": "m", "key_env": "NO_SUCH_KEY"}, "export NO_SUCH_KEY"),
    "means": ({"url": "http://h", "model": "m", "means": "json"}, "json_object"),
    "number": ({"url": "http://h", "model": "m", "in_flight": "8"}, "in_flight = '8'"),
    "price": ({"url": "http://h", "model": "m", "price": {"inptu": 1}}, "input"),
    "word": ("lokal", "did you mean local"),
    "address": ("https://h/v1", "names no model"),
    "no script": ("scripted:nowhere.jsonl", "nowhere.jsonl"),
    "no gguf": ("local:nowhere.gguf", "nowhere.gguf"),
}


def test_what_is_cached_and_what_is_thought_may_have_prices_of_their_own() -> None:
    from preceptor.factory import models_of, prices_of
    from preceptor.recipe import recipe_of

    model = {"url": "http://h/v1", "model": "m", "price": {"input": 3, "output": 15, "cached": 0.3, "reasoning": 9}}
    recipe = recipe_of({"teacher": model})
    (price,) = prices_of(recipe, models_of(recipe, None)).values()  # type: ignore[arg-type]
    assert (price.prompt, price.completion, price.cached, price.reasoning) == (3, 15, 0.3, 9)
    with pytest.raises(RecipeError, match=r"price\.cached = 'x'"):
        open_model({**model, "price": {"cached": "x"}})


@pytest.mark.parametrize("case", SPECS)
def test_a_wrong_model_line_names_what_there_is(case: str) -> None:
    spec, words = SPECS[case]
    with pytest.raises(RecipeError) as caught:
        open_model(spec, environ={})  # type: ignore[arg-type]
    assert words in str(caught.value)


async def test_probing_finds_means_tools_and_speed() -> None:
    def answers(body: dict[str, Any]) -> Says:
        if "tools" in body:
            return said("I would rather not.")
        if "anyOf" in str(body.get("response_format")):
            return said('{"action": "calculator", "arguments": {"expression": "1738*2459"}}')
        return said('{"colour": "blue", "total": 8}' if strict(body) else "one, two")

    async with endpoint(by=answers) as there:
        one = model(there.url)
        found = await probe(one)
        await one.close()
    assert (found.answers, found.schema, found.means, found.tools, found.error) == (
        True,
        True,
        "json_schema",
        "action",
        "",
    )
    assert found.tokens_per_second > 0
    assert found.reports == "m"


async def test_probing_a_broken_endpoint_says_why_instead_of_raising() -> None:
    async with endpoint(refused("bad key", 401)) as there:
        one = model(there.url)
        found = await probe(one)
        await one.close()
    assert not found.answers
    assert "key" in found.error
