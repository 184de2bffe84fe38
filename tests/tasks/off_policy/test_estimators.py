"""Off-policy estimators: by hand on tiny logs, refusals, and intervals that hold the truth."""

from __future__ import annotations

import math

import numpy as np
import pytest

from benchmarks.off_policy_coverage import coverage as covered
from benchmarks.off_policy_coverage import made_case, rare_case, simulate
from tasks.off_policy import support as support_module
from tasks.off_policy.bootstrap import Interval, of_mean, of_ratio, resampled_sums, studentised
from tasks.off_policy.estimators import (
    ESTIMATORS,
    Outcome,
    Sample,
    evaluate,
    unless_unvaried,
    with_bias,
)
from tasks.off_policy.outcome_model import STRENGTH, cross_fitted
from tasks.off_policy.support import support_of


@pytest.fixture
def unguarded(monkeypatch):
    """Tiny logs can be valued: the checks of sample size are off."""
    monkeypatch.setattr(support_module, "LEAST_ESS", 0.0)
    monkeypatch.setattr(support_module, "LEAST_VARIANCE_ESS", 0.0)


def tiny():
    """Four questions, two pairs; the target takes pair 1 of the first three, 0 of the last."""
    chances = np.array([[0.5, 0.5], [0.8, 0.2], [0.5, 0.5], [0.25, 0.75]])
    target = np.array([[0.0, 1.0], [0.0, 1.0], [0.0, 1.0], [1.0, 0.0]])
    sample = Sample(np.array([1, 1, 0, 0]), chances, target)
    model = np.array([[0.5, 0.6], [0.5, 0.4], [0.5, 0.8], [0.2, 0.9]])
    return sample, Outcome(np.array([1.0, 0.0, 1.0, 1.0]), model, 1.0)


def test_ips_snips_and_dr_by_hand(unguarded):
    sample, outcome = tiny()
    found = evaluate(sample, outcome, draws=50)
    values = {name: found.by(name).interval.value for name in ESTIMATORS}

    # weights 2, 5, 0 and 4
    assert [2.0, 5.0, 0.0, 4.0] == sample.weights.tolist()
    assert (2 * 1 + 5 * 0 + 4 * 1) / 4 == pytest.approx(values["ips"])
    assert (2 * 1 + 5 * 0 + 4 * 1) / (2 + 5 + 4) == pytest.approx(values["snips"])
    terms = (0.6 + 2 * (1 - 0.6), 0.4 + 5 * (0 - 0.4), 0.8, 0.2 + 4 * (1 - 0.2))
    assert sum(terms) / 4 == pytest.approx(values["dr"])
    assert 3 / 4 == found.logged.value


def test_a_stochastic_target_weighs_every_pair_by_its_chance(unguarded):
    sample, outcome = tiny()
    mixed = sample._replace(target=np.full((4, 2), 0.5))
    found = evaluate(mixed, outcome, draws=50)

    # weights .5/.5, .5/.2, .5/.5 and .5/.25
    assert (1 * 1 + 2.5 * 0 + 1 * 1 + 2 * 1) / 4 == pytest.approx(found.by("ips").interval.value)
    terms = (0.55 + 0.4, 0.45 - 2.5 * 0.4, 0.65 + 0.5, 0.55 + 2 * 0.8)
    assert sum(terms) / 4 == pytest.approx(found.by("dr").interval.value)


def test_the_logging_policy_itself_has_weights_of_one():
    case = made_case("x", 300, rate=0.5)
    sample, outcome = simulate(case, np.random.default_rng(0))
    found = evaluate(sample._replace(target=sample.chances), outcome, draws=200)

    assert 300 == pytest.approx(found.support.ess) == pytest.approx(found.support.realised)
    for name in ("ips", "snips"):
        assert found.logged == pytest.approx(found.by(name).interval)


