"""Query drift: a backlog like the profile is left alone, another one is noticed."""

from __future__ import annotations

import numpy as np

from profiles.drift.population import population_drift, stability_index

SIZES = np.array([300, 200, 300, 200])


def drawn(n, shares, seed=0):
    return np.random.default_rng(seed).choice(4, n, p=shares)


def test_the_same_population_is_alike_and_its_index_is_about_zero():
    levels, values = [], []
    for seed in range(40):
        labels = drawn(400, SIZES / SIZES.sum(), seed)
        found = population_drift(SIZES, labels, np.zeros(400, bool), seed=seed)
        levels.append(found.level)
        values.append(found.psi)

    assert levels.count("shifted") == 0
    assert levels.count("alike") >= 38
    assert np.mean(values) < 0.01


def test_other_shares_of_the_clusters_are_a_shift():
    labels = drawn(400, [0.05, 0.05, 0.1, 0.8])
    found = population_drift(SIZES, labels, np.zeros(400, bool))

    assert found.alarm
    assert found.psi_low > 0.25
    assert found.psi_low <= found.psi <= found.psi_high
    assert 3 == int(found.moved.argmax())


def test_questions_unlike_anything_profiled_are_a_shift():
    far = np.arange(400) < 60
    found = population_drift(SIZES, drawn(400, SIZES / SIZES.sum()), far)

    assert "shifted" == found.level
    assert found.ood_low < 0.15 < found.ood_high


def test_a_handful_of_questions_says_nothing():
    found = population_drift(SIZES, np.full(20, 3), np.ones(20, bool))

    assert ("too few", False) == (found.level, found.alarm)
    assert "too few" == population_drift(SIZES, np.zeros(0, int), np.zeros(0, bool)).level


def test_the_index_counts_what_moved_and_not_what_chance_moved():
    assert 0.0 == stability_index(np.array([30.0, 20, 30, 20]), SIZES.astype(float))
    assert stability_index(np.array([10.0, 10, 10, 70]), SIZES.astype(float)) > 0.5
