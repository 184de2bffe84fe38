"""Clusters of questions: KMeans cells of the embedding space (ATLAS, Eq. 1)."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from profiles.errors import ProfileError

_TIE = 1e-12
_BORDER = 1e-6
"""Float32 embeddings of one text differ by about this much between batches."""
_CHUNK = 4096


@dataclass(frozen=True, slots=True)
class ClusterSettings:
    """How clusters are fitted; the defaults are the paper's (ATLAS, appendix B.4).

    `ClusterSettings(k, seed=42, algorithm="lloyd", n_init=10, max_iter=300)` is scikit-learn's
    `KMeans(k, n_init=10, random_state=42)`.
    """

    k: int = 8
    seed: int = 0
    algorithm: str = "elkan"
    n_init: int | str = "auto"
    max_iter: int = 1000


class Assignment(NamedTuple):
    """Nearest clusters of n queries."""

    labels: NDArray[np.int64]
    """(n,) cluster ids."""
    distances: NDArray[np.float64]
    """(n,) Euclidean distance to that cluster's centroid."""


@dataclass(frozen=True, slots=True)
class Clusters:
    """A frozen partition of the embedding space.

    Attributes:
        centroids: (K, D) float32.
        radius99: 99th percentile of the training rows' distances to their own centroid.
        sizes: (K,) int64, training rows per cluster.
        settings: as asked for; `notes` say where the data allowed less.
        notes: sentences for people.
    """

    centroids: NDArray[np.float32]
    radius99: float
    sizes: NDArray[np.int64]
    settings: ClusterSettings
    notes: tuple[str, ...] = field(default=())

    @property
    def k(self) -> int:
        """Number of clusters."""
        return len(self.centroids)

    def assign(self, embeddings: NDArray[np.float32]) -> Assignment:
        """Nearest centroid of every row of (n, D); ties go to the lower cluster id.

        Raises:
            ProfileError: if the embeddings have another width or are not finite.
        """
        matrix = _checked(embeddings, self.centroids.shape[1])
        labels = np.empty(len(matrix), np.int64)
        distances = np.empty(len(matrix), np.float64)
        centroids = self.centroids.astype(np.float64)
        lengths = np.einsum("kd,kd->k", centroids, centroids)
        for start in range(0, len(matrix), _CHUNK):
            rows = matrix[start : start + _CHUNK].astype(np.float64)
            squared = lengths - 2.0 * (rows @ centroids.T)
            # BLAS sums in another order for another batch size: a resumed chunk must agree.
            nearest = squared <= squared.min(axis=1, keepdims=True) + _TIE
            chosen = nearest.argmax(axis=1)
            own = np.einsum("nd,nd->n", rows, rows) + squared[np.arange(len(rows)), chosen]
            labels[start : start + _CHUNK] = chosen
            distances[start : start + _CHUNK] = np.sqrt(np.maximum(own, 0.0))
        return Assignment(labels, distances)

    def memberships(
        self, embeddings: NDArray[np.float32], neighbours: int, temperature: float
    ) -> NDArray[np.float64]:
        """(n, K) soft membership: exp(−distance² / temperature) over the nearest clusters.

        Rows sum to 1; all but the `neighbours` nearest clusters have 0.

        Raises:
            ProfileError: if the embeddings have another width or are not finite.
        """
        matrix = _checked(embeddings, self.centroids.shape[1])
        centroids = self.centroids.astype(np.float64)
        lengths = np.einsum("kd,kd->k", centroids, centroids)
        result = np.zeros((len(matrix), self.k))
        for start in range(0, len(matrix), _CHUNK):
            rows = matrix[start : start + _CHUNK].astype(np.float64)
            # Rounded, because BLAS sums in another order for another batch size.
            squared = np.round(lengths - 2.0 * (rows @ centroids.T), 9)
            order = np.argsort(squared, axis=1, kind="stable")[:, :neighbours]
            near = np.take_along_axis(squared, order, axis=1)
            weight = np.exp(-(near - near[:, :1]) / temperature)
            weight /= weight.sum(axis=1, keepdims=True)
            np.put_along_axis(result[start : start + _CHUNK], order, weight, axis=1)
        return result

    def is_out_of_distribution(self, distances: NDArray[np.float64]) -> NDArray[np.bool_]:
        """(n,) whether a distance is beyond what 99 % of the training rows show."""
        return distances > self.radius99 + _BORDER


