"""Clusters are scikit-learn's KMeans, frozen, with honest edges."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.cluster import KMeans

from profiles.clusters import Clusters, ClusterSettings, fit_clusters
from profiles.errors import ProfileError


def blobs(n: int = 300, width: int = 12, centres: int = 5, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    middle = rng.normal(size=(centres, width)) * 3
    points = middle[rng.integers(centres, size=n)] + rng.normal(size=(n, width))
    return (points / np.linalg.norm(points, axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize(
    ("settings", "model"),
    [
        pytest.param(
            ClusterSettings(8, seed=42, algorithm="lloyd", n_init=10, max_iter=300),
            KMeans(8, n_init=10, random_state=42),
            id="recorded-tables",
        ),
        pytest.param(
            ClusterSettings(),
            KMeans(8, n_init="auto", random_state=0, algorithm="elkan", max_iter=1000),
            id="paper",
        ),
    ],
)
def test_labels_are_those_of_scikit_learn(settings, model):
    train, new = blobs(), blobs(2000, seed=9)

    clusters = fit_clusters(train, settings)
    model.fit(train)

    assert model.predict(new).tolist() == clusters.assign(new).labels.tolist()
    assert model.labels_.tolist() == clusters.assign(train).labels.tolist()
    assert np.bincount(model.labels_).tolist() == clusters.sizes.tolist()


def test_distances_are_euclidean_to_the_own_centroid():
    clusters, new = fit_clusters(blobs()), blobs(50, seed=3)

    labels, distances = clusters.assign(new)

    expected = np.linalg.norm(new - clusters.centroids[labels], axis=1)
    np.testing.assert_allclose(expected, distances, atol=1e-6)


def test_the_radius_covers_99_percent_of_the_training_rows():
    train = blobs(1000)
    clusters = fit_clusters(train)

    beyond = clusters.is_out_of_distribution(clusters.assign(train).distances)

    assert 10 == beyond.sum()


def test_ties_go_to_the_lower_cluster():
    centroids = np.array([[1, 0], [-1, 0]], np.float32)
    clusters = Clusters(centroids, 1.0, np.array([1, 1]), ClusterSettings(2))

    assert [0] == clusters.assign(np.array([[0, 1]], np.float32)).labels.tolist()


def test_rows_are_assigned_alike_in_any_batch():
    clusters, new = fit_clusters(blobs()), blobs(5000, seed=4)
    order = np.random.default_rng(1).permutation(5000)

    whole = clusters.assign(new)
    shuffled = clusters.assign(new[order])

    assert whole.labels[order].tolist() == shuffled.labels.tolist()
    assert whole.labels[:3].tolist() == clusters.assign(new[:3]).labels.tolist()


@pytest.mark.parametrize(
    ("points", "expected"),
    [
        pytest.param([[1.0, 0.0]], 1, id="one-row"),
        pytest.param([[1.0, 0.0]] * 9, 1, id="duplicates"),
        pytest.param([[1.0, 0.0], [0.0, 1.0], [-0.0, 1.0]], 2, id="signed-zero"),
    ],
)
def test_fewer_distinct_rows_than_clusters_is_noted(points, expected):
    clusters = fit_clusters(np.array(points, np.float32))

    assert expected == clusters.k
    assert expected == len(set(clusters.assign(np.array(points, np.float32)).labels))
    assert f"only {expected} distinct embeddings" in clusters.notes[0]
    assert not clusters.is_out_of_distribution(np.zeros(1)).any()


def test_enough_rows_leave_no_note():
    assert () == fit_clusters(blobs()).notes


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"k": 0}, "at least 1"),
        ({"algorithm": "full"}, "'elkan' or 'lloyd'"),
        ({"n_init": 0}, "n_init"),
        ({"n_init": "many"}, "n_init"),
        ({"max_iter": 0}, "max_iter"),
        ({"seed": -1}, "seed"),
    ],
)
def test_settings_out_of_range_are_refused(change, message):
    with pytest.raises(ProfileError, match=message):
        fit_clusters(blobs(), replace(ClusterSettings(), **change))


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        pytest.param(np.empty((0, 3)), "no training questions", id="no-rows"),
        pytest.param(np.array([[1, 2], [np.nan, 1]]), r"not finite \(rows 1", id="nan"),
        pytest.param(np.array([1.0, 2.0]), "rows by dimensions", id="one-dimension"),
    ],
)
def test_unusable_embeddings_are_refused(matrix, message):
    with pytest.raises(ProfileError, match=message):
        fit_clusters(matrix.astype(np.float32))


def test_embeddings_of_another_width_are_refused():
    with pytest.raises(ProfileError, match=r"have 4 dimensions, the profile's clusters 12"):
        fit_clusters(blobs()).assign(np.ones((1, 4), np.float32))
