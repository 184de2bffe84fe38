"""From labelled questions and graded outcomes to a profile. Fitted on split `train` only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from profiles.cluster_words import nearest_examples, top_terms
from profiles.clusters import fit_clusters
from profiles.correlation import pair_correlation
from profiles.errors import ProfileError
from profiles.outcomes import OutcomeMatrices, outcome_matrices
from profiles.pool import Pair
from profiles.profile import (
    SWEEP,
    DatasetTable,
    Matrix,
    Profile,
    ProfileSettings,
    TrainingRows,
    content_id,
)
from profiles.statistics import Statistics, cluster_statistics

if TYPE_CHECKING:
    from profiles.predictor import Predictor
    from profiles.selection import Selection

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
    weights: Matrix | None = None,
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
        weights: (n, P) in [0, 1], what each outcome is worth against a fresh one; None is 1.

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
    texts = train.get_column("text").fill_null("").to_list()
    datasets = train.get_column("dataset").fill_null(NO_DATASET).to_list()
    grouping = _Grouping(embeddings, matrices, datasets, settings, weights)
    selection = _selection(texts, grouping)
    if selection is not None and selection.k != grouping.clusters.settings.k:
        chosen = replace(settings, clusters=replace(settings.clusters, k=selection.k))
        grouping = _Grouping(embeddings, matrices, datasets, chosen, weights)
        selection = replace(selection, single_scores=grouping.macro)
    clusters, labels = grouping.clusters, grouping.labels
    parts: dict[str, Any] = {
        "pool_fingerprint": pool_fingerprint,
        "pairs": tuple(pairs),
        "encoder_fingerprint": encoder_fingerprint,
        "clusters": clusters,
        "statistics": grouping.statistics,
        "train_micro": grouping.micro,
        "train_macro": grouping.macro,
        "datasets": grouping.table,
        "top_terms": top_terms(texts, labels, clusters.k),
        "example_query_ids": nearest_examples(query_ids, labels, grouping.distances, clusters.k),
        "settings": grouping.settings,
        "train": _training_rows(query_ids, embeddings, matrices) if settings.keep_train else None,
        "predictor": _predictor(texts, grouping),
        "selection": selection if settings.selection else None,
        "correlation": pair_correlation(matrices.scores, labels, clusters.k),
    }
    if parts["selection"] is not None and parts["predictor"] is not None:
        parts["selection"] = _with_predictor(parts, _training_rows(query_ids, embeddings, matrices))
    return Profile(profile_id=content_id(parts), created_at=created_at, **parts)


def _with_predictor(parts: dict[str, Any], train: TrainingRows) -> Selection:
    """The selection, told what the predictor router chooses out of fold at alpha 0."""
    from profiles.routers.predictor import PredictorRouter

    whole = {**parts, "train": train}
    draft = Profile(profile_id="draft", created_at=datetime.min.replace(tzinfo=UTC), **whole)
    pairs = PredictorRouter(draft).out_of_fold(0.0)
    selection: Selection = parts["selection"]
    return replace(selection, predictor_pairs=pairs.astype(np.int16))


class _Grouping:
    """The training questions in clusters, and what follows from that."""

    def __init__(
        self,
        embeddings: NDArray[np.float32],
        outcomes: OutcomeMatrices,
        datasets: list[str],
        settings: ProfileSettings,
        weights: Matrix | None,
    ) -> None:
        self.embeddings = embeddings
        self.outcomes = outcomes
        self.dataset_names = datasets
        self.settings = settings
        self.clusters = fit_clusters(embeddings, settings.clusters)
        self.labels, self.distances = self.clusters.assign(embeddings)
        self.statistics = cluster_statistics(
            self.labels,
            self.clusters.k,
            outcomes,
            prior_strength=settings.prior_strength,
            weights=weights,
        )
        scores = with_missing_cells(outcomes, self.statistics, self.labels)
        self.table = _dataset_table(datasets, scores)
        self.micro = column_means(scores)
        self.macro = column_means(self.table.scores)


def _predictor(texts: list[str], grouping: _Grouping) -> Predictor | None:
    """The predictor; None where none is wanted or there is too little to learn from."""
    if not grouping.settings.predictor:
        return None
    from profiles.predictor import fit_predictor

    return fit_predictor(
        texts=texts,
        embeddings=grouping.embeddings,
        outcomes=grouping.outcomes,
        datasets=grouping.dataset_names,
    )


def _selection(texts: list[str], grouping: _Grouping) -> Selection | None:
    """Out-of-fold knowledge; None where none is wanted or there are too few questions."""
    settings = grouping.settings
    if not (settings.selection or settings.choose_k):
        return None
    from profiles.crossfit import fit_selection

    return fit_selection(
        texts=texts,
        datasets=grouping.dataset_names,
        embeddings=grouping.embeddings,
        outcomes=grouping.outcomes,
        single_scores=grouping.macro,
        clusters=settings.clusters,
        sweep=settings.choose_k or SWEEP,
        choose=bool(settings.choose_k),
        prior_strength=settings.prior_strength,
    )


def with_missing_cells(
    outcomes: OutcomeMatrices, statistics: Statistics, labels: NDArray[np.int64]
) -> Matrix:
    """(n, P) scores, with the posterior mean of its cluster for every cell that was never run.

    Which cells were run depends on what was learnt on the way, so plain means over them would
    favour pairs that were tried where questions are easy. A cell that was run but not scored
    stays unknown.
    """
    expected = statistics.score_shrunk[labels]
    filled: Matrix = np.where(outcomes.observed, outcomes.scores, expected)
    return filled


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


def _dataset_table(datasets: Sequence[str], scores: Matrix) -> DatasetTable:
    named = np.asarray(datasets, dtype=str)
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
