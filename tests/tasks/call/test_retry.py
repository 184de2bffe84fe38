from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.call.retry import RetryPolicy


@given(
    try_number=st.integers(1, 2_000),
    retry_after_s=st.none() | st.floats(-5, 1e9),
    seed=st.integers(0, 2**32),
)
def test_the_delay_lies_between_the_floor_and_the_floor_plus_the_bound(
    try_number: int, retry_after_s: float | None, seed: int
) -> None:
    policy = RetryPolicy()

    delay_s = policy.delay_s(try_number, retry_after_s, random.Random(seed))

    floor_s = min(max(0.0, retry_after_s or 0.0), 300.0)
    bound_s = min(60.0, 0.5 * 2.0 ** min(try_number - 1, 60))
    assert floor_s <= delay_s <= floor_s + bound_s


def test_the_bound_doubles_until_the_cap() -> None:
    class Highest:
        def random(self) -> float:
            return 1.0

    policy = RetryPolicy(base_s=1.0, cap_s=5.0)

    assert [policy.delay_s(n, None, Highest()) for n in range(1, 6)] == [1, 2, 4, 5, 5]


def test_jitter_comes_on_top_of_retry_after_so_that_nobody_returns_at_the_same_time() -> None:
    rng = random.Random(0)

    delays = {RetryPolicy().delay_s(1, 10.0, rng) for _ in range(100)}

    assert len(delays) == 100
    assert min(delays) >= 10.0


def test_an_absurd_retry_after_is_not_believed() -> None:
    assert RetryPolicy(base_s=0.0).delay_s(1, 86_400.0, random.Random(0)) == 300.0


def test_the_same_seed_waits_the_same_with_numpy_generators_too() -> None:
    policy = RetryPolicy()

    delays = [policy.delay_s(3, None, np.random.default_rng(7)) for _ in range(2)]

    assert delays[0] == delays[1]


def test_six_tries_are_allowed_by_default() -> None:
    assert [RetryPolicy().may_retry(n) for n in range(1, 7)] == [True] * 5 + [False]


@pytest.mark.parametrize(
    "arguments",
    [{"max_tries": 0}, {"base_s": -1.0}, {"cap_s": float("nan")}, {"retry_after_cap_s": -0.1}],
)
def test_a_policy_that_makes_no_sense_is_refused(arguments: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(arguments))):
        RetryPolicy(**arguments)  # type: ignore[arg-type]


def test_tries_are_counted_from_one() -> None:
    with pytest.raises(ValueError, match="counted from 1"):
        RetryPolicy().delay_s(0, None, random.Random(0))
