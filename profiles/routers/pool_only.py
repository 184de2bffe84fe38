"""Routers that need no profile: one fixed pair, or a random one, straight from the pool."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

from profiles.clusters import Clusters, ClusterSettings
from profiles.errors import RouterError
from profiles.outcomes import OutcomeMatrices
from profiles.profile import DatasetTable, Profile, ProfileSettings
from profiles.routers.registry import build_router
from profiles.statistics import cluster_statistics

if TYPE_CHECKING:
    from profiles.pool import Pool
    from profiles.routers.base import Router


def fixed_for_pool(name: str, pool: Pool) -> Router:
    """Router `fixed:<pair_id>` or `random` over a pool that was never profiled.

    Raises:
        RouterError: the pool has no such pair.
    """
    _, _, pair_id = name.partition(":")
    if pair_id and pair_id not in {pair.pair_id for pair in pool.pairs}:
        known = ", ".join(pair.pair_id for pair in pool.pairs[:8])
        more = " and more" if len(pool.pairs) > 8 else ""
        raise RouterError(f"the pool has no pair {pair_id!r}; it has {known}{more}")
    return build_router(name, unprofiled(pool))


def unprofiled(pool: Pool) -> Profile:
    """What is known of a pool before any call: its pairs, and nothing about them."""
    pairs = len(pool.pairs)
    nothing = np.empty((0, pairs))
    return Profile(
        profile_id="unprofiled",
        pool_fingerprint=pool.fingerprint,
        pairs=pool.pairs,
        encoder_fingerprint="",
        clusters=Clusters(
            centroids=np.zeros((1, 1), dtype=np.float32),
            radius99=float("nan"),
            sizes=np.zeros(1, dtype=np.int64),
            settings=ClusterSettings(k=1),
        ),
        statistics=cluster_statistics(
            np.empty(0, dtype=np.int64),
            1,
            OutcomeMatrices(nothing, nothing, nothing, nothing, nothing, nothing > 0, nothing > 0),
        ),
        train_micro=np.full(pairs, np.nan),
        train_macro=np.full(pairs, np.nan),
        datasets=DatasetTable((), nothing),
        top_terms=((),),
        example_query_ids=((),),
        settings=ProfileSettings(),
        created_at=datetime(1970, 1, 1, tzinfo=UTC),
    )
