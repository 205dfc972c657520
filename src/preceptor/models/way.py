"""The way of a call to its answer: first come, first served, one retry loop, over one endpoint or several.

    call ─▶ wait for a lane with room ─▶ send ─▶ answer
               ▲                           │
               ╰── sleep without a slot ◀── rate_limit · overload · transient
                                            permanent · content ──▶ raised to the caller at once

With several lanes a call goes to the one that its `near` falls to, as long as that has room: calls with the same beginning
meet the same prefix cache. A lane that refuses its key or its model is left out, and the others carry on.
"""

import asyncio
import re
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from math import log
from typing import TypeVar

from preceptor.draws import fraction
from preceptor.errors import EndpointError, ReplyError
from preceptor.models.again import slept
from preceptor.models.lane import FOREVER, Lane
from preceptor.models.limits import LANE, PATIENCE, Fault, Notice, Patience, hopeless, spoken

T = TypeVar("T")
Alive = Callable[[int], Awaitable[bool]]
AHEAD = 32
"""Waiting calls that are looked through for one that a free lane is near to."""
PASSED = 8
"""So often the first of them may be passed over for that."""
NUMBERS = re.compile(r"[0-9a-f-]{6,}|\d+")
"""What differs between two errors that say the same: times, ids, counts."""
MENTION = 10.0
"""A wait of one call is worth a line from so many seconds on; a wait of the whole endpoint always is."""


@dataclass(slots=True, eq=False)
class Trip:
    """One call under way."""

    key: Callable[[], str]
    near: str
    tokens: int
    began: float
    failures: int = 0
    refusals: int = 0
    same: int = 0
    last: str = ""
    heard: int = -1
    """Answers that its lane had given to others when it failed first."""
    until: dict[int, float] = field(default_factory=dict)
    """By lane: not before. What Retry-After says is law for the call that it was said to."""
    ticket: "asyncio.Future[int] | None" = None
    owes: bool = False
    """Its last send was a retry, out of the budget."""
    passed: int = 0
    sent: float = 0.0
    number: int = 0
    """Which of its lane's calls it is."""
    order: tuple[int, ...] = ()
    """The lanes, the nearest first."""


