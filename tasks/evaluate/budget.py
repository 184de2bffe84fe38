"""A budget of a multi-step router: what fits it on training questions.

A budget is a mean over questions. The price is the smallest of a fine grid at which a strategy,
played on the training questions, keeps within it; a cascade is the most accurate one that does.
What a policy is worth there is judged by networks that were not trained on the question, at the
price at which they keep within the budget.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from profiles.policies.strategies import Cascade, Strategy
    from tasks.learn.cascades import CascadeName
    from tasks.learn.fit_policy import Fitted
    from tasks.learn.rollout import Played

_PRICES = 40
"""Prices of the grid that a budget is looked for on."""


@dataclass(frozen=True, slots=True)
class QueryBudget:
    """What a question may take on average; None is no limit.

    Attributes:
        max_calls: calls.
        max_cost_usd: dollars.
    """

    max_calls: float | None = None
    max_cost_usd: Decimal | None = None

    @property
    def given(self) -> bool:
        """Whether there is any limit."""
        return self.max_calls is not None or self.max_cost_usd is not None

    def load(self, calls: float, cost_usd: float) -> float:
        """How much of the budget that takes; above 1 it is passed."""
        shares = [0.0]
        if self.max_calls is not None:
            shares.append(calls / self.max_calls)
        if self.max_cost_usd is not None:
            shares.append(cost_usd / float(self.max_cost_usd) if self.max_cost_usd else np.inf)
        return max(shares)

    def __str__(self) -> str:
        """Such as `2 calls and $0.001 a question`."""
        parts = []
        if self.max_calls is not None:
            parts.append(f"{self.max_calls:g} calls")
        if self.max_cost_usd is not None:
            parts.append(f"${self.max_cost_usd}")
        return f"{' and '.join(parts)} a question"


def cascade_within(
    fitted: Fitted, budget: QueryBudget, longest: int
) -> tuple[Cascade, Played, float]:
    """The most accurate cascade that keeps within a budget on train, what it did, its load.

    Where none does, the one of the least load. The best of hundreds is flattered by having been
    chosen: what it did is, fold by fold of the fit, what was best within the budget on the others.
    """
    from profiles.policies.strategies import Cascade
    from tasks.learn.cascades import patched, play_cascades

    played = play_cascades(fitted.environment, longest)

    def best(rows: NDArray[np.int64]) -> tuple[CascadeName, float]:
        loads, scores = {}, {}
        for name, one in played.items():
            cost = float(one.cost[rows].mean()) * fitted.policy.cost_unit_usd
            loads[name] = budget.load(float(one.calls[rows].mean()), cost)
            scores[name] = float(one.score[rows].mean())
        within = [name for name, load in loads.items() if load <= 1]
        least = min(loads, key=lambda name: loads[name])
        chosen = max(within, key=lambda name: scores[name], default=least)
        return chosen, loads[chosen]

    everything = np.arange(len(fitted.recorded))
    chosen, load = best(everything)
    parts = [
        (fold.held, best(np.setdiff1d(everything, fold.held))[0]) for fold in fitted.crossed
    ] or [(everything, chosen)]
    return Cascade(*chosen), patched(played, parts), load


def hybrid_within(
    fitted: Fitted, budget: QueryBudget, longest: int
) -> tuple[Strategy, float | None, float]:
    """The guarded choice among strategies that keep within a budget on train, price and load.

    Single pair, predictor, cascade and policy each come as they best fit the budget. Cascade and
    policy both spend it: the one of better held-out accuracy stands for both. A bolder strategy
    must gain a standard error over a more cautious one, which spends less.
    """
    from profiles.policies.policy import POLICY, PREDICTOR, SINGLE
    from tasks.learn.guard import guard

    options: dict[str, tuple[Strategy, float | None, float, Played]] = {}
    for name in (SINGLE, PREDICTOR):
        price, load = price_within(fitted, name, budget)
        strategy = fitted.policy.strategy(name, price)
        options[name] = strategy, price, load, _held_out(fitted, name, price)
    if len(fitted.policy.pairs) > 1:
        cascade, played, load = cascade_within(fitted, budget, longest)
        options[cascade.name] = cascade, None, load, played
    price, load = price_within(fitted, POLICY, budget)
    strategy = fitted.policy.strategy(POLICY, price)
    options[POLICY] = strategy, price, load, _crossed_within(fitted, budget)
    within = {name: one for name, one in options.items() if one[2] <= 1}
    if not within:
        return min(options.values(), key=lambda one: one[2])[:3]
    spending = within.keys() - {SINGLE, PREDICTOR}
    if len(spending) > 1:
        del within[min(spending, key=lambda name: float(within[name][3].score.mean()))]
    chosen, _ = guard([(name, one[3]) for name, one in within.items()], 0.0)
    return within[chosen][:3]


def price_within(fitted: Fitted, name: str, budget: QueryBudget) -> tuple[float, float]:
    """The smallest price at which a strategy keeps within a budget on train, and its load.

    Where none does, the price of the least load.

    Args:
        fitted: the policy with its training questions.
        name: of a strategy, see `Policy.strategy`.
        budget: means over questions.
    """
    from tasks.learn.live import play_strategy

    rows = np.arange(len(fitted.recorded))

    def play(price: float) -> Played:
        # The networks that will route: what they spend is no secret of the labels, so training
        # questions do not flatter it, while networks of other folds would spend differently.
        return play_strategy(fitted.environment, rows, fitted.policy.strategy(name, price))

    load, price, _ = _first_within(fitted, budget, play)
    return price, load


def _crossed_within(fitted: Fitted, budget: QueryBudget) -> Played:
    """What networks that were not trained on a question do on it within the same budget.

    The price is theirs: at the price of the networks that will route they would spend otherwise,
    and a strategy that spends less would be judged in place of the one that is asked about.
    """
    from profiles.policies.policy import POLICY

    return _first_within(fitted, budget, lambda price: _held_out(fitted, POLICY, price))[2]


def _first_within(
    fitted: Fitted, budget: QueryBudget, play: Callable[[float], Played]
) -> tuple[float, float, Played]:
    """Load, price and outcome at the smallest price within a budget, else at the least load."""
    from tasks.learn.training import price_grid

    tried = []
    for price in price_grid(count=_PRICES).tolist():
        played = play(price)
        tried.append((_load(fitted, played, budget), price, played))
        if tried[-1][0] <= 1:
            break
    return min(tried, key=lambda one: one[:2])


def _load(fitted: Fitted, played: Played, budget: QueryBudget) -> float:
    dollars = float(played.cost.mean()) * fitted.policy.cost_unit_usd
    return budget.load(float(played.calls.mean()), dollars)


def _held_out(fitted: Fitted, name: str, price: float) -> Played:
    """What a strategy does on training questions that its networks were not trained on."""
    from profiles.policies.policy import POLICY
    from tasks.learn.fit_policy import play_crossed
    from tasks.learn.live import play_strategy

    policy, environment = fitted.policy, fitted.environment
    kind = policy.point(price).strategy if name == "hybrid" else name
    if kind == POLICY and fitted.crossed:
        return play_crossed(environment, fitted.crossed, price)
    rows = np.arange(len(environment.recorded))
    return play_strategy(environment, rows, policy.strategy(kind, price))
