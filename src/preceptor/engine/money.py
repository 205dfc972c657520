"""Hard caps on money, tokens, calls and hours: a call's worst case is set aside before it is sent, and settled with its answer.

    reserve(worst) ─▶ allowance on the disk covers it ─▶ sent ─▶ answer and cost in one commit ─▶ settle(worst, cost)
                                                          ╰──▶ nobody knows: forfeit(worst), which counts as spent

Money is whole nano-units of the price table's currency, so that sums are exact. The journal holds an *allowance*: the most
that this process may have in the air. It is raised, in blocks, before any send that it covers, and charged in full if the
process dies. What a batch service has been given stays *held*, call by call, however many processes come and go.
"""

import asyncio
import math
import time
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from preceptor.engine.journal import Journal, Write
from preceptor.errors import BudgetSpent
from preceptor.models.fit import most_added
from preceptor.points import reached
from preceptor.types import Completion, Request

NANO = 1_000_000_000
BLOCK_SHARE = 200
"""Allowance is raised by a two-hundredth of the cap at least, so that it is not written for every call."""
SLACK = 1.25
"""Allowance beyond so many times what is set aside is taken back, so that a crash is not charged for an old peak."""
MESSAGE_TOKENS = 16
"""What a chat template may add around one message."""


class Amounts(NamedTuple):
    """What one call costs, or may cost, in everything that can be limited."""

    money: int = 0
    tokens: int = 0
    calls: int = 0


NOTHING = Amounts()


@dataclass(frozen=True, slots=True)
class Price:
    """What a model costs, per million tokens."""

    prompt: float = 0.0
    completion: float = 0.0
    cached: float | None = None
    """Prompt tokens that the endpoint reports as cached; None: as dear as the others."""
    reasoning: float | None = None
    """Completion tokens that the endpoint reports as reasoning; None: as dear as the others."""

    def worst(self, request: Request, size: int, most: int) -> Amounts:
        """The most that `request`, of `size` bytes, can cost when at most `most` tokens are written, reasoning included.

        No tokenizer makes more tokens than bytes. A schema may be told in the prompt as well.
        """
        tokens_in = size + most_added(request) + MESSAGE_TOKENS * (len(request.messages) + len(request.tools))
        dearest_in, dearest_out = max(self.prompt, self.cached or 0.0), max(self.completion, self.reasoning or 0.0)
        return Amounts(math.ceil((tokens_in * dearest_in + most * dearest_out) * 1000), tokens_in + most, 1)

    def of(self, completion: Completion) -> Amounts:
        """What the answer cost, by its own count of tokens."""
        c = completion
        cached = min(c.cached_tokens, c.prompt_tokens) if self.cached is not None else 0
        thought = min(c.reasoning_tokens, c.completion_tokens) if self.reasoning is not None else 0
        paid_in = (c.prompt_tokens - cached) * self.prompt + cached * (self.cached or 0.0)
        paid_out = (c.completion_tokens - thought) * self.completion + thought * (self.reasoning or 0.0)
        return Amounts(math.ceil((paid_in + paid_out) * 1000), c.prompt_tokens + c.completion_tokens, 1)

    def times(self, factor: float) -> "Price":
        """The price of the same tokens where they cost `factor` of it."""
        less = [None if p is None else p * factor for p in (self.cached, self.reasoning)]
        return Price(self.prompt * factor, self.completion * factor, *less)


FREE = Price()


@dataclass(frozen=True, slots=True)
class Caps:
    """Where a run stops; None: no limit."""

    money: float | None = None
    tokens: int | None = None
    calls: int | None = None
    hours: float | None = None


NO_CAPS = Caps()


