"""The profile: everything learnt about a pool's pairs, as one frozen, versioned bundle."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from profiles.clusters import Clusters, ClusterSettings
from profiles.deferred import Deferred, part_digest
from profiles.errors import ProfileError
from profiles.fingerprint import canonical_json
from profiles.pool import Pair, Pool
from profiles.statistics import Statistics

if TYPE_CHECKING:
    from profiles.correlation import PairCorrelation
    from profiles.predictor import Predictor
    from profiles.selection import Selection

FORMAT = 2
"""Of the contents a profile's id is the hash of, and of its folder."""
SWEEP = (4, 8, 16, 32)
"""Numbers of clusters that are compared out of fold."""
DEFAULT_K = 8
"""Clusters where nothing speaks for another number."""
PARTS = ("train", "predictor", "selection", "correlation")
"""Fields that may be None and that are read from disk when they are first looked at."""

Matrix = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ProfileSettings:
    """How a profile is fitted.

    Attributes:
        clusters: settings of KMeans.
        prior_strength: m of the shrinkage; None estimates it from the data.
        keep_train: keep the training embeddings, which the kNN router needs.
        choose_k: numbers of clusters to choose from by held-out routing value, see
            `profiles.selection`; empty takes `clusters.k`.
        predictor: fit the per-question predictor.
        selection: estimate out of fold what every router is worth, which router `auto` needs.
    """

    clusters: ClusterSettings = field(default_factory=ClusterSettings)
    prior_strength: float | None = None
    keep_train: bool = True
    choose_k: tuple[int, ...] = ()
    predictor: bool = True
    selection: bool = True

    @classmethod
    def of(cls, clusters: int | Literal["auto"], seed: int = 0) -> ProfileSettings:
        """The settings of a number of clusters, or of the one that routes best out of fold."""
        chosen = SWEEP if clusters == "auto" else ()
        return cls(ClusterSettings(k=k_of(clusters), seed=seed), choose_k=chosen)


