"""An endpoint in a process of its own that bills by its own rule: a line with the price for every call that reaches it."""

import asyncio
import os
import sys
from pathlib import Path

import orjson
from aiohttp import web

from preceptor.draws import fraction

INPUT, OUTPUT = 0.12, 1.50
"""Per million tokens, as in `spender.py`'s recipe."""


async def main(ledger: str, told: str) -> None:
    paid = os.open(ledger, os.O_CREAT | os.O_WRONLY | os.O_APPEND)

    async def answer(request: web.Request) -> web.Response:
        raw = await request.read()
        body = orjson.loads(raw)
        asked = sum(len(m["content"]) for m in body["messages"])
        prompt, written = asked // 4, 1 + int(fraction("written", raw) * body["max_tokens"])
        os.write(paid, b"%d\n" % round((prompt * INPUT + written * OUTPUT) * 1000))
        await asyncio.sleep(0.1 + 0.2 * fraction("delay", raw))
        message = {"role": "assistant", "content": "word " * 3}
        return web.json_response(
            {
                "model": "billed",
                "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": prompt, "completion_tokens": written},
            }
        )

    app = web.Application()
    app.router.add_post("/v1/chat/completions", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    assert site._server is not None
    half = Path(told).with_suffix(".new")
    half.write_text(f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}/v1")
    half.rename(told)
    await asyncio.sleep(300)


asyncio.run(main(*sys.argv[1:]))