def fit_clusters(
    embeddings: NDArray[np.float32], settings: ClusterSettings | None = None
) -> Clusters:
    """Fit KMeans on (n, D) training embeddings, minimising inertia (ATLAS, Eq. 1).

    With fewer distinct rows than `k`, there are as many clusters as distinct rows, and a note
    says so.

    Raises:
        ProfileError: if there is no row, a row is not finite, or a setting is out of range.
    """
    settings = settings or ClusterSettings()
    _check_settings(settings)
    matrix = _checked(embeddings, None)
    if not len(matrix):
        msg = "there are no training questions to cluster; label some rows with split 'train'"
        raise ProfileError(msg)
    distinct = _distinct_up_to(matrix, settings.k)
    notes = []
    if distinct < settings.k:
        notes.append(
            f"{settings.k} clusters were asked for, but the training questions have only"
            f" {distinct} distinct embeddings: {distinct} clusters were made"
        )
    centroids = _fit(matrix, distinct, settings)
    draft = Clusters(centroids, 0.0, np.zeros(len(centroids), np.int64), settings)
    labels, distances = draft.assign(matrix)
    sizes = np.bincount(labels, minlength=len(centroids)).astype(np.int64)
    radius = float(np.quantile(distances, 0.99))
    return Clusters(centroids, radius, sizes, settings, tuple(notes))


def _fit(matrix: NDArray[np.float32], k: int, settings: ClusterSettings) -> NDArray[np.float32]:
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    model: Any = KMeans(
        k,
        n_init=settings.n_init,
        random_state=settings.seed,
        # Elkan means nothing with one cluster, and scikit-learn warns about it.
        algorithm="lloyd" if k == 1 else settings.algorithm,
        max_iter=settings.max_iter,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(matrix)
    return np.ascontiguousarray(model.cluster_centers_, dtype=np.float32)


def _check_settings(settings: ClusterSettings) -> None:
    problem = ""
    if settings.k < 1:
        problem = f"the number of clusters must be at least 1, not {settings.k}"
    elif settings.algorithm not in {"elkan", "lloyd"}:
        problem = f"the KMeans algorithm must be 'elkan' or 'lloyd', not {settings.algorithm!r}"
    elif settings.max_iter < 1:
        problem = f"max_iter must be at least 1, not {settings.max_iter}"
    elif not (settings.n_init == "auto" or isinstance(settings.n_init, int)) or (
        isinstance(settings.n_init, int) and settings.n_init < 1
    ):
        problem = f"n_init must be 'auto' or a whole number of at least 1, not {settings.n_init!r}"
    elif not 0 <= settings.seed < 2**32:
        problem = f"the seed must lie between 0 and 4294967295, not {settings.seed}"
    if problem:
        raise ProfileError(problem)


def _checked(embeddings: NDArray[np.float32], width: int | None) -> NDArray[np.float32]:
    matrix = np.asarray(embeddings, dtype=np.float32)
    if matrix.ndim != 2 or matrix.shape[1] == 0:
        msg = f"embeddings must be a table of rows by dimensions, not of shape {matrix.shape}"
        raise ProfileError(msg)
    check_rows(matrix, width, "profile's clusters")
    return matrix


def check_rows(matrix: NDArray[np.float32], width: int | None, whose: str) -> None:
    """Refuse embeddings of another width than what was fitted, or that are not finite.

    Args:
        matrix: (n, D).
        width: D of what was fitted; None where anything goes.
        whose: what was fitted, for people.

    Raises:
        ProfileError: saying which rows, or which widths.
    """
    if width is not None and matrix.shape[1] != width:
        msg = (
            f"the embeddings have {matrix.shape[1]} dimensions, the {whose} {width};"
            " embed with the encoder the profile was made with, or profile again"
        )
        raise ProfileError(msg)
    bad = np.flatnonzero(~np.isfinite(matrix).all(axis=1))
    if len(bad):
        shown = ", ".join(str(row) for row in bad[:5])
        msg = f"{len(bad)} embeddings are not finite (rows {shown}, counted from 0); embed again"
        raise ProfileError(msg)


def _distinct_up_to(matrix: NDArray[np.float32], limit: int) -> int:
    seen: set[bytes] = set()
    for row in matrix + np.float32(0):  # -0.0 becomes 0.0: one point, one spelling
        seen.add(row.tobytes())
        if len(seen) == limit:
            break
    return len(seen)
