"""A batch service of OpenAI's form on loopback, in a process of its own: files, batches, and what can go wrong with them.

    plain     every call is answered                       hang    the first batch is made, and nobody is told
    late      as hang, and no list shows it for a while
    expire    the first batch ends with 40 % of it done     vanish  the first batch is forgotten when it is asked for
    errors    one call in five fails in passing, one in seven for good        slow  batches take a minute

The ledger gets a line for each thing that is asked of it: `upload`, `create`, `cancel`, and `paid` for every call.
"""

import asyncio
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from preceptor.draws import digest, fraction
from preceptor.testing.endpoint import answered
from preceptor.testing.simulated import SimulatedTeacher

MODES = ("plain", "expire", "hang", "late", "vanish", "errors", "slow")


class Batches:
    """What the service holds."""

    def __init__(self, ledger: Path, mode: str = "plain", seconds: float = 0.05) -> None:
        self.mode, self.seconds = mode, seconds
        self.files: dict[str, bytes] = {}
        self.batches: dict[str, dict[str, Any]] = {}
        self._teacher = SimulatedTeacher()
        self._ledger = os.open(ledger, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
        self._work: set[asyncio.Task[None]] = set()

    def note(self, *words: str) -> None:
        os.write(self._ledger, f"{' '.join(words)}\n".encode())

    def keep(self, raw: bytes) -> str:
        """The id of a new file."""
        file_id = f"file-{len(self.files)}"
        self.files[file_id] = raw
        return file_id

    def make(self, file_id: str, metadata: Mapping[str, Any]) -> dict[str, Any]:
        """A new batch, which is worked on from now."""
        number = len(self.batches)
        batch: dict[str, Any] = {
            "id": f"batch_{number}",
            "object": "batch",
            "status": "in_progress",
            "input_file_id": file_id,
            "metadata": dict(metadata),
            "created_at": time.time(),
            "output_file_id": None,
            "error_file_id": None,
        }
        self.batches[batch["id"]] = batch
        task = asyncio.get_running_loop().create_task(self._worked(batch, number))
        self._work.add(task)
        return batch

    async def _worked(self, batch: dict[str, Any], number: int) -> None:
        lines = [orjson.loads(row) for row in self.files[batch["input_file_id"]].splitlines()]
        await asyncio.sleep(60 if self.mode in ("slow", "late") and number == 0 else self.seconds)
        if batch["status"] == "cancelling":
            batch["status"] = "cancelled"
            return
        done = int(0.4 * len(lines)) if self.mode == "expire" and number == 0 else len(lines)
        out = [await self._answer(line, number) for line in lines[:done]]
        expired = {"code": "batch_expired", "message": "This request could not be executed before the batch expired."}
        failed = [row for row in out if row["error"] or row["response"]["status_code"] != 200]
        failed += [{"id": "x", "custom_id": line["custom_id"], "response": None, "error": expired} for line in lines[done:]]
        good = [row for row in out if row not in failed]
        batch["output_file_id"] = self.keep(b"".join(orjson.dumps(row) + b"\n" for row in good)) if good else None
        batch["error_file_id"] = self.keep(b"".join(orjson.dumps(row) + b"\n" for row in failed)) if failed else None
        batch["status"] = "completed" if done == len(lines) else "expired"

    async def _answer(self, line: Mapping[str, Any], number: int) -> dict[str, Any]:
        said = {"id": "r", "custom_id": line["custom_id"], "error": None}
        if self.mode == "errors" and number == 0 and fraction("passing", line["custom_id"]) < 0.2:
            return {**said, "response": {"status_code": 503, "body": {"error": {"message": "overloaded"}}}}
        if self.mode == "errors" and fraction("good", line["custom_id"]) < 1 / 7:
            return {**said, "response": {"status_code": 400, "body": {"error": {"message": "no such thing"}}}}
        _, done = await answered(self._teacher, line["body"])
        self.note("paid", str(line["custom_id"]))
        calls = [{"id": c.id, "type": "function", "function": {"name": c.name, "arguments": c.raw}} for c in done.calls]
        message = {"role": "assistant", "content": done.content, **({"tool_calls": calls} if calls else {})}
        body = {
            "id": digest(line["custom_id"]),
            "model": line["body"]["model"],
            "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls" if calls else "stop"}],
            "usage": {"prompt_tokens": done.prompt_tokens, "completion_tokens": done.completion_tokens},
        }
        return {**said, "response": {"status_code": 200, "body": body}}


async def serve(ledger: Path, told: Path | None = None, mode: str = "plain", seconds: float = 300.0, port: int = 0) -> None:
    """Serve until the process is ended, or so many seconds have passed; `told` is a file that then holds the address."""
    from aiohttp import web

    held = Batches(ledger, mode)

    def missing() -> web.Response:
        return web.json_response({"error": {"message": "no such object"}}, status=404)

    async def upload(request: web.Request) -> web.Response:
        raw = b""
        async for part in await request.multipart():
            if getattr(part, "name", "") == "file":
                raw = await part.read(decode=False)  # type: ignore[union-attr]
        held.note("upload", digest(raw))
        return web.json_response({"id": held.keep(bytes(raw)), "object": "file", "purpose": "batch"})

    async def content(request: web.Request) -> web.Response:
        raw = held.files.get(request.match_info["id"])
        return missing() if raw is None else web.Response(body=raw)

    async def create(request: web.Request) -> web.Response:
        body = orjson.loads(await request.read())
        batch = held.make(body["input_file_id"], body.get("metadata") or {})
        held.note("create", batch["id"], str(batch["metadata"].get("preceptor")))
        if held.mode in ("hang", "late") and batch["id"] == "batch_0":
            await asyncio.sleep(3600)
        return web.json_response(batch)

    async def listed(request: web.Request) -> web.Response:
        hidden = held.mode == "late" and len(held.batches) == 1
        newest = [] if hidden else list(held.batches.values())[::-1]
        after, limit = request.query.get("after"), int(request.query.get("limit", 20))
        start = next((n + 1 for n, batch in enumerate(newest) if batch["id"] == after), 0)
        return web.json_response({"data": newest[start : start + limit], "has_more": start + limit < len(newest)})

    async def look(request: web.Request) -> web.Response:
        batch = held.batches.get(request.match_info["id"])
        if batch is None or (held.mode == "vanish" and batch["id"] == "batch_0"):
            return missing()
        return web.json_response(batch)

    async def cancel(request: web.Request) -> web.Response:
        batch = held.batches.get(request.match_info["id"])
        if batch is None:
            return missing()
        held.note("cancel", batch["id"])
        batch["status"] = "cancelling" if batch["status"] == "in_progress" else batch["status"]
        return web.json_response(batch)

    app = web.Application(client_max_size=256 << 20)
    app.router.add_post("/v1/files", upload)
    app.router.add_get("/v1/files/{id}/content", content)
    app.router.add_post("/v1/batches", create)
    app.router.add_get("/v1/batches", listed)
    app.router.add_get("/v1/batches/{id}", look)
    app.router.add_post("/v1/batches/{id}/cancel", cancel)
    runner = web.AppRunner(app, shutdown_timeout=1)
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
