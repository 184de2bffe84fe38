"""The cells a sampler would have run on a table whose every answer is recorded."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from profiles.allocation.allocator import Allocator
from profiles.allocation.settings import AllocationSettings
from profiles.errors import ProfileError

SAMPLERS = ("adaptive", "queries", "cells")
Matrix = NDArray[np.float64]


def allocate_offline(
    sampler: str,
    *,
    scores: Matrix,
    labels: NDArray[np.int64],
    share: float,
    seed: int,
    costs: Matrix | None = None,
    unit: str = "cells",
    settings: AllocationSettings | None = None,
) -> NDArray[np.bool_]:
    """(n, P) mask of the cells that `sampler` runs with `share` of the whole budget.

    `adaptive` is the `Allocator`; `queries` runs random questions on every pair; `cells` runs
    single random cells. A cell outside the mask is not looked at.

    Args:
        sampler: one of `SAMPLERS`.
        scores: (n, P) recorded scores, NaN unscored.
        labels: (n,) clusters.
        share: of the cells, or of the dollars, in [0, 1].
        seed: of everything random.
        costs: (n, P) recorded dollars; only looked at where `unit` is `dollars`, where the
            allocator is told every pair's mean.
        unit: what `share` is of: `cells` or `dollars`.
        settings: of the allocator.

    Raises:
        ProfileError: for an unknown sampler or unit, a share out of range, or dollars without
            recorded costs.
    """
    _check(sampler, share, unit, costs)
    rng = np.random.default_rng(seed)
    n, pairs = scores.shape
    mask = np.zeros((n, pairs), np.bool_)
    if share == 1.0:
        return ~mask
    if sampler == "queries":
        mask[rng.permutation(n)[: round(share * n)]] = True
        return mask
    if sampler == "cells":
        mask.ravel()[rng.permutation(n * pairs)[: round(share * n * pairs)]] = True
        return mask
    price = _mean_costs(costs) if unit == "dollars" and costs is not None else None
    whole = float(n * pairs) if price is None else float(n * price.sum())
    allocator = Allocator(
        labels=labels, pairs=pairs, cost=price, budget=share * whole, seed=seed, settings=settings
    )
    while (cells := allocator.next_round()) is not None:
        rows, columns = (np.array(part, dtype=np.int64) for part in zip(*cells, strict=True))
        mask[rows, columns] = True
        paid = None if price is None or costs is None else costs[rows, columns].tolist()
        allocator.observe(cells, scores[rows, columns].tolist(), paid)
    return mask


def _check(sampler: str, share: float, unit: str, costs: Matrix | None) -> None:
    if sampler not in SAMPLERS:
        msg = f"there is no sampler {sampler!r}; samplers are {', '.join(SAMPLERS)}"
        raise ProfileError(msg)
    if not 0.0 <= share <= 1.0:
        msg = f"the share of the cells must lie between 0 and 1, not {share}"
        raise ProfileError(msg)
    if unit not in {"cells", "dollars"}:
        msg = f"unit must be 'cells' or 'dollars', not {unit!r}"
        raise ProfileError(msg)
    if unit == "dollars" and (costs is None or not np.isfinite(costs).any()):
        msg = "no cost is recorded, so there is no share of dollars; ask for a share of the cells"
        raise ProfileError(msg)


def _mean_costs(costs: Matrix) -> Matrix:
    """(P,) mean known dollars of every pair; the median pair's where a pair has none."""
    known = np.isfinite(costs)
    count = known.sum(axis=0)
    total = np.where(known, costs, 0.0).sum(axis=0)
    means: Matrix = np.divide(total, count, out=np.full(len(count), np.nan), where=count > 0)
    return np.where(count > 0, means, np.median(means[count > 0]))
