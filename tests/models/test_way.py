"""How calls wait for their turn and are tried again, on a clock that jumps."""

import asyncio
from collections.abc import Awaitable, Callable
from itertools import pairwise
from typing import Any

import pytest

from models.virtual import virtually
from preceptor.errors import EndpointError, ReplyError
from preceptor.models.lane import Lane
from preceptor.models.limits import Fault, Patience
from preceptor.models.way import Way


async def alive(at: int) -> bool:
    return True


class Calls:
    """A way with one lane or several, and what was sent on it: when, on which lane, for whom."""

    def __init__(self, in_flight: int = 8, *, lanes: int = 1, weights: tuple[float, ...] = (), **patience: float) -> None:
        self.notices: list[str] = []
        self.sent: list[tuple[float, int, str]] = []
        held = Patience(**patience)  # type: ignore[arg-type]
        weights = weights or (1.0,) * lanes
        self.lanes = [Lane("abcdef"[n], in_flight, weight=weights[n], patience=held) for n in range(lanes)]
        clock = asyncio.get_running_loop().time
        self._began, self._clock = clock(), clock
        self.way = Way(self.lanes, notice=self.notices.append, patience=held, clock=clock)

    def now(self) -> float:
        return self._clock() - self._began

    async def call(self, key: str, does: Callable[[int], Awaitable[Any]], near: str = "") -> Any:
        async def send(at: int) -> Any:
            self.sent.append((self.now(), at, key))
            return await does(at)

        return await self.way.call(send, lambda: key, alive, near=near)


def faults(*what: Fault | str, seconds: float = 0.01) -> Callable[[int], Awaitable[str]]:
    """Each fault in its turn, then the word."""
    left = list(what)

    async def send(at: int) -> str:
        await asyncio.sleep(seconds)
        one = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(one, Fault):
            raise one
        return one

    return send


def test_calls_are_sent_in_the_order_in_which_they_came() -> None:
    async def go() -> None:
        calls = Calls(2)
        keys = [str(n) for n in range(20)]
        assert await asyncio.gather(*(calls.call(k, faults(k)) for k in keys)) == keys
        assert [key for _, _, key in calls.sent] == keys

    virtually(go())


def test_a_call_that_waits_for_its_retry_holds_no_slot() -> None:
    async def go() -> None:
        calls = Calls(1)
        calls.lanes[0].answered = 1
        ill, well = faults(Fault("transient", "reset"), "a"), faults("b")
        assert await asyncio.gather(calls.call("a", ill), calls.call("b", well)) == ["a", "b"]
        assert [key for _, _, key in calls.sent] == ["a", "b", "a"]

    virtually(go())


def test_a_storm_of_refusals_is_one_cut_and_few_words() -> None:
    async def go() -> None:
        calls = Calls(8)
        left = {"refusals": 3}

        async def send(at: int) -> str:
            await asyncio.sleep(0.01)
            if left["refusals"]:
                left["refusals"] -= 1
                raise Fault("rate_limit", "429 slow down", wait=0.05)
            await asyncio.sleep(1)
            return "done"

        assert await asyncio.gather(*(calls.call(str(n), send) for n in range(8))) == ["done"] * 8
        assert calls.lanes[0].controller.limit >= 5
        assert calls.notices == []

    virtually(go())


def test_rate_limits_use_up_patience_and_not_attempts() -> None:
    async def go() -> None:
        calls = Calls(1, attempts=2)
        assert await calls.call("x", faults(*[Fault("overload", "503")] * 10, "done")) == "done"

    virtually(go())


def test_an_endpoint_that_stays_busy_stops_the_run_in_the_end() -> None:
    async def go() -> None:
        calls = Calls(1, seconds=3600)
        with pytest.raises(EndpointError, match="too busy for 60 min"):
            await calls.call("x", faults(Fault("rate_limit", "429")))
        assert calls.now() > 3000

    virtually(go())


def test_an_endpoint_that_answers_nobody_stops_the_run_after_a_quarter_of_an_hour() -> None:
    async def go() -> None:
        calls = Calls(1)
        calls.lanes[0].answered = 1

        async def dead(at: int) -> bool:
            return False

        with pytest.raises(EndpointError, match="does not answer"):
            await calls.way.call(faults(Fault("transient", "reset")), lambda: "x", dead)
        assert 900 <= calls.now() < 1000

    virtually(go())


def test_an_address_that_never_answered_is_told_at_once() -> None:
    async def go() -> None:
        calls = Calls(1)
        with pytest.raises(EndpointError, match="does not answer"):
            await calls.call("x", faults(Fault("transient", "refused")))
        assert len(calls.sent) == 2

    virtually(go())


def test_a_cancelled_call_leaves_its_place_and_its_slot() -> None:
    async def go() -> None:
        calls = Calls(1)
        running = asyncio.create_task(calls.call("a", faults("a", seconds=60)))
        await asyncio.sleep(1)
        waiting = asyncio.create_task(calls.call("b", faults("b")))
        behind = asyncio.create_task(calls.call("c", faults("c")))
        await asyncio.sleep(0)
        waiting.cancel()
        running.cancel()
        assert await asyncio.wait_for(behind, 1) == "c"
        assert calls.lanes[0].out == 0
        assert not calls.way._waiting

    virtually(go())


def test_the_same_request_waits_the_same_time_on_every_machine() -> None:
    async def go() -> list[float]:
        calls = Calls(1)
        await calls.call("the same", faults(*[Fault("overload", "503")] * 4, "done"))
        return [at for at, _, _ in calls.sent]

    first = virtually(go())
    assert first == virtually(go())
    assert len({round(b - a, 6) for a, b in pairwise(first)}) == 4


