"""A routed run against what other routers would have made of the same questions.

Nobody asked the other routers: all that is said of them is **estimated from the profile**, by
`tasks.report.counterfactual`. Over n questions the run is better by the mean of s_i − b_i, with
95 % interval ± 1.96·√(var(s − b)/n + luck/n² + doubt/n²).

Where nothing was graded the run's scores are estimated as well: then only the profile's doubt is
left, and since the router chose its pairs by the same figures, its lead is flattered.

Costs are sums over the very questions: C_B = Σ b_i, and the change C/C_B − 1 has the interval
that C_B·exp(±1.96·√(luck + doubt)/C_B) gives it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from profiles.statistics import Z95
from tasks.report.comparison import Interval
from tasks.report.counterfactual import (
    Answered,
    Cells,
    Other,
    doubt_of,
    other_router,
    own_router,
)
from tasks.report.other_routers import (
    BEST_SINGLE,
    CHEAPEST,
    ORACLE,
    RANDOM,
    SAME_COST,
    Tables,
    choice_of,
)
from tasks.report.run_rows import floats

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

    from profiles.profile import Profile

    Matrix = NDArray[np.float64]

DEFAULT_AGAINST = (BEST_SINGLE, CHEAPEST, RANDOM, ORACLE)


@dataclass(frozen=True, slots=True)
class Against:
    """The run against one other router on the same questions; estimated from the profile.

    Attributes:
        name: as asked for.
        label: for people, with the pairs it would use.
        told: what it is told that no router may know; empty for routers.
        n: questions behind the accuracies: the graded ones, all answered where none was graded.
        graded: whether the run's own scores on them are real; else they are estimated too.
        same: how many of these it would have given to the same pair: there its score is known.
        accuracy: what it would have scored; None where the profile does not know.
        accuracy_change: the run minus it; above 0 the run is better.
        cost_n: answered questions of known cost.
        cost_usd: dollars it would have cost on those; None where the profile does not know.
        cost_change: the run's cost relative to it, −0.63 is 63 % less; None for a free one.
        problem: why there are no figures, empty if there are.
    """

    name: str
    label: str
    told: str = ""
    n: int = 0
    graded: bool = False
    same: float = 0.0
    accuracy: Interval | None = None
    accuracy_change: Interval | None = None
    cost_n: int = 0
    cost_usd: Interval | None = None
    cost_change: Interval | None = None
    problem: str = ""


def answered_rows(answered: pl.DataFrame, profile: Profile, *, clustered: bool) -> Answered:
    """Answered questions by the profile's numbers.

    Args:
        answered: `RunRows.answered`.
        profile: the profile.
        clustered: whether the rows' cluster numbers are this profile's.
    """
    index = profile.index()
    pair = np.array([index.get(one, -1) for one in answered.get_column("pair_id")], np.int64)
    cluster = answered.get_column("cluster_id").fill_null(-1).to_numpy().astype(np.int64)
    beyond = answered.get_column("is_out_of_distribution").fill_null(value=False).to_numpy()
    nowhere = (cluster < 0) | beyond | (not clustered)
    fallback = answered.get_column("fallback").fill_null(value=False).to_numpy()
    return Answered(
        place=np.where(nowhere, profile.k, cluster),
        pair=pair,
        # Where other pairs had been tried before, their calls cost as well.
        own=np.where(fallback, -1, pair),
        score=floats(answered, "score"),
        cost_usd=floats(answered, "cost_usd"),
    )


def compare_run(rows: Answered, tables: Tables, names: Sequence[str]) -> tuple[Against, ...]:
    """The run against every named router; `random` brings its control at the same cost along.

    Raises:
        AgainstError: a name that is none of `NAMES`.
        RouterError: the profile does not know the pair of a `fixed:…`.
    """
    wanted: list[str] = []
    for name in names:
        wanted += [name, SAME_COST] if name == RANDOM else [name]
    return tuple(_against(name, rows, tables) for name in dict.fromkeys(wanted))


def cost_drift(rows: Answered, tables: Tables) -> Interval | None:
    """What the run's questions cost relative to what the profile says of its own choices.

    1.08 is 8 % dearer than profiled questions, as longer texts are. 95 % interval from what
    single questions vary and from the profile's own error; questions that needed another pair
    after a failed call are left out. None where nothing is known.
    """
    rows = rows.only(np.isfinite(rows.cost_usd) & (rows.own >= 0))
    own = own_router(rows, tables.cost) if len(rows.place) else None
    expected = 0.0 if own is None else float(own.values.sum())
    if own is None or expected <= 0:
        return None
    luck = float(tables.cost.luck[rows.place, rows.pair].sum())
    factor = math.exp(Z95 * math.sqrt(luck + doubt_of(own.leaning, tables.cost)) / expected)
    ratio = float(rows.cost_usd.sum()) / expected
    return Interval(ratio, ratio / factor, ratio * factor)


def _against(name: str, rows: Answered, tables: Tables) -> Against:
    choice = choice_of(name, rows, tables)
    if choice.weights is None:
        return Against(name, choice.label, problem=choice.problem)
    graded = rows.only(np.isfinite(rows.score))
    real = len(graded.score) > 0
    judged = graded if real else rows
    compared = (_real if real else _expected)(judged, choice.weights, tables.score)
    priced = rows.only(np.isfinite(rows.cost_usd))
    cost, cost_change = _costs(priced, choice.weights, tables.cost)
    return Against(
        name=name,
        label=choice.label,
        told="every score" if name == ORACLE else "",
        n=len(judged.score),
        graded=real,
        same=compared.same,
        accuracy=compared.accuracy,
        accuracy_change=compared.change,
        cost_n=len(priced.cost_usd),
        cost_usd=cost,
        cost_change=cost_change,
        problem=""
        if compared.accuracy or cost
        else "the profile does not know the pairs it would use",
    )


class _Compared(NamedTuple):
    accuracy: Interval | None = None
    change: Interval | None = None
    same: float = 0.0


def _real(rows: Answered, weights: Matrix, cells: Cells) -> _Compared:
    """Graded questions: the run's scores against what W would have scored."""
    n = len(rows.score)
    other = other_router(rows, rows.score, weights, cells)
    if other is None:
        return _Compared()
    unknown = (other.luck + doubt_of(other.leaning, cells)) / n**2
    lead = rows.score - other.values
    return _Compared(
        _mean(other.values, _spread(other.values) + unknown, 0.0),
        _mean(lead, _spread(lead) + unknown, -1.0),
        other.same,
    )


