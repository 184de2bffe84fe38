"""Routers compared on the same questions: macro and micro scores with paired intervals.

Definitions:

* micro: mean score over all questions; macro: unweighted mean over datasets of the mean inside
  each dataset;
* an unscored answer (NaN) counts 0, whoever gave it: nobody gains by being unreadable;
* intervals are percentiles of a paired bootstrap (Efron 1979): every draw resamples the
  questions, the same ones for all routers. Micro draws resample the whole split, macro draws
  resample inside every dataset. Draws come from one `numpy.random.default_rng(seed)`, first the
  micro draws, then the macro draws dataset by dataset in sorted order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

DRAWS = 5000
LEVEL = 0.95

_CHUNK_CELLS = 2_000_000
"""Random indices held at once: 16 MB, whatever the number of questions."""


class Interval(NamedTuple):
    """An estimate with its interval, in the unit of what it estimates."""

    value: float
    low: float
    high: float


class RouterScore(NamedTuple):
    """One router on one split.

    `n` counts questions, `unscored` those of them that no grader could read. `macro_gain` and
    `micro_gain` are this router minus the baseline, None for the baseline itself or without one.
    All scores are in [0, 1].
    """

    n: int
    unscored: int
    macro: Interval
    micro: Interval
    by_dataset: dict[str, float]
    macro_gain: Interval | None
    micro_gain: Interval | None


class Comparison(NamedTuple):
    """Routers on the same questions; `routers` keeps the order in which they were given."""

    baseline: str | None
    draws: int
    seed: int
    routers: dict[str, RouterScore]


def compare(
    scores: Mapping[str, NDArray[np.float64]],
    datasets: Sequence[str],
    baseline: str | None = None,
    *,
    draws: int = DRAWS,
    seed: int = 0,
) -> Comparison:
    """Score routers on n questions and say how sure the figures are.

    Args:
        scores: per router (n,) scores in [0, 1], NaN where unscored, in the same question order.
        datasets: n dataset names.
        baseline: the router that others are measured against, normally the best single pair.
        draws: bootstrap draws.
        seed: seed of the draws.

    Raises:
        ValueError: no router, no question, lengths that differ, or an unknown baseline.
    """
    raw = _stacked(scores, datasets, baseline)
    values = np.nan_to_num(raw, nan=0.0)
    groups = _groups(datasets)
    rng = np.random.default_rng(seed)
    micro = _Sample(values.mean(axis=0), _resampled_means(values, draws, rng))
    inside = {name: values[rows].mean(axis=0) for name, rows in groups.items()}
    drawn = sum(_resampled_means(values[rows], draws, rng) for rows in groups.values())
    macro = _Sample(np.mean(list(inside.values()), axis=0), np.asarray(drawn) / len(groups))
    base = list(scores).index(baseline) if baseline is not None else None
    routers = {
        name: RouterScore(
            n=len(values),
            unscored=int(np.isnan(raw[:, column]).sum()),
            macro=macro.interval(column),
            micro=micro.interval(column),
            by_dataset={dataset: float(mean[column]) for dataset, mean in inside.items()},
            macro_gain=macro.gain(column, base),
            micro_gain=micro.gain(column, base),
        )
        for column, name in enumerate(scores)
    }
    return Comparison(baseline, draws, seed, routers)


class _Sample(NamedTuple):
    """Mean scores (R,) of R routers, and their bootstrap draws (draws, R)."""

    mean: NDArray[np.float64]
    drawn: NDArray[np.float64]

    def interval(self, column: int) -> Interval:
        """One router's mean with its interval."""
        return _interval(float(self.mean[column]), self.drawn[:, column])

    def gain(self, column: int, base: int | None) -> Interval | None:
        """One router minus the baseline, drawn together."""
        if base is None or column == base:
            return None
        value = float(self.mean[column] - self.mean[base])
        return _interval(value, self.drawn[:, column] - self.drawn[:, base])


def _stacked(
    scores: Mapping[str, NDArray[np.float64]], datasets: Sequence[str], baseline: str | None
) -> NDArray[np.float64]:
    """(n, R) scores, checked."""
    if not scores:
        raise ValueError("There is no router to compare: give the scores of at least one.")
    if not len(datasets):
        raise ValueError("There is no question to compare routers on: the split is empty.")
    for name, column in scores.items():
        if np.shape(column) != (len(datasets),):
            raise ValueError(
                f"Router {name!r} has scores of shape {np.shape(column)}, but there are "
                f"{len(datasets)} questions: give one score per question, NaN where unscored."
            )
    if baseline is not None and baseline not in scores:
        raise ValueError(
            f"The baseline {baseline!r} is not among the routers compared: {', '.join(scores)}."
        )
    return np.column_stack([np.asarray(column, dtype=np.float64) for column in scores.values()])


def _groups(datasets: Sequence[str]) -> dict[str, NDArray[np.int64]]:
    """Row numbers of every dataset, by sorted name."""
    names = np.asarray(datasets, dtype=object)
    return {name: np.flatnonzero(names == name) for name in sorted(set(datasets))}


def _resampled_means(
    values: NDArray[np.float64], draws: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """(draws, R) means of n rows drawn with replacement, the same rows for every router.

    A draw is held as how often each row was taken, so that one matrix product serves all
    routers.
    """
    n = len(values)
    means = np.empty((draws, values.shape[1]))
    step = max(1, _CHUNK_CELLS // n)
    for start in range(0, draws, step):
        count = min(step, draws - start)
        taken = rng.integers(0, n, (count, n))
        taken += np.arange(count)[:, None] * n
        times = np.bincount(taken.ravel(), minlength=count * n).reshape(count, n)
        means[start : start + count] = times.astype(np.float64) @ values / n
    return means


def _interval(value: float, drawn: NDArray[np.float64]) -> Interval:
    """The estimate with the percentiles of its draws."""
    tail = 100 * (1 - LEVEL) / 2
    low, high = np.percentile(drawn, [tail, 100 - tail])
    return Interval(value, float(low), float(high))
