"""A hard cap: the worst case of a call is set aside before it is sent, and settled with its answer in one commit.

All amounts are whole nano-dollars, so that sums are exact. The journal holds an *allowance*: the most that this process
may have in the air. It is raised before any send that it covers, and charged in full if the process dies.
"""

import asyncio
import math
from collections import deque
from dataclasses import dataclass

from preceptor.engine.journal import Journal, Write
from preceptor.errors import BudgetSpent
from preceptor.types import Completion, Request

NANO = 1_000_000_000
BLOCK_SHARE = 200
MESSAGE_TOKENS = 16
"""What a chat template may add around one message."""


@dataclass(frozen=True, slots=True)
class Price:
    """What a model costs, in dollars per million tokens."""

    prompt: float = 0.0
    completion: float = 0.0
    cached: float | None = None
    """Prompt tokens that the endpoint reports as cached; None: as dear as the others."""
    reasoning_budget: int = 0
    """Tokens that the model may think beyond a request's max_tokens. Billed as completion."""

    def worst(self, request: Request, size: int) -> int:
        """Most nano-dollars that `request`, of `size` bytes, can cost. No tokenizer makes more tokens than bytes."""
        tokens_in = size + MESSAGE_TOKENS * (len(request.messages) + len(request.tools))
        tokens_out = request.max_tokens + self.reasoning_budget
        return math.ceil((tokens_in * self.prompt + tokens_out * self.completion) * 1000)

    def of(self, completion: Completion) -> int:
        """Nano-dollars that the answer cost, by its own count of tokens."""
        cached = min(completion.cached_tokens, completion.prompt_tokens) if self.cached is not None else 0
        fresh = (completion.prompt_tokens - cached) * self.prompt
        known = cached * (self.cached or 0.0)
        return math.ceil((fresh + known + completion.completion_tokens * self.completion) * 1000)


class Purse:
    """What has been spent and what is set aside, never more than the cap together."""

    def __init__(self, journal: Journal, cap: float | None = None) -> None:
        """`cap` in dollars; None for no limit. What earlier processes spent, and may have spent, counts."""
        self._journal = journal
        self.cap = None if cap is None else int(cap * NANO)
        calls = journal.read("SELECT coalesce(sum(cost), 0) FROM calls WHERE epoch > 0")[0][0]
        charged = journal.read("SELECT coalesce(sum(charged), 0) FROM spend")[0][0]
        self.spent: int = calls + charged
        self.reserved = 0
        self.most = self.spent
        """The highest that spent and reserved have been together."""
        self._allowance = 0
        self._raising: asyncio.Future[None] | None = None
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def reserve(self, worst: int) -> None:
        """`worst` is set aside, and the allowance that covers it is on the disk.

        Waits where only what is in the air stands in the way. Raises BudgetSpent where nothing but a higher cap helps.
        """
        if not worst:
            return
        while self.cap is not None and self.spent + self.reserved + worst > self.cap:
            if not self.reserved:
                raise BudgetSpent(
                    f"the next call may cost ${worst / NANO:.4f}, ${self.spent / NANO:.4f} of ${self.cap / NANO:.2f} "
                    "are spent. Everything made is kept; raise the cap in the recipe and type the same command"
                )
            settled: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(settled)
            await settled
        self.reserved += worst
        self.most = max(self.most, self.spent + self.reserved)
        try:
            await self._allowed()
        except BaseException:
            self._free(worst)
            raise

    async def _allowed(self) -> None:
        """The allowance on the disk covers what is reserved. One raise at a time; it covers all who wait for it."""
        while self.reserved > self._allowance:
            if self._raising is None:
                most = self.reserved + (self.cap or 20 * self.reserved) // BLOCK_SHARE
                if self.cap is not None:
                    most = max(self.reserved, min(most, self.cap - self.spent))
                sql = "UPDATE spend SET allowance = ? WHERE epoch = ?"
                self._raising = self._journal.put(Write(sql, (most, self._journal.epoch)))
                try:
                    await asyncio.shield(self._raising)
                    self._allowance = most
                finally:
                    self._raising = None
            else:
                await asyncio.shield(self._raising)
                await asyncio.sleep(0)

    def settle(self, worst: int, cost: int) -> None:
        """The answer is stored with its `cost`; what was set aside for it is free again."""
        self.spent += cost
        self._free(worst)

    def forfeit(self, worst: int) -> None:
        """Nobody knows whether the call was billed: it counts as its worst case."""
        if worst:
            sql = "UPDATE spend SET charged = charged + ? WHERE epoch = ?"
            self._journal.post(Write(sql, (worst, self._journal.epoch)))
        self.settle(worst, worst)

    def release(self, worst: int) -> None:
        """The call was not made, or not billed."""
        self._free(worst)

    def _free(self, worst: int) -> None:
        self.reserved -= worst
        self._lowered()
        while self._waiting:
            waiting = self._waiting.popleft()
            if not waiting.done():
                waiting.set_result(None)

    def _lowered(self) -> None:
        """Take back allowance that stands idle, so that a crash is not charged for an old peak."""
        if self._raising is None and self._allowance > 4 * self.reserved + (self.cap or 0) // BLOCK_SHARE:
            self._allowance = 2 * self.reserved + (self.cap or 0) // BLOCK_SHARE
            sql = "UPDATE spend SET allowance = ? WHERE epoch = ?"
            self._journal.post(Write(sql, (self._allowance, self._journal.epoch)))
