"""Caps hold, whatever happens: no bill passes them, little of them is left, and what nobody knows about counts."""

import asyncio
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import engine_fakes as fakes
import pytest

from preceptor.engine.journal import Journal
from preceptor.engine.money import NANO, Amounts, Caps, Price, Purse
from preceptor.engine.report import report
from preceptor.engine.run import run
from preceptor.engine.store import Store
from preceptor.errors import BudgetSpent, EndpointError
from preceptor.models.again import covered
from preceptor.types import Completion, Request

HERE = Path(__file__).parent
CAP = 1.0
CRASHES = 5


@pytest.fixture
def billing(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    ledger, told = tmp_path / "ledger", tmp_path / "address"
    ledger.touch()
    process = subprocess.Popen([sys.executable, HERE / "billing.py", ledger, told])
    try:
        until = time.monotonic() + 20
        while not told.exists() and time.monotonic() < until:
            time.sleep(0.02)
        yield told.read_text(), ledger
    finally:
        process.kill()
        process.wait()


def bill(ledger: Path) -> list[int]:
    """What the endpoint asks for, call by call, in nano-units."""
    text = ledger.read_text()
    return [int(line) for line in text[: text.rfind("\n") + 1].split()]


def test_a_cap_is_kept_and_used_through_five_crashes_with_256_calls_in_the_air(
    tmp_path: Path, billing: tuple[str, Path]
) -> None:
    url, ledger = billing
    folder, before = tmp_path / "run", 0

    def started() -> "subprocess.Popen[bytes]":
        return subprocess.Popen([sys.executable, HERE / "spender.py", folder, url, str(CAP)])

    for crash in range(CRASHES):
        process = started()
        try:
            until = time.monotonic() + 60
            while len(bill(ledger)) < before + 500 + 97 * crash and time.monotonic() < until:
                assert process.poll() is None, "it ended before it could be killed"
                time.sleep(0.01)
            process.send_signal(signal.SIGKILL)
            process.wait(20)
        finally:
            process.kill()
        time.sleep(0.05)  # what was sent is still being counted
        before = len(bill(ledger))
    process = started()
    try:
        assert process.wait(120) == 4
    finally:
        process.kill()

    store = Store(folder)
    known = store.spent()
    journaled = store.rows("SELECT count(*) FROM calls")[0][0]
    store.close()
    asked, counted = sum(bill(ledger)) / NANO, sum(known.values())
    unseen = len(bill(ledger)) - journaled
    print(f"\nbilled {asked:.4f} for {len(bill(ledger))} calls, {unseen} of them lost in {CRASHES} crashes;")
    print(f"counted {counted:.4f}: {known['settled']:.4f} settled, {known['charged']:.4f} charged")
    assert unseen > CRASHES * 40
    assert asked <= counted <= CAP
    assert counted >= 0.95 * CAP


async def test_tokens_and_calls_are_capped_as_money_is_and_without_a_price(journal: Journal, reopened: Any) -> None:
    model = fakes.Fake()
    out = fakes.outside(journal, model, caps=Caps(calls=25), slots=8)
    with pytest.raises(BudgetSpent, match=r"25 calls of 25 calls are spent.*raise limits\.calls"):
        await run(fakes.items(10), fakes.produce, fakes.door(out), out, signals=False)
    assert model.paid.total() == 25
    later = reopened(journal)
    again = fakes.outside(later, model, caps=Caps(tokens=30 * 70), slots=8)
    with pytest.raises(BudgetSpent, match=r"raise limits\.tokens"):
        await run(fakes.items(10), fakes.produce, fakes.door(again), again, signals=False)
    assert sum(later.read("SELECT prompt_tokens + completion_tokens FROM calls")[0]) == 70
    assert 25 <= model.paid.total() <= 30


def test_what_a_dead_process_may_have_spent_of_tokens_and_calls_counts(tmp_path: Path) -> None:
    async def dying() -> None:
        journal = Journal(tmp_path / "run")
        purse = Purse(journal, Caps(tokens=1000, calls=10))
        await purse.reserve(Amounts(0, 300, 2))
        journal.close(clean=False)

    asyncio.run(dying())
    journal = Journal(tmp_path / "run")
    purse = Purse(journal, Caps(tokens=1000, calls=10))
    spent = {name: pot.spent for name, pot in purse._pots.items()}
    journal.close()
    assert 300 <= spent["tokens"] <= 310
    assert spent["calls"] == 2


async def test_when_the_hours_are_up_no_call_begins(journal: Journal, reopened: Any) -> None:
    model = fakes.Fake(seconds=0.02)
    out = fakes.outside(journal, model, caps=Caps(hours=0.2 / 3600), slots=2)
    with pytest.raises(BudgetSpent, match=r"raise limits\.hours"):
        await run(fakes.items(40), fakes.produce, fakes.door(out), out, signals=False)
    made = model.paid.total()
    assert 4 <= made <= 40
    later = reopened(journal)
    again = fakes.outside(later, model, caps=Caps(hours=0.1 / 3600), slots=2)
    with pytest.raises(BudgetSpent):  # the hours of both processes count
        await run(fakes.items(40), fakes.produce, fakes.door(again), again, signals=False)
    assert model.paid.total() == made


async def test_a_send_that_was_lost_on_its_way_back_counts_before_the_next(journal: Journal) -> None:
    class Losing(fakes.Fake):
        async def complete(self, request: Request) -> Completion:
            await covered()
            await covered()
            return await super().complete(request)

    price = Price(prompt=1.0, completion=1.0)
    out = fakes.outside(journal, Losing(), prices={"fake": price}, caps=Caps(1.0))
    await fakes.door(out)(fakes.items(1)[0])(fakes.WRITE, document=fakes.items(1)[0].document)
    await journal.put()
    settled, charged = (journal.read(f"SELECT sum({c}) FROM {t}")[0][0] for c, t in (("cost", "calls"), ("charged", "spend")))
    assert settled == 70 * 1000
    assert charged > 2 * fakes.WRITE.max_tokens * 1000
    assert (out.purse.spent, out.purse.reserved) == (settled + charged, 0)


async def test_a_lost_send_is_not_repeated_where_the_cap_has_no_room_for_another(journal: Journal) -> None:
    class Losing(fakes.Fake):
        async def complete(self, request: Request) -> Completion:
            while True:
                self.paid["sent", request.agent, 0, 0] += 1
                await covered()

    model, price = Losing(), Price(prompt=0.0, completion=1.0)
    out = fakes.outside(journal, model, prices={"fake": price}, caps=Caps(3.5 * fakes.WRITE.max_tokens / 1e6))
    with pytest.raises(BudgetSpent):
        await fakes.door(out)(fakes.items(1)[0])(fakes.WRITE, document=fakes.items(1)[0].document)
    assert model.paid.total() == 3
    assert out.purse.reserved == 0
    assert out.purse.spent == 3 * fakes.WRITE.max_tokens * 1000


def test_reasoning_and_cached_tokens_have_prices_of_their_own_and_the_worst_case_is_the_dearest() -> None:
    price = Price(prompt=2.0, completion=8.0, cached=0.5, reasoning=12.0)
    done = Completion("", prompt_tokens=1000, cached_tokens=600, completion_tokens=500, reasoning_tokens=300)
    assert price.of(done).money == (400 * 2000) + (600 * 500) + (200 * 8000) + (300 * 12000)
    request = Request("a/b", ({"role": "user", "content": "x" * 100},), max_tokens=500)
    assert price.worst(request, 200, 500).money >= 200 * 2000 + 500 * 12000
    assert price.times(0.5).of(done).money == price.of(done).money // 2


async def test_status_tells_spent_per_row_and_what_the_whole_will_have_cost(journal: Journal) -> None:
    def dying(request: Request) -> Any:
        if model.paid.total() > 35:
            return EndpointError("gone")
        return Completion(fakes.fitting(request), prompt_tokens=50, completion_tokens=20, cached_tokens=10)

    model = fakes.Fake(dying)
    out = fakes.outside(journal, model, prices={"fake": Price(prompt=100.0, completion=100.0)}, slots=1)
    await journal.remember("planned", 10)
    with pytest.raises(EndpointError):
        await run(fakes.items(10), fakes.produce, fakes.door(out), out, ahead=1, signals=False)
    store = Store(journal.folder)
    told, done = report(store)["money"], store.states()
    store.close()
    finished = done["finished"]
    assert finished >= 4
    assert told["spent"] == pytest.approx(35 * 70 / 1e4)
    assert told["per_accepted_row"] == pytest.approx(told["spent"] / (2 * finished))
    assert told["projected"] == pytest.approx(told["spent"] / finished * 10)
    assert told["cached_share"] == pytest.approx(0.2)
