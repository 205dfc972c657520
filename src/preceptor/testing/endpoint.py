"""The simulated teacher as an OpenAI-compatible endpoint on loopback, in a process of its own, with a ledger of paid calls.

What fills a prompt is not on the wire, so replies are made from the quoted blocks and the schema alone: they fit, and
the same request always gets the same reply. A recipe whose model says `label_calls = true` tells which agent asks.
"""

import asyncio
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from preceptor.draws import digest, fraction
from preceptor.prompts import TEXT_MOST
from preceptor.testing.simulated import SimulatedTeacher
from preceptor.types import Agent, Completion, Field, Request


def field_of(name: str, schema: Mapping[str, Any], optional: bool = False) -> Field:
    """The declared field that a part of a JSON schema came from."""
    about = str(schema.get("description", ""))
    kind = schema.get("type", "string")
    if isinstance(kind, list):
        kind, optional = kind[0], True
    if "enum" in schema:
        return Field(name, "choice", about, choices=tuple(map(str, schema["enum"])), optional=optional)
    match kind:
        case "array":
            inner = field_of("entry", schema["items"])
            return Field(name, "list", about, schema.get("minItems"), schema.get("maxItems"), of=inner, optional=optional)
        case "object":
            return Field(name, "record", about, fields=fields_of(schema), optional=optional)
        case "number" | "integer" | "boolean":
            return Field(name, kind, about, schema.get("minimum"), schema.get("maximum"), optional=optional)
    return Field(name, "text", about, schema.get("minLength", 1), schema.get("maxLength", TEXT_MOST), optional=optional)


def fields_of(schema: Mapping[str, Any]) -> tuple[Field, ...]:
    """The declared fields that a JSON schema came from; the decline is left out."""
    required = schema.get("required", ())
    return tuple(
        field_of(name, part, name not in required) for name, part in schema.get("properties", {}).items() if name != "decline"
    )


async def answered(teacher: SimulatedTeacher, body: Mapping[str, Any]) -> tuple[str, Completion]:
    """The agent that asks, as far as it says so, and the reply to it."""
    asked = body.get("metadata") or {}
    form = (body.get("response_format") or {}).get("json_schema", {}).get("schema")
    name = str(asked.get("agent") or "unknown/agent")
    request = Request(name, tuple(body["messages"]), form, tuple(body.get("tools") or ()))
    agent = teacher.agent(name)
    if form is not None and not (agent.fields and asked.get("agent")):
        from preceptor.testing.simulated import made_up

        fields = made_up(teacher, Agent(name, "", fields=fields_of(form)), request)
        return name, Completion(orjson.dumps(fields).decode(), prompt_tokens=len(str(body)) // 4, completion_tokens=100)
    return name, await teacher.complete(request)


async def serve(port: int, ledger: Path, delay: float = 0.0, told: Path | None = None, seconds: float = 3600.0) -> None:
    """Serve until the process is ended. A line goes to the ledger for every call before it is answered.

    Port 0 takes a free one; `told` is a file that then holds the address.
    """
    from aiohttp import web

    teacher, paid = SimulatedTeacher(), os.open(ledger, os.O_CREAT | os.O_WRONLY | os.O_APPEND)

    async def chat(request: web.Request) -> web.Response:
        raw = await request.read()
        body = orjson.loads(raw)
        name, done = await answered(teacher, body)
        key = digest(raw)
        os.write(paid, f"{key} {name}\n".encode())
        await asyncio.sleep(delay * (0.5 + fraction("delay", key)))
        calls = [{"id": c.id, "type": "function", "function": {"name": c.name, "arguments": c.raw}} for c in done.calls]
        message: dict[str, Any] = {"role": "assistant", "content": done.content, **({"tool_calls": calls} if calls else {})}
        usage = {"prompt_tokens": done.prompt_tokens, "completion_tokens": done.completion_tokens}
        return web.json_response(
            {
                "id": key,
                "object": "chat.completion",
                "model": "simulated",
                "usage": usage,
                "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls" if calls else "stop"}],
            }
        )

    async def models(request: web.Request) -> web.Response:
        return web.json_response({"object": "list", "data": [{"id": "simulated", "object": "model"}]})

    app = web.Application(client_max_size=64 << 20)
    app.router.add_post("/v1/chat/completions", chat)
    app.router.add_get("/v1/models", models)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port)
    await site.start()
    server = site._server
    assert isinstance(server, asyncio.Server)
    address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    if told is not None:
        half = told.with_suffix(".new")
        half.write_text(address)
        half.rename(told)
    sys.stdout.write(f"{address}\n")
    sys.stdout.flush()
    try:
        await asyncio.sleep(seconds)
    finally:
        await runner.cleanup()
        os.close(paid)
