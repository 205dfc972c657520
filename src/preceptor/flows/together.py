"""Let branches run side by side, and let every one of them finish before any failure is reported.

A bare TaskGroup cancels the siblings of a branch that fails, and what was cancelled on the wire has been paid for.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from preceptor.errors import Parked, StepError

T = TypeVar("T")


async def together(
    branches: Sequence[Awaitable[T]], instead: Callable[[int, StepError], T] | None = None
) -> list[T]:
    """The results in order. Once all have ended: a bug or the end of the run is raised first, then `Parked`.

    What `instead` makes of a StepError stands for the branch at that place: a step that fails drops its own item and no other.
    """
    if not branches:
        return []
    if len(branches) == 1:  # no task for a step with a single item
        try:
            return [await branches[0]]
        except StepError as error:
            if instead is None:
                raise
            return [instead(0, error)]
    ended = await asyncio.gather(*branches, return_exceptions=True)
    if instead is not None:
        ended = [instead(n, e) if isinstance(e, StepError) else e for n, e in enumerate(ended)]
    failures = [e for e in ended if isinstance(e, BaseException)]
    for failure in sorted(failures, key=lambda e: isinstance(e, Parked)):
        raise failure
    return [e for e in ended if not isinstance(e, BaseException)]
