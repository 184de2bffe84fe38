"""What is watched of a pair: accuracy, refusal, answer length, latency and price per query.

Each metric becomes exceedances of canaries, night by night, for the exact scan of
`profiles.drift.scan`:

* accuracy: the answer was wrong (score below ½), or, for a gain, right;
* refusal: the answer declined to answer;
* length, price: the value lies more than `TOLERANCE` above (below) the canary's own median over
  all nights. A median over all nights treats them alike, so the test stays exact;
* latency: one value a night, the median over canaries of the duration relative to each canary's
  own median. Nights, not canaries, are independent there: a busy evening slows every call. The
  test is then over nights alone, and takes one to two weeks where the others take days.

`NIGHT_LEVEL` is what all metrics of a pair together may spend in a night: one false alarm a pair in
100,000 nights, at most 1 % of the pairs in 1,000 nights. Accuracy, on which routing rests, has most
of it; the others shift by many standard deviations when they shift at all.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from profiles.drift.scan import WINDOWS, Evidence, scan
from profiles.statistics import Z95, wilson

Table = NDArray[np.float64]
"""(T, m): T nights, oldest first, of m canaries; NaN is unknown."""
Metric = Literal["accuracy", "refusal", "length", "latency", "price"]
Direction = Literal["down", "up"]

NIGHT_LEVEL = 1e-5
LEVELS: Mapping[tuple[Metric, Direction], float] = MappingProxyType(
    {
        ("accuracy", "down"): 7.6e-6,
        ("accuracy", "up"): 4e-7,
        ("refusal", "up"): 4e-7,
        ("length", "up"): 2e-7,
        ("length", "down"): 2e-7,
        ("price", "up"): 2e-7,
        ("price", "down"): 2e-7,
        ("latency", "up"): 5e-7,
        ("latency", "down"): 3e-7,
    }
)
"""How `NIGHT_LEVEL` is spent."""
TOLERANCE: Mapping[Metric, float] = MappingProxyType(
    {"length": 0.10, "price": 0.10, "latency": 0.25}
)
"""Relative change below which nobody's choice of a pair would change."""
NIGHT_WINDOWS: Mapping[int, float] = MappingProxyType({5: 0.3, 8: 0.4, 13: 0.3})
"""Widths for latency: fewer nights cannot be significant among few others."""


@dataclass(frozen=True, slots=True)
class CanaryHistory:
    """The runs of one pair's canaries since they were chosen.

    Attributes:
        scores: (T, m) in [0, 1]; NaN is unscored, failed or not run.
        refused: (T, m) 1 where the answer declined.
        lengths: (T, m) output tokens, or characters where tokens are unknown.
        durations_s: (T, m).
        costs_usd: (T, m); NaN is unknown, and every night of another price list.
        first_of_night: (T,) whether the run is the first of its night; repeated runs of one night
            are no nights of their own for latency.
    """

    scores: Table
    refused: Table
    lengths: Table
    durations_s: Table
    costs_usd: Table
    first_of_night: NDArray[np.bool_]


class Reading(NamedTuple):
    """One metric of one pair on the last night.

    Attributes:
        direction: in which the evidence points.
        value: tonight: share right, share refused, mean tokens, median seconds, mean dollars.
        low, high: 95 % interval of `value` (Wilson for shares, normal for means, order statistics
            for the median).
        n: canaries behind it.
        baseline: the same over the earlier nights; NaN on the first.
        nights: earlier nights.
    """

    metric: Metric
    direction: Direction
    value: float
    low: float
    high: float
    n: int
    baseline: float
    nights: int
    evidence: Evidence

    @property
    def alarm(self) -> bool:
        """Whether the metric drifted."""
        return self.evidence.alarm


def read_metrics(history: CanaryHistory) -> list[Reading]:
    """What the last night says of every metric that was measured."""
    wrong = _indicator(history.scores, history.scores < 0.5)
    right = _indicator(history.scores, history.scores >= 0.5)
    tables: dict[Metric, Table] = {
        "accuracy": history.scores,
        "refusal": history.refused,
        "length": history.lengths,
        "price": history.costs_usd,
        "latency": history.durations_s,
    }
    exceedances: dict[tuple[Metric, Direction], Table] = {
        ("accuracy", "down"): wrong,
        ("accuracy", "up"): right,
        ("refusal", "up"): history.refused,
    }
    for metric in ("length", "price"):
        for direction, table in _beyond(tables[metric], TOLERANCE[metric]).items():
            exceedances[metric, direction] = table
    nights = relative_level(history.durations_s)[history.first_of_night]
    for direction, table in _beyond(nights[:, None], TOLERANCE["latency"]).items():
        exceedances["latency", direction] = table
    readings = []
    for metric, table in tables.items():
        if not np.isfinite(table[-1]).any():
            continue
        windows = NIGHT_WINDOWS if metric == "latency" else WINDOWS
        tested = [
            (direction, scan(table_, LEVELS[name, direction], windows))
            for (name, direction), table_ in exceedances.items()
            if name == metric and not (metric == "latency" and not history.first_of_night[-1])
        ]
        if not tested:
            continue
        direction, evidence = min(tested, key=lambda one: one[1].p_value / one[1].level)
        readings.append(_reading(metric, direction, table, evidence))
    return readings


def relative_level(values: Table) -> NDArray[np.float64]:
    """(T,) median over canaries of each value relative to its canary's own median; NaN unknown."""
    with warnings.catch_warnings(), np.errstate(invalid="ignore", divide="ignore"):
        warnings.simplefilter("ignore", RuntimeWarning)
        own = np.nanmedian(values, axis=0)
        level: NDArray[np.float64] = np.nanmedian(np.where(own > 0, values / own, np.nan), axis=1)
    return level


def _indicator(known: Table, condition: NDArray[np.bool_]) -> Table:
    return np.where(np.isfinite(known), condition.astype(np.float64), np.nan)


def _beyond(values: Table, tolerance: float) -> dict[Direction, Table]:
    """Which values lie above, and below, their column's median by more than the tolerance."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        own = np.nanmedian(values, axis=0)
    with np.errstate(invalid="ignore"):
        return {
            "up": _indicator(values, values > own * (1 + tolerance)),
            "down": _indicator(values, values < own / (1 + tolerance)),
        }


def _reading(metric: Metric, direction: Direction, table: Table, evidence: Evidence) -> Reading:
    tonight = table[-1][np.isfinite(table[-1])]
    before = table[:-1][np.isfinite(table[:-1])]
    middle = np.median if metric == "latency" else np.mean
    value = float(middle(tonight))
    n = len(tonight)
    if metric in ("accuracy", "refusal"):
        low, high = (float(end) for end in wilson(np.array(tonight.sum()), np.array(float(n))))
    elif metric == "latency":
        # Ranks of a 95 % interval of a median: n/2 ± 1.96 √n / 2.
        ranks = n / 2 + np.array([-1, 1]) * Z95 * np.sqrt(n) / 2
        ordered = np.sort(tonight)
        low = float(ordered[max(0, int(np.floor(ranks[0])))])
        high = float(ordered[min(n - 1, int(np.ceil(ranks[1])))])
    else:
        half = Z95 * float(tonight.std(ddof=1)) / np.sqrt(n) if n > 1 else float("inf")
        low, high = max(0.0, value - half), value + half
    baseline = float(middle(before)) if len(before) else float("nan")
    nights = int(np.isfinite(table[:-1]).any(axis=1).sum())
    return Reading(metric, direction, value, low, high, n, baseline, nights, evidence)
