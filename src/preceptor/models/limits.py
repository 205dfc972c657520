"""How a call to an endpoint survives: slots in order, one retry loop, one table of error classes.

    call ─▶ wait for a slot (first come, first served) ─▶ send ─▶ answer
               ▲                                            │
               ╰── sleep without a slot ◀── rate_limit · overload · transient
                                             permanent ──▶ raised to the caller at once

The number of slots follows the endpoint: cut by a quarter on a refusal (at most once in two seconds), one more for
each round of answers, never under one and never over the recipe's `in_flight`.
"""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Literal, TypeVar

from preceptor.draws import fraction
from preceptor.errors import EndpointError, ReplyError

T = TypeVar("T")
Kind = Literal["rate_limit", "overload", "transient", "content", "permanent"]
Notice = Callable[[str], None]


class Fault(Exception):
    """One failed send, classed. Never leaves `preceptor.models`: the retry loop or the model turns it into a
    PreceptorError."""

    def __init__(self, kind: Kind, message: str, *, status: int = 0, wait: float | None = None) -> None:
        super().__init__(message)
        self.kind: Kind = kind
        self.status = status
        self.wait = wait
        """Seconds that the endpoint asked us to wait, where it did."""
        self.unseen = False
        """Whether the endpoint may have answered, and billed, what we never saw."""


BY_STATUS: Mapping[int, Kind] = {
    408: "transient",
    409: "transient",
    425: "transient",
    429: "rate_limit",
    498: "overload",
    503: "overload",
    529: "overload",
}
# Endpoints say "no money left" with the status of "too fast"; waiting does not help there.
SPENT = ("insufficient_quota", "billing_hard_limit", "credit balance", "exceeded your current quota")
FILTERED = ("content_filter", "content management policy", "content_policy_violation", "safety system")


def classify(status: int, text: str) -> Kind:
    """The one table: what an HTTP status and the words beside it mean for the retry loop."""
    lowered = text.lower()
    if status in (402, 429) and any(words in lowered for words in SPENT):
        return "permanent"
    if status in (400, 403, 422) and any(words in lowered for words in FILTERED):
        return "content"
    if status in BY_STATUS:
        return BY_STATUS[status]
    return "transient" if status >= 500 else "permanent"


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds to wait by `retry-after-ms`, `Retry-After` (seconds or HTTP date), or None; `now` is Unix time.

    What cannot be read, or lies in the past, is None or 0: the back-off then decides.
    """
    plain = {name.lower(): value.strip() for name, value in headers.items()}
    milliseconds = _number(plain.get("retry-after-ms"))
    if milliseconds is not None:
        return max(0.0, milliseconds / 1000)
    said = plain.get("retry-after")
    if said is None:
        return None
    seconds = _number(said)
    if seconds is not None:
        return max(0.0, seconds)
    try:
        return max(0.0, parsedate_to_datetime(said).timestamp() - now)
    except (ValueError, TypeError, OverflowError):
        return None


def _number(text: str | None) -> float | None:
    try:
        value = float(text) if text is not None else None
    except ValueError:
        return None
    return value if value is not None and value == value and abs(value) != float("inf") else None


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to go on."""

    attempts: int = 5
    """Sends of one request that may fail for `transient` reasons while other requests are answered."""
    seconds: float = 6 * 3600
    """How long an endpoint that is too busy, or down, is waited for before the run stops."""
    longest: float = 600
    """A single wait that the endpoint asks for beyond this stops the run at once, with the time to come back."""
    base: float = 1.0
    cap: float = 60.0
    outage: float = 900
    """How long an endpoint that answers nobody is tried before the run stops."""


PATIENCE = Patience()