class Way:
    """The lanes to one model, and the calls that wait for them."""

    def __init__(
        self,
        lanes: Sequence[Lane],
        *,
        notice: Notice,
        patience: Patience = PATIENCE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.lanes = tuple(lanes)
        self.patience = patience
        self._notice, self._clock = notice, clock
        self._waiting: deque[Trip] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._wakes = FOREVER
        self._said_until = 0.0
        self._over: Fault | None = None

    async def call(
        self,
        send: Callable[[int], Awaitable[T]],
        key: Callable[[], str],
        alive: Alive,
        *,
        used: Callable[[T], tuple[int, int]] = lambda answer: (0, 0),
        tokens: int = 0,
        near: str = "",
    ) -> T:
        """What `send(lane)` returns, tried until it answers or patience ends.

        `key()` stands for the request, where it is tried again: its back-off is drawn from it. `tokens` is its worst case,
        `used` reads from the answer what it was (all, and those written). `alive` asks an endpoint something small; it
        tells, after the last attempt, whether this request or the whole endpoint is ill.
        Raises the Fault itself where it is `permanent` or `content`, ReplyError where only this request fails,
        EndpointError where the endpoint does.
        """
        trip = Trip(key, near, tokens, self._clock())
        while True:
            at = await self._take(trip)
            lane = self.lanes[at]
            try:
                answer = await send(at)
            except Fault as fault:
                fault.at = at
                lane.failed(self._clock(), trip.sent, tokens, fault)
                if fault.kind == "permanent" and fault.status in LANE:
                    self._leave_out(lane, fault)
                self._admit()
                await self._failed(trip, at, fault, alive)
            except BaseException:
                lane.given_up(self._clock(), tokens)
                self._admit()
                raise
            else:
                lane.done(self._clock(), trip.sent, trip.number, tokens, *used(answer))
                if trip.owes:
                    lane.retries.back()
                if self._waiting:
                    self._admit()
                return answer

    # ── after a fault ────────────────────────────────────────────────────────────────────────────────────────────

    async def _failed(self, trip: Trip, at: int, fault: Fault, alive: Alive) -> None:
        """The call may be tried again now. Raises where it is not to be."""
        if fault.kind == "permanent" and fault.status in LANE and not self._over:
            return
        if fault.kind in ("content", "permanent"):
            raise fault
        lane, now = self.lanes[at], self._clock()
        trip.heard = lane.answered if trip.heard < 0 else trip.heard
        if fault.kind == "transient":
            words = NUMBERS.sub("#", str(fault))
            trip.same = trip.same + 1 if words == trip.last else 1
            trip.last, trip.failures = words, trip.failures + 1
            await self._judged(trip, at, fault, alive)
            now = self._clock()
        else:
            trip.refusals += 1
        trip.until[at] = now + self._pause(trip, lane, fault, now)
        await self._rest(trip, lane, fault)
        trip.owes = fault.kind == "transient" and all(one.stopped or n in trip.until for n, one in enumerate(self.lanes))
        while trip.owes and (wait := lane.retries.take(self._clock())):  # sent elsewhere it is no retry
            await slept(wait)

    def _leave_out(self, lane: Lane, fault: Fault) -> None:
        """Nothing more is sent on the lane. After the last one, whoever waits is told so, and whoever comes."""
        first, lane.stopped = not lane.stopped, lane.stopped or str(fault)
        if not all(one.stopped for one in self.lanes):
            if first:
                self._notice(f"{lane.why(self._clock())}; the others carry on")
            return
        self._over = fault
        for trip in self._waiting:
            if trip.ticket is not None and not trip.ticket.done():
                trip.ticket.set_exception(_again(fault))
        self._waiting.clear()

    async def _judged(self, trip: Trip, at: int, fault: Fault, alive: Alive) -> None:
        """Raises where this request is poison, or its endpoint gone."""
        lane = self.lanes[at]
        share = lane.breaker.share(self._clock())
        others = lane.answered > trip.heard
        # An address that never answered is more likely mistyped than ill: say so soon.
        attempts = self.patience.attempts if lane.answered else min(2, self.patience.attempts)
        if not hopeless(trip.failures, trip.same, share if others else 0.0, attempts):
            return
        if others or (lane.answered and await alive(at)):
            raise ReplyError(f"{lane.name} failed {trip.failures} times on this request while it answers others: {fault}")
        if any(other.answered and not other.stopped for other in self.lanes if other is not lane):
            return
        if not lane.answered or self._clock() - trip.began > self.patience.outage:
            raise EndpointError(f"{lane.name} does not answer: {fault}")

    def _pause(self, trip: Trip, lane: Lane, fault: Fault, now: float) -> float:
        """Seconds before this call may be sent there again."""
        tries = trip.failures + trip.refusals
        most = min(self.patience.cap, self.patience.base * float(2 ** min(tries, 10)))
        back_off = fraction("back-off", trip.key(), tries) * most
        wait = back_off if fault.wait is None else fault.wait + back_off / 10
        alone = len([one for one in self.lanes if not one.stopped]) == 1
        if alone and wait > self.patience.longest:
            raise EndpointError(
                f"{lane.name} asks to wait {spoken(wait)} ({fault}). "
                "Everything finished is kept: run the same command again then."
            )
        if alone and now - trip.began + wait > self.patience.seconds:
            raise EndpointError(f"{lane.name} has been too busy for {spoken(self.patience.seconds)}: {fault}")
        return wait

    async def _rest(self, trip: Trip, lane: Lane, fault: Fault) -> None:
        """Some lane may have this call again. No slot is held meanwhile."""
        now = self._clock()
        wait = min(trip.until.get(at, now) for at, one in enumerate(self.lanes) if not one.stopped) - now
        self._say(lane, fault, wait)
        if wait > 0:
            await slept(wait)

    def _say(self, lane: Lane, fault: Fault, wait: float) -> None:
        now = self._clock()
        if now < self._said_until:
            return
        said = lane.why(now)
        if not said and wait >= MENTION:
            why = {"rate_limit": f"the rate limit of {lane.name}", "overload": f"{lane.name}, which is overloaded"}
            said = f"a call is waiting {spoken(wait)} for {why.get(fault.kind, f'{lane.name}: {fault}')}"
        if said:
            self._said_until = now + max(wait, 5.0)
            self._notice(said)

    # ── waiting for a lane ───────────────────────────────────────────────────────────────────────────────────────

    async def _take(self, trip: Trip) -> int:
        """The lane that the call goes out on; it holds one of its slots."""
        if self._over is not None:
            raise _again(self._over)
        if not self._waiting and (at := self._lane_of(trip, self._clock())) is not None:
            return self._go(trip, at)
        trip.ticket = asyncio.get_running_loop().create_future()
        self._waiting.append(trip)  # a retry too: in trouble, others are tried before the same is tried again
        self._admit()
        try:
            return await trip.ticket
        except asyncio.CancelledError:
            let_in = trip.ticket.done() and not trip.ticket.cancelled() and trip.ticket.exception() is None
            if let_in:  # cancelled in the instant it was let in
                self.lanes[trip.ticket.result()].given_up(self._clock(), trip.tokens, unsent=True)
            elif trip in self._waiting:
                self._waiting.remove(trip)
            self._admit()
            raise

    def _go(self, trip: Trip, at: int) -> int:
        lane, trip.sent = self.lanes[at], self._clock()
        if not trip.failures and not trip.refusals:
            lane.retries.first()
        trip.number = lane.take(trip.sent, trip.tokens)
        return at

    def _lane_of(self, trip: Trip, now: float) -> int | None:
        """The lane that may have the call now; of several the one that it is nearest to."""
        if len(self.lanes) == 1:
            return 0 if not self.lanes[0].wait(now, trip.tokens) else None
        trip.order = trip.order or self._by_nearness(trip.near)
        return next((at for at in trip.order if self._may(trip, at, now)), None)

    def _may(self, trip: Trip, at: int, now: float) -> bool:
        return trip.until.get(at, 0.0) <= now and not self.lanes[at].wait(now, trip.tokens)

    def _by_nearness(self, near: str) -> tuple[int, ...]:
        """Rendezvous: each lane draws for each beginning, by its weight; one lane lost moves only the calls that were its."""

        def drawn(at: int) -> float:
            lane = self.lanes[at]
            return lane.weight / -log(0.5 / 2**53 + fraction("near", near, lane.name, at) * (1 - 2**-52))

        return tuple(sorted(range(len(self.lanes)), key=drawn, reverse=True))

    def _admit(self) -> None:
        now = self._clock()
        while self._waiting and (found := self._next(now)):
            trip, at = found
            if trip.ticket is not None and not trip.ticket.done():
                trip.ticket.set_result(self._go(trip, at))
        if self._waiting:
            self._wake_in(now)

    def _next(self, now: float) -> tuple[Trip, int] | None:
        """The call that goes next, out of the queue, and its lane."""
        if len(self.lanes) == 1:
            if self.lanes[0].wait(now, self._waiting[0].tokens):
                return None
            return self._waiting.popleft(), 0
        first: tuple[int, int] | None = None
        for place in range(min(AHEAD, len(self._waiting))):
            trip = self._waiting[place]
            if (at := self._lane_of(trip, now)) is None:
                continue
            if at == next((n for n in trip.order if not self.lanes[n].stopped), at) or trip.passed >= PASSED:
                first = (place, at)
                break
            first = first or (place, at)
        if first is None:
            return None
        for passed in range(first[0]):
            self._waiting[passed].passed += 1
        trip = self._waiting[first[0]]
        del self._waiting[first[0]]
        return trip, first[1]

    def _wake_in(self, now: float) -> None:
        """The queue is looked at again when a lane's clock lets it on; answers look at it anyway."""
        heads = [self._waiting[n] for n in range(min(AHEAD if len(self.lanes) > 1 else 1, len(self._waiting)))]
        wait = min(
            max(lane.wait(now, trip.tokens), trip.until.get(at, now) - now)
            for trip in heads
            for at, lane in enumerate(self.lanes)
        )
        if wait == FOREVER or (self._timer is not None and self._wakes <= now + wait):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._wakes = now + max(wait, 0.001)
        self._timer = asyncio.get_running_loop().call_later(max(wait, 0.001), self._wake)

    def _wake(self) -> None:
        self._timer, self._wakes = None, FOREVER
        self._admit()

    def why(self) -> str:
        """Why nothing is sent, where that is so: of the lane that waits shortest."""
        now = self._clock()
        told = [lane.why(now) for lane in self.lanes]
        return "" if any(not said for said in told) else told[0]

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _again(fault: Fault) -> Fault:
    """The same fault for another call: an exception raised twice would collect both tracebacks."""
    told = Fault(fault.kind, str(fault), status=fault.status, wait=fault.wait)
    told.at = fault.at
    return told
