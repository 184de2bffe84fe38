"""Ordering pairs by utility under one tie rule, and packing what routers decide."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from profiles.errors import RouterError
from profiles.routers.base import Decisions, RoutingContext

TIE = 1e-12
"""Estimates this close are ties."""

Matrix = NDArray[np.float64]


def tie_order(train_micro: Matrix) -> NDArray[np.int64]:
    """(P,) rank of every pair among ties: higher training micro first, then pair order."""
    micro = np.round(np.where(np.isfinite(train_micro), train_micro, -1.0), 12)
    order = np.lexsort((np.arange(len(micro)), -micro))
    ranks = np.empty(len(micro), np.int64)
    ranks[order] = np.arange(len(micro))
    return ranks


def rank_pairs(
    utility: Matrix, allowed: NDArray[np.bool_] | None, ties: NDArray[np.int64]
) -> NDArray[np.int64]:
    """(n, P) pair indices by falling utility; ties by `ties`.

    Pairs that are not allowed are -1, at the end. Pairs without an estimate (NaN) are left out
    too, unless a query has no other: then its allowed pairs come in tie order.

    Args:
        utility: (n, P), NaN where not estimated.
        allowed: (n, P) mask, or None for all.
        ties: (P,) from `tie_order`.
    """
    candidates = np.isfinite(utility) if allowed is None else np.isfinite(utility) & allowed
    stranded = ~candidates.any(axis=1)
    if stranded.any():
        candidates = candidates.copy()
        candidates[stranded] = True if allowed is None else allowed[stranded]
    filled = np.where(candidates, np.where(np.isfinite(utility), utility, 0.0), -np.inf)
    order = np.argsort(-filled, axis=1, kind="stable")
    ascending = np.take_along_axis(filled, order, axis=1)
    groups = _tie_groups(ascending)
    ranking = np.take_along_axis(order, np.lexsort((ties[order], groups), axis=1), axis=1)
    ranking[~np.take_along_axis(candidates, ranking, axis=1)] = -1
    return ranking.astype(np.int64, copy=False)


def _tie_groups(descending: Matrix) -> NDArray[np.int64]:
    """Number of the tie group of every column; a group spans 1e-12 from its best."""
    groups = np.zeros(descending.shape, np.int64)
    best = descending[:, 0].copy()
    for column in range(1, descending.shape[1]):
        value = descending[:, column]
        # Two -inf make no NaN here: what is left out stays in the last group.
        lower = value < best - TIE
        groups[:, column] = groups[:, column - 1] + lower
        best = np.where(lower, value, best)
    return groups


def distinct_rows(
    table_rows: NDArray[np.int64], allowed: NDArray[np.bool_] | None
) -> tuple[NDArray[np.int64], NDArray[np.bool_] | None, NDArray[np.int64]]:
    """The distinct (table row, allowed mask) combinations of n queries, and which each has.

    Routers that score from a small table rank a handful of combinations, not n queries.
    """
    if allowed is None:
        rows, inverse = np.unique(table_rows, return_inverse=True)
        return rows, None, inverse
    packed = np.packbits(allowed, axis=1)
    keys = np.concatenate(
        [table_rows[:, None].view(np.uint8).reshape(len(table_rows), -1), packed], axis=1
    )
    _, first, inverse = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    return table_rows[first], allowed[first], inverse.reshape(-1)


def sentences(keys: NDArray[np.int64], describe: Callable[[int], str]) -> tuple[str, ...]:
    """One sentence per query; `describe` runs once per distinct row number of `keys`."""
    _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
    spoken = np.array([describe(int(row)) for row in first], dtype=object)
    return tuple(spoken[inverse].tolist()) if len(keys) else ()


def check_context(
    context: RoutingContext, pairs: int, embeddings: NDArray[np.float32] | None
) -> int:
    """The number of queries, after checking that everything told about them agrees.

    Raises:
        RouterError: naming what disagrees, or the query that no pair is allowed for.
    """
    n = len(context.query_ids)
    if not 0.0 <= context.alpha <= 1.0:
        msg = f"alpha must lie between 0 (quality only) and 1 (cost only), not {context.alpha}"
        raise RouterError(msg)
    lengths: dict[str, Sequence[object] | NDArray[np.generic] | None] = {
        "texts": context.texts,
        "embeddings": embeddings,
        "allowed": context.allowed,
        "datasets": context.datasets,
        "scores": context.scores,
    }
    for name, values in lengths.items():
        if values is not None and len(values) != n:
            msg = f"{len(values)} {name} for {n} queries; every query needs one"
            raise RouterError(msg)
    for name in ("allowed", "scores"):
        matrix = getattr(context, name)
        if matrix is not None and matrix.shape != (n, pairs):
            msg = f"{name} has shape {matrix.shape}, not ({n}, {pairs}): queries by pairs"
            raise RouterError(msg)
    if context.allowed is not None:
        stuck = np.flatnonzero(~context.allowed.any(axis=1))
        if len(stuck):
            msg = (
                f"no pair is allowed for query {context.query_ids[stuck[0]]!r}"
                f" ({len(stuck)} such queries); allow one, or leave the query out"
            )
            raise RouterError(msg)
    return n


def chosen(values: Matrix, pair: NDArray[np.int64]) -> Matrix:
    """(n,) the chosen pair's value out of (n, P)."""
    picked: Matrix = np.take_along_axis(values, pair[:, None], axis=1)[:, 0]
    return picked


def one_step(
    *,
    ranking: NDArray[np.int64],
    utility: Matrix,
    expected_score: Matrix,
    expected_cost_usd: Matrix,
    reason: tuple[str, ...],
    cluster: NDArray[np.int64] | None = None,
    distance: Matrix | None = None,
    out_of_distribution: NDArray[np.bool_] | None = None,
    propensity: Matrix | None = None,
) -> Decisions:
    """Decisions of a ranking; what a router has no notion of gets its documented default."""
    n = len(ranking)
    return Decisions(
        pair=np.ascontiguousarray(ranking[:, 0]),
        ranking=ranking,
        utility=utility,
        expected_score=expected_score,
        expected_cost_usd=expected_cost_usd,
        propensity=np.ones(n) if propensity is None else propensity,
        cluster=np.full(n, -1, np.int64) if cluster is None else cluster,
        distance=np.full(n, np.nan) if distance is None else distance,
        out_of_distribution=np.zeros(n, np.bool_)
        if out_of_distribution is None
        else out_of_distribution,
        reason=reason,
    )