class Lane:
    """The way to one model: its slots, its pace and its health."""

    def __init__(self, name: str, in_flight: int, *, notice: Notice, patience: Patience = PATIENCE) -> None:
        self.name = name
        self.ceiling = max(1, in_flight)
        self.limit = float(self.ceiling)
        self.patience = patience
        self.answered = 0
        self._notice = notice
        self._busy = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._held_until = 0.0
        self._last_cut = float("-inf")
        self._noticed_until = 0.0
        self._timer: asyncio.TimerHandle | None = None

    async def call(self, send: Callable[[], Awaitable[T]], key: str, alive: Callable[[], Awaitable[bool]]) -> T:
        """What `send` returns, tried until it answers or patience ends.

        `key` stands for the request: its back-off is drawn from it. `alive` asks the endpoint something small; it
        tells, after the last attempt, whether this request or the whole endpoint is ill.
        Raises the Fault itself where it is `permanent` or `content`, ReplyError where only this request fails,
        EndpointError where the endpoint does.
        """
        began, failures, refusals, heard = time.monotonic(), 0, 0, -1
        while True:
            try:
                return await self._send(send)
            except Fault as fault:
                if fault.kind in ("permanent", "content"):
                    raise
                heard = self.answered if heard < 0 else heard
                failures += fault.kind == "transient"
                refusals += fault.kind != "transient"
                if fault.kind == "transient" and failures >= self._attempts():
                    await self._give_up_or_go_on(fault, failures, began, heard, alive)
                await self._rest(fault, failures + refusals, key, began)

    async def _send(self, send: Callable[[], Awaitable[T]]) -> T:
        await self._take()
        try:
            answer = await send()
        except Fault as fault:
            if fault.kind in ("rate_limit", "overload") or fault.status == 408:
                self._cut()  # a server with an endless queue never refuses: it gets slow
            raise
        else:
            self.answered += 1
            self.limit = min(float(self.ceiling), self.limit + 1 / self.limit)
            return answer
        finally:
            self._busy -= 1
            self._admit()

    def _attempts(self) -> int:
        # An address that never answered is more likely mistyped than ill: say so soon.
        return self.patience.attempts if self.answered else min(2, self.patience.attempts)

    async def _give_up_or_go_on(
        self, fault: Fault, failures: int, began: float, heard: int, alive: Callable[[], Awaitable[bool]]
    ) -> None:
        if self.answered > heard or (self.answered and await alive()):
            raise ReplyError(f"{self.name} failed {failures} times on this request while it answers others: {fault}")
        if not self.answered or time.monotonic() - began > self.patience.outage:
            raise EndpointError(f"{self.name} does not answer: {fault}")

    async def _rest(self, fault: Fault, failures: int, key: str, began: float) -> None:
        back_off = fraction("back-off", key, failures) * min(self.patience.cap, self.patience.base * 2 ** min(failures, 10))
        wait = back_off if fault.wait is None else fault.wait + back_off / 10
        if wait > self.patience.longest:
            raise EndpointError(
                f"{self.name} asks to wait {spoken(wait)} ({fault}). "
                "Everything finished is kept: run the same command again then."
            )
        if time.monotonic() - began + wait > self.patience.seconds:
            raise EndpointError(f"{self.name} has been too busy for {spoken(self.patience.seconds)}: {fault}")
        if fault.wait is not None:
            self._hold(fault.wait)
        self._say(fault, wait)
        await asyncio.sleep(wait)

    def _say(self, fault: Fault, wait: float) -> None:
        now = time.monotonic()
        if now < self._noticed_until:
            return
        self._noticed_until = now + max(wait, 1.0)
        why = {"rate_limit": f"the rate limit of {self.name}", "overload": f"{self.name}, which is overloaded"}
        self._notice(f"waiting {spoken(wait)} for {why.get(fault.kind, f'{self.name}: {fault}')}")

    def _cut(self) -> None:
        now = time.monotonic()
        if now - self._last_cut >= 2.0:
            self._last_cut = now
            self.limit = max(1.0, self.limit * 0.75)

    def _hold(self, seconds: float) -> None:
        """Nobody is sent before `seconds` have passed. The number of slots is not touched by this: a provider that
        asks for a minute on each refusal would otherwise freeze it for the whole run."""
        self._held_until = max(self._held_until, time.monotonic() + seconds)

    async def _take(self) -> None:
        ticket = asyncio.get_running_loop().create_future()
        self._waiting.append(ticket)
        self._admit()
        try:
            await ticket
        except asyncio.CancelledError:
            if ticket.done() and not ticket.cancelled():  # cancelled in the instant it was let in
                self._busy -= 1
            else:
                self._waiting.remove(ticket)
            self._admit()
            raise

    def _admit(self) -> None:
        left = self._held_until - time.monotonic()
        if left > 0:
            if self._waiting and self._timer is None:
                self._timer = asyncio.get_running_loop().call_later(left, self._wake)
            return
        while self._waiting and self._busy < int(self.limit):
            ticket = self._waiting.popleft()
            if not ticket.done():
                self._busy += 1
                ticket.set_result(None)

    def _wake(self) -> None:
        self._timer = None
        self._admit()

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def spoken(seconds: float) -> str:
    """`0.4 s`, `12 s`, `3 min`, `2.5 h`."""
    if seconds < 1:
        return f"{seconds:.1f} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
