"""A price is told, or follows from what a question may cost; nothing else is made up."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from profiles.policies.price_choice import (
    PriceError,
    check_price,
    default_price,
    expected_usd,
    price_within,
)
from tests.profiles.policies.made_policies import made_policy


@pytest.fixture(scope="module")
def policy():
    """Five prices from 0.002 to 0.3, at which a question costs 5, 2, 4, 3 and 1 cents."""
    made = made_policy(unit_usd=0.01)
    points = zip(made.points, (5.0, 2.0, 4.0, 3.0, 1.0), strict=True)
    return replace(made, points=tuple(replace(point, cost=cost) for point, cost in points))


@pytest.mark.parametrize(("cents", "place"), [("5", 0), ("4.9", 1), ("2", 1), ("1.5", 4), ("1", 4)])
def test_the_smallest_price_that_keeps_within_is_taken(policy, cents, place):
    assert policy.points[place] == price_within(policy, Decimal(cents) / 100)


def test_what_no_price_keeps_within_is_refused_with_the_least(policy):
    with pytest.raises(PriceError, match=r"least is \$0\.010000, at price 0\.3"):
        price_within(policy, Decimal("0.0099"))


def test_a_policy_without_dollars_knows_no_such_price(policy):
    free = replace(policy, cost_unit_usd=float("nan"))

    assert expected_usd(free, free.points[0]) is None
    with pytest.raises(PriceError, match="without recorded dollars"):
        price_within(free, Decimal(1))


def test_prices_beyond_those_of_training_are_refused(policy):
    for price in (0.002, 0.05, 0.3):
        check_price(policy, price)
    for price in (0.0019, 0.31):
        with pytest.raises(PriceError, match=r"from 0\.002 to 0\.3"):
            check_price(policy, price)


def test_the_default_lies_within_the_prices_of_training(policy):
    assert 0.01 == default_price(policy)
    assert policy.points[-1].price == default_price(replace(policy, points=policy.points[-1:]))
    dear, cheap = policy.points[3:], policy.points[:1]
    assert dear[0].price == default_price(replace(policy, points=dear))
    assert cheap[-1].price == default_price(replace(policy, points=cheap))
