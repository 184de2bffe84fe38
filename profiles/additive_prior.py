"""The prior of the posterior: what to expect of a pair in a cluster, and how surely.

    μ_kp = grand mean + pair effect + cluster effect,   θ_kp ~ N(μ_kp, s²_kp / m)

Effects by ridge regression on the observed cells, m and φ by moments.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

STRENGTH_RANGE = (4.0, 30.0)
"""Where the moment estimate of the prior strength m is clipped: outside, it is noise."""
PRIOR_RANGE = (0.02, 0.98)
"""Where the prior mean is clipped: no pair is expected to be always right or always wrong."""

Matrix = NDArray[np.float64]


class AdditivePrior(NamedTuple):
    """Prior of K clusters by P pairs."""

    mean: Matrix
    """(K, P) μ."""
    ease: Matrix
    """(K,) cluster effects in it."""
    effects: Matrix
    """(P + K + 1, P + K + 1) covariance of pair effects, cluster effects and grand mean."""
    seen: NDArray[np.bool_]
    """(K,) clusters with an outcome."""
    strength: float
    """m, in outcomes."""
    scale: float
    """φ: variance of an outcome against a coin's of the same mean."""

    @property
    def common_variance(self) -> float:
        """Variance of the cluster effects, those of clusters without outcomes left out."""
        pairs = self.mean.shape[1]
        spread = np.diag(self.effects)[pairs:-1]
        if not self.seen.any():
            return 0.0
        return float((self.ease[self.seen] ** 2 + spread[self.seen]).mean())

    @property
    def pairs_alone(self) -> Matrix:
        """`effects` given those of the clusters, for where these are estimated elsewhere."""
        pairs = self.mean.shape[1]
        inner, cross = self.effects[pairs:-1, pairs:-1], self.effects[:pairs, pairs:-1]
        alone = np.zeros_like(self.effects)
        alone[:pairs, :pairs] = self.effects[:pairs, :pairs] - cross @ np.linalg.solve(
            inner, cross.T
        )
        alone[-1, -1] = self.effects[-1, -1]
        return alone


def fit_prior(
    n: Matrix,
    sums: Matrix,
    squares: Matrix,
    *,
    ridge: float,
    strength: float | None = None,
    shift: Matrix | None = None,
) -> AdditivePrior:
    """Fit the prior to (K, P) counts, sums and sums of squares of scores.

    Args:
        n: outcomes, or the sum of their weights.
        sums: of scores.
        squares: of squared scores.
        ridge: pull of the effects towards 0, in outcomes.
        strength: m; None estimates it.
        shift: (K, P) what is expected beyond additive effects, see `profiles.posterior`.
    """
    total = float(n.sum())
    # As if one right and one wrong answer had been seen before: a few that are all right do not
    # make certainty.
    grand = float((sums.sum() + 1.0) / (total + 2.0))
    coin = grand * (1.0 - grand)
    means = np.divide(sums, n, out=np.full(n.shape, grand), where=n > 0)
    scale = _scale(n, sums, squares, means)
    weight = n
    shift = np.zeros(n.shape) if shift is None else shift
    rest = np.where(n > 0, means - shift, grand)

    def fitted(weight: Matrix) -> tuple[Matrix, Matrix, Matrix]:
        pair, cluster, inverse = _additive(rest, weight, grand, ridge)
        additive = grand + pair[None, :] + cluster[:, None] + shift
        return np.clip(additive, *PRIOR_RANGE), cluster, inverse

    prior, ease, effects = fitted(weight)
    if strength is None:
        # Once with every outcome counting alike, once with cells counting by how much they tell.
        for _ in range(2):
            strength = _strength(n, means, prior, scale)
            weight = n * strength / (n + strength)
            prior, ease, effects = fitted(weight)
    assert strength is not None
    uncertain = np.zeros((len(effects) + 1, len(effects) + 1))
    uncertain[:-1, :-1] = effects * scale * coin
    uncertain[-1, -1] = coin / (total + 3.0)
    return AdditivePrior(prior, ease, uncertain, n.sum(axis=1) > 0, strength, scale)


def _additive(
    means: Matrix, weight: Matrix, grand: float, ridge: float
) -> tuple[Matrix, Matrix, Matrix]:
    """Ridge fit of pair effects (P,) and cluster effects (K,), and the inverse normal equations."""
    k, pairs = weight.shape
    normal = np.zeros((pairs + k, pairs + k))
    normal[np.arange(pairs), np.arange(pairs)] = weight.sum(axis=0)
    normal[pairs + np.arange(k), pairs + np.arange(k)] = weight.sum(axis=1)
    normal[:pairs, pairs:] = weight.T
    normal[pairs:, :pairs] = weight
    normal[np.diag_indices(pairs + k)] += max(ridge, 1e-9)
    rest = weight * (means - grand)
    inverse = np.linalg.inv(normal)
    effects = inverse @ np.concatenate([rest.sum(axis=0), rest.sum(axis=1)])
    return effects[:pairs], effects[pairs:], inverse


def _scale(n: Matrix, sums: Matrix, squares: Matrix, means: Matrix) -> float:
    """φ: variance inside cells over that of coins with the same means; below 1 for shares."""
    freedom = np.maximum(n - 1.0, 0.0)
    within = float((squares - sums * means)[n > 1].sum())
    coins = float((n * means * (1.0 - means))[n > 1].sum())
    if freedom.sum() < 20 or coins <= 0:
        return 1.0
    return float(np.clip(within / coins, 0.1, 1.0))


def _strength(n: Matrix, means: Matrix, prior: Matrix, scale: float) -> float:
    """Prior strength m = s²/τ²: spread of cell means about μ beyond what chance gives."""
    seen = n > 0
    low, high = STRENGTH_RANGE
    cells = float(seen.sum())
    free = cells - min(sum(n.shape) - 1, cells - 1)
    if cells == 0 or free <= 0:
        return high
    variance = scale * prior * (1.0 - prior)
    excess = float((n * (means - prior) ** 2)[seen].sum()) / free - float(variance[seen].mean())
    tau2 = excess / float(n[seen].mean())
    if tau2 <= 0:
        return high
    return float(np.clip(variance[seen].mean() / tau2, low, high))
