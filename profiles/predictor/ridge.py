"""Multi-output ridge in closed form, its out-of-fold estimates and its leverage."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]


class Ridge(NamedTuple):
    """A fitted ridge: estimates are x·weights + intercept.

    The leverage of x is cᵀ(CᵀC + λI)⁻¹c + 1/n = |c·root|² + 1/n, with c = x − centre and C the
    centred training rows.
    """

    weights: Matrix
    """(D, P)."""
    intercept: Matrix
    """(P,)."""
    centre: Matrix
    """(D,)."""
    root: Matrix
    """(D, D)."""
    rows: int

    def estimate(self, features: Matrix) -> Matrix:
        """(n, P) estimates for (n, D) features."""
        estimates: Matrix = features @ self.weights + self.intercept
        return estimates

    def leverage(self, features: Matrix) -> Matrix:
        """(n,) leverage: variance of an estimate in units of the noise variance."""
        reach = (features - self.centre) @ self.root
        leverage: Matrix = np.einsum("nd,nd->n", reach, reach) + 1.0 / self.rows
        return leverage


class OutOfFold(NamedTuple):
    """What a ridge says of questions it was not fitted on."""

    estimates: Matrix
    """(n, P)."""
    leverage: Matrix
    """(n,)."""


class _Sums(NamedTuple):
    """What a ridge needs of some rows. Sums of parts add up; leaving a part out subtracts it."""

    gram: Matrix
    cross: Matrix
    features: Matrix
    targets: Matrix
    rows: int

    def without(self, part: _Sums) -> _Sums:
        return _Sums(
            self.gram - part.gram,
            self.cross - part.cross,
            self.features - part.features,
            self.targets - part.targets,
            self.rows - part.rows,
        )


def fit_ridge(features: Matrix, targets: Matrix, penalty: float) -> Ridge:
    """Fit (n, D) features to (n, P) finite targets; the intercept is not penalised."""
    return _solved(_sums(features, targets), penalty)


def _sums(features: Matrix, targets: Matrix) -> _Sums:
    return _Sums(
        features.T @ features,
        features.T @ targets,
        features.sum(axis=0),
        targets.sum(axis=0),
        len(features),
    )


def _solved(sums: _Sums, penalty: float) -> Ridge:
    from scipy.linalg import cholesky, solve_triangular

    centre, mean = sums.features / sums.rows, sums.targets / sums.rows
    gram = sums.gram - np.outer(sums.features, centre)
    gram[np.diag_indices_from(gram)] += penalty
    lower = cholesky(gram, lower=True)
    half = solve_triangular(lower, sums.cross - np.outer(sums.features, mean), lower=True)
    weights = solve_triangular(lower, half, lower=True, trans="T")
    root = solve_triangular(lower, np.eye(len(lower)), lower=True).T
    return Ridge(weights, mean - centre @ weights, centre, root, sums.rows)


def fold_numbers(texts: Sequence[str], folds: int, seed: int) -> NDArray[np.int64]:
    """(n,) fold of every question, in a seeded order; equal texts share a fold.

    The order is by a hash of seed and text, so it does not depend on the order of the rows.
    """
    start = f"{seed}\x1f".encode()
    keys = [
        hashlib.blake2b(start + text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
        for text in texts
    ]
    ranks = {key: rank for rank, key in enumerate(sorted(set(keys)))}
    return np.array([ranks[key] % folds for key in keys], np.int64)


def out_of_fold(
    features: Matrix, targets: Matrix, folds: NDArray[np.int64], penalty: float
) -> OutOfFold:
    """Estimates for every row by the ridge fitted on the other folds.

    A row without targets (all NaN) is estimated like any other, and fitted in no fold.
    """
    estimates = np.empty(targets.shape)
    leverage = np.empty(len(features))
    usable = np.isfinite(targets).all(axis=1)
    parts = {
        fold: _sums(features[rows], targets[rows])
        for fold in np.unique(folds)
        for rows in [usable & (folds == fold)]
    }
    whole = _sums(features[usable], targets[usable])
    for fold, part in parts.items():
        held = folds == fold
        fitted = _solved(whole.without(part), penalty)
        estimates[held] = fitted.estimate(features[held])
        leverage[held] = fitted.leverage(features[held])
    return OutOfFold(estimates, leverage)
