"""A small OpenAI-like endpoint on loopback that says what a test tells it to, and keeps what it was sent."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer

USAGE = {"prompt_tokens": 11, "completion_tokens": 7}


@dataclass
class Says:
    """One answer: a status, headers and a body (bytes as they are, anything else as JSON)."""

    body: Any = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0.0
    hang_up: bool = False


def said(content: Any = "hello", **more: Any) -> Says:
    """A whole, ordinary reply."""
    message = {"role": "assistant", "content": content, **more.pop("message", {})}
    choice = {"index": 0, "message": message, "finish_reason": more.pop("finish", "stop")}
    return Says({"model": more.pop("model", "m"), "choices": [choice], "usage": more.pop("usage", USAGE), **more})


def refused(message: str, status: int = 400, **headers: str) -> Says:
    return Says({"error": {"message": message, "type": "invalid_request_error"}}, status, headers)


Answers = Callable[[dict[str, Any]], Says]


class Endpoint:
    def __init__(self, answers: "list[Says] | Answers", models: list[str]) -> None:
        self.sent: list[dict[str, Any]] = []
        self.headers: list[Mapping[str, str]] = []
        self.at: list[float] = []
        self.most_at_once = 0
        self.url = ""
        self._answers = answers
        self._models = models
        self._now = 0

    async def chat(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.sent.append(body)
        self.headers.append(dict(request.headers))
        self.at.append(asyncio.get_running_loop().time())
        self._now += 1
        self.most_at_once = max(self.most_at_once, self._now)
        try:
            answer = self._answer(body)
            await asyncio.sleep(answer.delay)
            if answer.hang_up and request.transport is not None:
                request.transport.close()
            if isinstance(answer.body, bytes):
                return web.Response(body=answer.body, status=answer.status, headers=dict(answer.headers))
            return web.json_response(answer.body, status=answer.status, headers=dict(answer.headers))
        finally:
            self._now -= 1

    def _answer(self, body: dict[str, Any]) -> Says:
        if callable(self._answers):
            return self._answers(body)
        return self._answers[min(len(self.sent), len(self._answers)) - 1]

    async def list_models(self, request: web.Request) -> web.StreamResponse:
        return web.json_response({"data": [{"id": name} for name in self._models]})


@asynccontextmanager
async def endpoint(
    *answers: Says, by: Answers | None = None, models: list[str] | None = None
) -> AsyncIterator[Endpoint]:
    """Answers in their order, the last one for ever; or what `by` makes of each body."""
    held = Endpoint(by or list(answers) or [said()], models or ["m"])
    app = web.Application()
    app.router.add_post("/v1/chat/completions", held.chat)
    app.router.add_get("/v1/models", held.list_models)
    server = TestServer(app)
    await server.start_server()
    held.url = str(server.make_url("/v1"))
    try:
        yield held
    finally:
        await server.close()
