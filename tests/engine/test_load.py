"""Ten thousand items with 512 calls in the air: the loop stays quick, and memory does not grow with the run."""

import asyncio
import resource
from pathlib import Path

import engine_fakes as fakes
import pytest

from preceptor.draws import fraction
from preceptor.engine.journal import Journal
from preceptor.engine.run import run
from preceptor.types import Ask, Completion, Example, Instruction, Material, Produced, Request, Trace, Verdict

EVERY = 0.01


async def one_call(item: fakes.Item, ask: Ask) -> Produced:
    """One call, one row."""
    document = item.document
    reply = await ask(fakes.WRITE, document=document)
    material = Material(document, "identity", document.text)
    instruction = Instruction(material, "kind", "?")
    said = ({"role": "user", "content": "?"}, {"role": "assistant", "content": reply.text})
    row = Example(instruction, reply.text, said, verdicts=(Verdict("c", "pass", decides=True),), status="accepted")
    trace = (Trace("transform", document, (material,)), Trace("instruct", material, (instruction,)))
    return Produced((row,), (), (*trace, Trace("respond", instruction, (row,))))


class Uneven(fakes.Fake):
    """Answers within 0.4 to 1.2 seconds, each request in a time of its own: no two waves of answers."""

    async def complete(self, request: Request) -> Completion:
        await asyncio.sleep(0.4 + 0.8 * fraction("latency", request.messages[-1]["content"]))
        return Completion(fakes.fitting(request), prompt_tokens=50, completion_tokens=20)


def memory() -> float:
    """Megabytes that this process has now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 2**20


async def lags(until: asyncio.Event) -> list[float]:
    """By how much a timer of 10 ms was late, again and again."""
    loop, late = asyncio.get_running_loop(), list[float]()
    while not until.is_set():
        began = loop.time()
        await asyncio.sleep(EVERY)
        late.append(loop.time() - began - EVERY)
    return sorted(late)


@pytest.mark.soak
async def test_the_loop_stays_quick_and_memory_flat_over_ten_thousand_items(journal: Journal) -> None:
    out, over = fakes.outside(journal, Uneven(), slots=512), asyncio.Event()
    watching = asyncio.create_task(lags(over))
    warm = await run(fakes.items(1000), one_call, fakes.door(out), out, signals=False)
    before = memory()
    ended = await run((i for i in fakes.items(11_000)[1000:]), one_call, fakes.door(out), out, signals=False)
    over.set()
    late = await watching
    assert (warm.progress.items["finished"], ended.progress.items["finished"]) == (1000, 11_000)
    assert late[int(0.99 * len(late))] <= 0.05, f"p99 of the loop's lag is {late[int(0.99 * len(late))]:.3f} s"
    assert memory() - before <= 200, f"{memory() - before:.0f} MB more"
