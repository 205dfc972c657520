"""Let branches run side by side, and let every one of them finish before any failure is reported.

A bare TaskGroup cancels the siblings of a branch that fails, and what was cancelled on the wire has been paid for.
"""

import asyncio
from collections.abc import Awaitable, Sequence
from typing import TypeVar

from preceptor.errors import Parked

T = TypeVar("T")


async def together(branches: Sequence[Awaitable[T]]) -> list[T]:
    """The results in order. Once all have ended: a bug or the end of the run is raised first, then `Parked`."""
    if len(branches) == 1:  # no task for a step with a single item
        return [await branches[0]]
    ended = await asyncio.gather(*branches, return_exceptions=True)
    failures = [e for e in ended if isinstance(e, BaseException)]
    for failure in sorted(failures, key=lambda e: isinstance(e, Parked)):
        raise failure
    return [e for e in ended if not isinstance(e, BaseException)]
