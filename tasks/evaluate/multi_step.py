"""Multi-step routers of an evaluation: fitted on `train`, their price chosen there by a budget.

The profile that `auto` decides from, and the answers that were recorded of its questions, are what
a policy is fitted on. One fit serves `cascade`, `policy` and `hybrid`; `policy-ppo` is another.
At a budget the price is chosen by it (`tasks.evaluate.budget`), and `hybrid` takes the guarded
choice among the strategies as they fit it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tasks.call.recorded import RecordedTableError
from tasks.evaluate.budget import QueryBudget, cascade_within, hybrid_within, price_within
from tasks.evaluate.measure import Resolved
from tasks.evaluate.router_names import MAJORITY
from tasks.evaluate.table import TRAIN

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

    from profiles.policies.guide import Guide
    from profiles.policies.strategies import Cascade
    from profiles.profile import Profile
    from tasks.evaluate.fit import Knowledge
    from tasks.evaluate.router_names import RouterChoice
    from tasks.evaluate.table import OutcomeTable
    from tasks.learn.fit_policy import Fitted, PolicySettings

DEFAULT_PRICE = 0.01
"""Without a budget: a call of the dearest pair must earn one point of accuracy."""
VOTERS = 3
"""Pairs that `majority` asks, the best by training accuracy."""


class NoAnswersError(RecordedTableError):
    """The table records no answers, which multi-step routers compare."""


class BudgetError(RecordedTableError):
    """A budget in dollars, and no dollars in the table."""


class Guided(NamedTuple):
    """A multi-step router, ready to route."""

    guide: Guide
    profile: Profile
    resolved: Resolved


class MultiStep:
    """Multi-step routers of one table, each fitted when it is first asked for.

    Args:
        table: recorded outcomes; training rows alone are learnt from.
        knowledge: profiles of them.
        budget: at which prices are chosen.
        settings: of the fit; the defaults where None.
        seed: of the fit.
        note: told in a sentence what is being done.
    """

    def __init__(
        self,
        table: OutcomeTable,
        knowledge: Knowledge,
        budget: QueryBudget,
        *,
        settings: PolicySettings | None = None,
        seed: int = 0,
        note: Callable[[str], None] = lambda _text: None,
    ) -> None:
        self._table = table
        self._knowledge = knowledge
        self._budget = budget
        self._settings = settings
        self._seed = seed
        self._note = note
        self._fits: dict[str, Fitted] = {}
        self._guided: dict[str, Guided] = {}

    def guided(self, choice: RouterChoice) -> Guided:
        """The router that was asked for.

        Raises:
            NoAnswersError: no training outcome has an answer that can be compared.
            BudgetError: the budget is in dollars and no cost is recorded.
            ProfileError: the training rows are too few to learn a policy from.
        """
        if choice.name not in self._guided:
            profile = self._knowledge.profile(choice)
            make = self._majority if choice.kind == MAJORITY else self._policy
            self._guided[choice.name] = make(choice, profile)
        return self._guided[choice.name]

    def one_step_reason(self, choice: RouterChoice) -> str:
        """Why `hybrid` takes one step here, as `auto` does; empty where it need not."""
        from tasks.learn.recorded import comparable

        if choice.kind != "hybrid":
            return ""
        profile = self._knowledge.profile(choice)
        assert profile.train is not None
        keys = recorded_keys(self._table, self._knowledge.outcomes, profile.train.query_ids)
        if comparable(keys, profile.train.scores):
            return ""
        return "few right answers of the training questions are recorded to compare, so as `auto`: "

    def grader_of(self) -> dict[str, str | None]:
        """The grader of every question of the table, by its id; empty where none is named."""
        return graders_of(self._table)

    def _keys(self, choice: RouterChoice, profile: Profile) -> NDArray[np.int64]:
        """(n, P) answer keys of the profile's training rows."""
        assert profile.train is not None
        keys = recorded_keys(self._table, self._knowledge.outcomes, profile.train.query_ids)
        if (keys < 0).all():
            raise NoAnswersError(
                f"{self._table.directory} records no answers of split {TRAIN!r} that can be "
                f"compared, and router {choice.name!r} decides by comparing answers; "
                "leave it out, or record the column 'answer'"
            )
        return keys

    def _majority(self, choice: RouterChoice, profile: Profile) -> Guided:
        from profiles.policies.guide import majority_guide

        self._keys(choice, profile)
        best = np.argsort(-np.nan_to_num(profile.train_micro), kind="stable").tolist()
        voters = best[:VOTERS]
        guide = majority_guide(profile, voters)
        self._check_dollars(guide.costs_usd)
        while self._budget.given and len(voters) > 1:
            if self._budget.load(len(voters), float(guide.costs_usd.sum())) <= 1:
                break
            voters = voters[:-1]
            guide = majority_guide(profile, voters)
        load = self._budget.load(len(voters), float(guide.costs_usd.sum()))
        names = ", ".join(profile.pairs[column].pair_id for column in voters)
        return Guided(
            guide, profile, Resolved(MAJORITY, None, f"plain vote of {names}{self._beyond(load)}")
        )

    def _policy(self, choice: RouterChoice, profile: Profile) -> Guided:
        from profiles.policies.guide import policy_guide, strategy_guide
        from profiles.policies.step_down import step_down

        fitted = self._fit(choice, profile)
        self._check_dollars(fitted.policy.costs * fitted.policy.cost_unit_usd)
        if choice.kind == "cascade":
            cascade, rate, why = self._cascade(fitted)
            guide = strategy_guide(fitted.policy, profile, cascade, "cascade", rate)
            return Guided(guide, profile, Resolved("cascade", None, why))
        if choice.kind == "hybrid" and self._budget.given:
            strategy, rate, load = hybrid_within(fitted, self._budget, self._longest)
            guide = strategy_guide(fitted.policy, profile, strategy, "hybrid", rate)
            guide = step_down(guide, fitted.policy, profile)
            why = f"the guarded choice{self._beyond(load)}"
            return Guided(guide, profile, Resolved(strategy.name, None, why))
        name = "hybrid" if choice.kind == "hybrid" else "policy"
        price, why = self._price(fitted, name)
        guide = policy_guide(fitted.policy, profile, name, price)
        if name == "hybrid":
            guide = step_down(guide, fitted.policy, profile)
        return Guided(guide, profile, Resolved(guide.strategy.name, None, why))

    def _fit(self, choice: RouterChoice, profile: Profile) -> Fitted:
        from tasks.learn.fit_policy import PolicySettings, fit_policy

        estimator = "ppo" if choice.kind == "policy-ppo" else "exact"
        if estimator not in self._fits:
            keys = self._keys(choice, profile)
            settings = self._settings or PolicySettings()
            self._fits[estimator] = fit_policy(
                profile,
                keys,
                replace(settings, estimator=estimator, seed=self._seed),
                say=lambda text: self._note(f"train: {text}"),
            )
        return self._fits[estimator]

    def _price(self, fitted: Fitted, name: str) -> tuple[float, str]:
        """The price, and why that one."""
        if not self._budget.given:
            return DEFAULT_PRICE, f"price {DEFAULT_PRICE:g} a unit of cost, the default"
        price, load = price_within(fitted, name, self._budget)
        return price, f"price {price:.4g} a unit of cost{self._beyond(load)}"

    @property
    def _longest(self) -> int:
        from tasks.learn.fit_policy import PolicySettings

        return (self._settings or PolicySettings()).cascade_pairs

    def _cascade(self, fitted: Fitted) -> tuple[Cascade, float | None, str]:
        """The best cascade on train, its price where it was chosen by one, and why."""
        from profiles.policies.strategies import Cascade
        from tasks.learn.cascades import play_cascades

        price: float | None = None
        if self._budget.given:
            cascade, _, load = cascade_within(fitted, self._budget, self._longest)
            why = f"best on train{self._beyond(load)}"
        else:
            price = DEFAULT_PRICE
            played = play_cascades(fitted.environment, self._longest)
            cascade = Cascade(*max(played, key=lambda one: played[one].utility(DEFAULT_PRICE)))
            why = f"best at price {DEFAULT_PRICE:g} a unit of cost, the default"
        stop = f"{cascade.agree} agree" if cascade.agree else f"confidence is {cascade.threshold:g}"
        if not cascade.agree and cascade.threshold > 1:
            stop = "all were asked"
        names = ", ".join(fitted.policy.pairs[column] for column in cascade.order)
        return cascade, price, f"{names} until {stop}; {why}"

    def _beyond(self, load: float) -> str:
        if not self._budget.given:
            return ""
        if load <= 1:
            return f", within {self._budget} on train"
        return f", the least it can take; on train {load:.2f} times the budget of {self._budget}"

    def _check_dollars(self, costs_usd: NDArray[np.float64]) -> None:
        if self._budget.max_cost_usd is not None and not np.isfinite(costs_usd).all():
            raise BudgetError(
                f"{self._table.directory} records no cost of some pairs, so a budget in dollars "
                "cannot be kept; give the budget in calls"
            )


def graders_of(table: OutcomeTable) -> dict[str, str | None]:
    """The grader of every question of a table, by its id; empty where none is named."""
    if "grader" not in table.queries.columns:
        return {}
    return dict(table.queries.select("query_id", "grader").iter_rows())


def recorded_keys(
    table: OutcomeTable, outcomes: pl.DataFrame, query_ids: Sequence[str]
) -> NDArray[np.int64]:
    """(n, P) answer keys of some questions, in the table's pair order, see `code_keys`.

    Args:
        table: names the graders of its questions.
        outcomes: those that may be looked at; others have no key.
        query_ids: n questions.
    """
    from tasks.grade.answer_key import answer_key
    from tasks.learn.recorded import code_keys

    row = {query_id: number for number, query_id in enumerate(query_ids)}
    column = {pair.pair_id: number for number, pair in enumerate(table.pairs)}
    graders = graders_of(table)
    keys: list[list[str | None]] = [[None] * len(column) for _ in row]
    for query_id, model, tool, answer in outcomes.select(
        "query_id", "model", "tool", "answer"
    ).iter_rows():
        if query_id in row:
            key = answer_key(answer, graders.get(query_id))
            keys[row[query_id]][column[f"{model}@@{tool}"]] = key
    return code_keys(keys)
