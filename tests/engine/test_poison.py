"""A15, A20: an item that kills its process is set aside after three deaths; neither order nor number at once changes a byte."""

import asyncio
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import engine_fakes as fakes

from preceptor.draws import fraction
from preceptor.engine.journal import Journal
from preceptor.engine.run import run
from preceptor.engine.store import Item, Store
from preceptor.export import export
from preceptor.types import Ask, Completion, Produced, Request

POISON = 17


async def poisoned(item: Item, ask: Ask) -> Produced:
    made = await fakes.produce(item, ask)
    if item.place == POISON:
        os.kill(os.getpid(), signal.SIGKILL)  # as a library does that crashes, or the system when memory ends
    return made


async def once(folder: Path, work: Any, model: Any, slots: int = 4) -> None:
    journal = Journal(folder)
    try:
        out = fakes.outside(journal, model, slots=slots)
        await run(fakes.items(30), work, fakes.door(out), out, signals=False)
    finally:
        journal.close()


def in_child(work: Callable[[], Any]) -> int:
    """How a process ended that did this."""
    if not (pid := os.fork()):
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_a15_an_item_that_kills_its_process_is_set_aside_after_three_deaths(tmp_path: Path) -> None:
    deaths = 0
    while in_child(lambda: asyncio.run(once(tmp_path, poisoned, fakes.Fake(seconds=0.001)))) != 0:
        deaths += 1
        assert deaths < 12
    store = Store(tmp_path)
    law = store.law()
    aside = store.rows("SELECT place, reason, crashes FROM items WHERE state = 'quarantined'")
    store.close()
    assert law["holds"]
    assert law["items"]["finished"] == 29
    assert [(place, crashes) for place, _, crashes in aside] == [(POISON, 3)]
    assert "the process died 3 times" in aside[0][1]
    assert 3 <= deaths <= 6, "deaths in which it got no further count from the second on"


class Shuffled(fakes.Fake):
    """Replies come in an order that a seed shuffles."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.seed = seed

    async def complete(self, request: Request) -> Completion:
        await asyncio.sleep(0.02 * fraction(self.seed, request.agent, request.messages[-1]["content"]))
        return await super().complete(request)


async def test_a20_how_many_work_at_once_and_in_which_order_changes_no_byte_of_the_dataset(tmp_path: Path) -> None:
    seen = []
    for seed, slots in ((1, 1), (2, 8), (3, 64)):
        await once(tmp_path / str(slots), fakes.produce, Shuffled(seed) if slots > 1 else fakes.Fake(), slots)
        made = export(tmp_path / str(slots))
        seen.append({name: (made.folder / name).read_bytes() for name in made.files})
    assert seen[0] == seen[1] == seen[2]
