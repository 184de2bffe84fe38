"""What is expected of every pair on a question before any pair was called.

The mean of two estimates of the probability that the pair is right: the profile's clusters and,
where it has one, its predictor. For training questions both are out of fold, so that a policy
learns how far such estimates can be trusted.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from profiles.errors import ProfileError
from profiles.routers.cluster import ClusterRouterSettings, routing_tables

if TYPE_CHECKING:
    from profiles.profile import Profile

Matrix = NDArray[np.float64]


class Components(NamedTuple):
    """Leading principal components of the training embeddings."""

    mean: Matrix
    """(D,)."""
    basis: Matrix
    """(C, D), each row scaled so that the component's training deviation is 1."""

    def of(self, embeddings: NDArray[np.float32]) -> Matrix:
        """(n, C) of (n, D) embeddings."""
        projected: Matrix = (embeddings.astype(np.float64) - self.mean) @ self.basis.T
        return projected


def fit_components(embeddings: NDArray[np.float32], count: int) -> Components:
    """The leading components of (n, D) training embeddings; fewer where there are fewer rows.

    The sign of a component is that of its largest entry, so that it does not depend on the
    linear-algebra library.
    """
    centred = embeddings.astype(np.float64)
    mean = centred.mean(axis=0)
    _, values, directions = np.linalg.svd(centred - mean, full_matrices=False)
    kept = min(count, int((values > 1e-9).sum()))
    basis = directions[:kept]
    largest = np.take_along_axis(basis, np.abs(basis).argmax(axis=1)[:, None], axis=1)
    deviation = values[:kept, None] / np.sqrt(max(len(embeddings), 1))
    scaled = basis * np.sign(largest) / deviation
    missing = np.zeros((count - kept, embeddings.shape[1]))
    return Components(mean, np.vstack([scaled, missing]))


def training_priors(profile: Profile) -> Matrix:
    """(n, P) out-of-fold priors of the training questions.

    Raises:
        ProfileError: the profile keeps no out-of-fold knowledge.
    """
    selection = profile.selection
    if selection is None:
        msg = (
            f"{profile.profile_id} has no out-of-fold estimates (it was made by an older version,"
            " or from too few questions), which a policy learns from; profile again"
        )
        raise ProfileError(msg)
    trial = next((t for t in selection.trials if t.k == selection.k), selection.trials[-1])
    tables = trial.scores[selection.folds.astype(np.int64)[:, None], trial.rows.astype(np.int64)]
    clusters = (tables.astype(np.float64) * trial.weights[:, :, None]).sum(axis=1)
    if profile.predictor is None:
        return _known(clusters, profile)
    predicted = profile.predictor.calibration(profile.predictor.oof_scores)
    return _known(_mean(clusters, predicted), profile)


def query_priors(profile: Profile, texts: Sequence[str], embeddings: NDArray[np.float32]) -> Matrix:
    """(n, P) priors of new questions.

    Args:
        profile: what is known.
        texts: n texts.
        embeddings: (n, D) of them.
    """
    places, distances = profile.clusters.assign(embeddings)
    beyond = profile.clusters.is_out_of_distribution(distances)
    table, _, _ = routing_tables(profile.statistics, ClusterRouterSettings())
    clusters = table[np.where(beyond, profile.k, places)]
    if profile.predictor is None:
        return _known(clusters, profile)
    return _known(
        _mean(clusters, profile.predictor.predict(texts, embeddings).probability), profile
    )


def _mean(one: Matrix, other: Matrix) -> Matrix:
    """The mean of two estimates; the other where one is unknown."""
    both = (one + other) / 2
    return np.where(np.isnan(one), other, np.where(np.isnan(other), one, both))


def _known(priors: Matrix, profile: Profile) -> Matrix:
    """Nothing is known of a pair that was never scored: an even chance, told apart by its sd."""
    overall = np.where(np.isfinite(profile.train_micro), profile.train_micro, 0.5)
    return np.clip(np.where(np.isfinite(priors), priors, overall), 0.0, 1.0)
