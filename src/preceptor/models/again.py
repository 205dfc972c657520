"""What a model calls between two sends of one request: the next one is covered, and the wait before it keeps nobody out."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from contextvars import ContextVar

AGAIN: ContextVar[Callable[[], Awaitable[None]] | None] = ContextVar("again", default=None)
"""Set by the engine where calls cost something: awaited before a retry, it counts the lost send and covers the next."""


async def covered() -> None:
    """The send that was lost counts at its worst case, and the next is covered. Raises BudgetSpent where it cannot be."""
    again = AGAIN.get()
    if again is not None:
        await again()


ASIDE: ContextVar[Callable[[], AbstractAsyncContextManager[None]] | None] = ContextVar("aside", default=None)
"""Set by the engine: while its block lasts, another call has the permit of this one."""


async def slept(seconds: float) -> None:
    """So many seconds have passed, and other calls went on meanwhile."""
    aside = ASIDE.get()
    if aside is None or seconds <= 0:
        await asyncio.sleep(max(seconds, 0))
        return
    async with aside():
        await asyncio.sleep(seconds)
