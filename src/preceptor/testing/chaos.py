"""An endpoint that goes wrong on purpose: which of its modes each request meets, by seed and schedule.

    request ─▶ every mode in its order: does its share, its time, its text fit? ─▶ the first fault that does
                       │ none
                       ╰─▶ rate · limit · queue (where they are asked for) ─▶ served, after its latency

A mode is written NAME[:SHARE][@FROM-TO][,key=value …], such as `503@10-70`, `429:0.1,after=1.5`, `limit,k=32`. This file is
the endpoint without its wire, on whatever clock the event loop has; `chaos_wire.py` puts it on a socket.
"""

import asyncio
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from email.utils import format_datetime
from statistics import NormalDist

from preceptor.draws import fraction
from preceptor.errors import RecipeError

SHAPES: Mapping[str, Mapping[str, float]] = {
    "ok": {"latency": 0.2, "sigma": 0.0, "tokens": 200, "spread": 0.0, "per_token": 0.0},
    "limit": {"k": 32},
    "queue": {"k": 32},
    "rate": {"rpm": 0, "tpm": 0, "quiet": 0},
}
"""What does not fail a request but shapes all of them, with what may be set and its default."""
REFUSALS = ("429", "503", "529", "500", "502", "400", "413", "422", "401", "403", "404", "402")
WIRE = (
    "hang", "slow", "reset", "reset_headers", "reset_body", "cut_json", "length_wrong", "chunk_wrong", "gzip_bomb", "html",
    "redirect", "huge", "endless",
)  # fmt: skip
ANSWERS = (
    "no_choices", "null_content", "length", "refusal", "filter", "empty", "only_think", "bad_arguments", "twin_ids",
    "wrong_model", "no_usage", "absurd_usage", "nan", "surrogates", "sse_cut", "sse_no_done", "sse_error", "sse_beats",
    "key_echo",
)  # fmt: skip
MODES = (*SHAPES, *REFUSALS, *WIRE, *ANSWERS)
SETTINGS = ("after", "ms", "reset", "delay", "sticky", "match", "from_call")
QUICK = 0.05
"""Seconds before a request is refused."""


@dataclass(frozen=True, slots=True)
class Mode:
    """One way to go wrong: of which share of requests, from when to when, and how."""

    name: str
    share: float = 1.0
    begin: float = 0.0
    end: float = math.inf
    settings: Mapping[str, str] = field(default_factory=dict)

    def number(self, key: str) -> float:
        """A setting as a number; what is not set is the default of its shape, or 0."""
        said = self.settings.get(key)
        return float(said) if said is not None else SHAPES.get(self.name, {}).get(key, 0.0)


