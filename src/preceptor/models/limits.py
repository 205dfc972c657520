"""What a failed send means and how long to wait: one table of error classes, Retry-After in all its spellings.

    rate_limit   too many calls or tokens a minute   waits as told; costs patience, never an attempt
    overload     the server says it is full          the same
    transient    broken off, 5xx, time-out           tried again, few times while others are answered
    content      filtered                            told to the engine as what it is
    permanent    the request or the key is wrong     never sent again
    poison       this request fails where others are answered: given up with its reason
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from math import ceil, isfinite, log
from typing import Literal

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
        self.at = 0
        """Which of several endpoints it came from."""


BY_STATUS: Mapping[int, Kind] = {
    408: "transient",
    409: "transient",
    425: "transient",
    429: "rate_limit",
    498: "overload",
    503: "overload",
    529: "overload",
}
LANE = frozenset({301, 302, 303, 307, 308, 401, 402, 403, 404, 429})
"""Statuses of permanent faults that are the endpoint's, whatever is asked of it."""
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


# ── how long ─────────────────────────────────────────────────────────────────────────────────────────────────────


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds to wait by `retry-after-ms`, `Retry-After` or, where neither is there, the `x-ratelimit-reset-*` of what is
    used up; `now` is Unix time.

    None where nothing is said or it cannot be read: the back-off then decides. What lies in the past is 0. A date is
    held against the endpoint's own `Date`, should its clock and ours differ.
    """
    plain = {name.lower(): value.strip() for name, value in headers.items()}
    milliseconds = _number(plain.get("retry-after-ms"))
    if milliseconds is not None:
        return max(0.0, milliseconds / 1000)
    said = plain.get("retry-after")
    if said is not None and (wait := _wait(said, _instant(plain.get("date", ""), now))) is not None:
        return wait
    resets = [wait for name in used_up(plain) if (wait := reset_of(plain, name, now)) is not None]
    return max(resets, default=None)


def used_up(plain: Mapping[str, str]) -> list[str]:
    """Of `requests` and `tokens`: what the endpoint says has nothing remaining."""
    return [name for name in ("requests", "tokens") if _number(plain.get(f"x-ratelimit-remaining-{name}")) == 0]


def reset_of(plain: Mapping[str, str], name: str, now: float) -> float | None:
    """Seconds until `x-ratelimit-reset-NAME`: `6m0s`, `20ms`, `1.5`, a Unix time in seconds or milliseconds, a date."""
    said = plain.get(f"x-ratelimit-reset-{name}", "")
    parts = re.findall(r"(\d+(?:\.\d+)?)(ms|h|m|s)", said)
    if parts and "".join(number + unit for number, unit in parts) == said:
        return sum(float(number) * {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}[unit] for number, unit in parts)
    return _wait(said, now)


def _wait(said: str, now: float) -> float | None:
    """Seconds until what is `said`, as a number or a date. More than a billion is an instant and no length."""
    number = _number(said)
    if number is not None:
        number = number / 1000 if number > 1e12 else number
        return max(0.0, number - now if number > 1e9 else number)
    try:
        return max(0.0, _dated(said) - now)
    except (ValueError, TypeError, OverflowError):
        return None


def _instant(said: str, now: float) -> float:
    try:
        return _dated(said)
    except (ValueError, TypeError, OverflowError):
        return now


def _dated(said: str) -> float:
    try:
        return parsedate_to_datetime(said).timestamp()
    except (ValueError, TypeError):
        read = datetime.fromisoformat(said)
        return (read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp()


def _number(text: str | None) -> float | None:
    try:
        value = float(text) if text is not None else None
    except ValueError:
        return None
    return value if value is not None and isfinite(value) else None


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to go on."""

    attempts: int = 5
    """Sends of one request that may fail for `transient` reasons while other requests are answered."""
    seconds: float = 6 * 3600
    """How long an endpoint that is too busy, or down, is waited for before the run stops."""
    longest: float = 6 * 3600
    """A single wait that the endpoint asks for beyond this stops the run at once, with the time to come back."""
    parked: float = 120
    """A wait beyond this holds the endpoint for all calls until then; a shorter one only the call it was told."""
    base: float = 1.0
    cap: float = 60.0
    outage: float = 900
    """How long an endpoint that answers nobody is tried before the run stops."""


PATIENCE = Patience()
SAME = 3
CHANCE = 1e-6


def hopeless(failures: int, same: int, share: float, attempts: int) -> bool:
    """Whether a request is poison after so many `failures`, the last `same` of them with the same words.

    Three alike are enough, or `attempts` of any kind, where the endpoint answers the others. Where a `share` of all calls
    fails, so many in a row must be less likely than one in a million: an endpoint that drops a third of its calls
    poisons none.
    """
    by_luck = ceil(log(CHANCE) / log(min(max(share, 1e-6), 0.95)))
    return failures >= max(by_luck, min(attempts, SAME)) and (same >= SAME or failures >= attempts)


def spoken(seconds: float) -> str:
    """`0.4 s`, `12 s`, `3 min`, `2.5 h`."""
    if seconds < 1:
        return f"{seconds:.1f} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
