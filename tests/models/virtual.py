"""A clock that jumps instead of waiting, and a simulated endpoint on it: hours of traffic in seconds of processor time."""

import asyncio
import selectors
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from preceptor.errors import ReplyError
from preceptor.models.lane import Lane
from preceptor.models.limits import PATIENCE, Fault, Patience, classify, retry_after
from preceptor.models.way import Way
from preceptor.testing.chaos import Chaos, Outcome, modes_of

T = TypeVar("T")


class _Jump(selectors.SelectSelector):
    """Where the loop would sleep, its clock is moved on."""

    loop: "VirtualLoop"

    def select(self, timeout: float | None = None) -> Any:
        if timeout is None:
            raise RuntimeError("everybody waits, and nothing is due")
        self.loop.now += max(0.0, timeout)
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self.now = 1000.0
        jump = _Jump()
        jump.loop = self
        super().__init__(jump)

    def time(self) -> float:
        return self.now


def virtually(work: Coroutine[Any, Any, T]) -> T:
    """What `work` returns, on a loop whose time costs nothing."""
    loop = VirtualLoop()
    try:
        return loop.run_until_complete(work)
    finally:
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()


@dataclass
class Traffic:
    """Requests against an endpoint, and what was seen of them: on its side and on ours."""

    chaos: Chaos
    way: Way
    notices: list[str]
    tokens: int = 400
    sends: list[tuple[float, str]] = field(default_factory=list)
    answers: list[tuple[float, str, float]] = field(default_factory=list)
    """When, which, and how long it took from its last send."""
    refusals: list[float] = field(default_factory=list)
    lost: dict[str, str] = field(default_factory=dict)
    timeout: float = 90.0
    resend: int = 1
    """Of the mutated policy that tries again below the retry loop: how often."""

    def now(self) -> float:
        return self.chaos.now()

    async def send(self, key: str, text: str = "") -> Outcome:
        for _ in range(self.resend - 1):
            try:
                return await self._send(key, text)
            except Fault:
                continue
        return await self._send(key, text)

    async def _send(self, key: str, text: str) -> Outcome:
        began = self.now()
        self.sends.append((began, key))
        outcome = await self.chaos.serve(key, text, self.tokens)
        self.way.lanes[0].heard(outcome.status, outcome.headers, asyncio.get_running_loop().time(), 0.0)
        if outcome.mode == "hang":
            await asyncio.sleep(self.timeout)
            raise Fault("transient", "no answer within its time", status=408)
        if outcome.status != 200:
            self.refusals.append(self.now())
            wait = retry_after(outcome.headers, 0.0)
            raise Fault(classify(outcome.status, ""), f"{outcome.status}", status=outcome.status, wait=wait)
        if outcome.mode != "ok":
            raise Fault("transient", outcome.mode)
        self.answers.append((self.now(), key, self.now() - began))
        return outcome

    async def one(self, key: str, text: str = "") -> None:
        try:
            await self.way.call(
                lambda at: self.send(key, text),
                lambda: key,
                self.alive,
                used=lambda o: (self.tokens // 2 + o.tokens, o.tokens),
                tokens=self.tokens,
            )
        except (ReplyError, Fault) as error:
            self.lost[key] = str(error)

    async def alive(self, at: int) -> bool:
        try:
            await self._send("alive", "")
        except Fault:
            return False
        return True

    async def all(self, keys: Iterable[str], at_once: int) -> None:
        """Every request is done, so many of them wanted at a time."""
        source = iter(keys)

        async def worker() -> None:
            for key in source:
                await self.one(key, key)

        await asyncio.gather(*(worker() for _ in range(at_once)))

    async def during(self, seconds: float, at_once: int) -> None:
        """Requests without end, for so long."""
        asyncio.get_running_loop().create_task(self.all((f"r{n}" for n in range(10**9)), at_once))
        await asyncio.sleep(seconds)

    # ── what was seen ────────────────────────────────────────────────────────────────────────────────────────────

    def served(self, begin: float, end: float) -> int:
        return sum(begin <= at < end for at, _, _ in self.answers)

    def sent(self, begin: float, end: float) -> list[str]:
        return [key for at, key in self.sends if begin <= at < end]

    def refused(self) -> float:
        """Share of all sends."""
        return len(self.refusals) / max(1, len(self.sends))


def traffic(
    *modes: str,
    in_flight: int = 512,
    patience: Patience = PATIENCE,
    way: Callable[..., Way] = Way,
    lanes: Sequence[Lane] | None = None,
    seed: str = "1",
    **more: Any,
) -> Traffic:
    """Traffic to an endpoint with these modes, on the running loop's clock."""
    clock, notices = asyncio.get_running_loop().time, list[str]()
    chaos = Chaos(modes_of(modes), seed=seed, clock=clock)
    held = lanes or [Lane("a", in_flight, patience=patience)]
    made = Traffic(chaos, way(held, notice=notices.append, patience=patience, clock=clock), notices, **more)
    chaos.now()  # its clock starts with the test's
    return made


