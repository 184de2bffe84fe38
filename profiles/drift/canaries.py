"""Which questions a pair is asked again every night."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

CANARIES = 50
WRONG_SHARE = 0.1
"""Share of canaries that the pair gets wrong: without them a gain could not be seen."""


def choose_canaries(
    query_ids: Sequence[str],
    labels: NDArray[np.int64],
    scores: NDArray[np.float64],
    *,
    pair_id: str,
    seed: int,
    count: int = CANARIES,
    wrong_share: float = WRONG_SHARE,
) -> list[str]:
    """Training questions to watch one pair by, in an order that only depends on the arguments.

    Nine in ten are questions that the pair got right, one in ten it got wrong; inside both, every
    cluster has its share by size, so that a drift in one kind of question is not missed. The
    outcome they are chosen by is never part of the history that is tested: a question chosen
    because the answer was right is right less often afterwards.

    Args:
        query_ids: n training questions.
        labels: (n,) their clusters.
        scores: (n,) the pair's known scores; NaN questions are never chosen.
        pair_id: part of the draw's seed.
        seed: of the draw.
        count: how many; fewer are chosen where fewer are scored.
        wrong_share: of these, the share to take from wrong answers.
    """
    order = sorted(range(len(query_ids)), key=lambda row: _draw(seed, pair_id, query_ids[row]))
    right = [row for row in order if scores[row] >= 0.5]
    wrong = [row for row in order if scores[row] < 0.5]
    wanted = min(count, len(right) + len(wrong))
    of_wrong = min(len(wrong), round(wanted * wrong_share))
    of_right = min(len(right), wanted - of_wrong)
    of_wrong = wanted - of_right
    chosen = _stratified(right, labels, of_right) + _stratified(wrong, labels, of_wrong)
    return [query_ids[row] for row in chosen]


def _draw(seed: int, pair_id: str, query_id: str) -> bytes:
    return hashlib.sha256(f"{seed}\n{pair_id}\n{query_id}".encode()).digest()


def _stratified(rows: Sequence[int], labels: NDArray[np.int64], count: int) -> list[int]:
    """`count` of the rows, every cluster by its size (largest remainders), first come first."""
    if count <= 0:
        return []
    kinds, sizes = np.unique(labels[list(rows)], return_counts=True)
    exact = sizes * count / sizes.sum()
    quota = np.floor(exact).astype(np.int64)
    rest = np.argsort(-(exact - quota), kind="stable")[: count - int(quota.sum())]
    quota[rest] += 1
    left = dict(zip(kinds.tolist(), quota.tolist(), strict=True))
    chosen = []
    for row in rows:
        kind = int(labels[row])
        if left[kind] > 0:
            left[kind] -= 1
            chosen.append(row)
    return chosen
