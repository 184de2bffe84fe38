"""Policies played over recorded held-out questions, decided by the very code that decides live.

Every question is a trajectory; all advance together, one call each at a time, by
`profiles.policies.guide.advise`, as the rows of a backlog do. What differs from a backlog is where
an answer comes from: it was recorded. A call that was never recorded, or whose answer was never
scored, ends its question without a score: nobody knows what it would have come to, and
`tasks.learn.gate` leaves the question out of both policies.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from profiles.policies.guide import Seen, advise, policy_guide
from profiles.policies.price_choice import check_price
from profiles.policies.step_down import step_down
from profiles.policies.strategies import ANSWER
from tasks.learn.gate import judge
from tasks.learn.rollout import Played

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from profiles.policies.guide import Guide
    from profiles.policies.policy import Policy
    from profiles.profile import Profile
    from tasks.learn.gate_decision import GateDecision, GateSettings
    from tasks.learn.learning_set import HeldOut

HYBRID = "hybrid"
"""The guarded choice: what a champion does unless told otherwise."""
AUTO = "auto"
"""The one-step router that questions go by where there is no policy."""
_NONE = Played(np.zeros(0), np.zeros(0), np.zeros(0), np.zeros(0, np.int64))
"""No question, no episode."""


@dataclass(frozen=True, slots=True)
class Contender:
    """One side of a comparison.

    Attributes:
        name: for people, such as `version 3`.
        profile: its own; its clusters, predictor and priors are what it knows.
        held: held-out questions, as that profile sees them.
        policy: None for the profile's router `auto`, which users have without any policy.
        strategy: of the policy.
    """

    name: str
    profile: Profile
    held: HeldOut
    policy: Policy | None
    strategy: str = HYBRID

    @property
    def unit_usd(self) -> float:
        """Dollars of one unit of its cost; NaN where no dollars are known."""
        if self.policy is not None:
            return self.policy.cost_unit_usd
        means = self.profile.statistics.cost_mean_usd[-1]
        return float(np.fmax.reduce(means, initial=np.nan))


class Compared(NamedTuple):
    """A challenger against a champion, over the same held-out questions.

    Attributes:
        champion_price: the same price in the champion's own units.
        notes: sentences on what could not be compared as asked.
    """

    decision: GateDecision
    price: float
    champion_price: float
    notes: tuple[str, ...]


def compare_held_out(
    challenger: Contender, champion: Contender, settings: GateSettings
) -> Compared:
    """Play both over the held-out questions they share, and judge.

    Money is compared in dollars where both know dollars, else in calls. The price is that of a
    unit of the challenger's cost; a champion with another unit plays at the same price a dollar,
    or at the nearest one that it was trained for. Questions that either was trained on are no
    held-out ones and are left out, which happens where a question changed its split.

    Args:
        challenger: has a policy.
        champion: the one in use, or what is used without one.
        settings: of the gate; unit and price are of the challenger.

    Raises:
        PriceError: the challenger was not trained for that price.
        ProfileError: a policy does not belong to its profile.
        RouterError: the router `auto` cannot decide.
    """
    assert challenger.policy is not None
    check_price(challenger.policy, settings.price)
    (challenger, champion), notes = _shared(challenger, champion)
    unit, other = challenger.unit_usd, champion.unit_usd
    in_dollars = unit > 0 and other > 0
    rate = settings.price * other / unit if in_dollars else settings.price
    champion_price, told = _within(champion, rate)
    played = _play(challenger, settings.price), _play(champion, champion_price)
    if in_dollars:
        sides = tuple(one._replace(cost=one.cost / unit) for one in played)
    else:
        sides = tuple(one._replace(cost=one.calls) for one in played)
        told += ("No dollars are known of one of the two: cost is counted in calls.",)
    decision = judge(
        sides[0],
        sides[1],
        list(challenger.held.datasets),
        challenger.profile.clusters.is_out_of_distribution(challenger.held.distances),
        replace(settings, unit_usd=unit if in_dollars else None),
    )
    return Compared(decision, settings.price, champion_price, (*notes, *told))


def play_policy(
    policy: Policy, profile: Profile, held: HeldOut, *, strategy: str = HYBRID, price: float
) -> Played:
    """Play a policy's strategy over held-out questions.

    Args:
        policy: to play.
        profile: the one it was trained on.
        held: n questions with the recorded outcomes of the profile's pairs.
        strategy: see `profiles.policies.policy.Policy.strategy`; off the training distribution it
            steps down, as it does live.
        price: of a unit of the policy's cost.

    Returns:
        n episodes: costs in dollars, NaN where unknown; score NaN where a call that the policy
        wanted is not recorded or not scored.

    Raises:
        ProfileError: policy and profile do not belong together.
    """
    guide = step_down(policy_guide(policy, profile, strategy, price), policy, profile)
    return play_guide(guide, profile, held)


def play_guide(guide: Guide, profile: Profile, held: HeldOut) -> Played:
    """Follow a guide over held-out questions; see `play_policy` for what comes back.

    A question to which no call gave an answer with a key is answered by its likeliest called pair,
    as in `tasks.trajectory.walk`.
    """
    if not len(held.query_ids):
        return _NONE
    columns = [profile.index()[pair] for pair in guide.pairs]
    scores, keys = held.scores[:, columns], held.keys[:, columns]
    costs = held.costs_usd[:, columns]
    costs = np.where(np.isfinite(costs), costs, guide.costs_usd)
    prospect = guide.foresee(held.texts, held.embeddings)
    away = None if prospect.where is None else prospect.where.away
    n = len(keys)
    called = np.zeros(keys.shape, np.bool_)
    leader = np.full(n, -1, np.int64)
    live = np.arange(n)
    while len(live):
        advice = advise(
            guide,
            Seen(
                called[live],
                np.where(called[live], keys[live], -1),
                np.ones((len(live), len(columns)), np.bool_),
                prospect.priors[live],
                prospect.components[live],
                None if away is None else away[live],
            ),
        )
        answers = advice.action == ANSWER
        leader[live[answers]] = advice.leader[answers]
        calling, column = live[~answers], advice.action[~answers]
        called[calling, column] = True
        # A trajectory beyond what was recorded goes nowhere.
        live = calling[np.isfinite(scores[calling, column])]
    return _ended(called, leader, scores, costs, prospect.priors)


def _ended(
    called: NDArray[np.bool_],
    leader: NDArray[np.int64],
    scores: NDArray[np.float64],
    costs: NDArray[np.float64],
    priors: NDArray[np.float64],
) -> Played:
    """What the episodes came to, from which pairs they called and whose answer they gave."""
    rows = np.arange(len(called))
    likeliest = np.where(called, priors, -np.inf).argmax(axis=1)
    giving = np.where(leader >= 0, leader, likeliest)
    unknown = (called & ~np.isfinite(scores)).any(axis=1)
    score = np.where(called.any(axis=1), scores[rows, giving], 0.0)
    return Played(
        score=np.where(unknown, np.nan, score),
        cost=np.where(called, costs, 0.0).sum(axis=1),
        calls=called.sum(axis=1).astype(np.float64),
        leader=leader,
    )


def play_router(router: str, profile: Profile, held: HeldOut, *, price: float) -> Played:
    """One call a question, to the pair that one of the profile's one-step routers chooses.

    Args:
        router: its name, see `profiles.routers.registry`.
        profile: what the router knows.
        held: n questions.
        price: of a unit of cost, the mean call of the profile's dearest pair. The utility
            score − price × cost is (1 − alpha) · score − alpha · cost up to its scale, with
            alpha = price / (1 + price); where no cost is known, alpha is 0.

    Returns:
        As `play_policy`.
    """
    from profiles.routers.base import RoutingContext
    from profiles.routers.registry import build_router

    if not len(held.query_ids):
        return _NONE
    means = profile.statistics.cost_mean_usd[-1]
    alpha = price / (1.0 + price) if np.isfinite(means).any() else 0.0
    context = RoutingContext(tuple(held.query_ids), tuple(held.texts), alpha=alpha)
    chosen = build_router(router, profile).decide(held.embeddings, context).pair
    rows = np.arange(len(chosen))
    costs = held.costs_usd[rows, chosen]
    return Played(
        score=held.scores[rows, chosen].copy(),
        cost=np.where(np.isfinite(costs), costs, means[chosen]),
        calls=np.ones(len(chosen)),
        leader=np.where(held.keys[rows, chosen] >= 0, chosen, -1),
    )


def _play(contender: Contender, price: float) -> Played:
    if contender.policy is None:
        return play_router(AUTO, contender.profile, contender.held, price=price)
    return play_policy(
        contender.policy,
        contender.profile,
        contender.held,
        strategy=contender.strategy,
        price=price,
    )


def _within(champion: Contender, price: float) -> tuple[float, tuple[str, ...]]:
    """A price that the champion was trained for, and a sentence where it is another one."""
    if champion.policy is None:
        return price, ()
    low, high = (champion.policy.points[end].price for end in (0, -1))
    nearest = min(max(price, low), high)
    if np.isclose(nearest, price):
        return nearest, ()
    told = (
        f"The price is {price:.4g} a unit of the champion's cost, which was trained for {low:g} to "
        f"{high:g}: it plays at {nearest:.4g}."
    )
    return nearest, (told,)


def _shared(
    challenger: Contender, champion: Contender
) -> tuple[tuple[Contender, Contender], tuple[str, ...]]:
    """Both with the questions that are held out of both, in the same order."""
    trained = {
        query_id
        for one in (challenger, champion)
        if one.profile.train is not None
        for query_id in one.profile.train.query_ids
    }
    place = {query_id: row for row, query_id in enumerate(champion.held.query_ids)}
    ids = list(challenger.held.query_ids)
    rows = [row for row, one in enumerate(ids) if one in place and one not in trained]
    others = [place[ids[row]] for row in rows]
    told = (
        f"{len(ids) - len(rows):,} of {len(ids):,} held-out questions are left out: one of the two "
        "was trained on them, or does not know them."
    )
    both = (
        replace(challenger, held=_rows(challenger.held, rows)),
        replace(champion, held=_rows(champion.held, others)),
    )
    return both, (told,) if len(rows) < len(ids) else ()


def _rows(held: HeldOut, rows: list[int]) -> HeldOut:
    """Some of the questions."""
    taken = np.array(rows, np.int64)
    ids, datasets, texts = (
        tuple(column[row] for row in rows) for column in (held.query_ids, held.datasets, held.texts)
    )
    return held._replace(
        query_ids=ids,
        datasets=datasets,
        texts=texts,
        embeddings=held.embeddings[taken],
        scores=held.scores[taken],
        costs_usd=held.costs_usd[taken],
        keys=held.keys[taken],
        distances=held.distances[taken],
    )