@dataclass(frozen=True, slots=True)
class TrainingRows:
    """The n training questions, kept for routers that look at single questions."""

    query_ids: tuple[str, ...]
    embeddings: NDArray[np.float32]
    """(n, D)."""
    scores: Matrix
    """(n, P); NaN is unscored or not run."""
    costs_usd: Matrix
    """(n, P); NaN is unknown."""

    def to_parts(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """JSON-able words, and arrays."""
        arrays: dict[str, NDArray[Any]] = {
            "embeddings": self.embeddings,
            "scores": self.scores,
            "costs_usd": self.costs_usd,
        }
        return {"query_ids": list(self.query_ids)}, arrays


@dataclass(frozen=True, slots=True)
class DatasetTable:
    """Mean training score of every pair on every dataset, for the dataset-best baseline."""

    names: tuple[str, ...]
    """G dataset names, sorted."""
    scores: Matrix
    """(G, P); NaN where a pair has no score there."""


@dataclass(frozen=True)
class Profile:
    """What is known of a pool. Fitted on the rows of split `train` alone.

    Attributes:
        profile_id: `profile-` and 16 hexadecimal digits of the hash of all contents but
            `created_at`: the same knowledge has the same id.
        pool_fingerprint: of the pool whose pairs were profiled.
        pairs: P pairs in pair order, the columns of every statistic.
        encoder_fingerprint: of the encoder whose embeddings were clustered.
        clusters: the K clusters.
        statistics: of every pair in every cluster and overall.
        train_micro: (P,) mean training score over questions.
        train_macro: (P,) unweighted mean over datasets of the mean training score in each.
        datasets: mean training score per dataset.
        top_terms: per cluster, words that set it apart.
        example_query_ids: per cluster, the training questions nearest to its centroid.
        settings: how it was fitted.
        created_at: when, as the caller says; UTC.
        train: the training rows, or None where they were not kept.
        predictor: estimates the scores of single questions; None where there was too little to
            learn from, or where none was wanted.
        selection: what routers are worth out of fold; None where it was not estimated.
        correlation: how far two pairs are right and wrong together; None in older profiles.
    """

    profile_id: str
    pool_fingerprint: str
    pairs: tuple[Pair, ...]
    encoder_fingerprint: str
    clusters: Clusters
    statistics: Statistics
    train_micro: Matrix
    train_macro: Matrix
    datasets: DatasetTable
    top_terms: tuple[tuple[str, ...], ...]
    example_query_ids: tuple[tuple[str, ...], ...]
    settings: ProfileSettings
    created_at: datetime
    train: Deferred[TrainingRows] = Deferred()  # noqa: RUF009
    predictor: Deferred[Predictor] = Deferred()  # noqa: RUF009
    selection: Deferred[Selection] = Deferred()  # noqa: RUF009
    correlation: Deferred[PairCorrelation] = Deferred()  # noqa: RUF009

    def __repr__(self) -> str:
        """Its id and size: the arrays of a profile would fill pages, and cost seconds to print."""
        return f"Profile({self.profile_id!r}, {len(self.pairs)} pairs, {self.k} clusters)"

    @property
    def k(self) -> int:
        """Number of clusters."""
        return self.clusters.k

    def index(self) -> dict[str, int]:
        """Position of every pair id in pair order."""
        return {pair.pair_id: number for number, pair in enumerate(self.pairs)}


def k_of(clusters: int | Literal["auto"]) -> int:
    """A number of clusters; the default one while `auto` has chosen none yet."""
    return clusters if isinstance(clusters, int) else DEFAULT_K


def content_id(
    parts: Mapping[str, Any],
    digests: Mapping[str, str | None] | None = None,
    *,
    version: int = FORMAT,
) -> str:
    """The id of a profile with these contents: arrays by dtype, shape and bytes, the rest as JSON.

    Args:
        parts: every field of a profile but `profile_id` and `created_at`, by name. Of `PARTS` only
            the digests count.
        digests: of `PARTS`, where they are known; else they are taken.
        version: 1 for profiles written before there were digests.
    """
    clusters: Clusters = parts["clusters"]
    statistics: Statistics = parts["statistics"]
    datasets: DatasetTable = parts["datasets"]
    settings: ProfileSettings = parts["settings"]
    words: dict[str, Any] = {
        "format": version,
        "pool": parts["pool_fingerprint"],
        "pairs": [pair.pair_id for pair in parts["pairs"]],
        "encoder": parts["encoder_fingerprint"],
        "datasets": list(datasets.names),
        "examples": [list(ids) for ids in parts["example_query_ids"]],
        "radius99": clusters.radius99.hex(),
        "fitted": [settings.prior_strength, statistics.prior_strength.hex()],
        "kmeans": _kmeans(settings.clusters),
    }
    shown = statistics.arrays()
    arrays: list[NDArray[np.generic]] = [clusters.centroids, clusters.sizes]
    arrays += [shown[name] for name in (_FIRST_STATISTICS if version == 1 else shown)]
    arrays += [parts["train_micro"], parts["train_macro"], datasets.scores]
    if version == 1:
        train: TrainingRows | None = parts["train"]
        words["train"] = None if train is None else list(train.query_ids)
        if train is not None:
            arrays += [train.embeddings, train.scores, train.costs_usd]
    else:
        words["choose_k"] = list(settings.choose_k)
        words["parts"] = dict(digests) if digests is not None else part_digests(parts)
    digest = hashlib.sha256(canonical_json(words).encode())
    for array in arrays:
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return f"profile-{digest.hexdigest()[:16]}"


_FIRST_STATISTICS = (
    "n", "n_scored", "score_mean", "score_low", "score_high", "score_shrunk",
    "input_tokens_mean", "input_tokens_p50", "input_tokens_p90",
    "output_tokens_mean", "output_tokens_p50", "output_tokens_p90",
    "cost_mean_usd", "cost_p90_usd", "duration_p50_s", "duration_p95_s", "error_rate",
)  # fmt: skip
"""The statistics of format 1, in the order they were hashed."""


def part_digests(parts: Mapping[str, Any]) -> dict[str, str | None]:
    """Digest of every one of `PARTS` that is there, None for the others."""
    return {
        name: None if parts.get(name) is None else part_digest(*split_part(name, parts[name]))
        for name in PARTS
    }


def split_part(name: str, value: Any) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:  # noqa: ANN401
    """One of `PARTS` as JSON-able words and arrays."""
    if name == "correlation":
        return {}, value._asdict()
    words, arrays = value.to_parts()
    return words, dict(arrays)


def _kmeans(settings: ClusterSettings) -> list[int | str]:
    return [settings.k, settings.seed, settings.algorithm, settings.n_init, settings.max_iter]


def check_compatible(profile: Profile, pool: Pool, encoder_fingerprint: str) -> None:
    """Refuse to route with a profile of another pool or encoder.

    Raises:
        ProfileError: saying which of them differs, and how.
    """
    problems = []
    if profile.pool_fingerprint != pool.fingerprint:
        problems.append(_pool_difference(profile.pairs, pool))
    if profile.encoder_fingerprint != encoder_fingerprint:
        problems.append(
            f"the encoder is {encoder_fingerprint!r}, but the profile was made with"
            f" {profile.encoder_fingerprint!r}: route with that encoder, or profile again"
        )
    if problems:
        msg = f"{profile.profile_id} cannot be used here: " + "; and ".join(problems)
        raise ProfileError(msg)


def _pool_difference(profiled: Sequence[Pair], pool: Pool) -> str:
    known, wanted = set(profiled), set(pool.pairs)
    changes = []
    if wanted - known:
        changes.append(f"has new pairs ({_some(wanted - known)})")
    if known - wanted:
        changes.append(f"lacks pairs ({_some(known - wanted)})")
    if not changes:
        changes.append(
            "has the same pairs, but a model's name, endpoint, parameters or price, or a tool,"
            " has changed"
        )
    return (
        f"the pool {pool.name!r} {' and '.join(changes)} since it was profiled:"
        " profile again (only missing cells are paid for)"
    )


def _some(pairs: set[Pair]) -> str:
    names = sorted(pair.pair_id for pair in pairs)
    shown = ", ".join(names[:3])
    return shown if len(names) <= 3 else f"{shown} and {len(names) - 3} more"
