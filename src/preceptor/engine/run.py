"""The scheduler: one coroutine an item, admitted lazily, written out, forgotten.

    items ─▶ planned ─▶ admitted while fewer than 4 × slots calls wait ─▶ work(item, ask) ─▶ kept, its mark last
                              ▲                                              │
                              ╰────── replayed when its replies are in ◀── parked        a bug: quarantined

From `run` to the model, eight calls at most: run · _item · produce · the flow's step (one to three) · ask · pay · complete.
"""

import asyncio
import signal
import traceback
import types
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from itertools import islice
from time import monotonic
from typing import Any, TypeAlias, TypeVar, cast

from preceptor.draws import digest
from preceptor.engine.ask import JournaledAsk, Outside
from preceptor.engine.journal import Journal
from preceptor.engine.lock import Lock
from preceptor.engine.store import STATUSES, Item, Store, kept, planned, quarantined
from preceptor.engine.target import Target, twins_marked
from preceptor.errors import Parked, RunError, StepError, UserError
from preceptor.points import reached
from preceptor.types import Ask, Dropped, Produced, Trace

CHUNK = 64
"""Items planned in one go, ahead of their admission."""
AHEAD = 4
"""Waiting calls per slot beyond which no item is admitted."""
DRAIN_SECONDS = 30.0
TELL_SECONDS = 0.25

T = TypeVar("T")
Work: TypeAlias = Callable[[Item, Ask], Awaitable[Produced]]
Door: TypeAlias = Callable[[Item], JournaledAsk]


@dataclass(frozen=True, slots=True)
class Progress:
    """How a run stands: plain numbers, for whoever shows them."""

    seconds: float
    items: Mapping[str, int]
    """By state; pending are those planned so far."""
    examples: Mapping[str, int]
    """By status."""
    accepted: Mapping[str, int]
    """By skill/kind, of the rows that this process made."""
    parked: int
    """Items that wait for replies of a batch."""
    waiting: int
    """Calls that wait for a slot or an answer."""
    paid: int
    recalled: int
    prompt_tokens: int
    completion_tokens: int
    dollars: float
    wanted: int = 0
    """Accepted rows that the recipe asks for; 0: whatever comes."""
    why: str = ""
    """Why calls wait, where an endpoint lets none through: `waiting 12 s for the rate limit of a`."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How this process ended its work on the run."""

    progress: Progress
    interrupted: bool = False
    waiting_requests: int = 0
    """Requests whose replies are not in; the same command goes on when they are."""
    cut_off: int = 0
    """Calls that were still in the air when the patience of an interrupted run ended."""


async def run(
    items: Iterable[Item],
    work: Work,
    door: Door,
    outside: Outside,
    *,
    tell: Callable[[Progress], None] | None = None,
    ahead: int = AHEAD,
    poll: float = 0.0,
    drain: float = DRAIN_SECONDS,
    signals: bool = True,
    target: Target | None = None,
) -> Ended:
    """Every item of `items`, and every pending one that the run knows of, is finished, dropped, quarantined or parked.

    `door(item)` makes the item's ask. With `poll` seconds, parked items are replayed that often until their replies are
    in; without, the run ends when nothing else is left. The first SIGINT or SIGTERM lets what is in the air arrive (at
    most `drain` seconds), the second does not. With a `target` the run ends where that is over: items that were not
    needed stay pending. Raises RunError and UserError after everything paid for is stored.
    """
    floor = _Floor(work, door, outside, tell, ahead, target)
    outside.reopen()
    telling = asyncio.get_running_loop().create_task(floor.telling())
    try:
        with _stopped_by_signals(floor, signals):
            await floor.mourn()
            async for item in _plan(items, outside.journal, floor):
                await floor.admit(item)
            await floor.idle()
            while floor.parked and not floor.ending:
                came = await outside.arrived()
                if not came and not poll:
                    break
                if not came:
                    await floor.rest(poll)
                if came is not False:
                    await floor.replay()
            cut_off = await floor.leave(drain)
            reached("preceptor.run.left")
        await floor.settle()
        progress = floor.progress()
        if tell:
            tell(progress)
    finally:
        await floor.leave(0)
        telling.cancel()
        floor.store.close()
    if floor.error:
        raise floor.error
    return Ended(progress, floor.stopping, outside.parked if floor.parked else 0, cut_off)


