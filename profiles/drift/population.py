"""Query drift: are the questions of recent backlogs like those the profile was fitted on?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from profiles.statistics import wilson

OOD_NOTE = 0.02
"""The radius is that of the questions it was fitted on: new ones like them pass it more often."""
OOD_ALARM = 0.05
"""The lower end of the share's interval above this is query drift."""
PSI_ALARM = 0.25
PSI_NOTE = 0.10
"""The usual reading of the index: below 0.1 alike, from 0.25 on another population."""
FEWEST = 50
"""Fewer queries say nothing."""
DRAWS = 1_000


@dataclass(frozen=True, slots=True)
class PopulationDrift:
    """How recent queries differ from the training questions.

    Attributes:
        n: recent queries.
        ood_share, ood_low, ood_high: share out of distribution, with its 95 % Wilson interval.
        psi: population stability index Σ (a − e) ln(a/e) over cluster shares, less what chance
            alone gives on average, (K − 1)(1/n + 1/n_train); never below 0.
        psi_low, psi_high: 95 % bootstrap interval of `psi`.
        chi_square, p_value: of the two-sample test of equal cluster shares.
        moved: per cluster, recent share minus training share.
        level: "too few", "alike", "moving" or "shifted".
    """

    n: int
    ood_share: float
    ood_low: float
    ood_high: float
    psi: float
    psi_low: float
    psi_high: float
    chi_square: float
    p_value: float
    moved: NDArray[np.float64]
    level: str

    @property
    def alarm(self) -> bool:
        """Whether the questions are another population than the profile's."""
        return self.level == "shifted"


def population_drift(
    sizes: NDArray[np.int64],
    labels: NDArray[np.int64],
    out_of_distribution: NDArray[np.bool_],
    *,
    seed: int = 0,
) -> PopulationDrift:
    """Compare n recent queries with the training questions of a profile.

    Args:
        sizes: (K,) training questions per cluster.
        labels: (n,) cluster of each recent query.
        out_of_distribution: (n,) whether it lies beyond the profile's radius.
        seed: of the bootstrap.
    """
    k, n = len(sizes), len(labels)
    counts = np.bincount(labels, minlength=k).astype(np.float64)
    low, high = wilson(np.array(float(out_of_distribution.sum())), np.array(float(n)))
    share = float(out_of_distribution.mean()) if n else float("nan")
    index = stability_index(counts, sizes.astype(np.float64))
    chi, p_value = _chi_square(counts, sizes.astype(np.float64))
    psi_low, psi_high = _interval(counts, sizes.astype(np.float64), seed)
    moved = counts / max(n, 1) - sizes / max(int(sizes.sum()), 1)
    level = "alike"
    if n < FEWEST:
        level = "too few"
    elif float(low) > OOD_ALARM or (psi_low > PSI_NOTE and index >= PSI_ALARM and p_value < 0.01):
        level = "shifted"
    elif float(low) > OOD_NOTE or (index >= PSI_NOTE and p_value < 0.01):
        level = "moving"
    return PopulationDrift(
        n, share, float(low), float(high), index, psi_low, psi_high, chi, p_value, moved, level
    )


def stability_index(counts: NDArray[np.float64], expected: NDArray[np.float64]) -> float:
    """The index of `PopulationDrift.psi`; half a count is added to every cluster on both sides."""
    if counts.sum() == 0 or expected.sum() == 0:
        return 0.0
    return float(_indices(counts[None], expected[None])[0])


def _indices(counts: NDArray[np.float64], expected: NDArray[np.float64]) -> NDArray[np.float64]:
    """(B,) indices of (B, K) counts, less what chance gives on average."""
    k = counts.shape[1]
    n, m = (side.sum(axis=1, keepdims=True) for side in (counts, expected))
    actual = (counts + 0.5) / (n + 0.5 * k)
    base = (expected + 0.5) / (m + 0.5 * k)
    raw = ((actual - base) * np.log(actual / base)).sum(axis=1)
    index: NDArray[np.float64] = np.maximum(0.0, raw - (k - 1) * (1 / n + 1 / m)[:, 0])
    return index


def _chi_square(counts: NDArray[np.float64], expected: NDArray[np.float64]) -> tuple[float, float]:
    from scipy.stats import chi2

    table = np.stack([counts, expected])
    table = table[:, table.sum(axis=0) > 0]
    if table.shape[1] < 2 or not table.sum(axis=1).all():
        return 0.0, 1.0
    fitted = np.outer(table.sum(axis=1), table.sum(axis=0)) / table.sum()
    statistic = float(((table - fitted) ** 2 / fitted).sum())
    return statistic, float(chi2.sf(statistic, table.shape[1] - 1))


def _interval(
    counts: NDArray[np.float64], expected: NDArray[np.float64], seed: int
) -> tuple[float, float]:
    n, m = int(counts.sum()), int(expected.sum())
    if n == 0 or m == 0:
        return 0.0, float("inf")
    rng = np.random.default_rng(seed)
    recent = rng.multinomial(n, counts / n, DRAWS).astype(np.float64)
    train = rng.multinomial(m, expected / m, DRAWS).astype(np.float64)
    # Drawing anew doubles the bias that chance gives; it is taken off once more.
    again = (len(counts) - 1) * (1 / n + 1 / m)
    drawn = np.maximum(0.0, _indices(recent, train) - again)
    low, high = np.quantile(drawn, [0.025, 0.975])
    return float(low), float(high)
