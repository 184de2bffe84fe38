"""What every router is worth on training questions it was not fitted on, at any alpha.

`profiles.crossfit` fits best single pair and clusters on four fifths of the training questions
and keeps what they would say of the last fifth, for each of five folds; the predictor brings
out-of-fold scores of its own. Here these are turned into choices at one alpha, the choices into
utilities, and the utilities into one `Choice`: the router that `auto` uses.

The best of several noisy estimates is flattered by its noise. Therefore few candidates of fixed
configuration are compared, a candidate must beat the best single pair by more than the larger of
one standard deviation and a quarter of a point before it is looked at, and a bolder one must beat
a more cautious one by one standard deviation of the difference (the rule of one standard error,
Breiman et al., 1984). From the most cautious on: the best single pair; the predictor, which leaves
it only where another pair is clearly better for the very question; clusters, which do harm on
kinds of question that were never seen.

A gain is the mean of two: over questions (micro), as a backlog like the training questions would
see it, and over datasets (macro), so that a large one does not buy its gain with a small one's.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from profiles.routers.ranking import rank_pairs, tie_order
from profiles.routers.utility import utilities

Matrix = NDArray[np.float64]
Choices = NDArray[np.int64]

BEST_SINGLE, CLUSTER, PREDICTOR = "best-single", "cluster", "predictor"
LEAST_GAIN = 0.0025
"""A gain below a quarter of a point is none."""
CLEARLY = 1.0
"""A bolder router must be better by this many standard deviations of the difference."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One clustering, fitted without each of F folds: what it says of the n questions left out.

    Attributes:
        k: number of clusters asked for.
        rows: (n, M) rows of the fold's table that serve a question; row K is the overall one.
        weights: (n, M) of those rows, each question's sum to 1.
        scores: (F, K + 1, P) scores to decide by.
        costs_usd: (F, K + 1, P) likewise.
    """

    k: int
    rows: NDArray[np.uint16]
    weights: NDArray[np.float32]
    scores: NDArray[np.float32]
    costs_usd: NDArray[np.float32]

    @property
    def nearest(self) -> int:
        """Clusters that are mixed for one question: 1 is the nearest alone."""
        return int(self.rows.shape[1])


@dataclass(frozen=True, slots=True)
class Selection:
    """Out-of-fold knowledge of n training questions and P pairs.

    Attributes:
        k: clusters of the profile itself; one of the trials has it.
        folds: (n,) fold of each question, out of F.
        datasets: (n,) number of each question's dataset.
        values: (n, P) score of each pair; where the cell was not run, or not scored, an unbiased
            estimate of it, see `profiles.crossfit.doubly_robust`.
        scored: (n, P) whether the cell has a score.
        costs_usd: (n, P) dollars; where unknown, the pair's mean, NaN if that is unknown too.
        single_scores: (P,) mean training score over datasets, which the best single pair has
            the highest of. No fold is left out of it: what is to be beaten may be flattered.
        trials: clusterings, by rising K, and last the soft one of the profile's own K.
        predictor_pairs: (n,) pairs the predictor router chooses out of fold at alpha 0; empty
            without one. With it, alpha 0 is judged without reading the whole predictor.
    """

    k: int
    folds: NDArray[np.uint8]
    datasets: NDArray[np.uint16]
    values: NDArray[np.float32]
    scored: NDArray[np.bool_]
    costs_usd: NDArray[np.float32]
    single_scores: Matrix
    trials: tuple[Trial, ...]
    predictor_pairs: NDArray[np.int16] = field(default_factory=lambda: np.empty(0, np.int16))

    @property
    def n(self) -> int:
        """Training questions."""
        return len(self.folds)

    def to_parts(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """JSON-able words, and arrays without objects."""
        words = {"k": self.k, "trials": [trial.k for trial in self.trials]}
        arrays = {name: getattr(self, name) for name in _ARRAYS}
        for number, trial in enumerate(self.trials):
            arrays |= {f"{number}/{name}": getattr(trial, name) for name in _TRIAL_ARRAYS}
        return words, arrays

    @classmethod
    def from_parts(cls, words: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Selection:
        """The selection that `to_parts` took apart.

        Raises:
            KeyError: something is missing.
        """
        trials = tuple(
            Trial(int(k), **{name: arrays[f"{number}/{name}"] for name in _TRIAL_ARRAYS})
            for number, k in enumerate(words["trials"])
        )
        own = {name: arrays[name] for name in _ARRAYS}
        return cls(k=int(words["k"]), trials=trials, **own)


_TRIAL_ARRAYS = tuple(f.name for f in fields(Trial) if f.name != "k")
_ARRAYS = tuple(f.name for f in fields(Selection) if f.name not in {"k", "trials"})


class Estimate(NamedTuple):
    """What one router is worth out of fold, beside the best single pair.

    Attributes:
        router: `best-single`, `cluster` or `predictor`.
        k: its clusters; None for routers without.
        nearest: clusters mixed for a question; None likewise.
        n: questions.
        utility: mean over questions of (1 − alpha)·score − alpha·cost/largest mean pair cost.
        score: mean score over questions, in [0, 1].
        cost_usd: mean dollars a question, NaN unknown.
        gain: utility minus that of the best single pair, the mean of micro and macro.
        sd: standard deviation of that gain over samples of n questions.
        micro_gain: the mean gain over questions.
        macro_gain: the unweighted mean over datasets of the mean gain in each.
    """

    router: str
    k: int | None
    nearest: int | None
    n: int
    utility: float
    score: float
    cost_usd: float
    gain: float
    sd: float
    micro_gain: float
    macro_gain: float

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval of the gain."""
        half = 1.96 * self.sd
        return self.gain - half, self.gain + half

    @property
    def helps(self) -> bool:
        """Whether the gain is more than one standard deviation and a quarter of a point."""
        return self.gain > max(self.sd, LEAST_GAIN)

    @property
    def label(self) -> str:
        """Router and clusters, for people."""
        if self.k is None:
            return self.router
        soft = f", {self.nearest} nearest mixed" if self.nearest and self.nearest > 1 else ""
        return f"{self.router} (K = {self.k}{soft})"

    def as_json(self) -> dict[str, Any]:
        """Plain values; null is unknown."""
        low, high = self.interval
        plain = {**self._asdict(), "gain_low": low, "gain_high": high, "helps": self.helps}
        return {
            name: None if isinstance(value, float) and not math.isfinite(value) else value
            for name, value in plain.items()
        }