def test_effective_sample_sizes_by_hand():
    chances = np.tile([0.9, 0.1], (100, 1))
    target = np.zeros((100, 2))
    target[:80, 0] = target[80:, 1] = 1.0
    pair = np.zeros(100, np.int64)
    found = support_of(chances, target, Sample(pair, chances, target).weights)

    second, fourth = 80 / 0.9 + 20 / 0.1, 80 / 0.9**3 + 20 / 0.1**3
    assert 100**2 / second == pytest.approx(found.ess)
    assert second**2 / fourth == pytest.approx(found.variance_ess)
    # No pair 1 was drawn: what was drawn looks like 80 even rows.
    assert 80 == pytest.approx(found.realised)
    assert second / (80 / 0.81) - 1 == pytest.approx(found.shortfall)


def test_switch_dr_leaves_to_the_model_what_the_log_draws_once_in_a_thousand():
    case = rare_case()
    sample, outcome = simulate(case, np.random.default_rng(0))
    found = evaluate(sample, outcome, draws=200)
    switched = found.by("switch-dr")

    share = (sample.target[np.arange(case.n), sample.target.argmax(1)] > 0) & (
        sample.chances[np.arange(case.n), sample.target.argmax(1)] < 0.01
    )
    assert share.mean() == pytest.approx(switched.modelled)
    assert switched.threshold < 1000
    assert "few heavy weights" in found.by("dr").refused
    kept = np.where(sample.weights <= switched.threshold, sample.weights, 0.0)
    rows = np.arange(case.n)
    by_hand = (sample.target * outcome.model).sum(axis=1) + kept * (
        outcome.reward - outcome.model[rows, sample.pair]
    )
    assert by_hand.mean() == pytest.approx(switched.interval.value)


def test_pairs_that_the_log_never_draws_are_refused_with_their_share():
    case = made_case("x", 400, rate=0.5)
    sample, outcome = simulate(case, np.random.default_rng(0))
    chances = sample.chances.copy()
    rows = np.arange(400)
    never = rows % 4 == 0
    wanted = sample.target.argmax(axis=1)
    chances[rows[never], wanted[never]] = 0.0
    pair = np.where(never & (sample.pair == wanted), chances.argmax(axis=1), sample.pair)
    found = evaluate(sample._replace(chances=chances, pair=pair), outcome)

    assert 0.75 == pytest.approx(found.support.share)
    for one in found.estimates:
        assert one.interval is None
        assert "25.0% of its choices are pairs that the log never draws" in one.refused


def test_a_little_missing_support_is_left_to_switch_dr_and_held_by_its_interval():
    case = made_case("x", 2000, rate=0.8)
    sample, outcome = simulate(case, np.random.default_rng(0))
    chances = sample.chances.copy()
    wanted = sample.target.argmax(axis=1)
    never = np.arange(2000) < 40
    chances[never] = 1 / 3
    chances[np.arange(2000)[never], wanted[never]] = 0.0
    pair = np.where(never, (wanted + 1) % 4, sample.pair)
    found = evaluate(sample._replace(chances=chances, pair=pair), outcome, draws=200)
    plain = evaluate(sample, outcome, draws=200).by("dr").interval
    switched = found.by("switch-dr")

    assert found.by("dr").interval is None
    assert 0.02 == pytest.approx(switched.modelled)
    width = switched.interval.high - switched.interval.low
    assert width > plain.high - plain.low + 2 * 0.005


def test_too_small_a_sample_is_refused_with_its_size():
    case = made_case("x", 100, rate=0.4)
    found = evaluate(*simulate(case, np.random.default_rng(0)))

    assert "effective sample size is" in found.by("ips").refused
    assert "at least 50 are needed" in found.by("dr").refused
    assert found.by("switch-dr").interval is None
    assert found.logged.low < found.logged.high


def test_where_nothing_varied_the_interval_is_the_rule_of_three():
    found = unless_unvaried(Interval(1.0, 1.0, 1.0), 1.0, 100.0)

    assert 1 - 0.025 ** (1 / 100) == pytest.approx(1 - found.low)
    assert Interval(0.5, 0.4, 0.6) == unless_unvaried(Interval(0.5, 0.4, 0.6), 1.0, 100.0)