@dataclass(slots=True)
class _Pot:
    """One thing that may be limited: what is spent of it, set aside, and allowed on the disk."""

    name: str
    cap: int | None
    spent: int
    reserved: int = 0
    held: int = 0
    """Given to a batch service and not answered yet: outlives the process, so no allowance covers it."""
    allowance: int = 0
    most: int = 0
    """The highest that spent, held and reserved have been together."""

    def room_for(self, worst: int) -> bool:
        return self.cap is None or self.spent + self.held + self.reserved + worst <= self.cap

    def take(self, worst: int) -> None:
        self.reserved += worst
        self.most = max(self.most, self.spent + self.held + self.reserved)

    def wanted(self) -> int:
        """The next allowance: what is set aside and a block, within the cap."""
        most = self.reserved + (self.cap or 20 * self.reserved) // BLOCK_SHARE
        return most if self.cap is None else max(self.reserved, min(most, self.cap - self.spent - self.held))

    def idle(self) -> bool:
        """Whether so much allowance stands idle that a crash would be charged for what was never sent."""
        return self.allowance > SLACK * self.reserved + 2 * ((self.cap or 20 * self.reserved) // BLOCK_SHARE)

    def said(self, amount: int) -> str:
        return f"{amount / NANO:.4f}" if self.name == "money" else f"{amount} {self.name}"


@dataclass(slots=True)
class _Clock:
    """The hours that a run may take, over all its processes."""

    cap: float | None
    before: float
    began: float = field(default_factory=time.monotonic)

    def up(self) -> bool:
        return self.cap is not None and self.before + time.monotonic() - self.began >= self.cap * 3600


class Purse:
    """What has been spent and what is set aside, never more than the caps together."""

    def __init__(self, journal: Journal, caps: Caps = NO_CAPS) -> None:
        """What earlier processes spent, and may have spent, counts."""
        self._journal = journal
        money, tokens, calls, seconds = _before(journal)
        limits = {"tokens": (caps.tokens, tokens), "calls": (caps.calls, calls)}
        cap = None if caps.money is None else int(caps.money * NANO)
        self._pots = {"money": _Pot("money", cap, money, most=money)}
        self._pots |= {n: _Pot(n, cap, spent, most=spent) for n, (cap, spent) in limits.items() if cap is not None}
        self._clock = _Clock(caps.hours, seconds)
        self._held: dict[str, Amounts] = {}
        for key, *amounts in journal.read("SELECT key, money, tokens, calls FROM held"):
            self._hold(key, Amounts(*amounts))
        self._raising: asyncio.Future[None] | None = None
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def money(self) -> _Pot:
        """How the money stands."""
        return self._pots["money"]

    @property
    def spent(self) -> int:
        """Nano-units of money that are settled or charged."""
        return self.money.spent

    @property
    def reserved(self) -> int:
        """Nano-units of money that are set aside for what is in the air."""
        return self.money.reserved

    @property
    def counts(self) -> bool:
        """Whether anything but money is limited, so that free calls count too."""
        return len(self._pots) > 1

    def _each(self, amounts: Amounts) -> Iterator[tuple[_Pot, int]]:
        for name, pot in self._pots.items():
            yield pot, getattr(amounts, name)

    async def reserve(self, worst: Amounts, key: str = "") -> None:
        """`worst` is set aside, and the allowance that covers it is on the disk.

        Waits where only what is in the air stands in the way. Raises BudgetSpent where nothing but a higher cap helps.
        What the call `key` holds already (a batch service has it) is set aside already.
        """
        if self._clock.up():
            raise BudgetSpent(
                f"the {self._clock.cap:g} hours of this recipe are up. Everything made is kept; raise limits.hours "
                "and type the same command"
            )
        if not any(worst):
            return
        if key in self._held:
            for pot in self._pots.values():
                if not pot.room_for(0):  # only what a service has lost brings it so far: it must not go again
                    raise BudgetSpent(_no_room(pot, 0))
            return
        while short := [(pot, amount) for pot, amount in self._each(worst) if not pot.room_for(amount)]:
            for pot, amount in short:
                if not pot.reserved:
                    raise BudgetSpent(_no_room(pot, amount))
            settled: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(settled)
            await settled
        for pot, amount in self._each(worst):
            pot.take(amount)
        try:
            await self._allowed()
        except BaseException:
            self.release(worst)
            raise

    async def _allowed(self) -> None:
        """The allowance on the disk covers what is reserved. One raise at a time; it covers all who wait for it."""
        while any(pot.reserved > pot.allowance for pot in self._pots.values()):
            if self._raising is None:
                raised = {name: max(pot.allowance, pot.wanted()) for name, pot in self._pots.items()}
                self._raising = self._journal.put(*self._written(raised))
                try:
                    await asyncio.shield(self._raising)
                    for name, pot in self._pots.items():
                        pot.allowance = raised[name]
                    reached("preceptor.money.raised")
                finally:
                    self._raising = None
            else:
                await asyncio.shield(self._raising)
                await asyncio.sleep(0)

    def _written(self, allowed: Mapping[str, int]) -> list[Write]:
        own = "INSERT INTO lent VALUES (?, ?, ?, 0) ON CONFLICT (epoch, unit) DO UPDATE SET allowance = excluded.allowance"
        rest = [Write(own, (self._journal.epoch, name, allowed[name])) for name in allowed if name != "money"]
        return [Write("UPDATE spend SET allowance = ? WHERE epoch = ?", (allowed["money"], self._journal.epoch)), *rest]

    # ── how a reservation ends ───────────────────────────────────────────────────────────────────────────────────

    def settle(self, worst: Amounts, cost: Amounts, key: str = "") -> None:
        """The answer is stored with its `cost`; what was set aside or held for it is free again."""
        held = self._held.pop(key, None) if key else None
        for pot, amount in self._each(cost):
            pot.spent += amount
        for pot, amount in self._each(held or NOTHING):
            pot.held -= amount
        self.release(NOTHING if held else worst)

    def forfeit(self, worst: Amounts) -> None:
        """Nobody knows whether the call was billed: it counts as its worst case."""
        self._charge(worst)
        self.settle(worst, worst)

    async def again(self, worst: Amounts) -> None:
        """A send was lost on its way back and may have been billed: it counts, and as much is set aside for the next."""
        self._charge(worst)
        for pot, amount in self._each(worst):
            pot.spent += amount
            pot.reserved -= amount
        try:
            await self.reserve(worst)
        except BaseException:
            for pot, amount in self._each(worst):
                pot.reserved += amount  # whoever made the first reservation gives it back
            raise

    def _charge(self, worst: Amounts) -> None:
        if worst.money:
            sql = "UPDATE spend SET charged = charged + ? WHERE epoch = ?"
            self._journal.post(Write(sql, (worst.money, self._journal.epoch)))
        own = "INSERT INTO lent VALUES (?, ?, 0, ?) ON CONFLICT (epoch, unit) DO UPDATE "
        own += "SET charged = charged + excluded.charged"
        for pot, amount in self._each(worst):
            if pot.name != "money" and amount:
                self._journal.post(Write(own, (self._journal.epoch, pot.name, amount)))

    def release(self, worst: Amounts) -> None:
        """The call was not made, or not billed."""
        for pot, amount in self._each(worst):
            pot.reserved -= amount
        self._lowered()
        while self._waiting:
            waiting = self._waiting.popleft()
            if not waiting.done():
                waiting.set_result(None)

    def _lowered(self) -> None:
        """Take back allowance that stands idle."""
        if self._raising is None and any(pot.idle() for pot in self._pots.values()):
            for pot in self._pots.values():
                pot.allowance = min(pot.allowance, pot.wanted())
            self._journal.post(*self._written({name: pot.allowance for name, pot in self._pots.items()}))

    # ── what a batch service has ─────────────────────────────────────────────────────────────────────────────────

    async def hold(self, worst: Amounts, key: str) -> None:
        """What is reserved for the call `key` stays set aside until its reply is settled, whoever is running then."""
        if not any(worst) or key in self._held:
            return
        await self._journal.put(Write("INSERT INTO held VALUES (?, ?, ?, ?)", (key, *worst)))
        self._hold(key, worst)
        self.release(worst)

    def lost(self, key: str) -> None:
        """A batch service has lost the call, and may have billed it: it counts, and stays held for the next batch."""
        worst = self._held[key]
        self._charge(worst)
        for pot, amount in self._each(worst):
            pot.spent += amount

    def holds(self, key: str) -> bool:
        """Whether a batch service may have this call."""
        return key in self._held

    def settling(self, key: str) -> list[Write]:
        """What has to be written with the reply of a call, so that it is not held any longer."""
        return [Write("DELETE FROM held WHERE key = ?", (key,))] if key in self._held else []

    def _hold(self, key: str, worst: Amounts) -> None:
        self._held[key] = worst
        for pot, amount in self._each(worst):
            pot.held += amount


def _before(journal: Journal) -> tuple[int, int, int, float]:
    """Money, tokens, calls and seconds of all earlier processes on this run."""
    sums = "coalesce(sum(cost), 0), coalesce(sum(prompt_tokens + completion_tokens), 0), count(*)"
    money, tokens, calls = journal.read(f"SELECT {sums} FROM calls WHERE epoch > 0")[0]
    money += journal.read("SELECT coalesce(sum(charged), 0) FROM spend")[0][0]
    lent = dict(journal.read("SELECT unit, sum(charged) FROM lent GROUP BY unit"))
    spans = "SELECT max(ended) AS until, epoch FROM calls WHERE epoch > 0 GROUP BY epoch"
    sql = f"SELECT coalesce(sum(until - started), 0) FROM ({spans}) JOIN spend USING (epoch)"
    return money, tokens + lent.get("tokens", 0), calls + lent.get("calls", 0), journal.read(sql)[0][0]


def _no_room(pot: _Pot, worst: int) -> str:
    cap, spent, key = pot.said(pot.cap or 0), pot.said(pot.spent + pot.held), "cost" if pot.name == "money" else pot.name
    held = f", {pot.said(pot.held)} of them held for a batch" if pot.held else ""
    return (
        f"the next call may cost {pot.said(worst)}, {spent} of {cap} are spent{held}. Everything made is kept; "
        f"raise limits.{key} in the recipe and type the same command"
    )
