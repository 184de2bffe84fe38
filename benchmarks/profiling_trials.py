"""One trial: a sampler's share of a recorded table's cells, and what routing from it is worth."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from profiles.allocation import allocate_offline
from profiles.build_profile import build_profile
from profiles.clusters import ClusterSettings
from profiles.outcomes import OutcomeMatrices, outcome_matrices
from profiles.pool import Pair
from profiles.profile import Profile, ProfileSettings
from profiles.routers.base import RoutingContext
from profiles.routers.cluster import PLAIN, ClusterRouter
from profiles.statistics import cluster_statistics

Matrix = NDArray[np.float64]
CLUSTERS = (8, 16)
KMEANS_SEEDS = 5
METHODS = {
    "adaptive": "adaptive",
    "queries": "whole questions",
    "cells": "single cells",
    "adaptive, raw means": "adaptive, raw means",
    "cells, raw means": "single cells, raw means",
}
"""What is compared, and what the page calls it."""


class Recorded(NamedTuple):
    """One table, embedded."""

    name: str
    pairs: tuple[Pair, ...]
    queries: pl.DataFrame
    """The train questions."""
    long_scores: pl.DataFrame
    scores: Matrix
    """(n, P) of split train."""
    embeddings: NDArray[np.float32]
    test_scores: Matrix
    """Null scores count 0, as everywhere on the recorded tables."""
    test_embeddings: NDArray[np.float32]


class Trial(NamedTuple):
    table: str
    k: int
    seed: int
    share: float
    method: str
    test_change: float
    """Routed test micro minus the full profile's, in points."""
    test_micro: float
    train_value: float
    """Mean over train questions of the chosen pair's full train mean in its cluster, in points."""
    used: float
    """Share of the cells that were run: the allocator may stop early."""


def read_recorded(folder: Path, root: Path) -> Recorded:
    """Read a table and embed its train and test questions through the product's cache."""
    from tasks.embedder import cached_embedder

    queries = pl.read_parquet(folder / "queries.parquet").with_columns(
        pl.col("split").cast(pl.String)
    )
    outcomes = pl.read_parquet(folder / "outcomes.parquet")
    found = outcomes.select("model", "tool").unique().sort("model", "tool").rows()
    pairs = tuple(Pair(str(model), str(tool)) for model, tool in found)
    parts = {name: queries.filter(pl.col("split") == name) for name in ("train", "test")}
    embedder = cached_embedder(root, "minilm", dtype="float32")
    try:
        points = {name: embedder(part.get_column("text").to_list()) for name, part in parts.items()}
    finally:
        embedder.close()

    def scores(name: str) -> Matrix:
        return outcome_matrices(
            parts[name].get_column("query_id").to_list(), outcomes, pairs
        ).scores

    ids = parts["train"].select("query_id")
    return Recorded(
        folder.name,
        pairs,
        parts["train"],
        outcomes.join(ids, on="query_id").select("query_id", "model", "tool", "score"),
        scores("train"),
        points["train"],
        np.nan_to_num(scores("test")),
        points["test"],
    )


def trials_of(
    path: Path, k: int, kmeans_seed: int, seeds: Sequence[int], shares: Sequence[float]
) -> list[Trial]:
    """Every method at every share for these seeds, on one clustering.

    Args:
        path: of a pickled `Recorded`, which several processes read.
        k: number of clusters.
        kmeans_seed: of the clustering.
        seeds: of the samplers.
        shares: of the cells.
    """
    table = _unpickled(path)
    base = _full_profile(table, k, kmeans_seed)
    labels = base.clusters.assign(table.embeddings).labels
    test = _Test(base, table)
    return [trial for seed in seeds for trial in _trials(table, base, test, labels, seed, shares)]


@lru_cache(maxsize=1)
def _unpickled(path: Path) -> Recorded:
    table: Recorded = pickle.loads(path.read_bytes())
    return table


