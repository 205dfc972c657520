"""What a model calls when a send was lost on its way back: it may have been billed, and the next one must be covered too."""

from collections.abc import Awaitable, Callable
from contextvars import ContextVar

AGAIN: ContextVar[Callable[[], Awaitable[None]] | None] = ContextVar("again", default=None)
"""Set by the engine where calls cost something: awaited before a retry, it counts the lost send and covers the next."""


async def covered() -> None:
    """The send that was lost counts at its worst case, and the next is covered. Raises BudgetSpent where it cannot be."""
    again = AGAIN.get()
    if again is not None:
        await again()
