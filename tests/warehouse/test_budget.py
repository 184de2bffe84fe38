"""The budget's promises: reservations and charges together never pass the cap."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from warehouse.budget import Budget, BudgetExhaustedError


async def test_a_call_that_fits_is_reserved():
    budget = Budget(10)
    await budget.reserve(10)

    assert 10 == budget.reserved_nano


async def test_a_call_that_cannot_fit_is_refused():
    budget = Budget(10, spent_nano=5)

    with pytest.raises(BudgetExhaustedError):
        await budget.reserve(6)
    assert budget.exhausted


async def test_a_call_waits_for_room_that_others_may_leave():
    budget = Budget(10)
    await budget.reserve(8)
    waiting = asyncio.ensure_future(budget.reserve(5))
    await asyncio.sleep(0)
    assert not waiting.done()

    await budget.settle(8, 2)
    await waiting

    assert (2, 5) == (budget.spent_nano, budget.reserved_nano)


async def test_free_calls_pass_a_spent_budget():
    budget = Budget(10, spent_nano=10)
    await budget.reserve(0)

    assert not budget.exhausted


async def test_a_reserved_call_is_refused_when_others_are_charged_past_the_cap():
    budget = Budget(10)
    await budget.reserve(4)
    await budget.reserve(4)
    budget.check(4)
    assert 4 == budget.grown(4, 3)

    assert 100 == budget.grown(4, 100)
    budget.check(0)
    with pytest.raises(BudgetExhaustedError):
        budget.check(4)
    await budget.settle(100, 100)

    assert (100, 4, True) == (budget.spent_nano, budget.reserved_nano, budget.exhausted)


async def test_without_a_cap_nothing_is_refused():
    budget = Budget(None)
    await budget.reserve(10**18)

    assert 10**18 == budget.reserved_nano


@settings(max_examples=60, deadline=None)
@given(
    cap=st.integers(1, 100),
    calls=st.lists(st.tuples(st.integers(0, 40), st.floats(0, 1)), max_size=30),
)
def test_the_cap_holds_for_any_interleaving(cap, calls):
    async def scenario():
        budget = Budget(cap)
        highest = 0

        async def call(reserved, share):
            nonlocal highest
            try:
                await budget.reserve(reserved)
            except BudgetExhaustedError:
                return
            highest = max(highest, budget.spent_nano + budget.reserved_nano)
            await asyncio.sleep(0)
            await budget.settle(reserved, int(reserved * share))

        await asyncio.wait_for(asyncio.gather(*(call(*one) for one in calls)), 5)
        assert 0 == budget.reserved_nano
        return highest

    assert asyncio.run(scenario()) <= cap