def _expected(rows: Answered, weights: Matrix, cells: Cells) -> _Compared:
    """Ungraded questions: what the profile expects of both."""
    n = len(rows.place)
    blind = Answered(rows.place, rows.pair, np.full(n, -1), rows.score, rows.cost_usd)
    other = other_router(blind, rows.score, weights, cells) if n else None
    if other is None:
        return _Compared()
    accuracy = _mean(other.values, doubt_of(other.leaning, cells) / n**2, 0.0)
    own = own_router(rows, cells)
    if own is None:
        return _Compared(accuracy)
    doubt = doubt_of(own.leaning - other.leaning, cells) / n**2
    change = _mean(own.values - other.values, doubt, -1.0)
    return _Compared(accuracy, change, float(weights[rows.place, rows.pair].sum()))


def _costs(
    rows: Answered, weights: Matrix, cells: Cells
) -> tuple[Interval | None, Interval | None]:
    """Dollars W would have cost on the rows, and the run's cost relative to that."""
    other: Other | None = None
    if len(rows.place):
        other = other_router(rows, rows.cost_usd, weights, cells)
    if other is None:
        return None, None
    total = float(other.values.sum())
    if total <= 0:
        return Interval(0.0, 0.0, 0.0), None
    spread = math.sqrt(other.luck + doubt_of(other.leaning, cells))
    factor = math.exp(Z95 * spread / total)
    change = float(rows.cost_usd.sum()) / total
    return (
        Interval(total, total / factor, total * factor),
        Interval(change - 1, change / factor - 1, change * factor - 1),
    )


def _mean(values: Matrix, variance: float, least: float) -> Interval:
    value = float(values.mean())
    half = Z95 * math.sqrt(max(variance, 0.0))
    return Interval(value, max(least, value - half), min(1.0, value + half))


def _spread(values: Matrix) -> float:
    """Variance of the mean over the questions; one question shows none, so the most there is."""
    return float(values.var(ddof=1)) / len(values) if len(values) > 1 else 0.25
