"""A profile as rows: the warehouse's tables `clusters` and `cluster_stats`, and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from profiles.errors import ProfileError
from profiles.pool import Pair
from profiles.profile import Profile
from profiles.statistics import LATER, Statistics

OVERALL = -1
"""`cluster_id` of the rows that hold a pair's overall statistics."""

_COUNTS = ("n", "n_scored")
_MONEY = ("cost_mean_usd", "cost_p90_usd")
_MEASURES = (
    "score_mean", "score_low", "score_high", "score_shrunk", "cost_mean_usd", "cost_p90_usd",
    "input_tokens_mean", "output_tokens_mean", "input_tokens_p50", "input_tokens_p90",
    "output_tokens_p50", "output_tokens_p90", "duration_p50_s", "duration_p95_s", "error_rate",
)  # fmt: skip


def clusters_frame(profile: Profile) -> pl.DataFrame:
    """One row per cluster, with the columns of the table `clusters` that a profile knows."""
    clusters = profile.clusters
    model, _, revision = profile.encoder_fingerprint.partition("@")
    return pl.DataFrame(
        {
            "profile_id": [profile.profile_id] * clusters.k,
            "cluster_id": np.arange(clusters.k, dtype=np.int32),
            "centroid": pl.Series(clusters.centroids.tolist(), dtype=pl.List(pl.Float32)),
            "size": clusters.sizes,
            "top_terms": _texts(profile.top_terms),
            "example_query_ids": _texts(profile.example_query_ids),
            "embedding_model": [model] * clusters.k,
            "embedding_revision": [revision or model] * clusters.k,
            "fit_seed": [clusters.settings.seed] * clusters.k,
        }
    )


def cluster_stats_frame(profile: Profile) -> pl.DataFrame:
    """One row per cluster and pair, and per pair overall, as in the table `cluster_stats`.

    Money is decimal with nine decimals there, so costs are rounded to a billionth of a dollar.
    """
    frame = statistics_frame(profile)
    return frame.with_columns(pl.col(name).cast(pl.Decimal(18, 9)) for name in _MONEY)


def statistics_frame(profile: Profile) -> pl.DataFrame:
    """The rows of `cluster_stats_frame` with costs as the exact floats they are."""
    statistics, pairs = profile.statistics, profile.pairs
    arrays = statistics.arrays()
    rows = statistics.k + 1
    cluster_ids = [*range(statistics.k), OVERALL]
    data: dict[str, Any] = {
        "profile_id": [profile.profile_id] * (rows * len(pairs)),
        "cluster_id": np.repeat(np.array(cluster_ids, np.int32), len(pairs)),
        "pair_id": [pair.pair_id for pair in pairs] * rows,
        "model": [pair.model for pair in pairs] * rows,
        "tool": [pair.tool for pair in pairs] * rows,
        **{name: arrays[name].ravel() for name in _COUNTS},
        "n_unscored": (statistics.n - statistics.n_scored).ravel(),
        **{name: arrays[name].ravel() for name in _MEASURES},
        **{name: arrays[name].ravel() for name in LATER if name in arrays},
    }
    return pl.DataFrame(data).with_columns(pl.col(pl.Float64).fill_nan(None))


def statistics_from_frame(
    frame: pl.DataFrame, pairs: Sequence[Pair], k: int, prior_strength: float
) -> Statistics:
    """The statistics a frame of `statistics_frame` holds, rows in any order.

    Raises:
        ProfileError: if a column or a (cluster, pair) row is missing or given twice.
    """
    wanted = ("cluster_id", "pair_id", *_COUNTS, *_MEASURES)
    missing = [name for name in wanted if name not in frame.columns]
    if missing:
        msg = f"cluster_stats lacks the column(s) {', '.join(missing)}"
        raise ProfileError(msg)
    order = pl.DataFrame(
        {
            "cluster_id": np.repeat(np.array([*range(k), OVERALL], np.int32), len(pairs)),
            "pair_id": [pair.pair_id for pair in pairs] * (k + 1),
        }
    )
    found = order.join(
        frame.with_columns(pl.col("cluster_id").cast(pl.Int32)),
        on=["cluster_id", "pair_id"],
        how="left",
        maintain_order="left",
    )
    if len(frame) != len(order) or len(found) != len(order) or found.get_column("n").has_nulls():
        msg = f"cluster_stats has {len(frame)} rows, not one for each of {len(order)} cells"
        raise ProfileError(msg)
    shape = (k + 1, len(pairs))

    def numbers(name: str) -> NDArray[np.float64]:
        column = found.get_column(name).cast(pl.Float64).fill_null(float("nan"))
        return column.to_numpy().reshape(shape)

    counts = {name: np.rint(numbers(name)).astype(np.int64) for name in _COUNTS}
    later = [name for name in LATER if name in frame.columns]
    measures = {name: numbers(name) for name in (*_MEASURES, *later)}
    return Statistics(**counts, **measures, prior_strength=prior_strength)  # type: ignore[arg-type]


def _texts(values: Sequence[Sequence[str]]) -> pl.Series:
    return pl.Series([list(value) for value in values], dtype=pl.List(pl.String))
