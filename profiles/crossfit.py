"""Fitting routers on four fifths of the training questions, for what they say of the last fifth.

Everything here looks at training rows alone. Folds follow the questions' text
(`profiles.folds`), so that a repeated text never stands on both sides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from profiles.clusters import ClusterSettings, fit_clusters
from profiles.folds import FOLDS, content_folds
from profiles.outcomes import OutcomeMatrices
from profiles.profile import SWEEP
from profiles.routers.cluster import ClusterRouterSettings, routing_tables
from profiles.selection import Selection, Trial, best_k
from profiles.statistics import cluster_statistics

Matrix = NDArray[np.float64]

LEAST_QUESTIONS = 30
"""With fewer training questions nothing can be told about routers out of fold."""
LEAST_ROWS = 20
"""A K is tried where its clusters would have this many training questions each, on average."""
SOFT = 3
"""Clusters that are mixed where membership is soft."""
_FULL = 0.95
"""Cells of a cluster and pair count as all run from this share on: the rest is blanks."""
_LEAST_SHARE = 0.02


def fit_selection(
    *,
    texts: Sequence[str],
    datasets: Sequence[str],
    embeddings: NDArray[np.float32],
    outcomes: OutcomeMatrices,
    single_scores: Matrix,
    clusters: ClusterSettings,
    sweep: Sequence[int] = SWEEP,
    choose: bool = False,
    prior_strength: float | None = None,
) -> Selection | None:
    """Out-of-fold knowledge of n training questions; None where there are too few.

    Args:
        texts: n questions; they decide the folds.
        datasets: n names.
        embeddings: (n, D).
        outcomes: (n, P).
        single_scores: (P,) mean training score over datasets.
        clusters: how the profile is clustered.
        sweep: numbers of clusters to try; those with too few questions a cluster are left out.
        choose: whether `Selection.k` is the best of the sweep; `clusters.k` is only preferred.
        prior_strength: of the statistics, as for the profile.
    """
    folds = content_folds(texts)
    if len(texts) < LEAST_QUESTIONS or len(set(folds.tolist())) < 2:
        return None
    scored = np.isfinite(outcomes.scores)
    ks = trial_sizes(len(texts), sweep, None if choose else clusters.k)
    both = [
        _trials(replace(clusters, k=k), folds, embeddings, outcomes, prior_strength) for k in ks
    ]
    trials = tuple(hard for hard, _ in both)
    codes = np.unique(np.asarray(datasets, dtype=str), return_inverse=True)[1]
    draft = Selection(
        k=clusters.k,
        folds=folds,
        datasets=codes.reshape(-1).astype(np.uint16),
        values=doubly_robust(outcomes.scores, scored, folds, trials[0]).astype(np.float32),
        scored=scored,
        costs_usd=_filled_costs(outcomes.costs_usd).astype(np.float32),
        single_scores=np.asarray(single_scores, np.float64),
        trials=trials,
    )
    k = best_k(draft) if choose else draft.k
    # Mixing clusters is judged at the K that the profile will have, and at no other.
    return replace(draft, k=k, trials=(*trials, both[ks.index(k)][1]))


def trial_sizes(n: int, sweep: Sequence[int], own: int | None) -> tuple[int, ...]:
    """Numbers of clusters worth trying on n questions, ascending; the profile's own is one."""
    most = n * (FOLDS - 1) / FOLDS / LEAST_ROWS
    wanted = {k for k in sweep if k <= most}
    if own is not None:
        wanted.add(own)
    return tuple(sorted(wanted)) or (min(sweep),)


def _trials(
    settings: ClusterSettings,
    folds: NDArray[np.uint8],
    embeddings: NDArray[np.float32],
    outcomes: OutcomeMatrices,
    prior_strength: float | None,
) -> tuple[Trial, Trial]:
    """One clustering out of fold: by the nearest cluster, and by the nearest few."""
    n, pairs = outcomes.scores.shape
    nearest = min(SOFT, settings.k)
    rows = np.zeros((n, 1), np.uint16)
    near = np.zeros((n, nearest), np.uint16)
    weights = np.zeros((n, nearest), np.float32)
    scores = np.full((FOLDS, settings.k + 1, pairs), np.nan, np.float32)
    costs = scores.copy()
    usual = ClusterRouterSettings()
    for fold in range(FOLDS):
        left_out = folds == fold
        if not left_out.any():
            continue
        kept = np.flatnonzero(~left_out)
        fitted = fit_clusters(embeddings[kept], settings)
        labels = fitted.assign(embeddings[kept]).labels
        statistics = cluster_statistics(
            labels, fitted.k, outcomes.rows(kept), prior_strength=prior_strength
        )
        table, prices, _ = routing_tables(statistics, usual)
        # Fewer clusters than asked for leave rows of NaN; the overall row is always the last.
        scores[fold, : fitted.k], scores[fold, -1] = table[:-1], table[-1]
        costs[fold, : fitted.k], costs[fold, -1] = prices[:-1], prices[-1]
        places, distances = fitted.assign(embeddings[left_out])
        beyond = fitted.is_out_of_distribution(distances)
        rows[left_out, 0] = np.where(beyond, settings.k, places)
        share = fitted.memberships(embeddings[left_out], nearest, usual.temperature)
        order = np.argsort(-share, axis=1, kind="stable")[:, :nearest]
        near[left_out, : order.shape[1]] = np.where(beyond[:, None], settings.k, order)
        weights[left_out, : order.shape[1]] = np.take_along_axis(share, order, axis=1)
    hard = Trial(settings.k, rows, np.ones((n, 1), np.float32), scores, costs)
    return hard, Trial(settings.k, near, weights, scores, costs)


def doubly_robust(
    scores: Matrix, scored: NDArray[np.bool_], folds: NDArray[np.uint8], trial: Trial
) -> Matrix:
    """(n, P) scores where every cell was run; else unbiased estimates of them.

    v = e + scored·(score − e)/share, with e what the trial expects out of fold and share the part
    of the pair's cells in that cluster and fold set that was run: the mean over questions is then
    right whichever cells were run, as long as they were drawn blindly inside clusters, and right
    where e is (Robins, Rotnitzky and Zhao, 1994).
    """
    places = trial.rows[:, 0].astype(np.int64)
    cells = folds.astype(np.int64) * (trial.k + 1) + places
    expected = np.nan_to_num(trial.scores[folds, places].astype(np.float64), nan=0.0)
    count = np.bincount(cells, minlength=cells.max() + 1).astype(np.float64)
    share = np.stack(
        [
            np.bincount(cells, weights=column.astype(np.float64), minlength=len(count))[cells]
            for column in scored.T
        ],
        axis=1,
    )
    share /= count[cells][:, None]
    share = np.where(share >= _FULL, 1.0, np.maximum(share, _LEAST_SHARE))
    filled = np.where(scored, scores, 0.0)
    return np.where(scored, expected + (filled - expected) / share, expected)


def _filled_costs(costs: Matrix) -> Matrix:
    known = np.isfinite(costs)
    count = known.sum(axis=0)
    total = np.where(known, costs, 0.0).sum(axis=0)
    means = np.divide(total, count, out=np.full(len(count), np.nan), where=count > 0)
    return np.where(known, costs, means)
