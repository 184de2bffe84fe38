"""What a trained policy is worth on held-out questions, beside simpler routers, at several prices.

Every router decides the same questions from the same recorded cells. A question on which some
router wanted a cell that was never recorded is left out for all of them, at every price, so that
rows can be compared; how many those are is told.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from profiles.policies.guide import policy_guide
from profiles.policies.policy import CASCADE, POLICY, PREDICTOR, SINGLE
from profiles.policies.step_down import step_down
from tasks.learn.held_out_play import HYBRID, play_guide, play_router
from tasks.learn.rollout import Played

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from profiles.policies.guide import Foresee, Prospect
    from profiles.policies.policy import Policy
    from profiles.profile import Profile
    from tasks.learn.learning_set import HeldOut

CLUSTER = "cluster"
ROUTERS = (SINGLE, CLUSTER, PREDICTOR, CASCADE, POLICY, HYBRID)
PRICES = (0.002, 0.01, 0.05, 0.2)
"""Prices of the table: from money that hardly counts to money that counts for much."""
RESAMPLES = 2000
"""Of the bootstrap over questions."""


class Figure(NamedTuple):
    """An estimate with its 95 % interval."""

    value: float
    low: float
    high: float


class HeldOutRow(NamedTuple):
    """One router at one price.

    Attributes:
        price: accuracy that one unit of cost is worth.
        router: its name.
        decided: the strategy that `hybrid` took; the router itself for others.
        accuracy: mean score in [0, 1].
        cost_usd: mean dollars a question; None where no dollars are known.
        calls: mean calls a question.
        utility: mean of score − price × cost in units; a unit is a call where no dollars are known.
        gain: this utility minus that of `best-single`, question by question.
    """

    price: float
    router: str
    decided: str
    accuracy: Figure
    cost_usd: float | None
    calls: float
    utility: Figure
    gain: Figure


class HeldOutTable(NamedTuple):
    """Rows by price, then router; `questions` of them were compared, `left_out` were not."""

    rows: tuple[HeldOutRow, ...]
    questions: int
    left_out: int

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        rows = [
            {
                name: list(value) if isinstance(value, Figure) else value
                for name, value in row._asdict().items()
            }
            for row in self.rows
        ]
        return {"questions": self.questions, "left_out": self.left_out, "rows": rows}


def held_out_table(
    policy: Policy,
    profile: Profile,
    held: HeldOut,
    *,
    prices: Sequence[float] = PRICES,
    seed: int = 0,
) -> HeldOutTable:
    """Play every router over the held-out questions at every price.

    Args:
        policy: its strategies are five of the routers.
        profile: the one it was trained on; its cluster router is the sixth.
        held: n questions that neither was fitted on.
        prices: of a unit of cost; those that the policy was not trained for are left out.
        seed: of the bootstrap.

    Raises:
        ProfileError: policy and profile do not belong together.
    """
    low, high = policy.points[0].price, policy.points[-1].price
    known = [price for price in prices if low * (1 - 1e-9) <= price <= high * (1 + 1e-9)]
    played = _play_all(policy, profile, held, known)
    whole = np.ones(len(held.query_ids), np.bool_)
    for one in played.values():
        whole &= np.isfinite(one.score)
    n = int(whole.sum())
    draws = np.random.default_rng(seed).integers(0, max(n, 1), (RESAMPLES, n)) if n else None
    rows = []
    for price in known if n else []:
        base = _utility(played[price, SINGLE], policy, price)[whole]
        for router in ROUTERS:
            one = played[price, router]
            utility = _utility(one, policy, price)[whole]
            dollars = float(one.cost[whole].mean())
            decided = policy.point(price).strategy if router == HYBRID else router
            rows.append(
                HeldOutRow(
                    price=price,
                    router=router,
                    decided=decided,
                    accuracy=_figure(one.score[whole], draws),
                    cost_usd=dollars if math.isfinite(dollars) else None,
                    calls=float(one.calls[whole].mean()),
                    utility=_figure(utility, draws),
                    gain=_figure(utility - base, draws),
                )
            )
    return HeldOutTable(tuple(rows), n, len(whole) - n)


def _play_all(
    policy: Policy, profile: Profile, held: HeldOut, prices: Sequence[float]
) -> dict[tuple[float, str], Played]:
    played: dict[tuple[float, str], Played] = {}
    if not len(held.query_ids):
        return played
    seen: Prospect | None = None
    for price in prices:
        for name in ROUTERS:
            if name == CLUSTER:
                played[price, name] = play_router(CLUSTER, profile, held, price=price)
                continue
            guide = step_down(policy_guide(policy, profile, name, price), policy, profile)
            # What is expected of a question depends on neither strategy nor price.
            seen = guide.foresee(held.texts, held.embeddings) if seen is None else seen
            played[price, name] = play_guide(replace(guide, foresee=_said(seen)), profile, held)
    return played


def _said(prospect: Prospect) -> Foresee:
    return lambda _texts, _embeddings: prospect


def _utility(played: Played, policy: Policy, price: float) -> NDArray[np.float64]:
    unit = policy.cost_unit_usd
    cost = played.cost / unit if unit > 0 else played.calls if math.isnan(unit) else 0.0
    utility: NDArray[np.float64] = played.score - price * cost
    return utility


def _figure(values: NDArray[np.float64], draws: NDArray[np.int64] | None) -> Figure:
    """Mean and its 95 % percentile interval over resampled questions."""
    assert draws is not None
    low, high = np.quantile(values[draws].mean(axis=1), (0.025, 0.975)).tolist()
    return Figure(float(values.mean()), low, high)
