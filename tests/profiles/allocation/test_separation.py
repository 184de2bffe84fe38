"""Winners that are known to win, and winners that only lead."""

from dataclasses import replace

import numpy as np

from profiles.allocation import separated
from profiles.outcomes import OutcomeMatrices
from profiles.statistics import cluster_statistics

NAN = float("nan")


def statistics(scores, labels, k):
    nothing = np.full(scores.shape, NAN)
    seen = np.isfinite(scores)
    found = OutcomeMatrices(scores, nothing, nothing, nothing, nothing, seen, seen & ~seen)
    return cluster_statistics(labels, k, found)


RNG = np.random.default_rng(0)
LABELS = np.repeat([0, 1], 150)
TRUTH = np.array([[0.9, 0.4, 0.1], [0.5, 0.5, 0.1]])
SCORES = (RNG.random((300, 3)) < TRUTH[LABELS]).astype(float)


def test_a_clear_winner_is_separated_and_a_tie_is_not():
    clear, tie, overall = separated(statistics(SCORES, LABELS, 2))

    assert (0, 0, 1) == (clear.row, clear.winner, clear.runner_up)
    assert clear.separated
    assert clear.low > clear.runner_up_high
    assert clear.probability_best > 0.99
    assert not tie.separated
    assert tie.low <= tie.runner_up_high
    assert 0.3 < tie.probability_best < 0.97
    assert (2, 300, 300) == (overall.row, overall.n, overall.runner_up_n)


def test_a_lone_pair_has_no_rival():
    (fact, _) = separated(statistics(SCORES[:, :1], np.zeros(300, int), 1))

    assert (0, -1, True) == (fact.winner, fact.runner_up, fact.separated)
    assert np.isnan(fact.runner_up_score)
    assert 1.0 == fact.probability_best
    assert 0 == fact.runner_up_n


def test_a_cluster_without_outcomes_is_not_separated():
    empty = separated(statistics(SCORES, LABELS, 3))[2]

    assert 0 == empty.n
    assert not empty.separated
    assert np.isfinite(empty.score)


def test_pairs_that_never_ran_are_no_rivals():
    scores = SCORES.copy()
    scores[:, 0] = NAN

    assert {1, 2} == {fact.winner for fact in separated(statistics(scores, LABELS, 2))} | {2}
    assert 0 not in {fact.runner_up for fact in separated(statistics(scores, LABELS, 2))}


def test_nothing_known_at_all_has_no_winner():
    facts = separated(statistics(np.full((2, 2), NAN), np.array([0, 0]), 1))

    assert [(-1, -1, False)] * 2 == [(f.winner, f.runner_up, f.separated) for f in facts]


def test_a_profile_of_the_first_format_is_judged_by_its_wilson_intervals():
    found = statistics(SCORES, LABELS, 2)
    none = np.empty(0)
    old = replace(found, score_posterior_low=none, score_posterior_high=none, best_probability=none)

    clear, tie, _ = separated(old)

    assert clear.separated
    assert not tie.separated
    assert found.score_low[0, 0] == clear.low
    assert np.isnan(clear.probability_best)
