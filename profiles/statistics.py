"""How good, dear and slow every pair is in every cluster (ATLAS, Eq. 2 and 3), with intervals.

Two kinds of accuracy stand side by side. `score_mean` with its Wilson interval is what was seen:
the paper's figure, fair between pairs only where all answered the same questions. `score_shrunk`
with `score_posterior_low/high` is what is believed: the posterior of `profiles.posterior`, fair
also between pairs of unequal counts, and what routers use.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields

import numpy as np
from numpy.typing import NDArray

from profiles.errors import ProfileError
from profiles.outcomes import OutcomeMatrices
from profiles.posterior import PosteriorSettings, fit_cells, publish

Z95 = 1.959963984540054
_DECIMALS = 12
"""Posterior figures are rounded, so that the same outcomes are the same profile everywhere."""
LATER = ("score_posterior_low", "score_posterior_high", "best_probability", "n_effective")
"""Arrays that profiles of the first format lack; all NaN is left out of `Statistics.arrays`."""

Matrix = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Statistics:
    """Statistics of P pairs in K clusters: every array is (K + 1, P), the last row is overall.

    NaN is unknown. Scores lie in [0, 1]; costs are dollars per question, durations seconds.
    """

    n: NDArray[np.int64]
    """Outcomes, scored or not."""
    n_scored: NDArray[np.int64]
    """Outcomes with a score. An unscored outcome is never counted as wrong."""
    score_mean: Matrix
    """Acc_k(m, t), Eq. 2, over the scored outcomes."""
    score_low: Matrix
    """Lower end of the 95 % Wilson interval; 0 without scores."""
    score_high: Matrix
    """Upper end of the 95 % Wilson interval; 1 without scores."""
    score_shrunk: Matrix
    """Posterior mean accuracy, see `profiles.posterior`; NaN for a pair without any score."""
    input_tokens_mean: Matrix
    input_tokens_p50: Matrix
    input_tokens_p90: Matrix
    output_tokens_mean: Matrix
    output_tokens_p50: Matrix
    output_tokens_p90: Matrix
    cost_mean_usd: Matrix
    """Cost_k(m, t), Eq. 3: the mean over outcomes of known cost."""
    cost_p90_usd: Matrix
    duration_p50_s: Matrix
    duration_p95_s: Matrix
    error_rate: Matrix
    """Share of outcomes whose call failed."""
    prior_strength: float
    """m of the posterior: what its prior is worth, in observations."""
    score_posterior_low: Matrix = field(default_factory=lambda: np.empty(0))
    """Lower end of the central 95 % credible interval around `score_shrunk`."""
    score_posterior_high: Matrix = field(default_factory=lambda: np.empty(0))
    best_probability: Matrix = field(default_factory=lambda: np.empty(0))
    """Posterior probability that the pair is the most accurate of its row."""
    n_effective: Matrix = field(default_factory=lambda: np.empty(0))
    """Scored outcomes after decay, (Σw)² / Σw²; NaN where outcomes were not weighted."""

    def __post_init__(self) -> None:
        for name in LATER:
            if not getattr(self, name).size:
                object.__setattr__(self, name, np.full(self.n.shape, np.nan))

    @property
    def k(self) -> int:
        """Number of clusters, the overall row not counted."""
        return len(self.n) - 1

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """Every (K + 1, P) array by name, in the order they are declared.

        Later additions that hold nothing are left out: a profile stored before they existed
        keeps its contents, and with them its id.
        """
        names = [f.name for f in fields(self) if f.name != "prior_strength"]
        found = {name: getattr(self, name) for name in names}
        return {n: a for n, a in found.items() if n not in LATER or np.isfinite(a).any()}


def wilson(
    successes: Matrix, n: NDArray[np.int64] | Matrix, z: float = Z95
) -> tuple[Matrix, Matrix]:
    """Wilson's score interval for a share, elementwise; (0, 1) where n is 0.

    centre = (p + z²/2n) / (1 + z²/n), half = z/(1 + z²/n) · √(p(1−p)/n + z²/4n²)
    (Wilson, 1927). Fractional scores may be summed into `successes`: the interval is then wider
    than needed, never too narrow.
    """
    count = np.asarray(n, dtype=np.float64)
    safe = np.maximum(count, 1.0)
    share = np.clip(np.asarray(successes, dtype=np.float64) / safe, 0.0, 1.0)
    scale = 1.0 + z * z / safe
    centre = (share + z * z / (2.0 * safe)) / scale
    half = z / scale * np.sqrt(share * (1.0 - share) / safe + z * z / (4.0 * safe * safe))
    low = np.where(count > 0, np.clip(centre - half, 0.0, share), 0.0)
    high = np.where(count > 0, np.clip(centre + half, share, 1.0), 1.0)
    return low, high


def cluster_statistics(
    labels: NDArray[np.int64],
    k: int,
    outcomes: OutcomeMatrices,
    *,
    prior_strength: float | None = None,
    weights: Matrix | None = None,
) -> Statistics:
    """Statistics of every (cluster, pair) cell and of every pair overall.

    Args:
        labels: (n,) cluster of each training question.
        k: number of clusters.
        outcomes: the (n, P) matrices of what was observed.
        prior_strength: m of the posterior; None estimates it, see `profiles.posterior`.
        weights: (n, P) in [0, 1], what each outcome is worth against a fresh one, see
            `age_weights`; None counts all alike. Scores alone are weighted: costs, tokens and
            durations are of what was run.

    Raises:
        ProfileError: if a label is not a cluster, or the shapes or weights are impossible.
    """
    labels = np.asarray(labels, dtype=np.int64)
    _check(labels, k, outcomes, weights)
    members = _members(labels, k)
    n = _counted(members, outcomes.observed)
    scored = np.isfinite(outcomes.scores)
    n_scored = _counted(members, scored)
    worth = scored.astype(np.float64) if weights is None else np.where(scored, weights, 0.0)
    sums = members @ np.where(scored, outcomes.scores * worth, 0.0)
    total = members @ worth
    effective = total if weights is None else _divided(total**2, members @ worth**2)
    effective = np.nan_to_num(effective)
    mean = _divided(sums, total)
    # Bit for bit the sums where nothing is weighted: these are the paper's figures.
    low, high = wilson(sums if weights is None else np.nan_to_num(mean) * effective, effective)
    cells = fit_cells(
        outcomes.scores,
        labels,
        k,
        settings=PosteriorSettings(strength=prior_strength),
        weights=weights,
    )
    believed = publish(cells, np.bincount(labels, minlength=k))
    return Statistics(
        n=n,
        n_scored=n_scored,
        score_mean=mean,
        score_low=low,
        score_high=high,
        score_shrunk=np.round(believed.mean, _DECIMALS),
        input_tokens_mean=_means(members, outcomes.input_tokens),
        output_tokens_mean=_means(members, outcomes.output_tokens),
        cost_mean_usd=_means(members, outcomes.costs_usd),
        error_rate=_divided(_counted(members, outcomes.failed).astype(np.float64), n),
        prior_strength=float(believed.strength),
        score_posterior_low=np.round(believed.low, _DECIMALS),
        score_posterior_high=np.round(believed.high, _DECIMALS),
        best_probability=believed.best,
        n_effective=np.full(n.shape, np.nan) if weights is None else effective,
        **_quantiles(labels, k, outcomes),
    )


def _check(
    labels: NDArray[np.int64], k: int, outcomes: OutcomeMatrices, weights: Matrix | None
) -> None:
    if len(labels) != len(outcomes.scores) or (len(labels) and not _within(labels, k)):
        msg = f"{len(labels)} cluster labels for {len(outcomes.scores)} questions and {k} clusters"
        raise ProfileError(msg)
    if weights is not None:
        _check_weights(weights, outcomes.scores.shape)


def _quantiles(labels: NDArray[np.int64], k: int, outcomes: OutcomeMatrices) -> dict[str, Matrix]:
    """Quantiles of tokens, durations and costs, by the fields of `Statistics`."""
    order = np.argsort(labels, kind="stable")
    bounds = np.searchsorted(labels[order], np.arange(k + 1))

    def quantiles(values: Matrix, *shares: float) -> tuple[Matrix, ...]:
        return _cell_quantiles(values, order, bounds, shares)

    input_p50, input_p90 = quantiles(outcomes.input_tokens, 0.5, 0.9)
    output_p50, output_p90 = quantiles(outcomes.output_tokens, 0.5, 0.9)
    duration_p50, duration_p95 = quantiles(outcomes.durations_s, 0.5, 0.95)
    (cost_p90,) = quantiles(outcomes.costs_usd, 0.9)
    return {
        "input_tokens_p50": input_p50,
        "input_tokens_p90": input_p90,
        "output_tokens_p50": output_p50,
        "output_tokens_p90": output_p90,
        "cost_p90_usd": cost_p90,
        "duration_p50_s": duration_p50,
        "duration_p95_s": duration_p95,
    }


def age_weights(age_days: Matrix, half_life_days: float) -> Matrix:
    """What outcomes of these ages are worth against fresh ones: ½ to the age in half-lives.

    Args:
        age_days: 0 or more; NaN, where nothing was observed, stays worthless.
        half_life_days: age at which an outcome counts half.

    Raises:
        ProfileError: if the half-life is not above 0 or an age is negative.
    """
    if not (np.isfinite(half_life_days) and half_life_days > 0):
        msg = f"the half-life must be a number of days above 0, not {half_life_days}"
        raise ProfileError(msg)
    ages = np.asarray(age_days, dtype=np.float64)
    if (ages < 0).any():
        msg = f"an outcome is {-float(np.nanmin(ages)):g} days in the future; check the clocks"
        raise ProfileError(msg)
    weights: Matrix = np.nan_to_num(0.5 ** (ages / half_life_days))
    return weights


def _check_weights(weights: Matrix, shape: tuple[int, ...]) -> None:
    if weights.shape != shape:
        msg = f"weights have shape {weights.shape}, the scores {shape}; every outcome needs one"
        raise ProfileError(msg)
    if not ((weights >= 0) & (weights <= 1)).all():
        msg = "weights of outcomes must lie in [0, 1]"
        raise ProfileError(msg)


def _within(labels: NDArray[np.int64], k: int) -> bool:
    return bool(labels.min() >= 0 and labels.max() < k)


def _members(labels: NDArray[np.int64], k: int) -> Matrix:
    members = np.zeros((k + 1, len(labels)), np.float64)
    members[labels, np.arange(len(labels))] = 1.0
    members[k] = 1.0
    return members


def _counted(members: Matrix, mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    return np.rint(members @ mask.astype(np.float64)).astype(np.int64)


def _divided(sums: Matrix, n: NDArray[np.int64] | Matrix) -> Matrix:
    count = np.asarray(n, np.float64)
    quotient: Matrix = np.divide(sums, count, out=np.full(sums.shape, np.nan), where=count > 0)
    return quotient


def _means(members: Matrix, values: Matrix) -> Matrix:
    known = np.isfinite(values)
    return _divided(members @ np.where(known, values, 0.0), members @ known.astype(np.float64))


def _cell_quantiles(
    values: Matrix, order: NDArray[np.int64], bounds: NDArray[np.int64], shares: tuple[float, ...]
) -> tuple[Matrix, ...]:
    """Quantiles of the known values per cluster and overall, each (K + 1, P)."""
    k, pairs = len(bounds) - 1, values.shape[1]
    results = tuple(np.full((k + 1, pairs), np.nan) for _ in shares)
    if not np.isfinite(values).any():
        return results
    arranged = values[order]
    blocks = [arranged[bounds[cluster] : bounds[cluster + 1]] for cluster in range(k)]
    for row, block in enumerate([*blocks, arranged]):
        ascending = np.sort(block, axis=0)  # NaN goes last
        known = np.isfinite(block).sum(axis=0)
        for share, result in zip(shares, results, strict=True):
            result[row] = _interpolated(ascending, known, share)
    return results


def _interpolated(ascending: Matrix, known: NDArray[np.int64], share: float) -> Matrix:
    if not len(ascending):
        return np.full(ascending.shape[1], np.nan)
    place = share * np.maximum(known - 1, 0)
    low = np.floor(place).astype(np.int64)
    high = np.ceil(place).astype(np.int64)
    columns = np.arange(ascending.shape[1])
    lower, upper = ascending[low, columns], ascending[high, columns]
    mixed = lower + (upper - lower) * (place - low)
    return np.where(known > 0, mixed, np.nan)