async def _plan(items: Iterable[Item], journal: Journal, floor: "_Floor") -> AsyncIterator[Item]:
    """The items to do, stored as planned before they are admitted; then those that only the run still knows of.

    Reading documents may block, so the next chunk is read in a thread of its own.
    """
    source: Iterator[Item] = iter(items)
    while not floor.ending and (chunk := await asyncio.to_thread(lambda: list(islice(source, CHUNK)))):
        known = floor.store.known([item.id for item in chunk])
        if new := [item for item in chunk if item.id not in known]:
            await journal.put(*planned(new))
            reached("preceptor.items.planned")
        begun = floor.store.begun([item.id for item in chunk])
        to_do = {item.id for item in chunk if known.get(item.id, True)}
        if floor.target:
            floor.target.planned([(item.id, item.skill) for item in chunk], to_do)
        for item in chunk:
            if item.id in to_do:
                if item.id not in begun:
                    floor.outside.fresh.add(item.id)
                yield item
    await floor.idle()
    if floor.target:
        return  # what is not in the plan does not count for it
    for item_id in floor.store.pending():
        if not floor.stopping and item_id not in floor.parked:
            yield floor.store.item(item_id)


class _Floor:
    """What is held while a run goes on: the items at work, the parked, the counts."""

    def __init__(
        self, work: Work, door: Door, outside: Outside, tell: Callable[[Progress], None] | None, ahead: int,
        target: Target | None,
    ) -> None:
        self.ahead, self.target = ahead, target
        self.work, self.door, self.outside, self.tell = work, door, outside, tell
        self.store = Store(outside.journal.folder)
        self.active: dict[str, asyncio.Task[None]] = {}
        self.parked: set[str] = set()
        self.stopping = False
        self.error: BaseException | None = None
        self.examples: Counter[str] = Counter()
        self.accepted: Counter[str] = Counter()
        self.began = monotonic()

    @property
    def ending(self) -> bool:
        """Whether nothing more is to be begun."""
        return self.stopping or (self.target is not None and self.target.over)

    # ── one item ─────────────────────────────────────────────────────────────────────────────────────────────────

    async def _item(self, item: Item) -> None:
        """The item is worked and kept; or it is parked, dropped or quarantined; or the run is stopped."""
        try:
            ask = self.door(item)
            try:
                produced = await _watched(self.work(item, ask), self.outside.journal.lock, item.id.encode())
            except StepError as error:
                produced = _dropped_whole(item, error)
            ask.finish()
            reached("preceptor.item.worked")
            await self.outside.journal.put(*kept(item, produced))
            reached("preceptor.item.kept")
            if self.target:
                self.target.decided(item.id)
            self.examples.update(e.status for e in produced.examples)
            cells = (f"{item.skill}/{e.instruction.kind}" for e in produced.examples if e.status == "accepted")
            self.accepted.update(cells)
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            await self._failed(item, error)
        finally:
            self.outside.journal.lock.leave()
            self.active.pop(item.id, None)
            self.outside.fresh.discard(item.id)
            self.outside.eased.set()

    async def _failed(self, item: Item, error: BaseException) -> None:
        """What stops the run stops it; what waits is parked; anything else is a bug and sets this one item aside."""
        leaves = list(_leaves(error))
        if ends := [e for e in leaves if isinstance(e, RunError | UserError) or not isinstance(e, Exception)]:
            self.stop(ends[0])
        elif all(isinstance(e, Parked) for e in leaves):
            self.parked.add(item.id)
        elif not self.stopping:
            reached("preceptor.item.failed")
            text = "".join(traceback.format_exception(error))
            crash = digest(*(f"{type(e).__name__}{_place(e)}" for e in leaves))
            last, times = self.store.crash(item.id)
            try:
                await self.outside.journal.put(quarantined(item.id, text, crash, times + 1 if crash == last else 1))
                if self.target:
                    self.target.decided(item.id)
            except RunError as full:
                self.stop(full)

    async def mourn(self) -> None:
        """The item whose own code was running when the last process died is remembered for it; see `store.died`."""
        journal = self.outside.journal
        if suspect := journal.lock.last:
            journal.lock.last = ""
            await journal.put(*self.store.struck(suspect))

    # ── the flow of items ────────────────────────────────────────────────────────────────────────────────────────

    async def admit(self, item: Item) -> None:
        """The item is at work, as soon as few enough calls wait."""
        most = self.ahead * self.outside.slots
        await asyncio.sleep(0)  # what was admitted before asks its first question first
        await self.outside.journal.room()
        while not self.ending and (self.outside.air >= most or len(self.active) >= most):
            await self._eased()
        if not self.ending:
            self.active[item.id] = asyncio.get_running_loop().create_task(self._item(item))

    async def idle(self) -> None:
        """No item is at work."""
        while self.active and not self.ending:
            await self._eased()

    async def _eased(self) -> None:
        self.outside.eased.clear()
        await self.outside.eased.wait()

    async def rest(self, seconds: float) -> None:
        """So many seconds have passed, or the run is stopped."""
        until = monotonic() + seconds
        while not self.stopping and (left := until - monotonic()) > 0:
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._eased(), left)

    async def replay(self) -> None:
        """Every parked item has been tried again."""
        waiting, self.parked, self.outside.parked = self.parked, set(), 0
        for item_id in self.store.pending():
            if item_id in waiting:
                await self.admit(self.store.item(item_id))
        await self.idle()

    # ── ending ───────────────────────────────────────────────────────────────────────────────────────────────────

    def stop(self, error: BaseException | None = None) -> None:
        """Nothing new is begun; the reason is told when what is in the air has arrived."""
        self.error = self.error or error
        self.stopping = self.outside.closing = True
        self.outside.eased.set()

    async def leave(self, drain: float) -> int:
        """No item is at work and nothing is in the air; returns how many calls were cut off."""
        working = list(self.active.values())
        for task in working:
            task.cancel()
        await asyncio.gather(*working, return_exceptions=True)
        return await self.outside.drain(0 if self.outside.journal.broken else drain)

    async def settle(self) -> None:
        """Of rows that ask the same the lowest in plan order is accepted; what a target does not need is surplus."""
        if self.outside.journal.broken:
            return
        if self.target:
            await self.target.close()
            if self.target.over:
                self.parked.clear()  # nobody waits for them any more
        else:
            journal = self.outside.journal
            await journal.put(*twins_marked(journal.read, journal.meta("grown") or ()))

    # ── telling ──────────────────────────────────────────────────────────────────────────────────────────────────

    async def telling(self) -> None:
        """`tell` hears of the progress, at most a few times a second."""
        while self.tell:
            began = monotonic()
            self.tell(self.progress())
            # counting takes longer as a run grows: it may have a twentieth of the time, never more
            await asyncio.sleep(max(TELL_SECONDS, 20 * (monotonic() - began)))

    def progress(self) -> Progress:
        """How the run stands now."""
        out = self.outside
        stored = dict(self.store.rows("SELECT status, count(*) FROM nodes WHERE type = 'example' GROUP BY status"))
        return Progress(
            monotonic() - self.began,
            self.store.states(),
            {s: stored.get(s, 0) for s in STATUSES},
            dict(self.accepted),
            len(self.parked),
            out.air,
            out.paid,
            out.recalled,
            out.tokens[0],
            out.tokens[1],
            out.purse.spent / 1e9,
            self.target.wanted if self.target else 0,
            out.why(),
        )