def _trials(
    table: Recorded,
    base: Profile,
    test: _Test,
    labels: NDArray[np.int64],
    seed: int,
    shares: Sequence[float],
) -> Iterator[Trial]:
    full = base.statistics.score_mean[:-1]
    sizes = np.bincount(labels, minlength=base.k) / len(labels)
    complete = {plain: test.micro(base, plain)[0] for plain in (False, True)}
    for share in shares:
        for sampler in ("adaptive", "queries", "cells"):
            mask = allocate_offline(
                sampler, scores=table.scores, labels=labels, share=share, seed=seed
            )
            partial = _seen(base, labels, table.scores, mask)
            for plain in (False, True):
                method = f"{sampler}, raw means" if plain else sampler
                if method not in METHODS:
                    continue
                micro, choice = test.micro(partial, plain)
                value = float(sizes @ full[np.arange(base.k), choice])
                yield Trial(
                    table.name, base.settings.clusters.k, seed, share, method,
                    100 * (micro - complete[plain]), 100 * micro, 100 * value, float(mask.mean()),
                )  # fmt: skip


def _full_profile(table: Recorded, k: int, kmeans_seed: int) -> Profile:
    return build_profile(
        queries=table.queries,
        outcomes=table.long_scores,
        embeddings=table.embeddings,
        pairs=table.pairs,
        pool_fingerprint=table.name,
        encoder_fingerprint="minilm",
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        settings=ProfileSettings(
            ClusterSettings(k, seed=kmeans_seed), keep_train=False, predictor=False, selection=False
        ),
    )


def _seen(
    base: Profile, labels: NDArray[np.int64], scores: Matrix, mask: NDArray[np.bool_]
) -> Profile:
    """The profile as it would be had only these cells been run."""
    nothing = np.full(scores.shape, np.nan)
    outcomes = OutcomeMatrices(
        np.where(mask, scores, np.nan), nothing, nothing, nothing, nothing, mask, mask & ~mask
    )
    statistics = cluster_statistics(labels, base.k, outcomes)
    # Ties are broken by what was seen as well, or the full profile would leak into few cells.
    return replace(base, statistics=statistics, train_micro=statistics.score_mean[-1])


class _Test:
    """The test split of a table under one clustering.

    The cluster router decides by nearest centroid and by whether a question is far from all, so
    one question of each kind stands for all of it.
    """

    def __init__(self, base: Profile, table: Recorded) -> None:
        labels, distances = base.clusters.assign(table.test_embeddings)
        beyond = base.clusters.is_out_of_distribution(distances)
        kinds = labels * 2 + beyond
        _, self._first, self._kind = np.unique(kinds, return_index=True, return_inverse=True)
        self._points = table.test_embeddings[self._first]
        self._centroids = base.clusters.centroids
        self._scores = table.test_scores

    def micro(self, profile: Profile, plain: bool) -> tuple[float, NDArray[np.int64]]:
        """Routed test micro in [0, 1], and the pair each cluster goes to."""
        router = ClusterRouter(profile, PLAIN) if plain else ClusterRouter(profile)
        pair = router.decide(self._points, _context(len(self._points))).pair[self._kind]
        choice = router.decide(self._centroids, _context(len(self._centroids))).pair
        return float(self._scores[np.arange(len(pair)), pair].mean()), choice


def _context(n: int) -> RoutingContext:
    return RoutingContext(query_ids=tuple(map(str, range(n))), texts=("",) * n)


def mean_and_half_width(
    trials: Sequence[Trial],
    method: str,
    k: int,
    share: float,
    tables: Sequence[str],
    figure: Callable[[Trial], float],
    *,
    against: str | None = None,
) -> tuple[float, float]:
    """Mean of a figure over seeds and tables and the half-width of its 95 % interval.

    The interval is Student's over seeds, each seed's tables averaged first; with `against`, of
    the paired difference. It says how sure the mean over samplers' luck is, not what another test
    split would give.
    """
    from scipy.special import stdtrit

    found: dict[int, list[float]] = {}
    for trial in trials:
        if (trial.k, trial.share) != (k, share) or trial.table not in tables:
            continue
        sign = 1.0 if trial.method == method else -1.0 if trial.method == against else 0.0
        if sign:
            found.setdefault(trial.seed, []).append(sign * figure(trial))
    by_seed = np.array([sum(values) / len(tables) for values in found.values()])
    if len(by_seed) < 2:
        return float(by_seed.mean()), float("nan")
    wide = float(stdtrit(len(by_seed) - 1, 0.975))
    return float(by_seed.mean()), wide * float(by_seed.std(ddof=1)) / float(np.sqrt(len(by_seed)))
