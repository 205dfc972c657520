"""How calls wait, and what an error means."""

import asyncio
from datetime import UTC, datetime
from email.utils import format_datetime

import pytest

from preceptor.errors import EndpointError
from preceptor.models.limits import Fault, Lane, Patience, classify, retry_after, spoken

NOW = datetime(2026, 11, 21, 7, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "12"}, 12),
        ({"retry-after": "1.5"}, 1.5),
        ({"Retry-After": "-5"}, 0),
        ({"Retry-After": format_datetime(NOW.replace(minute=1), usegmt=True)}, 60),
        ({"Retry-After": format_datetime(NOW.replace(year=2020), usegmt=True)}, 0),
        ({"Retry-After-Ms": "250", "Retry-After": "9"}, 0.25),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "inf"}, None),
        ({}, None),
    ],
)
def test_retry_after_is_read_in_each_of_its_spellings(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers, NOW.timestamp()) == seconds


@pytest.mark.parametrize(
    ("status", "words", "kind"),
    [
        (429, "Rate limit reached", "rate_limit"),
        (429, "insufficient_quota", "permanent"),
        (402, "credit balance too low", "permanent"),
        (503, "", "overload"),
        (529, "overloaded_error", "overload"),
        (500, "", "transient"),
        (504, "", "transient"),
        (408, "", "transient"),
        (400, "content_filter triggered", "content"),
        (400, "unknown parameter", "permanent"),
        (401, "", "permanent"),
        (404, "", "permanent"),
        (413, "", "permanent"),
        (422, "", "permanent"),
    ],
)
def test_one_table_says_what_an_error_means(status: int, words: str, kind: str) -> None:
    assert classify(status, words) == kind


async def answers() -> bool:
    return True


def lane(in_flight: int, **patience: float) -> tuple[Lane, list[str]]:
    notices: list[str] = []
    quick = {"base": 0.001, "cap": 0.01, "seconds": 2.0, **patience}
    return Lane("m", in_flight, notice=notices.append, patience=Patience(**quick)), notices  # type: ignore[arg-type]


async def test_calls_are_sent_in_the_order_in_which_they_came() -> None:
    one, _ = lane(2)
    order: list[int] = []

    def send(number: int):  # type: ignore[no-untyped-def]
        async def sent() -> int:
            order.append(number)
            await asyncio.sleep(0.001)
            return number

        return sent

    assert await asyncio.gather(*(one.call(send(n), str(n), answers) for n in range(20))) == list(range(20))
    assert order == list(range(20))


async def test_a_call_that_waits_for_its_retry_holds_no_slot() -> None:
    one, _ = lane(1)
    log: list[str] = []

    async def limited() -> str:
        log.append("limited")
        if len(log) == 1:
            raise Fault("transient", "reset")
        return "limited"

    async def other() -> str:
        log.append("other")
        return "other"

    one.answered = 1
    assert await asyncio.gather(one.call(limited, "a", answers), one.call(other, "b", answers)) == ["limited", "other"]
    assert log == ["limited", "other", "limited"]


async def test_refusals_cut_the_slots_to_a_floor_of_one_and_answers_bring_them_back() -> None:
    one, _ = lane(8)

    async def busy() -> None:
        raise Fault("rate_limit", "429")

    async def fine() -> None:
        await asyncio.sleep(0)

    for _ in range(20):
        one._last_cut = float("-inf")
        with pytest.raises(Fault):
            await one._send(busy)
    assert one.limit == 1.0
    for _ in range(60):
        await one.call(fine, "x", answers)
    assert one.limit == 8.0


async def test_a_storm_of_refusals_is_one_cut_and_one_notice() -> None:
    one, notices = lane(8)
    left = {"refusals": 8}

    async def send() -> str:
        if left["refusals"]:
            left["refusals"] -= 1
            raise Fault("rate_limit", "429 slow down", wait=0.05)
        return "done"

    assert await asyncio.gather(*(one.call(send, str(n), answers) for n in range(8))) == ["done"] * 8
    assert one.limit > 5
    assert len(notices) == 1


async def test_rate_limits_use_up_patience_and_not_attempts() -> None:
    one, _ = lane(1, attempts=2)
    left = {"refusals": 10}

    async def send() -> str:
        if left["refusals"]:
            left["refusals"] -= 1
            raise Fault("overload", "503")
        return "done"

    assert await one.call(send, "x", answers) == "done"


async def test_an_endpoint_that_stays_busy_stops_the_run_in_the_end() -> None:
    one, _ = lane(1, seconds=0.02, base=0.01)

    async def send() -> str:
        raise Fault("rate_limit", "429")

    with pytest.raises(EndpointError, match="too busy"):
        await one.call(send, "x", answers)


async def test_a_cancelled_call_leaves_its_place_and_its_slot() -> None:
    one, _ = lane(1)
    started = asyncio.Event()

    async def slow() -> None:
        started.set()
        await asyncio.sleep(60)

    async def quick() -> str:
        return "done"

    running = asyncio.create_task(one.call(slow, "a", answers))
    await started.wait()
    waiting = asyncio.create_task(one.call(quick, "b", answers))
    behind = asyncio.create_task(one.call(quick, "c", answers))
    await asyncio.sleep(0)
    waiting.cancel()
    running.cancel()
    assert await asyncio.wait_for(behind, 1) == "done"
    assert one._busy == 0
    assert not one._waiting


async def test_the_same_request_waits_the_same_time_on_every_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []

    async def note(seconds: float) -> None:
        waits.append(seconds)

    monkeypatch.setattr("preceptor.models.limits.asyncio.sleep", note)
    for _ in range(2):
        one, _ = lane(1, base=1.0, cap=60.0, seconds=9999.0)
        left = {"faults": 4}

        async def send(left: dict[str, int] = left) -> str:
            if left["faults"]:
                left["faults"] -= 1
                raise Fault("overload", "503")
            return "done"

        await one.call(send, "the same", answers)
    assert waits[:4] == waits[4:]
    assert len(set(waits[:4])) == 4


@pytest.mark.parametrize(("seconds", "words"), [(0.42, "0.4 s"), (12, "12 s"), (300, "5 min"), (86400, "24.0 h")])
def test_waits_are_told_as_people_say_them(seconds: float, words: str) -> None:
    assert spoken(seconds) == words