@types.coroutine
def _watched(work: Awaitable[T], lock: Lock, item: bytes) -> Generator[Any, Any, T]:
    """What `work` returns. Whenever its own code has the processor, the lock's file says so: a process that dies of it
    leaves the item's name there. What its branches do is said where their replies come back (ask.py)."""
    steps = work.__await__()
    go: Callable[[], Any] = partial(steps.send, None)
    while True:
        lock.enter(item)
        try:
            waits = go()
        except StopIteration as done:
            return cast(T, done.value)
        finally:
            lock.leave()
        try:
            go = partial(steps.send, (yield waits))
        except BaseException as error:
            go = partial(steps.throw, error)


def _dropped_whole(item: Item, error: StepError) -> Produced:
    """A step's error that no flow caught: the item itself is dropped, with its reason."""
    lost = Dropped(item.document, "produce", str(error) or type(error).__name__)
    return Produced((), (lost,), (Trace("produce", item.document, (lost,)),))


def _leaves(error: BaseException) -> Iterator[BaseException]:
    """What is inside groups of errors."""
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error


def _place(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    return f"{frames[-1].filename}:{frames[-1].lineno}" if frames else ""


@contextmanager
def _stopped_by_signals(floor: _Floor, wanted: bool) -> Iterator[None]:
    """The first signal stops the run gently, the second cuts off what is in the air, the third is the system's."""
    loop, caught = asyncio.get_running_loop(), (signal.SIGINT, signal.SIGTERM)

    def heard() -> None:
        if not floor.stopping:
            return floor.stop()
        for one in caught:
            loop.remove_signal_handler(one)
        floor.outside.cut_off()

    installed = False
    with suppress(NotImplementedError, RuntimeError, ValueError):  # another thread than the main one hears no signals
        for one in caught if wanted else ():
            loop.add_signal_handler(one, heard)
            installed = True
    try:
        yield
    finally:
        for one in caught if installed else ():
            loop.remove_signal_handler(one)
