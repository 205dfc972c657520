"""So many calls at once: in the order of coming, but whoever has been let in before goes first."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Permits:
    """`async with permits:` waits for one and gives it back; `async with permits.aside():` lets another have it meanwhile."""

    def __init__(self, number: int) -> None:
        self.free = number
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def __aenter__(self) -> None:
        await self.take()

    async def __aexit__(self, *_: object) -> None:
        self.give()

    async def take(self, first: bool = False) -> None:
        """A permit is held; `first` is served before all who wait."""
        if self.free and (first or not self._waiting):
            self.free -= 1
            return
        mine: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if first:
            self._waiting.appendleft(mine)
        else:
            self._waiting.append(mine)
        try:
            await mine
        except asyncio.CancelledError:
            if mine.done() and not mine.cancelled():  # cancelled in the instant it was let in
                self.give()
            else:
                self._waiting.remove(mine)
            raise

    def give(self) -> None:
        """The permit is another's."""
        while self._waiting:
            next_one = self._waiting.popleft()
            if not next_one.done():
                next_one.set_result(None)
                return
        self.free += 1

    @asynccontextmanager
    async def aside(self) -> AsyncIterator[None]:
        """Others may have the permit for as long as the block lasts; it is held again after it, whatever happened in it."""
        self.give()
        try:
            yield
        finally:
            await self._back()

    async def _back(self) -> None:
        """The permit is held again; a cancellation that comes meanwhile is told when it is."""
        taking = asyncio.ensure_future(self.take(first=True))
        try:
            await asyncio.shield(taking)
        except asyncio.CancelledError:
            await taking
            raise
