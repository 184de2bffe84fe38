"""The routers a committed run can be compared with, as shares of questions for pairs."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from profiles.pool import PAIR_SEPARATOR
from tasks.plan.estimates import Quantity, cost_quantity, measured
from tasks.report.counterfactual import Answered, Cells, cost_cells, own_router, score_cells

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from profiles.profile import Profile

    Matrix = NDArray[np.float64]

BEST_SINGLE = "best-single"
CHEAPEST = "cheapest"
RANDOM = "random"
SAME_COST = "random-same-cost"
SHUFFLED = "shuffled"
ORACLE = "oracle"
NAMES = (BEST_SINGLE, CHEAPEST, RANDOM, SAME_COST, SHUFFLED, ORACLE, "fixed:<pair_id>")

_NO_TRAINING_ROWS = (
    "the profile keeps no training rows, so nobody knows the best pair of a question"
)


class AgainstError(ValueError):
    """A router that a run cannot be compared with."""


class Tables(NamedTuple):
    """A profile's cells, (K + 1, P + 1): one more column for the oracle."""

    profile: Profile
    score: Cells
    cost: Cells


def tables_of(profile: Profile) -> Tables:
    """The cells of a profile; the oracle's are unknown where it keeps no training rows."""
    train = profile.train
    if train is None:
        known = profile.statistics
        score = Quantity(known.score_mean, known.n_scored, np.zeros(known.score_mean.shape))
        cost = cost_quantity(profile)
        return Tables(profile, score_cells(_widened(score)), cost_cells(_widened(cost)))
    from profiles.routers.base import RoutingContext
    from profiles.routers.registry import build_router

    context = RoutingContext(train.query_ids, ("",) * len(train.query_ids), scores=train.scores)
    best = build_router(ORACLE, profile).decide(None, context).pair[:, None]
    labels = profile.clusters.assign(train.embeddings).labels
    score, cost = (
        measured(np.hstack([values, np.take_along_axis(values, best, axis=1)]), labels, profile.k)
        for values in (train.scores, train.costs_usd)
    )
    return Tables(profile, score_cells(score), cost_cells(cost))


def _widened(quantity: Quantity) -> Quantity:
    rows = len(quantity.mean)
    return Quantity(
        np.hstack([quantity.mean, np.full((rows, 1), np.nan)]),
        np.hstack([quantity.count, np.zeros((rows, 1), np.int64)]),
        np.hstack([quantity.cv, np.zeros((rows, 1))]),
    )


class Choice(NamedTuple):
    """What another router does.

    Attributes:
        label: for people, with the pairs it would use.
        weights: (K + 1, P + 1) shares of the questions of each place; None where they are unknown.
        problem: why they are.
    """

    label: str
    weights: Matrix | None
    problem: str = ""


def choice_of(name: str, rows: Answered, tables: Tables) -> Choice:
    """What the router of that name would do with the rows.

    Raises:
        AgainstError: a name that is none of `NAMES`.
        RouterError: the profile does not know the pair of a `fixed:…`.
    """
    profile = tables.profile
    shape = tables.score.mean.shape
    every = np.zeros(shape)
    if name == ORACLE:
        every[:, -1] = 1.0
        known = profile.train is not None
        return Choice(
            "oracle (a bound)", every if known else None, "" if known else _NO_TRAINING_ROWS
        )
    if name == RANDOM:
        every[:, :-1] = 1.0 / len(profile.pairs)
        return Choice(f"random ({len(profile.pairs)} pairs)", every)
    if name == SHUFFLED:
        known_pairs = rows.pair[rows.pair >= 0]
        if not len(known_pairs):
            return Choice("shuffled", None, "the profile knows none of the run's pairs")
        every[:] = np.bincount(known_pairs, minlength=shape[1]) / len(known_pairs)
        return Choice("the run's own pairs, dealt at random", every)
    if name == SAME_COST:
        return _same_cost(rows, tables)
    return _single(name, profile, every)


_NO_TRAINING_ROWS = (
    "the profile keeps no training rows, so nobody knows the best pair of a question"
)


def _single(name: str, profile: Profile, every: Matrix) -> Choice:
    """A router that gives every question to one pair."""
    from profiles.errors import RouterError
    from profiles.routers.base import RoutingContext
    from profiles.routers.registry import build_router

    if name not in (BEST_SINGLE, CHEAPEST) and not name.startswith("fixed:"):
        raise AgainstError(
            f"a run cannot be compared with router {name!r} from committed rows alone; it can be "
            f"with {', '.join(NAMES)}. `atlas evaluate` compares every router on recorded outcomes"
        )
    try:
        router = build_router(name, profile)
    except RouterError as error:
        if name == CHEAPEST:
            return Choice(name, None, str(error))
        raise
    pair = int(router.decide(None, RoutingContext(("",), ("",))).pair[0])
    every[:, pair] = 1.0
    kind = "fixed" if name.startswith("fixed:") else name.replace("-", " ")
    return Choice(f"{kind} ({_pair_label(profile, pair)})", every)


def _pair_label(profile: Profile, pair: int) -> str:
    return profile.pairs[pair].pair_id.replace(PAIR_SEPARATOR, " + ")


def _same_cost(rows: Answered, tables: Tables) -> Choice:
    """The best mix of two pairs, dealt at random, that costs what the run's own choices cost.

    No knowledge of the questions goes into it, only each pair's mean score and cost on questions
    of these places: a router that is no better only turns the knob between dear and cheap.
    """
    label = "random at the same cost"
    own = own_router(rows, tables.cost) if len(rows.place) else None
    if own is None:
        return Choice(label, None, "the profile does not know what the run's own pairs cost")
    places = np.bincount(rows.place, minlength=len(tables.cost.mean)) / len(rows.place)
    seen = places > 0
    score = places[seen] @ tables.score.mean[seen, :-1]
    cost = places[seen] @ tables.cost.mean[seen, :-1]
    # Both sides at the profile's prices: longer texts must not buy the mix a dearer pair.
    mix = best_mix(score, cost, float(own.values.mean()))
    if mix is None:
        return Choice(label, None, "no pair of known score is as cheap as the run's choices")
    every = np.zeros(tables.cost.mean.shape)
    parts = []
    for pair, share in mix:
        every[:, pair] += share
        parts.append(f"{100 * share:.0f} % {_pair_label(tables.profile, pair)}")
    return Choice(f"{label} ({', '.join(parts)})", every)


def best_mix(score: Matrix, cost: Matrix, budget: float) -> list[tuple[int, float]] | None:
    """The random mix of at most two pairs of the highest mean score that costs at most `budget`.

    Two are enough: the best mixes lie on the upper hull of the points (cost, score).

    Args:
        score: (P,) mean scores, NaN unknown.
        cost: (P,) dollars a question, NaN unknown.
        budget: dollars a question.

    Returns:
        Pairs with their shares, or None if every known pair costs more.
    """
    known = [int(p) for p in np.flatnonzero(np.isfinite(score) & np.isfinite(cost))]
    cheap = [p for p in known if cost[p] <= budget]
    if not cheap:
        return None
    best = max(cheap, key=lambda p: (score[p], -cost[p]))
    mix, reached = [(best, 1.0)], float(score[best])
    for dear in (p for p in known if cost[p] > budget):
        for low in cheap:
            share = float((budget - cost[low]) / (cost[dear] - cost[low]))
            mean = share * score[dear] + (1 - share) * score[low]
            if share > 0 and mean > reached + 1e-12:
                mix, reached = [(low, 1 - share), (dear, share)], float(mean)
    return mix
