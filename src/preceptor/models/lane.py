"""One endpoint as its calls see it: whether one more may go now, and why not. Pure; `now` is handed in.

    out < limit (controller) · not open (breaker) · not parked · requests and tokens left (buckets) ─▶ may go
"""

from collections.abc import Mapping

from preceptor.models.breaker import Breaker, RetryBudget
from preceptor.models.buckets import Buckets
from preceptor.models.controller import Controller
from preceptor.models.limits import PATIENCE, Fault, Patience, spoken

LOOK = 20.0
"""Where nothing else is out, a wait that a refusal asks for holds the others so long at most; then one looks in."""
FOREVER = float("inf")


class Lane:
    """The way to one model at one address under one key: its permits, its health, its buckets."""

    def __init__(
        self, name: str, in_flight: int, *, rpm: float = 0, tpm: float = 0, weight: float = 1.0, patience: Patience = PATIENCE
    ) -> None:
        self.name, self.weight, self.patience = name, weight, patience
        self.controller = Controller(in_flight)
        self.breaker = Breaker()
        self.retries = RetryBudget()
        self.buckets = Buckets(rpm, tpm)
        self.out = self.answered = self.sent = 0
        self.stopped = ""
        """Why nothing is sent any more: the key is refused, the model is not there."""
        self._parked_until = 0.0
        self._why = ""

    def wait(self, now: float, tokens: int = 0) -> float:
        """0 where a call may go now; else the seconds until it may by the clock alone, or infinity."""
        if self.stopped:
            return FOREVER
        wait = self.controller.room(now, self.out)
        if self.breaker.open:
            wait = max(wait, self.breaker.wait(now)) if wait < FOREVER else wait
        if now < self._parked_until:
            wait = max(wait, self._parked_until - now)
        if self.buckets.requests or self.buckets.tokens:
            wait = max(wait, self.buckets.wait(now, tokens))
        return wait

    def take(self, now: float, tokens: int) -> int:
        """A call goes out; its number."""
        self.out += 1
        self.sent += 1
        self.buckets.take(now, tokens)
        self.breaker.sent(now)
        return self.sent - 1

    def heard(self, status: int, headers: Mapping[str, str], now: float, wall: float) -> None:
        """What the headers of an answer tell of limits."""
        self.buckets.heard(headers, now, wall)
        if status == 429:
            self.buckets.refused(headers, now)

    def done(self, now: float, sent: float, order: int, tokens: int, used: int, written: int) -> None:
        """A call was answered: `used` of the `tokens` set aside for it, `written` by the model."""
        self.controller.answered(now, self.out, sent, order, written)
        self.out -= 1
        self.answered += 1
        self.buckets.settle(now, tokens, used)
        self.breaker.answered(now, sent)

    def failed(self, now: float, sent: float, tokens: int, fault: Fault) -> None:
        """A call came back with a fault."""
        self.out -= 1
        self.buckets.settle(now, tokens, 0)
        if fault.kind in ("rate_limit", "overload"):
            self._refused(now, sent, fault)
        elif fault.kind == "transient":
            self.breaker.failed(now, sent, str(fault))
        else:
            self.breaker.answered(now, sent)  # it works; it only does not like what it was asked

    def given_up(self, now: float, tokens: int, unsent: bool = False) -> None:
        """A call that was out is wanted no more; what it used nobody knows, unless it was never sent."""
        self.out -= 1
        self.buckets.settle(now, tokens, 0 if unsent else tokens)

    def _refused(self, now: float, sent: float, fault: Fault) -> None:
        by_rate = self.buckets.requests is not None or self.buckets.tokens is not None
        self.controller.refused(now, self.out, sent, by_rate)
        self._why = "the rate limit of {}" if fault.kind == "rate_limit" else "{}, which is overloaded"
        asked = fault.wait or 0.0
        if asked > self.patience.parked:
            self._parked_until = max(self._parked_until, now + asked)
        self.breaker.refused(now, sent, self.out == 0, min(asked, LOOK))

    # ── telling ──────────────────────────────────────────────────────────────────────────────────────────────────

    def why(self, now: float, tokens: int = 0) -> str:
        """`waiting 12 s for the rate limit of a`; empty while calls go out or wait only for each other's answers."""
        if self.stopped:
            return f"{self.name} is out of use: {self.stopped}"
        if now < self._parked_until:
            return f"waiting {spoken(self._parked_until - now)} for {self._why.format(self.name)}"
        if self.breaker.open:
            about = f"{self.name} ({self.breaker.why})" if self.breaker.why else self._why.format(self.name)
            return f"waiting {spoken(self.breaker.wait(now))} for {about}"
        left = self.buckets.wait(now, tokens)
        return f"waiting {spoken(left)} for the requests and tokens a minute of {self.name}" if left >= 1 else ""

    def permits(self) -> tuple[int, int, int]:
        """Calls out now, most that may be out now, most that may ever be."""
        return self.out, int(self.controller.limit), int(self.controller.ceiling)

    def health(self, now: float) -> str:
        """`answers`, `not asked yet`, or why not."""
        return self.why(now) or ("answers" if self.answered else "not asked yet")
