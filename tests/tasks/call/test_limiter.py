from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from profiles.pool import Limits
from tasks.call.clock import ManualClock
from tasks.call.limiter import ModelLimiter


def limiter(clock: ManualClock | None = None, **limits: int | None) -> ModelLimiter:
    return ModelLimiter({"m": Limits(**limits)}, clock or ManualClock())  # type: ignore[arg-type]


class Crowd:
    """Requests that arrive, run and leave at given times; notes when each was let in."""

    def __init__(self, clock: ManualClock, gate: ModelLimiter) -> None:
        self.clock = clock
        self.gate = gate
        self.started: list[tuple[int, float, int]] = []
        self.running = 0
        self.most = 0

    async def one(
        self, number: int, arrives_s: float, runs_s: float, tokens: int = 0, used: int | None = None
    ) -> None:
        await self.clock.sleep(arrives_s)
        async with self.gate.slot("m", tokens) as slot:
            self.started.append((number, self.clock.monotonic(), tokens))
            self.running += 1
            self.most = max(self.most, self.running)
            await self.clock.sleep(runs_s)
            self.running -= 1
            if used is not None:
                slot.used(used)

    async def all(self, visits: Sequence[tuple[float, float, int]]) -> None:
        await asyncio.gather(*(self.one(i, *visit) for i, visit in enumerate(visits)))


visits = st.lists(
    st.tuples(st.floats(0.001, 90), st.floats(0, 40), st.integers(0, 60)), min_size=1, max_size=25
)


@settings(max_examples=40, deadline=None)
@given(visits=visits, rpm=st.integers(1, 8), tpm=st.integers(60, 150), places=st.integers(1, 5))
def test_no_limit_is_ever_passed_in_any_minute(
    visits: list[tuple[float, float, int]], rpm: int, tpm: int, places: int
) -> None:
    clock = ManualClock()
    gate = limiter(clock, concurrency=places, requests_per_minute=rpm, tokens_per_minute=tpm)
    crowd = Crowd(clock, gate)

    asyncio.run(clock.run(crowd.all(visits)))

    assert len(visits) == len(crowd.started)
    assert crowd.most <= places
    for _, start_s, _ in crowd.started:
        window = [tokens for _, at_s, tokens in crowd.started if start_s <= at_s < start_s + 60]
        assert len(window) <= rpm
        assert sum(window) <= tpm
    assert gate.active("m") == 0


@settings(max_examples=30, deadline=None)
@given(
    visits=st.lists(st.tuples(st.floats(0.001, 30), st.floats(0, 9), st.integers(0, 50))),
    cancelled=st.lists(st.tuples(st.integers(0, 20), st.floats(0, 60)), max_size=12),
)
def test_cancelled_waiters_and_holders_never_leak_a_place(
    visits: list[tuple[float, float, int]], cancelled: list[tuple[int, float]]
) -> None:
    clock = ManualClock()
    gate = limiter(clock, concurrency=2, requests_per_minute=10, tokens_per_minute=200)
    crowd = Crowd(clock, gate)

    async def work() -> None:
        tasks = [asyncio.create_task(crowd.one(i, *visit)) for i, visit in enumerate(visits)]

        async def cancel(number: int, at_s: float) -> None:
            await clock.sleep(at_s)
            if number < len(tasks):
                tasks[number].cancel()

        await asyncio.gather(*(cancel(*who) for who in cancelled))
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(r is None or isinstance(r, asyncio.CancelledError) for r in results)
        assert gate.active("m") == 0
        # Both places are still to be had.
        async with gate.slot("m"), gate.slot("m"):
            assert gate.active("m") == 2

    asyncio.run(clock.run(work()))


async def test_a_waiter_cancelled_in_the_turn_it_was_let_in_passes_its_place_on() -> None:
    gate = limiter(concurrency=1)
    entered: list[str] = []

    async def visit(name: str) -> None:
        async with gate.slot("m"):
            entered.append(name)

    holder = gate.slot("m")
    await holder.__aenter__()
    first, second = (asyncio.create_task(visit(name)) for name in ("first", "second"))
    await asyncio.sleep(0)
    await holder.__aexit__(None, None, None)
    first.cancel()
    await asyncio.gather(first, second, return_exceptions=True)

    assert entered == ["second"]
    assert gate.active("m") == 0


async def test_a_waiter_cancelled_before_a_place_gets_free_does_not_take_it() -> None:
    gate = limiter(concurrency=1)
    holder = gate.slot("m")
    await holder.__aenter__()
    waiter = asyncio.create_task(gate.slot("m").__aenter__())
    await asyncio.sleep(0)
    waiter.cancel()
    await holder.__aexit__(None, None, None)
    await asyncio.gather(waiter, return_exceptions=True)

    assert gate.active("m") == 0
    async with gate.slot("m"):
        assert gate.active("m") == 1


async def test_those_who_came_first_are_served_first() -> None:
    clock = ManualClock()
    crowd = Crowd(clock, limiter(clock, concurrency=2, requests_per_minute=5))

    await clock.run(crowd.all([(0.01 * i, 1.0, 0) for i in range(1, 20)]))

    assert list(range(19)) == [number for number, _, _ in crowd.started]