def known_choices(selection: Selection) -> dict[str, Choices]:
    """What routers beside clusters chose out of fold at alpha 0, as far as the selection says."""
    if not len(selection.predictor_pairs):
        return {}
    return {PREDICTOR: selection.predictor_pairs.astype(np.int64)}


class Choice(NamedTuple):
    """The router that `auto` uses at one alpha, and why."""

    router: str
    k: int | None
    nearest: int | None
    alpha: float
    estimates: tuple[Estimate, ...]
    """Of every candidate, the most cautious first."""
    sentence: str


def assess(
    selection: Selection, alpha: float, others: Mapping[str, Choices] | None = None
) -> tuple[Estimate, ...]:
    """What every candidate is worth at this alpha: best single, `others`, then every trial.

    Args:
        selection: out-of-fold knowledge.
        alpha: weight of cost.
        others: (n,) pairs chosen out of fold by further routers, by their name.

    Raises:
        RouterError: alpha is above 0 and no cost is known.
    """
    return _Comparison(selection, alpha, others or {}).estimates


class _Comparison:
    """Every candidate at one alpha, and the differences between any two of them."""

    def __init__(self, selection: Selection, alpha: float, others: Mapping[str, Choices]) -> None:
        score, cost, reward = _rewards(selection, alpha)
        found: list[tuple[str, Trial | None, Choices]] = [
            (BEST_SINGLE, None, np.full(selection.n, single_choice(selection, alpha))),
            *((name, None, chosen) for name, chosen in others.items()),
            *((CLUSTER, t, trial_choices(selection, t, alpha)) for t in selection.trials),
        ]
        self._weights = _balanced(selection.datasets)
        utility = [_picked(reward, chosen) for _, _, chosen in found]
        self._gains = [one - utility[0] for one in utility]
        estimates = []
        for (router, trial, chosen), own, gains in zip(found, utility, self._gains, strict=True):
            micro = float(gains.mean())
            gain = float(self._weights @ gains)
            estimates.append(
                Estimate(
                    router=router,
                    k=trial.k if trial else None,
                    nearest=trial.nearest if trial else None,
                    n=selection.n,
                    utility=float(own.mean()),
                    score=float(_picked(score, chosen).mean()),
                    cost_usd=float(_picked(cost, chosen).mean()),
                    gain=gain,
                    sd=self._deviation(gains),
                    micro_gain=micro,
                    macro_gain=2.0 * gain - micro,
                )
            )
        self.estimates = tuple(estimates)

    def near_the_best(self, numbers: Sequence[int]) -> list[int]:
        """Those of these candidates that the best of them is not clearly better than."""
        best = max(numbers, key=lambda number: (self.estimates[number].gain, -number))
        return [number for number in numbers if not self._clearly_worse(number, best)]

    def _clearly_worse(self, number: int, best: int) -> bool:
        difference = self._gains[best] - self._gains[number]
        return float(self._weights @ difference) > CLEARLY * self._deviation(difference)

    def _deviation(self, gains: Matrix) -> float:
        mean = float(self._weights @ gains)
        return float(np.sqrt((self._weights**2) @ (gains - mean) ** 2))


def _balanced(datasets: NDArray[np.uint16]) -> Matrix:
    """(n,) weights whose sum is 1: half of it by question, half of it alike for every dataset."""
    counts = np.bincount(datasets).astype(np.float64)
    groups = int((counts > 0).sum())
    weights: Matrix = 0.5 / len(datasets) + 0.5 / (groups * counts[datasets])
    return weights


def single_choice(selection: Selection, alpha: float) -> int:
    """The best single pair at this alpha.

    Raises:
        RouterError: alpha is above 0 and no cost is known.
    """
    costs = _mean_costs(selection)
    table = utilities(selection.single_scores[None], costs[None], alpha, "global", _largest(costs))
    return int(rank_pairs(table, None, _ties(selection, slice(None)))[0, 0])


