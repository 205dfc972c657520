"""Requests and tokens a minute: set aside before a call, given back after it, learnt from the endpoint's headers. Pure.

A token bucket fills at the rate and holds a few seconds of it. `now` is monotonic: a wall clock that jumps moves nothing.
"""

from collections.abc import Mapping

from preceptor.models.limits import reset_of

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0
SAFE = 0.98
"""Of the rate: two clocks and two ways of counting never agree to the last call."""
HELD = {"requests": 10.0, "tokens": 60.0}
"""Seconds of its rate that a bucket holds. Tokens are set aside at a call's worst case, so they need more."""

DOUBT = 10.0
TRUST = 0.0003
"""A second: how fast refunds are believed in again after a refusal that they explain."""


class Bucket:
    """So much a second, and so much at once at most."""

    def __init__(self, rate: float, most: float, level: float | None = None) -> None:
        self.rate, self.most = rate, max(1.0, most)
        self._level = self.most if level is None else level
        self._at: float | None = None

    def wait(self, now: float, amount: float) -> float:
        """Seconds until so much is there. What is more than it ever holds may go when it is full."""
        self._fill(now)
        return max(0.0, (min(amount, self.most) - self._level) / self.rate)

    def take(self, now: float, amount: float) -> None:
        """So much is set aside, even where the bucket falls below nothing by it."""
        self._fill(now)
        self._level -= amount

    def give(self, amount: float) -> None:
        """So much of what was set aside was not used."""
        self._level = min(self.most, self._level + amount)

    def at_most(self, now: float, level: float) -> None:
        """The endpoint says that there is no more than this."""
        self._fill(now)
        self._level = min(self._level, level)

    def level(self, now: float) -> float:
        """What is there."""
        self._fill(now)
        return self._level

    def _fill(self, now: float) -> None:
        if self._at is not None:
            self._level = min(self.most, self._level + self.rate * (now - self._at))
        self._at = now


class Buckets:
    """What one endpoint allows one key a minute: by the recipe, else by what its headers say."""

    def __init__(self, rpm: float = 0, tpm: float = 0) -> None:
        self.requests = bucket("requests", rpm, MINUTE) if rpm else None
        self.tokens = bucket("tokens", tpm, MINUTE) if tpm else None
        self._given = {"requests": bool(rpm), "tokens": bool(tpm)}
        self._learnt: dict[str, float] = {}
        self._refunds = 1.0
        """The share of unused tokens that the endpoint gives back: some count what was asked for, not what was written."""
        self._doubted = float("-inf")

    def wait(self, now: float, tokens: int) -> float:
        """Seconds until a call of so many tokens may go."""
        for_call = self.requests.wait(now, 1) if self.requests else 0.0
        for_tokens = self.tokens.wait(now, tokens) if self.tokens else 0.0
        return max(for_call, for_tokens)

    def take(self, now: float, tokens: int) -> None:
        """A call goes out that may use so many tokens."""
        if self.requests:
            self.requests.take(now, 1)
        if self.tokens:
            self.tokens.take(now, tokens)

    def settle(self, now: float, tokens: int, used: int) -> None:
        """The call that had so many tokens set aside has used so many; refused or broken off, none."""
        if self.tokens:
            back = min(1.0, self._refunds + TRUST * max(0.0, now - self._doubted)) if self._refunds < 1 and used else 1.0
            self.tokens.give((tokens - used) * back)

    def allowed(self) -> str:
        """`600 requests, 90,000 tokens a minute`; empty where nothing is known."""
        held = (("requests", self.requests), ("tokens", self.tokens))
        told = [f"{one.rate * MINUTE / SAFE:,.0f} {name}" for name, one in held if one is not None]
        return f"{', '.join(told)} a minute" if told else ""

    def heard(self, headers: Mapping[str, str], now: float, wall: float) -> None:
        """What an answer's `x-ratelimit-limit-*` say; a few names are looked up, so that it may be done for each answer."""
        for name in ("requests", "tokens"):
            said = headers.get(f"x-ratelimit-limit-{name}")
            if said is None or self._given[name] or not said.isdigit() or not int(said):
                continue
            if self._learnt.get(name) != float(said):
                self._learn(name, float(said), {key.lower(): value for key, value in headers.items()}, now, wall)

    def _learn(self, name: str, most: float, plain: Mapping[str, str], now: float, wall: float) -> None:
        self._learnt[name] = most
        learnt = bucket(name, most, period(plain, name, most, wall))
        left = plain.get(f"x-ratelimit-remaining-{name}", "")
        if left.isdigit():
            learnt.at_most(now, float(left))
        setattr(self, name, learnt)

    def refused(self, headers: Mapping[str, str], now: float) -> None:
        """A refusal tells what is left: others may be using the same key."""
        for name, held in (("requests", self.requests), ("tokens", self.tokens)):
            left = headers.get(f"x-ratelimit-remaining-{name}", "")
            if not held or not left.isdigit():
                continue
            if name == "tokens" and float(left) < held.level(now) / 2 and now - self._doubted > DOUBT:
                self._refunds, self._doubted = max(0.0, self._refunds - 0.5), now
            held.at_most(now, float(left))


def bucket(name: str, most: float, seconds: float) -> Bucket:
    """A bucket for `most` requests or tokens in so many seconds."""
    rate = SAFE * most / seconds
    return Bucket(rate, min(most, rate * HELD[name]))


def period(plain: Mapping[str, str], name: str, most: float, wall: float) -> float:
    """The seconds that a limit is for: a minute, unless its reset tells of an hour or a day.

    A bucket that fills evenly gives itself away: what is gone, and how long until it is full again. A window that starts
    anew is only known to be no longer than it has left.
    """
    reset, left = reset_of(plain, name, wall), plain.get(f"x-ratelimit-remaining-{name}", "")
    if not reset or not left.isdigit():
        return MINUTE
    lengths = (MINUTE, HOUR, DAY)
    if (gone := most - float(left)) > 0:
        filling = reset * most / gone
        if even := [length for length in lengths if abs(filling / length - 1) < 0.1]:
            return even[0]
    return next((length for length in lengths if reset <= length + 1), DAY)
