"""From labelled questions and graded outcomes to a profile. Fitted on split `train` only."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from profiles.cluster_words import nearest_examples, top_terms
from profiles.clusters import fit_clusters
from profiles.errors import ProfileError
from profiles.outcomes import OutcomeMatrices, outcome_matrices
from profiles.pool import Pair
from profiles.profile import (
    DatasetTable,
    Matrix,
    Profile,
    ProfileSettings,
    TrainingRows,
    content_id,
)
from profiles.statistics import cluster_statistics

TRAIN = "train"
NO_DATASET = "(none)"
"""Questions that name no dataset are one dataset of this name in every macro mean."""

_QUERY_COLUMNS = ("query_id", "text", "dataset", "split")


def train_queries(queries: pl.DataFrame) -> pl.DataFrame:
    """The rows a profile is fitted on, in the order their embeddings must have.

    Raises:
        ProfileError: if a column is missing or there is no row of split `train`.
    """
    missing = [name for name in _QUERY_COLUMNS if name not in queries.columns]
    if missing:
        msg = f"the questions lack the column(s) {', '.join(missing)}; they have {queries.columns}"
        raise ProfileError(msg)
    train = queries.filter(pl.col("split").cast(pl.String) == TRAIN)
    if train.is_empty():
        found = sorted(str(name) for name in queries.get_column("split").unique().to_list())
        msg = (
            f"no question has split 'train' (found: {', '.join(found) or 'no rows at all'});"
            " a profile learns from 'train' rows only, so label some"
        )
        raise ProfileError(msg)
    return train.select(pl.col(name).cast(pl.String) for name in _QUERY_COLUMNS)


def build_profile(
    *,
    queries: pl.DataFrame,
    outcomes: pl.DataFrame,
    embeddings: NDArray[np.float32],
    pairs: Sequence[Pair],
    pool_fingerprint: str,
    encoder_fingerprint: str,
    created_at: datetime,
    settings: ProfileSettings | None = None,
) -> Profile:
    """Fit a profile.

    Args:
        queries: `query_id, text, dataset, split`; rows of other splits are ignored.
        outcomes: `query_id, model, tool, score` and, where known, `cost_usd, input_tokens,
            output_tokens, duration_s, error_type`; rows of other questions are ignored.
        embeddings: (n, D) of `train_queries(queries)`, in that order.
        pairs: P pairs in pair order.
        pool_fingerprint: of their pool.
        encoder_fingerprint: of what made the embeddings.
        created_at: stamped on the profile; no part of its id.
        settings: how to fit.

    Raises:
        ProfileError: if there is nothing to learn from, or rows and embeddings disagree.
    """
    settings = settings or ProfileSettings()
    train = train_queries(queries)
    if len(embeddings) != len(train):
        msg = f"{len(embeddings)} embeddings for {len(train)} training questions; embed them all"
        raise ProfileError(msg)
    query_ids = train.get_column("query_id").to_list()
    matrices = outcome_matrices(query_ids, outcomes, pairs)
    _check_knowledge(matrices, len(pairs))
    clusters = fit_clusters(embeddings, settings.clusters)
    labels, distances = clusters.assign(embeddings)
    datasets = _dataset_table(train.get_column("dataset"), matrices.scores)
    texts = train.get_column("text").fill_null("").to_list()
    parts: dict[str, Any] = {
        "pool_fingerprint": pool_fingerprint,
        "pairs": tuple(pairs),
        "encoder_fingerprint": encoder_fingerprint,
        "clusters": clusters,
        "statistics": cluster_statistics(
            labels, clusters.k, matrices, prior_strength=settings.prior_strength
        ),
        "train_micro": column_means(matrices.scores),
        "train_macro": column_means(datasets.scores),
        "datasets": datasets,
        "top_terms": top_terms(texts, labels, clusters.k),
        "example_query_ids": nearest_examples(query_ids, labels, distances, clusters.k),
        "settings": settings,
        "train": _training_rows(query_ids, embeddings, matrices) if settings.keep_train else None,
    }
    return Profile(profile_id=content_id(parts), created_at=created_at, **parts)


def column_means(values: Matrix) -> Matrix:
    """Mean of the known values of every column of (n, P); NaN for a column without any."""
    known = np.isfinite(values)
    count = known.sum(axis=0)
    total = np.where(known, values, 0.0).sum(axis=0)
    means: Matrix = np.divide(total, count, out=np.full(len(count), np.nan), where=count > 0)
    return means


def _training_rows(
    query_ids: Sequence[str], embeddings: NDArray[np.float32], matrices: OutcomeMatrices
) -> TrainingRows:
    matrix = np.ascontiguousarray(embeddings, dtype=np.float32)
    return TrainingRows(tuple(query_ids), matrix, matrices.scores, matrices.costs_usd)


def _dataset_table(datasets: pl.Series, scores: Matrix) -> DatasetTable:
    named = datasets.fill_null(NO_DATASET).to_numpy().astype(str)
    names = sorted(set(named.tolist()))
    means = np.array([column_means(scores[named == name]) for name in names])
    return DatasetTable(tuple(names), means)


def _check_knowledge(matrices: OutcomeMatrices, pairs: int) -> None:
    if not pairs:
        msg = "there is no pair to profile; name some in the pool"
        raise ProfileError(msg)
    if not matrices.observed.any():
        msg = "no outcome belongs to a training question and a pair of the pool; check their ids"
        raise ProfileError(msg)
    if not np.isfinite(matrices.scores).any():
        msg = (
            f"none of the {int(matrices.observed.sum())} training outcomes has a score: a profile"
            " needs graded answers; check the references and graders of the questions"
        )
        raise ProfileError(msg)
