"""The endpoint that goes wrong on purpose, on a loopback socket: each mode as a client meets it."""

import asyncio
import gzip
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import orjson
from aiohttp import web

from preceptor.draws import digest
from preceptor.testing.chaos import Chaos, Outcome, modes_of
from preceptor.testing.endpoint import answered
from preceptor.testing.simulated import SimulatedTeacher

MODEL = "chaos"
OK = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n"
MEGABYTE = b" " * 2**20


@asynccontextmanager
async def served(chaos: Chaos, port: int = 0) -> AsyncIterator[str]:
    """The address at which `chaos` answers, on loopback alone, for as long as the block lasts."""
    teacher = SimulatedTeacher()

    async def chat(request: web.Request) -> web.StreamResponse:
        raw = await request.read()
        body = orjson.loads(raw)
        outcome = await chaos.serve(digest(raw), raw.decode(errors="replace"), len(raw) // 4 + int(body.get("max_tokens", 0)))
        if outcome.status >= 400 or outcome.mode == "key_echo":
            return _refusal(request, outcome)
        return await _answer(request, outcome, await _reply(teacher, body))

    async def models(request: web.Request) -> web.Response:
        return web.json_response({"object": "list", "data": [{"id": MODEL, "object": "model"}]})

    app = web.Application(client_max_size=64 << 20)
    app.router.add_post("/v1/chat/completions", chat)
    app.router.add_get("/v1/models", models)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", port)
        await site.start()
        server = site._server
        assert isinstance(server, asyncio.Server)
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    finally:
        await runner.cleanup()


async def serve(modes: Sequence[str], port: int, seed: str, seconds: float, tell: Callable[[str], None]) -> None:
    """Served for so long; the address is told first. Raises RecipeError for a mode that does not exist."""
    async with served(Chaos(modes_of(modes), seed=seed), port) as address:
        tell(address)
        await asyncio.sleep(seconds)


async def _reply(teacher: SimulatedTeacher, body: Mapping[str, Any]) -> dict[str, Any]:
    """What the simulated teacher says, as a whole and ordinary reply."""
    _, done = await answered(teacher, body)
    calls = [{"id": c.id, "type": "function", "function": {"name": c.name, "arguments": c.raw}} for c in done.calls]
    message = {"role": "assistant", "content": done.content, **({"tool_calls": calls} if calls else {})}
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls" if calls else "stop"}
    usage = {"prompt_tokens": done.prompt_tokens, "completion_tokens": done.completion_tokens}
    return {"object": "chat.completion", "model": body.get("model", MODEL), "choices": [choice], "usage": usage}


def _refusal(request: web.Request, outcome: Outcome) -> web.Response:
    said = f"{outcome.mode} on purpose"
    if outcome.mode == "key_echo":
        said = f"Incorrect API key: {request.headers.get('Authorization', 'none')}"
    status = 401 if outcome.mode == "key_echo" else outcome.status
    return web.json_response({"error": {"message": said}}, status=status, headers=dict(outcome.headers))


async def _answer(request: web.Request, outcome: Outcome, reply: dict[str, Any]) -> web.StreamResponse:
    """The answer that the mode makes of an ordinary reply."""
    mode = outcome.mode
    if mode in ANSWERS:
        ANSWERS[mode](reply)
    whole = RAW[mode](reply) if mode in RAW else orjson.dumps(reply)
    half = len(whole) // 2
    match mode:
        case "hang":
            await asyncio.sleep(3600)
        case "reset":
            return _cut(request, b"")
        case "reset_headers":
            return _cut(request, OK[:30].encode())
        case "reset_body":
            return _cut(request, f"{OK}Content-Length: {len(whole)}\r\n\r\n".encode() + whole[:half])
        case "length_wrong":
            return _cut(request, f"{OK}Content-Length: {len(whole) + 99}\r\n\r\n".encode() + whole)
        case "chunk_wrong":
            return _cut(request, f"{OK}Transfer-Encoding: chunked\r\n\r\nno length\r\n".encode() + whole)
        case "cut_json":
            return web.Response(body=whole[:half], content_type="application/json")
        case "gzip_bomb":
            packed = gzip.compress(MEGABYTE * 64)
            return web.Response(body=packed, headers={"Content-Encoding": "gzip", "Content-Type": "application/json"})
        case "html":
            return web.Response(text="<!doctype html><html><body>Welcome</body></html>", content_type="text/html")
        case "redirect":
            return web.Response(status=307, headers={"Location": "http://127.0.0.2:9/elsewhere"})
        case "slow" | "endless":
            return await _dripping(request, whole, 1.0) if mode == "slow" else await _dripping(request, MEGABYTE * 1024, 0.0)
        case "sse_cut" | "sse_no_done" | "sse_error" | "sse_beats":
            return web.Response(body=whole, content_type="text/event-stream")
    return web.Response(body=whole, content_type="application/json", headers=dict(outcome.headers))


def _cut(request: web.Request, sent: bytes) -> web.Response:
    """Raw bytes, and the connection is gone."""
    if request.transport is not None:
        if sent:
            request.transport.write(sent)
            request.transport.close()
        else:
            request.transport.abort()
    return web.Response()


async def _dripping(request: web.Request, whole: bytes, pause: float) -> web.StreamResponse:
    """The body byte by byte, or megabyte by megabyte without a pause."""
    size = 1 if pause else 2**20
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    await response.prepare(request)
    for at in range(0, len(whole), size):
        await response.write(whole[at : at + size])
        await asyncio.sleep(pause)
    return response


def _message(**said: Any) -> Callable[[dict[str, Any]], None]:
    def made(reply: dict[str, Any]) -> None:
        reply["choices"][0]["message"] = {"role": "assistant", **said}

    return made


def _ended(reason: str, **said: Any) -> Callable[[dict[str, Any]], None]:
    def made(reply: dict[str, Any]) -> None:
        reply["choices"][0]["finish_reason"] = reason
        reply["choices"][0]["message"] |= said

    return made


def _calls(arguments: str, ids: tuple[str, ...]) -> Callable[[dict[str, Any]], None]:
    calls = [{"id": i, "type": "function", "function": {"name": "calculator", "arguments": arguments}} for i in ids]
    return _ended("tool_calls", content=None, tool_calls=calls)


ANSWERS: Mapping[str, Callable[[dict[str, Any]], Any]] = {
    "no_choices": lambda reply: reply.update(choices=[]),
    "null_content": _ended("length", content=None, reasoning="and so on"),
    "length": _ended("length"),
    "refusal": _message(content=None, refusal="I cannot help with that."),
    "filter": _ended("content_filter", content=""),
    "empty": _message(content="  \n"),
    "only_think": _message(content="<think>so it goes</think>"),
    "bad_arguments": _calls('{"expression": ', ("a",)),
    "twin_ids": _calls('{"expression": "1+1"}', ("a", "a")),
    "wrong_model": lambda reply: reply.update(model="another-model"),
    "no_usage": lambda reply: reply.pop("usage"),
    "absurd_usage": lambda reply: reply.update(usage={"prompt_tokens": -3, "completion_tokens": 10**30 // 10**12}),
    "huge": _message(content="word " * 2_000_000),
}


def _events(reply: dict[str, Any], *last: str) -> bytes:
    delta = {"choices": [{"index": 0, "delta": {"content": "half of"}, "finish_reason": None}], "model": reply["model"]}
    return "".join(f"{event}\n\n" for event in (f"data: {orjson.dumps(delta).decode()}", *last)).encode()


RAW: Mapping[str, Callable[[dict[str, Any]], bytes]] = {
    "nan": lambda reply: orjson.dumps(reply).replace(b'"index":0', b'"index":NaN'),
    "surrogates": lambda reply: orjson.dumps(reply).replace(b'"content":"', b'"content":"\\ud800'),
    "sse_cut": lambda reply: _events(reply)[:-20],
    "sse_no_done": lambda reply: _events(reply),
    "sse_error": lambda reply: _events(reply, 'data: {"error": {"message": "broke off", "code": 500}}'),
    "sse_beats": lambda reply: b": beat\n\n" * 20,
}
