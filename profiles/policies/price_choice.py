"""The price at which a policy is used: told, or found so that a question costs what it may.

The price is what one unit of cost is worth in accuracy. A policy was trained for a range of
prices, and keeps along a grid of them what its guarded choice came to on training questions that
were left out of its fit: that is what a question is expected to cost, and how many calls it takes.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from profiles.errors import ProfileError

if TYPE_CHECKING:
    from decimal import Decimal

    from profiles.policies.policy import Policy, PricePoint

DEFAULT_PRICE = 0.01
"""A unit of cost (the mean call of the dearest pair) must earn one point of accuracy."""
_EDGE = 1e-9
"""Relative: a price on the edge of the grid, written with fewer digits, is on the grid."""


class PriceError(ProfileError):
    """A policy cannot be used at the price asked for, or keeps within no such price."""


def check_price(policy: Policy, price: float) -> None:
    """Refuse a price that the policy was not trained for.

    Raises:
        PriceError: saying which prices it knows.
    """
    low, high = policy.points[0].price, policy.points[-1].price
    if not low * (1 - _EDGE) <= price <= high * (1 + _EDGE):
        msg = (
            f"{policy.policy_id} was trained for prices from {low:g} to {high:g} a unit of cost, "
            f"not for {price:g}: give one of these, or leave the price out"
        )
        raise PriceError(msg)


def default_price(policy: Policy) -> float:
    """`DEFAULT_PRICE`, or the nearest price that the policy was trained for."""
    return min(max(DEFAULT_PRICE, policy.points[0].price), policy.points[-1].price)


def expected_usd(policy: Policy, point: PricePoint) -> float | None:
    """Dollars that a question is expected to cost at a point of the grid; None where unknown."""
    dollars = point.cost * policy.cost_unit_usd
    return dollars if math.isfinite(dollars) else None


def price_within(policy: Policy, max_usd: Decimal) -> PricePoint:
    """The smallest price of the grid at which a question is expected to cost no more than that.

    Raises:
        PriceError: the policy knows no dollars, or costs more at every price.
    """
    costs = [(expected_usd(policy, point), point) for point in policy.points]
    known = [(usd, point) for usd, point in costs if usd is not None]
    if not known:
        msg = (
            f"{policy.policy_id} was trained on outcomes without recorded dollars, so what a "
            "question costs at a price is unknown: give the price itself (--price)"
        )
        raise PriceError(msg)
    within = [point for usd, point in known if usd <= float(max_usd)]
    if within:
        return min(within, key=lambda point: point.price)
    least, cheapest = min(known, key=lambda one: (one[0], one[1].price))
    msg = (
        f"{policy.policy_id} is expected to cost more than ${max_usd:f} a question at every price "
        f"it knows; the least is ${least:.6f}, at price {cheapest.price:g}: allow as much, or "
        "bound the whole run instead (--max-cost)"
    )
    raise PriceError(msg)
