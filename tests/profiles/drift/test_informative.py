"""What to label next: what is far, what is open, and never one question in ten wordings."""

from __future__ import annotations

import numpy as np

from profiles.drift.informative import FAR, OPEN, cluster_doubt, suggest
from tests.profiles.made_profiles import make_profile


def normed(rows):
    rows = np.asarray(rows, dtype=np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def statistics():
    """Two clusters: in the first one pair wins clearly, in the second two are close."""
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], 60)
    scores = np.stack([np.r_[np.ones(60), np.zeros(60)], np.zeros(120)], axis=1)
    scores[60:] = rng.random((60, 2)) < 0.5
    return make_profile(scores, labels).statistics


def open_cluster(made):
    """KMeans numbers clusters as it likes: the one without a clear winner."""
    return int(cluster_doubt(made).argmax())


def test_doubt_is_where_the_winner_is_not_known():
    doubt = sorted(cluster_doubt(statistics()))

    assert doubt[0] < 0.05 < 0.2 < doubt[1]


def test_far_questions_come_first_then_open_clusters():
    rng = np.random.default_rng(1)
    embeddings = normed(rng.normal(size=(60, 16)))
    labels = np.repeat([0, 1], 30)
    far = np.arange(60) % 20 == 0
    made = statistics()
    found = suggest(embeddings, labels, far, made, count=12)

    assert {FAR} == {one.why for one in found[:3]}
    assert {OPEN} == {one.why for one in found[3:]}
    assert {open_cluster(made)} == {one.cluster for one in found[3:]}


def test_wordings_of_one_question_are_suggested_once():
    rng = np.random.default_rng(2)
    one = rng.normal(size=16)
    copies = one + rng.normal(0, 0.001, (20, 16))
    others = rng.normal(size=(5, 16))
    found = suggest(
        normed(np.concatenate([copies, others])),
        np.ones(25, int),
        np.zeros(25, bool),
        statistics(),
        count=6,
    )

    assert 1 == sum(one.row < 20 for one in found)


def test_questions_like_labelled_ones_come_last():
    rng = np.random.default_rng(3)
    embeddings = normed(rng.normal(size=(10, 16)))
    found = suggest(
        embeddings,
        np.ones(10, int),
        np.zeros(10, bool),
        statistics(),
        count=10,
        known=embeddings[:4],
    )

    assert {0, 1, 2, 3} == {one.row for one in found[-4:]}


def test_nothing_to_ask_suggests_nothing():
    nothing = np.zeros((0, 16), np.float32)

    assert [] == suggest(nothing, np.zeros(0, int), np.zeros(0, bool), statistics(), count=5)
