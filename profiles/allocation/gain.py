"""What a few more cells of a (cluster, pair) are expected to add to the routed accuracy.

The knowledge gradient for correlated normal beliefs (Frazier, Powell and Dayanik, 2009). Outcomes
of b more cells of pair p would move a cluster's P posterior means by C[:, p] / √(C_pp + v_p / b)
times a standard normal variable; what the best mean gains by that, expected, is what the cells
are worth. Value is not concave in b: one cell of a pair far behind can never change the winner,
sixteen may. So b is what pays best per cell among a few block sizes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from profiles.additive_prior import PRIOR_RANGE
from profiles.posterior import Cells

Matrix = NDArray[np.float64]
Counts = NDArray[np.int64]

BLOCKS = (4, 16, 64)
_PICK = 4
"""Cells taken before worths are looked at again."""
_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(9)
_WEIGHTS = _WEIGHTS / _WEIGHTS.sum()


def block_gain(mean: Matrix, covariance: Matrix, noise: Matrix) -> Matrix:
    """(P,) expected gain per further cell of every pair of one cluster, in accuracy.

    Args:
        mean: (P,) posterior means.
        covariance: (P, P).
        noise: (P,) variance of one outcome.
    """
    spread = np.diag(covariance)
    best = np.zeros(len(mean))
    for block in BLOCKS:
        moves = covariance / np.sqrt(spread + noise / block)
        after = (mean[:, None, None] + moves[:, :, None] * _NODES).max(axis=0) @ _WEIGHTS
        best = np.maximum(best, (after - mean.max()) / block)
    return best


def plan_round(
    cells: Cells,
    *,
    sizes: Matrix,
    prices: Matrix,
    room: Counts,
    budget: float,
    explore: float,
    rng: np.random.Generator,
) -> Counts:
    """(K, P) how many further cells to run, the ones that gain most per price first.

    After every pick the posterior is narrowed as if its outcomes had come in as expected, so that
    one round does not spend everything in one place.

    Args:
        cells: the posterior.
        sizes: (K,) what a cluster weighs.
        prices: (K, P) of one cell.
        room: (K, P) cells that are left to run.
        budget: to spend at most.
        explore: share of the budget spent on cells drawn at random, by cluster size: however
            sure the posterior is, no pair is given up for good.
        rng: draws them.
    """
    counts = np.zeros_like(room)
    left = budget - _explored(counts, sizes, prices, room, budget * explore, rng)
    k, pairs = room.shape
    centre = np.clip(cells.mean, *PRIOR_RANGE)
    noise = centre * (1.0 - centre) * (1.0 - cells.correlation)
    covariance = cells.covariance.copy()
    worth = np.array([block_gain(cells.mean[c], covariance[c], noise[c]) for c in range(k)])
    cheap = np.maximum(prices, 1e-12)
    while True:
        value = np.where(
            (counts < room) & (prices <= left + 1e-9), sizes[:, None] * worth / cheap, -1.0
        )
        number = int(value.argmax())
        cluster, pair = divmod(number, pairs)
        if value[cluster, pair] <= 0.0:
            break
        price = float(prices[cluster, pair])
        many = min(_PICK, int(room[cluster, pair] - counts[cluster, pair]))
        many = max(1, min(many, int((left + 1e-9) / price))) if price > 0 else many
        counts[cluster, pair] += many
        left -= many * price
        column = covariance[cluster][:, pair].copy()
        covariance[cluster] -= np.outer(column, column) / (
            column[pair] + noise[cluster, pair] / many
        )
        worth[cluster] = block_gain(cells.mean[cluster], covariance[cluster], noise[cluster])
    _explored(counts, sizes, prices, room, left, rng)
    return counts


def _explored(
    counts: Counts,
    sizes: Matrix,
    prices: Matrix,
    room: Counts,
    budget: float,
    rng: np.random.Generator,
) -> float:
    """Add cells drawn by cluster size while the budget lasts; what they cost."""
    spent = 0.0
    while True:
        open_ = (counts < room) & (prices <= budget - spent + 1e-9)
        chance = np.where(open_, sizes[:, None], 0.0).ravel()
        if chance.sum() <= 0:
            return spent
        number = int(rng.choice(len(chance), p=chance / chance.sum()))
        cluster, pair = divmod(number, room.shape[1])
        counts[cluster, pair] += 1
        spent += float(prices[cluster, pair])