async def test_a_small_request_does_not_overtake_a_large_one_that_waits_for_tokens() -> None:
    clock = ManualClock()
    crowd = Crowd(clock, limiter(clock, concurrency=9, tokens_per_minute=100))

    await clock.run(crowd.all([(0.1, 0.0, 80), (0.2, 0.0, 50), (0.3, 0.0, 1)]))

    assert [number for number, _, _ in crowd.started] == [0, 1, 2]
    assert pytest.approx(60.1) == crowd.started[1][1]


async def test_the_real_usage_replaces_the_estimate_and_lets_waiters_in_at_once() -> None:
    clock = ManualClock()
    crowd = Crowd(clock, limiter(clock, concurrency=9, tokens_per_minute=100))

    await clock.run(both(crowd))

    assert [(0, pytest.approx(0.1), 90), (1, pytest.approx(2.1), 70)] == crowd.started


async def both(crowd: Crowd) -> None:
    await asyncio.gather(
        crowd.one(0, 0.1, 2.0, tokens=90, used=10), crowd.one(1, 0.2, 0.0, tokens=70)
    )


async def test_usage_above_the_estimate_counts_against_the_minute_too() -> None:
    clock = ManualClock()
    gate = limiter(clock, tokens_per_minute=100)
    async with gate.slot("m", 10) as slot:
        slot.used(95)
    crowd = Crowd(clock, gate)

    await clock.run(crowd.one(0, 1.0, 0.0, tokens=10))

    assert pytest.approx(60.0) == crowd.started[0][1]


async def test_a_request_larger_than_the_minutes_tokens_runs_alone_instead_of_never() -> None:
    clock = ManualClock()
    crowd = Crowd(clock, limiter(clock, tokens_per_minute=100))

    await clock.run(crowd.all([(0.1, 0.0, 10), (0.2, 0.0, 500), (0.3, 0.0, 10)]))

    assert pytest.approx([0.1, 60.1, 120.1]) == [at_s for _, at_s, _ in crowd.started]


async def test_a_429_halves_the_concurrency_and_a_round_of_successes_adds_one() -> None:
    clock = ManualClock()
    gate = limiter(clock, concurrency=16)

    gate.rate_limited("m")
    assert gate.allowed("m") == 8
    for _ in range(9):
        gate.succeeded("m")
    assert gate.allowed("m") == 9
    for _ in range(1000):
        gate.succeeded("m")
    assert gate.allowed("m") == 16


async def test_refusals_of_one_moment_halve_once_and_never_below_one() -> None:
    clock = ManualClock()
    gate = limiter(clock, concurrency=16)

    for _ in range(10):
        gate.rate_limited("m")
    assert gate.allowed("m") == 8
    for _ in range(10):
        await clock.advance(1.0)
        gate.rate_limited("m")
    assert gate.allowed("m") == 1


async def test_halved_concurrency_holds_for_those_who_come_next() -> None:
    clock = ManualClock()
    gate = limiter(clock, concurrency=8)
    gate.rate_limited("m")
    crowd = Crowd(clock, gate)

    await clock.run(crowd.all([(0.001, 1.0, 0)] * 20))

    assert crowd.most == 4


async def test_retry_after_pauses_the_whole_model_and_no_other() -> None:
    clock = ManualClock()
    gate = ModelLimiter({"m": Limits(), "other": Limits()}, clock)
    gate.rate_limited("m", 20.0)
    gate.rate_limited("m", 5.0)
    crowd = Crowd(clock, gate)

    async with gate.slot("other") as slot:
        assert slot.waited_s == 0
    await clock.run(crowd.all([(0.5, 0.0, 0), (1.0, 0.0, 0)]))

    assert pytest.approx([20.0, 20.0]) == [at_s for _, at_s, _ in crowd.started]


async def test_an_absurd_retry_after_pauses_for_five_minutes() -> None:
    clock = ManualClock()
    gate = limiter(clock)
    gate.rate_limited("m", 1e9)
    crowd = Crowd(clock, gate)

    await clock.run(crowd.one(0, 0.1, 0.0))

    assert pytest.approx(300.0) == crowd.started[0][1]


async def test_a_slot_knows_how_long_it_stood_in_line() -> None:
    clock = ManualClock()
    gate = limiter(clock, requests_per_minute=1)
    async with gate.slot("m"):
        pass

    async def second() -> float:
        async with gate.slot("m") as slot:
            return slot.waited_s

    assert pytest.approx(60.0) == await clock.run(second())


async def test_without_limits_nobody_sleeps_and_no_task_is_made() -> None:
    clock = ManualClock()
    gate = limiter(clock, concurrency=1000)
    before = len(asyncio.all_tasks())

    for _ in range(100):
        async with gate.slot("m", 1_000_000):
            pass

    assert clock.slept == []
    assert before == len(asyncio.all_tasks())


async def test_an_idle_limiter_leaves_no_task_behind() -> None:
    clock = ManualClock()
    gate = limiter(clock, requests_per_minute=1)
    async with gate.slot("m"):
        pass
    waiter = asyncio.create_task(gate.slot("m").__aenter__())
    await asyncio.sleep(0)
    assert len(asyncio.all_tasks()) == 3

    waiter.cancel()
    await asyncio.gather(waiter, return_exceptions=True)
    await asyncio.sleep(0)

    assert len(asyncio.all_tasks()) == 1


async def test_a_model_without_limits_is_named() -> None:
    with pytest.raises(KeyError, match="'x' has no limits here; known: m"):
        limiter().slot("x")
