"""How far two pairs are right and wrong together, beyond what their cluster explains.

A second call helps little where the second pair fails on the same questions as the first. The
correlation here is that of scores inside clusters, pooled over clusters:

    r_ij = Σ_k Σ_q (x_qi − x̄_ki)(x_qj − x̄_kj) / √(Σ_k Σ_q (x_qi − x̄_ki)² · Σ_k Σ_q (x_qj − x̄_kj)²)

over the questions q of cluster k that both answered, means over the same questions. Few shared
questions say little, so r is drawn towards the mean over all pairs.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from profiles.errors import ProfileError

PRIOR_QUESTIONS = 50.0
"""What the mean correlation is worth, in shared questions."""

Matrix = NDArray[np.float64]


class PairCorrelation(NamedTuple):
    """Every array is (P, P) and symmetric."""

    correlation: Matrix
    """Shrunk, in [−1, 1]; 1 on the diagonal; NaN where nothing at all is known."""
    raw: Matrix
    """As seen; NaN where a pair never varies inside a cluster, or no two share questions."""
    n: NDArray[np.int64]
    """Questions that both answered with a score."""


def pair_correlation(
    scores: Matrix,
    labels: NDArray[np.int64],
    k: int,
    *,
    prior_questions: float = PRIOR_QUESTIONS,
) -> PairCorrelation:
    """Correlation of the scores of P pairs given the cluster.

    A pair that is always right or always wrong has no correlation of its own; it gets the mean of
    the others.

    Args:
        scores: (n, P) in [0, 1], NaN where unscored.
        labels: (n,) cluster of each question.
        k: number of clusters.
        prior_questions: what the mean correlation is worth against one pair of pairs' own.

    Raises:
        ProfileError: if there is not one label per row, or the prior is negative.
    """
    if len(labels) != len(scores):
        msg = f"{len(labels)} cluster labels for {len(scores)} questions; every question needs one"
        raise ProfileError(msg)
    if not prior_questions >= 0:
        msg = f"prior_questions must be 0 or more, not {prior_questions}"
        raise ProfileError(msg)
    pairs = scores.shape[1]
    products, squares = np.zeros((pairs, pairs)), np.zeros((pairs, pairs))
    shared = np.zeros((pairs, pairs))
    for cluster in range(k):
        block = scores[labels == cluster]
        seen = np.isfinite(block).astype(np.float64)
        values = np.where(seen > 0, block, 0.0)
        count = seen.T @ seen
        sums = values.T @ seen  # of pair i over the questions shared with pair j
        safe = np.maximum(count, 1.0)
        products += values.T @ values - sums * sums.T / safe
        squares += (values**2).T @ seen - sums**2 / safe
        shared += count
    varies = (squares > 1e-9) & (squares.T > 1e-9)
    raw = np.full((pairs, pairs), np.nan)
    np.divide(products, np.sqrt(np.maximum(squares * squares.T, 0.0)), out=raw, where=varies)
    raw = np.clip(raw, -1.0, 1.0)
    n = np.rint(shared).astype(np.int64)
    return PairCorrelation(_shrunk(raw, n, prior_questions), raw, n)


def _shrunk(raw: Matrix, n: NDArray[np.int64], prior_questions: float) -> Matrix:
    told = np.where(np.isfinite(raw), n, 0).astype(np.float64)
    np.fill_diagonal(told, 0.0)
    total = told.sum()
    mean = float((told * np.nan_to_num(raw)).sum() / total) if total else float("nan")
    weight = told + prior_questions
    pulled: Matrix = np.divide(
        told * np.nan_to_num(raw) + prior_questions * mean,
        weight,
        out=np.full(raw.shape, mean),
        where=weight > 0,
    )
    np.fill_diagonal(pulled, 1.0)
    return pulled
