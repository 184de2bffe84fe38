"""What the page of a profile shows, as plain facts.

Scores lie in [0, 1], money is dollars, NaN and None are unknown. Whatever is None or empty has a
sentence on the page instead of a picture.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from profiles.profile import Profile
    from tasks.report.comparison import Interval
    from tasks.report.run_scores import Calibration

Matrix = NDArray[np.float64]


class Winner(NamedTuple):
    """Who leads a row of the interval map.

    Attributes:
        pair, runner_up: pair numbers; None where nobody, or nobody else, has a score.
        separated: whether the lead is beyond what chance explains.
        probability: that the leader is the best of all pairs; None where not estimated.
    """

    pair: int | None
    runner_up: int | None
    separated: bool
    probability: float | None = None


@dataclass(frozen=True, slots=True)
class IntervalMap:
    """Scores of P pairs in K clusters and overall: arrays are (K + 1, P), the last row overall.

    Attributes:
        value, low, high: the estimate and its 95 % interval; NaN without a score.
        n: scored outcomes behind it.
        winners: K + 1 of them.
        estimate: what the figures are, such as `mean score` or `posterior mean`.
    """

    value: Matrix
    low: Matrix
    high: Matrix
    n: NDArray[np.int64]
    winners: tuple[Winner, ...]
    estimate: str = "mean score"


@dataclass(frozen=True, slots=True)
class FrontPoint:
    """A pair or a router on the plane of accuracy and cost.

    Attributes:
        name: the pair as people read it, or the router.
        accuracy: on questions it was not fitted on.
        cost_usd: mean dollars a question; NaN unknown.
        n: questions the accuracy rests on.
        alpha: weight of cost that the router was given; None for a pair.
        mix: (pair, share of the questions it gets), the largest first; empty for a pair.
    """

    name: str
    accuracy: Interval
    cost_usd: float
    n: int
    alpha: float | None = None
    mix: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Front:
    """What accuracy costs.

    Attributes:
        pairs: every pair alone.
        paths: per router, its points by rising alpha.
        chosen: per alpha, the router that is taken; empty where there is one router only.
        why: per alpha, the reason in a sentence.
        gains: per alpha, the gain in utility over the best single pair, by router.
        measured: on which questions the figures were taken, as a sentence.
    """

    pairs: tuple[FrontPoint, ...]
    paths: Mapping[str, tuple[FrontPoint, ...]]
    chosen: Mapping[float, str]
    measured: str
    why: Mapping[float, str]
    gains: Mapping[float, Mapping[str, Interval]]


class SweepPoint(NamedTuple):
    """A number of clusters and what routing by it is worth on questions left out of the fit."""

    k: int
    value: Interval


@dataclass(frozen=True, slots=True)
class ClusterMap:
    """Questions on a plane.

    Attributes:
        points: (n, 2) some of the training questions.
        labels: (n,) their clusters.
        centres: (K, 2) where the clusters' means lie.
        kept: share of the spread between clusters that the plane shows, in [0, 1].
        shown_of: how many questions there are in all.
    """

    points: Matrix
    labels: NDArray[np.int64]
    centres: Matrix
    kept: float
    shown_of: int


class Change(NamedTuple):
    """One thing that differs between two versions.

    Attributes:
        what: such as `best pair overall` or `accuracy of small + none`.
        before, after: as people read them.
        move: the difference with its interval where there is one, as people read it.
        matters: whether it is beyond chance, or no matter of chance at all.
    """

    what: str
    before: str
    after: str
    move: str = ""
    matters: bool = False


@dataclass(frozen=True, slots=True)
class Changes:
    """What differs from an earlier version; `summary` says it in a line."""

    since: str
    since_at: datetime | None
    rows: tuple[Change, ...]
    summary: str = ""
    notes: tuple[str, ...] = ()


class Night(NamedTuple):
    """One figure of one pair in one night of canaries."""

    at: datetime
    pair: str
    metric: str
    value: float
    low: float
    high: float
    e_value: float
    alarm: bool


class Refresh(NamedTuple):
    """One refresh of the pool's knowledge; `gate` is why it was published or held back."""

    at: datetime
    profile_id: str
    cells: int
    calls: int
    cost_usd: Decimal | None
    gate: str
    published: bool


@dataclass(frozen=True, slots=True)
class ProfilePage:
    """A profile with everything that its page shows.

    Attributes:
        title: the pool's name.
        spent_usd: what the cells of this version cost; None is unknown.
        examples: per cluster, texts of held-out questions that fall into it.
        examples_note: why there are none, where there are none.
        calibrations: per estimate, how it compares with what came; by name.
        parameters: how the profile was made.
        router_note: the router that is taken by default, and why, in a line.
        notes: sentences on what is missing or odd.
    """

    profile: Profile
    title: str
    intervals: IntervalMap
    source: str = ""
    spent_usd: Decimal | None = None
    front: Front | None = None
    calibrations: tuple[tuple[str, Calibration], ...] = ()
    clusters: ClusterMap | None = None
    sweep: tuple[SweepPoint, ...] = ()
    examples: Mapping[int, tuple[str, ...]] | None = None
    examples_note: str = ""
    changes: Changes | None = None
    nights: tuple[Night, ...] = ()
    refreshes: tuple[Refresh, ...] = ()
    parameters: Mapping[str, str] | None = None
    router_note: str = ""
    next_commands: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
