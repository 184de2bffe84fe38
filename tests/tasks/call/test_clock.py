from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from tasks.call.clock import ManualClock, SystemClock


async def test_a_manual_clock_wakes_sleepers_in_the_order_of_their_deadlines() -> None:
    clock = ManualClock()
    woken: list[tuple[str, float]] = []

    async def sleeper(name: str, seconds: float) -> None:
        await clock.sleep(seconds)
        woken.append((name, clock.monotonic()))

    tasks = [asyncio.create_task(sleeper(f"{s}", s)) for s in (3.0, 1.0, 2.0)]
    await clock.advance(2.5)

    assert woken == [("1.0", 1.0), ("2.0", 2.0)]
    assert clock.monotonic() == 2.5
    await clock.advance(0.5)
    await asyncio.gather(*tasks)
    assert woken[-1] == ("3.0", 3.0)


async def test_run_jumps_from_deadline_to_deadline() -> None:
    clock = ManualClock()

    async def work() -> str:
        for _ in range(10):
            await clock.sleep(3600)
        return "done"

    assert await clock.run(work()) == "done"
    assert clock.monotonic() == 36_000
    assert clock.slept == [3600] * 10


async def test_run_says_so_when_nobody_sleeps() -> None:
    with pytest.raises(RuntimeError, match="nobody sleeps"):
        await ManualClock().run(asyncio.Event().wait())


async def test_a_cancelled_sleeper_is_forgotten() -> None:
    clock = ManualClock()
    task = asyncio.create_task(clock.sleep(1))
    await clock.advance(0)
    task.cancel()

    await clock.advance(2)

    assert task.cancelled()


async def test_the_time_of_day_moves_with_the_clock() -> None:
    clock = ManualClock(start=datetime(2026, 3, 1, tzinfo=UTC))

    await clock.advance(90)

    assert datetime(2026, 3, 1, 0, 1, 30, tzinfo=UTC) == clock.now()


async def test_the_system_clock_tells_utc_and_takes_negative_waits_for_none() -> None:
    clock = SystemClock()

    await asyncio.wait_for(clock.sleep(-5), timeout=4)

    assert timedelta(0) == clock.now().utcoffset()