@pytest.mark.parametrize("bound", [0.0, 0.01, 0.05, 0.5, 3.0])
def test_an_interval_with_bias_holds_its_level_at_the_bound(bound):
    found = with_bias(Interval(0.0, -1.959964 * 0.05, 1.959964 * 0.05), 0.05, bound)

    def below(x):
        return 0.5 * math.erfc(-x / math.sqrt(2))

    held = below((found.high - bound) / 0.05) - below((found.low - bound) / 0.05)
    assert 0.95 == pytest.approx(held, abs=1e-4)


def test_bootstrap_sums_are_those_of_rows_drawn_with_replacement():
    columns = np.column_stack([np.ones(50), np.arange(50.0)])
    sums = resampled_sums(columns, draws=3000, seed=1)

    assert {50.0} == set(sums[:, 0].tolist())
    assert 49 / 2 == pytest.approx(sums[:, 1].mean() / 50, abs=0.2)
    # The deviation of a mean of 50 rows.
    assert np.arange(50).std() / math.sqrt(50) == pytest.approx(sums[:, 1].std() / 50, rel=0.05)
    np.testing.assert_array_equal(sums, resampled_sums(columns, draws=3000, seed=1))


def test_the_studentised_interval_of_normal_numbers_is_student_s():
    y = np.random.default_rng(2).normal(3.0, 2.0, 400)
    columns = np.column_stack([y, y**2])
    found = of_mean(400, columns.sum(axis=0), resampled_sums(columns, draws=4000))
    interval = studentised(found)

    assert y.std(ddof=1) / 20 == pytest.approx(found.error, rel=0.01)
    assert 1.966 * found.error == pytest.approx(interval.high - interval.value, rel=0.05)


def test_the_error_of_a_ratio_is_that_of_its_resamples():
    rng = np.random.default_rng(3)
    w = rng.gamma(1.0, 1.0, 500)
    r = (rng.random(500) < 0.6).astype(float)
    columns = np.column_stack([w, w * r, w**2, w**2 * r, (w * r) ** 2])
    found = of_ratio(columns.sum(axis=0), resampled_sums(columns, draws=3000))

    assert (w * r).sum() / w.sum() == pytest.approx(found.value)
    assert found.values.std() == pytest.approx(found.error, rel=0.06)


def test_the_model_never_sees_the_row_it_predicts():
    rng = np.random.default_rng(4)
    prior = np.full((60, 2), 0.5)
    pair = rng.integers(0, 2, 60)
    place = rng.integers(0, 3, 60)
    folds = (np.arange(60) % 5).astype(np.uint8)
    reward = (rng.random(60) < 0.7).astype(float)
    fitted = cross_fitted(prior, reward, pair, place, folds)
    for row in range(60):
        changed = reward.copy()
        changed[row] = 1.0 - changed[row]
        again = cross_fitted(prior, changed, pair, place, folds)
        np.testing.assert_array_equal(fitted[folds == folds[row]], again[folds == folds[row]])

    others = (folds != folds[0]) & (place == place[0]) & (pair == 1)
    shift = (reward[others] - 0.5).sum() / (others.sum() + STRENGTH)
    assert 0.5 + shift == pytest.approx(fitted[0, 1])


@pytest.mark.long
@pytest.mark.parametrize(
    "case",
    [
        made_case("uniform draws", 300, rate=1.0),
        made_case("epsilon", 1000, rate=0.3, share=0.5),
        made_case("skewed chances", 1500, rate=0.5, skew=0.8),
    ],
    ids=lambda case: case.name,
)
def test_intervals_hold_the_truth_on_a_thousand_simulated_logs(case):
    for found in covered(case, 1000, draws=200):
        assert 0 == found.refused, found
        assert found.covered >= 0.93, found
        assert abs(found.bias) < 0.1 * found.width, found


@pytest.mark.long
def test_switch_dr_holds_the_truth_where_part_of_it_is_left_to_the_model():
    found = {one.estimator: one for one in covered(rare_case(), 1000, draws=200)}

    assert found["switch-dr"].covered >= 0.93
    assert 0 == found["switch-dr"].refused
    assert 1000 == found["dr"].refused
