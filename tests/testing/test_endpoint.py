"""The simulated teacher over HTTP: replies that fit, the same for the same request, and a line for each in the ledger."""

import asyncio
import sys
from pathlib import Path

from preceptor.models import open_model
from preceptor.prompts import messages, read_reply, schema_of
from preceptor.skill import load_skill
from preceptor.testing.packs import DOCUMENT, common
from preceptor.types import Completion, Request


async def asked(url: str, times: int) -> list[Completion]:
    agent = load_skill("reading_comprehension").agent("1_transform/report")
    request = Request(agent.name, messages(agent, {**common(), "genre": "report"}), schema_of(agent))
    model = open_model({"url": url, "model": "simulated", "label_calls": True})
    try:
        return [await model.complete(request) for _ in range(times)]
    finally:
        await model.close()


async def test_the_same_request_gets_the_same_reply_and_is_counted_each_time(tmp_path: Path) -> None:
    ledger, told = tmp_path / "ledger", tmp_path / "address"
    kit = [sys.executable, "-m", "preceptor.testing", "endpoint"]
    options = ["--ledger", str(ledger), "--tell", str(told), "--seconds", "60"]
    process = await asyncio.create_subprocess_exec(*kit, *options, stdout=asyncio.subprocess.DEVNULL)
    try:
        for _ in range(300):
            if told.exists():
                break
            await asyncio.sleep(0.1)
        first, second = await asked(told.read_text(), 2)
    finally:
        process.kill()
        await process.wait()
    agent = load_skill("reading_comprehension").agent("1_transform/report")
    assert first.content == second.content
    assert "Lindqvist" in read_reply(agent, first.content)["text"] or DOCUMENT.text[:20] in first.content
    lines = ledger.read_text().splitlines()
    assert len(lines) == 2
    assert len({line.split()[0] for line in lines}) == 1
    assert lines[0].endswith("reading_comprehension/1_transform/report")