def mode(written: str) -> Mode:
    """The mode that is written so. Raises RecipeError for a name, a time or a setting that does not exist."""
    head, *pairs = written.split(",")
    head, _, times = head.partition("@")
    name, _, share = head.partition(":")
    if name not in MODES:
        near = get_close_matches(name, MODES, 1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise RecipeError(f"no mode {name!r}; {hint}There are: {', '.join(MODES)}")
    begin, _, end = times.partition("-")
    known = (*SHAPES.get(name, {}), *SETTINGS)
    settings: dict[str, str] = {}
    for pair in pairs:
        key, _, value = pair.partition("=")
        if key not in known:
            raise RecipeError(f"mode {name!r} has no setting {key!r}; there are: {', '.join(known)}")
        settings[key] = value
    try:
        made = Mode(name, float(share or 1), float(begin or 0), float(end or math.inf), settings)
        for key in SHAPES.get(name, {}):
            made.number(key)
    except ValueError:
        raise RecipeError(f"mode {written!r}: write it like 503@10-70 or 429:0.1,after=1.5") from None
    return made


@dataclass(frozen=True, slots=True)
class Outcome:
    """What becomes of one request: the mode that it met (`ok` for none), and what a client sees of it."""

    mode: str
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    tokens: int = 0
    """Written by the model, where it was served."""


class Chaos:
    """The endpoint: its modes, its clock, what it holds at the moment, what it has counted."""

    def __init__(
        self, modes: Sequence[Mode], *, seed: str = "1", clock: Callable[[], float] | None = None
    ) -> None:
        self.faults = [m for m in modes if m.name not in SHAPES]
        self.shapes = {name: [m for m in modes if m.name == name] for name in SHAPES}
        self.seed = seed
        self._clock = clock or asyncio.get_event_loop().time
        self._began: float | None = None
        self._seen: Counter[str] = Counter()
        self._queue: list[asyncio.Future[None]] = []
        self._level: dict[str, tuple[float, float]] = {}
        self.calls = 0
        self.busy = self.waiting = 0
        self.counted: Counter[str] = Counter()
        """Requests by the mode that they met."""
        self.on_serve: Callable[[float, str], None] = lambda now, key: None

    def now(self) -> float:
        """Seconds since the first request."""
        clock = self._clock()
        self._began = clock if self._began is None else self._began
        return clock - self._began

    async def serve(self, key: str, text: str = "", asked: int = 0) -> Outcome:
        """What becomes of the request that `key` stands for, after its time. `text` is what `match` looks in, `asked` the
        tokens that it may use, for a bucket of tokens."""
        now, turn = self.now(), self._seen[key]
        self._seen[key] += 1
        self.calls += 1
        for place, one in enumerate(self.faults):
            if self._meets(one, place, now, key, turn, text):
                self.counted[one.name] += 1
                return await self._failed(one)
        outcome = self._rated(now, asked) or self._limited(now)
        if outcome is not None:
            self.counted["refused"] += 1
            await asyncio.sleep(QUICK)
            return outcome
        return await self._served(now, key, turn)

    def _meets(self, one: Mode, place: int, now: float, key: str, turn: int, text: str) -> bool:
        if not one.begin <= now < one.end or self.calls <= one.number("from_call"):
            return False
        if (words := one.settings.get("match")) and words not in text:
            return False
        draw = (key,) if one.number("sticky") else (key, turn)
        return one.share >= 1 or fraction("chaos", self.seed, place, *draw) < one.share

    async def _failed(self, one: Mode) -> Outcome:
        await asyncio.sleep(one.number("delay") or QUICK)
        status = int(one.name) if one.name in REFUSALS else 200
        return Outcome(one.name, status, waits(one))

    # ── what shapes all requests ─────────────────────────────────────────────────────────────────────────────────

    def _of(self, name: str, now: float) -> Mode | None:
        return next((m for m in self.shapes[name] if m.begin <= now < m.end), None)

    def _limited(self, now: float) -> Outcome | None:
        """Refused beyond k at once."""
        one = self._of("limit", now)
        if one is None or self.busy < one.number("k"):
            return None
        return Outcome("limit", 429, waits(one))

    def _rated(self, now: float, asked: int) -> Outcome | None:
        """Refused beyond so many requests or tokens a minute, by buckets that hold a minute and fill evenly."""
        one = self._of("rate", now)
        if one is None:
            return None
        wanted = {"requests": (one.number("rpm"), 1.0), "tokens": (one.number("tpm"), float(asked))}
        wanted = {name: (most, cost) for name, (most, cost) in wanted.items() if most}
        left = {name: self._left(name, most, now) for name, (most, _) in wanted.items()}
        short = [name for name, (_, cost) in wanted.items() if left[name] < cost]
        for name, (_, cost) in wanted.items():
            self._level[name] = (left[name] - (0 if short else cost), now)
        if not short:
            return None
        wait = max((wanted[n][1] - left[n]) * 60 / wanted[n][0] for n in short)
        told = {} if one.number("quiet") else {"Retry-After": f"{math.ceil(wait)}"}
        return Outcome("rate", 429, {**told, **self.limits(now)})

    def _left(self, name: str, most: float, now: float) -> float:
        level, at = self._level.get(name, (most, now))
        return min(most, level + most / 60 * (now - at))

    def limits(self, now: float) -> dict[str, str]:
        """The `x-ratelimit-*` headers, in OpenAI's spelling."""
        one = self._of("rate", now)
        if one is None or one.number("quiet"):
            return {}
        told: dict[str, str] = {}
        for name, key in (("requests", "rpm"), ("tokens", "tpm")):
            if most := one.number(key):
                left = max(0.0, self._left(name, most, now))
                told |= {
                    f"x-ratelimit-limit-{name}": str(int(most)),
                    f"x-ratelimit-remaining-{name}": str(int(left)),
                    f"x-ratelimit-reset-{name}": f"{(most - left) * 60 / most:.3f}s",
                }
        return told

    async def _served(self, now: float, key: str, turn: int) -> Outcome:
        shape, queue = self._of("ok", now) or Mode("ok"), self._of("queue", now)
        tokens, seconds = self._drawn(shape, key, turn)
        self.busy += 1
        headers = self.limits(now)
        try:
            if queue is not None:
                await self._turn(int(queue.number("k")))
            await asyncio.sleep(seconds)
        finally:
            self.busy -= 1
            if queue is not None:
                self._next()
        self.counted["ok"] += 1
        self.on_serve(self.now(), key)
        return Outcome("ok", 200, headers, tokens)

    async def _turn(self, slots: int) -> None:
        """Served one after the other beyond so many at once; nobody is refused."""
        if self.busy <= slots:
            return
        ticket = asyncio.get_running_loop().create_future()
        self._queue.append(ticket)
        self.waiting = len(self._queue)
        await ticket

    def _next(self) -> None:
        while self._queue:
            ticket = self._queue.pop(0)
            if not ticket.done():
                ticket.set_result(None)
                break
        self.waiting = len(self._queue)

    def _drawn(self, shape: Mode, key: str, turn: int) -> tuple[int, float]:
        """Tokens written and seconds taken."""
        tokens, spread = shape.number("tokens"), shape.number("spread")
        if spread:
            tokens *= _lognormal(spread, fraction("tokens", self.seed, key, turn))
        seconds, sigma = shape.number("latency"), shape.number("sigma")
        if sigma:
            seconds *= _lognormal(sigma, fraction("latency", self.seed, key, turn))
        return max(1, round(tokens)), seconds + shape.number("per_token") * tokens


def _lognormal(sigma: float, at: float) -> float:
    """A draw with mean 1."""
    return math.exp(sigma * NormalDist().inv_cdf(min(max(at, 1e-9), 1 - 1e-9)) - sigma * sigma / 2)


def waits(one: Mode) -> dict[str, str]:
    """The headers that ask to wait, in the spelling that the mode names: `after=1.5`, `after=date+2`, `after=soon`, `ms=250`,
    `reset=6m0s`."""
    told: dict[str, str] = {}
    if after := one.settings.get("after"):
        if after.startswith("date"):
            then = datetime.now(UTC) + timedelta(seconds=float(after[4:] or 0))
            after = format_datetime(then, usegmt=True)
        told["Retry-After"] = after
    if ms := one.settings.get("ms"):
        told["Retry-After-Ms"] = ms
    if reset := one.settings.get("reset"):
        told |= {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": reset}
    return told


def modes_of(written: Sequence[str]) -> list[Mode]:
    """The modes, as they are written."""
    return [mode(one) for one in written]