def test_it_says_why_it_waits() -> None:
    async def go() -> list[str]:
        calls = Calls(1)
        told: list[str] = []
        task = asyncio.create_task(calls.call("x", faults(Fault("rate_limit", "429", wait=12.0), "done")))
        for _ in range(2):
            await asyncio.sleep(0.02)
            told.append(calls.way.why())
        await task
        return [*calls.notices, *told, calls.way.why()]

    assert virtually(go()) == [*["waiting 12 s for the rate limit of a"] * 3, ""]


# ── several endpoints of one model ───────────────────────────────────────────────────────────────────────────────


def test_calls_of_one_document_go_to_one_endpoint_and_documents_are_spread_by_weight() -> None:
    async def go() -> None:
        calls = Calls(64, lanes=3, weights=(2.0, 1.0, 1.0))
        for document in range(400):
            for n in range(3):
                await calls.call(f"{document}/{n}", faults("done"), near=f"document {document}")
        lanes_of = [{at for _, at, key in calls.sent if key.split("/")[0] == str(d)} for d in range(400)]
        assert all(len(lanes) == 1 for lanes in lanes_of)
        counts = [sum(at == n for _, at, _ in calls.sent) / len(calls.sent) for n in range(3)]
        assert counts == pytest.approx([0.5, 0.25, 0.25], abs=0.07)

    virtually(go())


def test_a_call_goes_elsewhere_rather_than_wait_and_a_free_endpoint_takes_its_own_first() -> None:
    async def go() -> None:
        calls = Calls(2, lanes=2)
        work = [calls.call(str(n), faults("done", seconds=1), near=f"document {n % 7}") for n in range(80)]
        await asyncio.gather(*work)
        assert calls.now() <= 21  # 80 calls of a second each, four at once
        own = sum(at == calls.way._by_nearness(f"document {int(key) % 7}")[0] for _, at, key in calls.sent)
        assert own >= 56

    virtually(go())


def test_b23_a_revoked_key_is_left_out_and_the_other_two_carry_on_with_limits_of_their_own() -> None:
    """B23: 3 keys on one URL, one revoked: the other two carry on; per-key limits kept."""

    async def go() -> None:
        calls = Calls(4, lanes=3)
        most = [0, 0, 0]

        async def send(at: int) -> str:
            most[at] = max(most[at], calls.lanes[at].out)
            await asyncio.sleep(0.2)
            if at == 1:
                raise Fault("permanent", "Incorrect API key", status=401)
            return "done"

        assert await asyncio.gather(*(calls.call(str(n), send, near=str(n)) for n in range(200))) == ["done"] * 200
        assert sum(at == 1 for _, at, _ in calls.sent) <= 4
        assert max(most) <= 4
        assert calls.notices == ["b is out of use: Incorrect API key; the others carry on"]
        assert calls.now() < 200 / 8 * 0.2 + 1

    virtually(go())


def test_b12_a_refused_key_stops_the_lane_with_what_is_out_and_nobody_else_is_sent() -> None:
    """B12: ≤ max_in_flight requests, lane stops."""

    async def go() -> None:
        calls = Calls(16)
        refused = faults(Fault("permanent", "no credit", status=402))
        told = await asyncio.gather(*(calls.call(str(n), refused) for n in range(500)), return_exceptions=True)
        assert all(isinstance(one, Fault) and one.status == 402 for one in told)
        assert len(calls.sent) <= 16

    virtually(go())


def test_when_the_last_key_is_revoked_too_the_fault_is_told() -> None:
    async def go() -> None:
        calls = Calls(4, lanes=2)
        with pytest.raises(Fault, match="key"):
            await calls.call("x", faults(Fault("permanent", "Incorrect API key", status=401)))

    virtually(go())


def test_an_endpoint_that_is_down_costs_its_calls_nothing_but_a_second_try() -> None:
    async def go() -> None:
        calls = Calls(8, lanes=2)
        for lane in calls.lanes:
            lane.answered = 1

        async def send(at: int) -> str:
            await asyncio.sleep(0.1)
            if at == 0:
                raise Fault("transient", "connection refused")
            return "done"

        assert await asyncio.gather(*(calls.call(str(n), send, near=str(n)) for n in range(400))) == ["done"] * 400
        assert sum(at == 0 for _, at, _ in calls.sent) <= 48
        assert calls.now() < 400 / 8 * 0.1 + 3

    virtually(go())


def test_b11_what_is_wrong_with_a_request_is_asked_of_one_endpoint_once() -> None:
    """B11: 400/413/422: exactly 1 request; reason stored (the reason is the fault's)."""

    async def go() -> None:
        for status in (400, 413, 422):
            calls = Calls(8, lanes=2)
            with pytest.raises(Fault, match="no such parameter"):
                await calls.call("x", faults(Fault("permanent", "no such parameter", status=status)))
            assert len(calls.sent) == 1

    virtually(go())


def test_b10_one_poisonous_request_is_given_up_and_the_others_are_not_touched() -> None:
    """B10: dead-lettered after ≤ 5 attempts and ≤ 10 min; others unaffected."""

    async def go() -> None:
        calls = Calls(8)

        async def send(at: int) -> str:
            await asyncio.sleep(0.5)
            return "done"

        async def healthy() -> None:
            for n in range(600):
                await calls.call(f"well {n}", send)

        others = [asyncio.create_task(healthy()) for _ in range(4)]
        await asyncio.sleep(5)
        with pytest.raises(ReplyError, match=r"failed \d times on this request while it answers others: 500 id #*1"):
            await calls.call("poison", faults(Fault("transient", "500 id 1"), Fault("transient", "500 id 12345678")))
        assert sum(key == "poison" for _, _, key in calls.sent) <= 5
        assert calls.now() < 600
        await asyncio.gather(*others)
        assert calls.now() < 310

    virtually(go())
