"""How good, dear and slow every pair is in every cluster (ATLAS, Eq. 2 and 3), with intervals."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from profiles.errors import ProfileError
from profiles.outcomes import OutcomeMatrices

Z95 = 1.959963984540054
PRIOR_RANGE = (4.0, 30.0)
"""Where the moment estimate of the prior strength is clipped: outside, it is noise."""

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
    """`score_mean` drawn towards the pair's overall mean, see `shrunk_means`."""
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
    """m of the shrinkage, in observations."""

    @property
    def k(self) -> int:
        """Number of clusters, the overall row not counted."""
        return len(self.n) - 1

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """Every (K + 1, P) array by name, in the order they are declared."""
        names = [f.name for f in fields(self) if f.name != "prior_strength"]
        return {name: getattr(self, name) for name in names}


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
) -> Statistics:
    """Statistics of every (cluster, pair) cell and of every pair overall.

    Args:
        labels: (n,) cluster of each training question.
        k: number of clusters.
        outcomes: the (n, P) matrices of what was observed.
        prior_strength: m of the shrinkage; None estimates it, see `moment_prior_strength`.

    Raises:
        ProfileError: if a label is not a cluster or the shapes disagree.
    """
    labels = np.asarray(labels, dtype=np.int64)
    if len(labels) != len(outcomes.scores) or (len(labels) and not _within(labels, k)):
        msg = f"{len(labels)} cluster labels for {len(outcomes.scores)} questions and {k} clusters"
        raise ProfileError(msg)
    members = _members(labels, k)
    n = _counted(members, outcomes.observed)
    scored = np.isfinite(outcomes.scores)
    n_scored = _counted(members, scored)
    sums = members @ np.where(scored, outcomes.scores, 0.0)
    mean = _divided(sums, n_scored)
    squares = members @ np.where(scored, outcomes.scores**2, 0.0)
    if prior_strength is None:
        prior_strength = moment_prior_strength(sums, squares, n_scored)
    elif not (np.isfinite(prior_strength) and prior_strength >= 0):
        msg = f"the prior strength must be 0 or more, not {prior_strength}"
        raise ProfileError(msg)
    low, high = wilson(sums, n_scored)
    order = np.argsort(labels, kind="stable")
    bounds = np.searchsorted(labels[order], np.arange(k + 1))

    def quantiles(values: Matrix, *shares: float) -> tuple[Matrix, ...]:
        return _cell_quantiles(values, order, bounds, shares)

    input_p50, input_p90 = quantiles(outcomes.input_tokens, 0.5, 0.9)
    output_p50, output_p90 = quantiles(outcomes.output_tokens, 0.5, 0.9)
    duration_p50, duration_p95 = quantiles(outcomes.durations_s, 0.5, 0.95)
    (cost_p90,) = quantiles(outcomes.costs_usd, 0.9)
    return Statistics(
        n=n,
        n_scored=n_scored,
        score_mean=mean,
        score_low=low,
        score_high=high,
        score_shrunk=shrunk_means(sums, n_scored, prior_strength),
        input_tokens_mean=_means(members, outcomes.input_tokens),
        input_tokens_p50=input_p50,
        input_tokens_p90=input_p90,
        output_tokens_mean=_means(members, outcomes.output_tokens),
        output_tokens_p50=output_p50,
        output_tokens_p90=output_p90,
        cost_mean_usd=_means(members, outcomes.costs_usd),
        cost_p90_usd=cost_p90,
        duration_p50_s=duration_p50,
        duration_p95_s=duration_p95,
        error_rate=_divided(_counted(members, outcomes.failed).astype(np.float64), n),
        prior_strength=float(prior_strength),
    )


def shrunk_means(sums: Matrix, n: NDArray[np.int64], prior_strength: float) -> Matrix:
    """Means drawn towards a more certain mean, as if `prior_strength` more rows had shown it.

    Cluster rows: (sum + m·μ_p) / (n + m), with μ_p the pair's overall mean.
    Overall row: (sum_p + m·g) / (n_p + m), with g the mean over all pairs' outcomes.
    NaN for a pair without any score: nothing is known of it.

    Args:
        sums: (K + 1, P) sums of scores, the last row overall.
        n: (K + 1, P) numbers of scores.
        prior_strength: m, in observations; 0 gives the plain means.
    """
    overall = _divided(sums[-1], n[-1])
    total = n[-1].sum()
    grand = sums[-1].sum() / total if total else np.nan
    prior = np.broadcast_to(overall, sums.shape).copy()
    prior[-1] = np.where(n[-1] > 0, grand, np.nan)
    if prior_strength == 0:
        return np.where(n > 0, _divided(sums, n), prior)
    result: Matrix = (sums + prior_strength * prior) / (n + prior_strength)
    return result


def moment_prior_strength(sums: Matrix, squares: Matrix, n: NDArray[np.int64]) -> float:
    """Prior strength m = σ²/τ² by the method of moments, clipped to `PRIOR_RANGE`.

    One-way random effects (analysis of variance), pooled over pairs:
    σ² = Σ within-cell squares / Σ (n_kp − 1),
    τ² = (Σ n_kp·(x̄_kp − x̄_p)² − σ²·Σ_p (K_p − 1)) / Σ_p (N_p − Σ_k n_kp²/N_p).
    The best linear predictor of a cell then weighs its own mean by n / (n + σ²/τ²). Where the
    cells show no spread beyond chance, τ² ≤ 0 and m is the upper end.
    """
    cells, total = n[:-1].astype(np.float64), n[-1].astype(np.float64)
    mean = _divided(sums, n)
    filled = np.where(n[:-1] > 0, mean[:-1], 0.0)
    within = float((squares[:-1] - cells * filled**2).sum())
    freedom = float(np.maximum(cells - 1.0, 0.0).sum())
    known = total > 0
    overall = np.where(known, mean[-1], 0.0)
    between = float((cells * (filled - overall) ** 2).sum())
    groups = float(((cells > 0).sum(axis=0) - 1.0)[known].sum())
    spread = float((total - _divided((cells**2).sum(axis=0), total))[known].sum())
    low, high = PRIOR_RANGE
    if freedom <= 0 or spread <= 0 or within <= 0:
        return high
    sigma2 = within / freedom
    tau2 = (between - sigma2 * groups) / spread
    return high if tau2 <= 0 else float(np.clip(sigma2 / tau2, low, high))


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
