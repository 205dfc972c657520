"""An endpoint in a process of its own: its ledger gets one line for every call that it is paid for."""

import asyncio
import os
import sys
from pathlib import Path

from aiohttp import web


async def main(ledger: str, told: str) -> None:
    paid = os.open(ledger, os.O_CREAT | os.O_WRONLY | os.O_APPEND)

    async def answer(request: web.Request) -> web.Response:
        key = (await request.json())["key"]
        os.write(paid, f"{key}\n".encode())
        await asyncio.sleep(int(key[:2], 16) / 256 * 0.02)
        return web.Response(text="{}")

    app = web.Application()
    app.router.add_post("/", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    assert site._server is not None
    port = site._server.sockets[0].getsockname()[1]
    tell(Path(told), f"http://127.0.0.1:{port}/")
    await asyncio.sleep(300)


def tell(path: Path, url: str) -> None:
    """Whoever waits for `path` finds the whole of `url` in it."""
    half = path.with_suffix(".new")
    half.write_text(url)
    half.rename(path)


asyncio.run(main(*sys.argv[1:]))