def trial_choices(selection: Selection, trial: Trial, alpha: float) -> Choices:
    """(n,) pairs the cluster router of a trial chooses out of fold."""
    chosen = np.zeros(selection.n, np.int64)
    largest = _largest(_mean_costs(selection))
    for fold in range(len(trial.scores)):
        rows = selection.folds == fold
        if not rows.any():
            continue
        scores, costs = (
            _mixed(trial, table[fold], rows) for table in (trial.scores, trial.costs_usd)
        )
        table = utilities(scores, costs, alpha, "global", largest)
        chosen[rows] = rank_pairs(table, None, _ties(selection, ~rows))[:, 0]
    return chosen


def trial_expectations(selection: Selection, trial: Trial, chosen: Choices) -> Matrix:
    """(n,) score that a trial expects, out of fold, of each question's chosen pair."""
    expected = np.full(selection.n, np.nan)
    for fold in range(len(trial.scores)):
        rows = np.flatnonzero(selection.folds == fold)
        mixed = _mixed(trial, trial.scores[fold], rows)
        expected[rows] = mixed[np.arange(len(rows)), chosen[rows]]
    return expected


def choose(
    selection: Selection, alpha: float, others: Mapping[str, Choices] | None = None
) -> Choice:
    """The most cautious router that helps and that no other is clearly better than.

    Candidates are the best single pair, `others`, and clusters as the profile has them, in this
    order. A router counts where it helps (`Estimate.helps`); where none does, the best single
    pair stays.

    Raises:
        RouterError: alpha is above 0 and no cost is known.
    """
    compared = _Comparison(selection, alpha, others or {})
    estimates = compared.estimates
    running = [n for n, one in enumerate(estimates) if one.k in (None, selection.k)]
    helping = [n for n in running if estimates[n].helps]
    best = estimates[compared.near_the_best(helping)[0] if helping else 0]
    shown = tuple(estimates[n] for n in running)
    return Choice(best.router, best.k, best.nearest, alpha, shown, _sentence(best, shown))


def best_k(selection: Selection, alpha: float = 0.0) -> int:
    """The number of clusters that routes best out of fold.

    Where several are about as good as the best one, it is `selection.k` if that is among them,
    and else the smallest.
    """
    compared = _Comparison(selection, alpha, {})
    hard = [n for n, one in enumerate(compared.estimates) if one.nearest == 1]
    near = [compared.estimates[n].k for n in compared.near_the_best(hard)]
    return selection.k if selection.k in near else min(k for k in near if k is not None)


def _sentence(best: Estimate, estimates: tuple[Estimate, ...]) -> str:
    low, high = (100 * end for end in best.interval)
    if best.router == BEST_SINGLE:
        rest = [one for one in estimates if one is not best]
        if not rest:
            return f"best-single: {best.n:,} training questions are too few to compare routers on"
        tried = "; ".join(f"{one.label} {_points(one.gain)} ± {100 * one.sd:.2f}" for one in rest)
        return (
            f"best-single: no router is clearly better on {best.n:,} training questions left out"
            f" of its fit (points of utility: {tried})"
        )
    return (
        f"{best.label}: {_points(best.gain)} points of utility [{low:+.2f}, {high:+.2f}] over the"
        f" best single pair, on {best.n:,} training questions left out of its fit"
    )


def _points(share: float) -> str:
    return f"{100 * share:+.2f}"


def _rewards(selection: Selection, alpha: float) -> tuple[Matrix, Matrix, Matrix]:
    """(n, P) scores, dollars and utilities of every pair on every question."""
    score = selection.values.astype(np.float64)
    cost = selection.costs_usd.astype(np.float64)
    if alpha == 0:
        return score, cost, score
    largest = _largest(_mean_costs(selection))
    scaled = cost / largest if largest > 0 else 0.0 * cost
    return score, cost, (1.0 - alpha) * score - alpha * scaled


def _mean_costs(selection: Selection) -> Matrix:
    return np.asarray(selection.costs_usd.astype(np.float64).mean(axis=0))


def _largest(costs: Matrix) -> float:
    return float(np.fmax.reduce(costs, initial=np.nan))


def _ties(selection: Selection, rows: NDArray[np.bool_] | slice) -> NDArray[np.int64]:
    kept = selection.values[rows].astype(np.float64)
    return tie_order(kept.mean(axis=0) if len(kept) else np.zeros(kept.shape[1]))


def _mixed(trial: Trial, table: NDArray[np.float32], rows: NDArray[Any]) -> Matrix:
    """(r, P) means of table rows; unknown where a row that takes part is unknown."""
    weights = trial.weights[rows].astype(np.float64)[:, :, None]
    own = np.where(weights > 0, table[trial.rows[rows]], 0.0)
    return np.asarray((weights * own).sum(axis=1))


def _picked(values: Matrix, chosen: Choices) -> Matrix:
    return np.take_along_axis(values, chosen[:, None], axis=1)[:, 0]
