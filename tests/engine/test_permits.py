"""Permits: never more calls than there are, and whoever sleeps before its next try keeps nobody out."""

import asyncio

from preceptor.engine.permits import Permits


async def test_there_are_never_more_at_work_than_permits_and_they_come_in_order() -> None:
    permits, now, most, order = Permits(3), 0, 0, list[int]()

    async def work(n: int) -> None:
        nonlocal now, most
        async with permits:
            order.append(n)
            now += 1
            most = max(most, now)
            await asyncio.sleep(0.001)
            now -= 1

    await asyncio.gather(*(work(n) for n in range(30)))
    assert (most, order, permits.free) == (3, list(range(30)), 3)


async def test_who_stands_aside_lets_another_in_and_is_the_next_to_come_back() -> None:
    permits, told = Permits(1), list[str]()

    async def sleeper() -> None:
        async with permits:
            async with permits.aside():
                await asyncio.sleep(0.01)
            told.append("sleeper")

    async def other(n: int) -> None:
        async with permits:
            told.append(f"other {n} begins")
            await asyncio.sleep(0.03)
            told.append(f"other {n} ends")

    await asyncio.gather(sleeper(), *(other(n) for n in range(3)))
    assert told[:3] == ["other 0 begins", "other 0 ends", "sleeper"]
    assert permits.free == 1


async def test_a_wait_that_is_cancelled_takes_no_permit_with_it() -> None:
    permits = Permits(1)

    async def held(seconds: float, aside: bool) -> None:
        async with permits:
            if aside:
                async with permits.aside():
                    await asyncio.sleep(seconds)
            else:
                await asyncio.sleep(seconds)

    for aside in (False, True):
        tasks = [asyncio.ensure_future(held(0.02, aside)) for _ in range(6)]
        await asyncio.sleep(0.005)
        for task in tasks[1:4]:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert permits.free == 1
