"""The gate promotes what is better, and next to nothing that is not."""

import json
import math
import re
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pytest

from tasks.learn.gate import GateSettings, gain_intervals, judge
from tasks.learn.gate_decision import dollars
from tasks.learn.paired_tests import Estimate, Resampling, harm_p_value, holm, interval

SETTINGS = GateSettings(price=0.05, unit_usd=0.002, draws=1_000)


class Played(NamedTuple):
    """As `tasks.learn.rollout.Played`, without torch."""

    score: np.ndarray
    cost: np.ndarray
    calls: np.ndarray
    leader: np.ndarray


def played(score, cost=None):
    n = len(score)
    cost = np.full(n, 1.0) if cost is None else cost
    return Played(np.asarray(score, float), np.asarray(cost, float), np.ones(n), np.zeros(n, int))


def datasets(n, count=4):
    return [f"set {number % count}" for number in range(n)]


def inside(n):
    return np.zeros(n, bool)


def champion(n=1_000, seed=0):
    rng = np.random.default_rng(seed)
    return played(rng.random(n) < 0.75, rng.uniform(0.2, 1.0, n))


def flipped(base, share, gain, seed=1):
    """A policy that differs in a share of the questions and is better by `gain` on average."""
    rng = np.random.default_rng(seed)
    score = base.score.copy()
    right, wrong = np.flatnonzero(score == 1), np.flatnonzero(score == 0)
    n = len(score)
    score[rng.choice(wrong, round(n * (share + gain) / 2), replace=False)] = 1
    score[rng.choice(right, round(n * (share - gain) / 2), replace=False)] = 0
    return base._replace(score=score)


def test_the_champion_with_noise_added_is_refused():
    base = champion()
    noisy = base.score.copy()
    broken = np.random.default_rng(2).random(len(noisy)) < 0.1
    noisy[broken] = 0.0

    found = judge(base._replace(score=noisy), base, datasets(1_000), inside(1_000), SETTINGS)

    assert not found.accepted
    assert found.gain.high < 0
    assert "it is not better" in found.reasons[0]


def test_a_truly_better_policy_is_accepted():
    base = champion()

    found = judge(flipped(base, 0.1, 0.04), base, datasets(1_000), inside(1_000), SETTINGS)

    assert found.accepted
    assert found.gain.value == pytest.approx(0.04)
    assert 0 < found.gain.low < 0.04 < found.gain.high
    assert [one.passed for one in found.checks] == [True] * 5


def test_a_policy_that_is_as_right_for_less_money_is_accepted():
    base = champion(2_000)
    cheaper = flipped(base, 0.02, 0.0)._replace(cost=base.cost * 0.5)

    found = judge(cheaper, base, datasets(2_000), inside(2_000), SETTINGS)

    assert found.accepted
    assert found.cost_ratio.value == pytest.approx(-0.5)
    assert found.gain.value == pytest.approx(0.05 * base.cost.mean() / 2)


def test_a_policy_that_decides_alike_gains_exactly_nothing_and_is_refused():
    base = champion()

    found = judge(base, base, datasets(1_000), inside(1_000), SETTINGS)

    assert not found.accepted
    assert found.gain.value == 0.0
    assert found.gain.low < 0 < found.gain.high
    assert found.alike == 1_000


def test_a_policy_of_equal_worth_that_decides_otherwise_is_refused():
    base = champion()

    found = judge(flipped(base, 0.3, 0.0), base, datasets(1_000), inside(1_000), SETTINGS)

    assert not found.accepted
    assert found.gain.value == pytest.approx(0.0)
    assert found.alike < 1_000


EQUALS = {
    "half won, half lost": lambda rng, shape: np.where(
        (u := rng.random(shape)) < 0.05, 1.0, np.where(u < 0.1, -1.0, 0.0)
    ),
    "few differ": lambda rng, shape: np.where(
        (u := rng.random(shape)) < 0.01, 1.0, np.where(u < 0.02, -1.0, 0.0)
    ),
    "cheaper, rarely wrong": lambda rng, shape: 0.01 - (rng.random(shape) < 0.01),
    "dearer, rarely saved": lambda rng, shape: (rng.random(shape) < 0.01) - 0.01,
    "everything differs": lambda rng, shape: rng.normal(0.0, 0.5, shape),
}


@pytest.mark.parametrize("n", [100, 200, 1_000])
@pytest.mark.parametrize("kind", EQUALS)
def test_of_1000_policies_of_equal_worth_at_most_5_percent_would_be_promoted(kind, n):
    gains = EQUALS[kind](np.random.default_rng(3), (1_000, n)).T

    found = gain_intervals(gains, np.arange(n) % 4, replace(SETTINGS, draws=600))

    assert sum(one.low > 0 for one in found) <= 50


def test_the_intervals_of_many_comparisons_are_those_that_the_gate_decides_by():
    base = champion(400)
    others = [flipped(base, 0.2, gain, seed) for seed, gain in enumerate((0.0, 0.05, 0.1))]
    gains = np.column_stack([other.score - base.score for other in others])
    strata = np.arange(400) % 4

    together = gain_intervals(gains, strata, SETTINGS)
    alone = [judge(one, base, datasets(400), inside(400), SETTINGS).gain for one in others]

    assert [pytest.approx(one) for one in alone] == together


def test_three_points_better_on_1000_questions_is_accepted_in_four_of_five():
    rng = np.random.default_rng(4)
    differs = rng.random((1_000, 1_000))
    gains = np.where(differs < 0.065, 1.0, np.where(differs < 0.1, -1.0, 0.0)).T

    found = gain_intervals(gains, np.arange(1_000) % 4, SETTINGS)

    assert sum(one.low > 0 for one in found) >= 800


def test_a_gain_that_one_dataset_pays_for_is_refused_with_its_name():
    base = champion(2_000)
    names = np.array(["large"] * 1_900 + ["small"] * 100)
    better = flipped(base, 0.2, 0.1)
    score = better.score.copy()
    score[1_900:] = np.where(np.arange(100) < 30, 0.0, base.score[1_900:])

    found = judge(better._replace(score=score), base, names, inside(2_000), SETTINGS)

    assert not found.accepted
    assert [one.name for one in found.datasets if one.harmed] == ["small"]
    assert [one.name for one in found.checks if not one.passed] == ["harm"]
    assert "small" in found.reasons[0]


def test_harm_out_of_distribution_is_judged_apart_and_refused():
    base = champion(1_200)
    ood = np.arange(1_200) >= 1_000
    better = flipped(base, 0.2, 0.1)
    score = np.where(ood, 0.0, better.score)

    found = judge(better._replace(score=score), base, datasets(1_200), ood, SETTINGS)

    assert found.gain.n == 1_000
    assert found.beyond is not None
    assert found.beyond.gain.n == 200
    assert found.beyond.harmed
    assert not found.accepted
    assert found.everything.n == 1_200
    assert found.everything.value < found.gain.value


def test_datasets_of_which_none_is_harmed_are_rarely_all_accused():
    """Holm keeps the chance of any false accusation at its level, whatever the number of sets."""
    rng = np.random.default_rng(5)
    accused = 0
    for number in range(200):
        p_values = [
            harm_p_value(rng.choice((-1.0, 0.0, 1.0), 30), 0.0, draws=300, seed=number)
            for _ in range(10)
        ]
        accused += bool((holm(np.array(p_values)) <= 0.05).any())

    # 5 % of 200 is 10; 18 is four standard errors... of a level that held, P(> 18) < 0.7 %.
    assert accused <= 18


def test_accuracy_may_not_be_sold_for_money_beyond_the_margin():
    base = champion(2_000)
    settings = GateSettings(price=0.3, draws=500)
    cheap = flipped(base, 0.1, -0.08)._replace(cost=base.cost * 0.2)
    loss = (cheap.score - base.score).mean()

    refused = judge(cheap, base, datasets(2_000), inside(2_000), settings)
    allowed = judge(
        cheap, base, datasets(2_000), inside(2_000),
        GateSettings(price=0.3, draws=500, margin=0.1),
    )  # fmt: skip

    assert loss == pytest.approx(-0.08)
    assert refused.gain.low > 0
    assert [one.name for one in refused.checks if not one.passed] == ["accuracy"]
    assert allowed.accepted


def test_unscored_questions_are_left_out_of_both_and_counted():
    base = champion(1_000)
    better = flipped(base, 0.1, 0.05)
    score, cost = better.score.copy(), base.cost.copy()
    score[:30] = np.nan
    cost[20:50] = np.nan

    found = judge(
        better._replace(score=score), base._replace(cost=cost), datasets(1_000), inside(1_000),
        SETTINGS,
    )  # fmt: skip

    assert found.left_out == (30, 30, 50)
    assert found.gain.n == 950
    assert found.gain.value == pytest.approx((better.score - base.score)[50:].mean())
    assert "50 of 1,000 questions are left out" in found.checks[1].sentence


def test_too_many_questions_without_an_outcome_are_refused():
    base = champion(1_000)
    better = flipped(base, 0.2, 0.15)
    score = better.score.copy()
    score[:300] = np.nan

    found = judge(better._replace(score=score), base, datasets(1_000), inside(1_000), SETTINGS)

    assert found.gain.low > 0
    assert [one.name for one in found.checks if not one.passed] == ["outcomes"]


def test_few_questions_prove_nothing_however_good():
    found = judge(played(np.ones(60)), played(np.zeros(60)), datasets(60), inside(60), SETTINGS)

    assert found.gain.low > 0
    assert not found.accepted
    assert "at least 100 are needed" in found.reasons[0]


def test_without_a_question_there_is_no_figure_and_no_promotion():
    empty = played(np.zeros(0))
    lost = played(np.full(5, np.nan))

    for one in (
        judge(empty, empty, [], inside(0), SETTINGS),
        judge(lost, lost, datasets(5), inside(5), SETTINGS),
    ):
        assert not one.accepted
        assert one.figures == ()
        assert json.loads(json.dumps(one.as_json()))["gain"]["value"] is None
        assert one.as_markdown().startswith("## Gate: refused")


def test_policies_played_over_different_questions_are_refused_in_a_sentence():
    with pytest.raises(ValueError, match=r"lengths differ: the challenger 10, the champion 9"):
        judge(played(np.ones(10)), played(np.ones(9)), datasets(10), inside(10), SETTINGS)


@pytest.mark.parametrize("wrong", [{"price": -1.0}, {"margin": 2.0}, {"draws": 0}])
def test_settings_that_mean_nothing_are_refused(wrong):
    with pytest.raises(ValueError, match="must"):
        GateSettings(**wrong)


def test_the_record_is_json_and_repeats_every_figure_with_n_and_interval():
    base = champion()
    ood = np.arange(1_000) % 20 == 0
    found = judge(flipped(base, 0.1, 0.04), base, datasets(1_000), ood, SETTINGS)

    plain = json.loads(json.dumps(found.as_json(), allow_nan=False))

    assert plain["verdict"] == "accepted"
    assert set(plain["figures"]) == {"utility", "accuracy", "cost", "calls"}
    for figure in plain["figures"].values():
        for side in ("challenger", "champion", "change"):
            assert set(figure[side]) == {"value", "low", "high", "n"}
            assert figure[side]["n"] == 950
    assert [one["name"] for one in plain["datasets"]] == ["set 0", "set 1", "set 2", "set 3"]
    assert plain["out_of_distribution"]["gain"]["n"] == 50
    assert plain["settings"]["price"] == 0.05


def test_the_table_for_people_shows_points_dollars_and_verdict():
    base = champion()
    text = judge(
        flipped(base, 0.1, 0.04), base, datasets(1_000), inside(1_000), SETTINGS
    ).as_markdown()

    assert text.startswith("## Gate: accepted\n")
    assert "| accuracy        | " in text
    assert "| cost a question | $0.00" in text
    assert "+4.0 [" in text
    assert not re.search(r"-\d", text), "a minus is a minus, not a hyphen"


def test_money_shows_three_digits_and_its_sign_before_the_dollar():
    saved, free = Estimate(-0.000123, -0.00014, -0.0001, 9), Estimate(0.0, 0.0, 0.0, 9)

    assert dollars(saved, signed=True) == "−$0.000123 [−0.000140, −0.000100]"
    assert dollars(saved.scaled(-1_000)) == "$0.123 [0.140, 0.100]"
    assert dollars(free, signed=True) == "+$0.00 [+0.00, +0.00]"
    assert dollars(Estimate(0.0, 0.0, 0.0, 0)) == "–"


def test_the_same_questions_and_seed_give_the_same_decision():
    base = champion()
    other = flipped(base, 0.1, 0.02)

    first, second = (judge(other, base, datasets(1_000), inside(1_000), SETTINGS) for _ in range(2))

    assert first == second


def test_holm_agrees_with_values_worked_out_by_hand():
    """Sorted .005 .01 .03 .04, times 4 3 2 1: .02 .03 .06 .04, of which the last may not fall."""
    found = holm(np.array([0.01, 0.04, 0.03, 0.005]))

    assert found.tolist() == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_holm_leaves_one_test_alone_and_stops_at_one():
    assert holm(np.array([0.03])).tolist() == [0.03]
    assert holm(np.array([0.6, 0.7])).tolist() == [1.0, 1.0]
    assert holm(np.zeros(0)).tolist() == []


def test_sign_changes_give_mcnemars_exact_p_value():
    """3 wins, 12 losses: P(Bin(15, 1/2) ≤ 3) = (1 + 15 + 105 + 455) / 32,768."""
    differences = np.array([1.0] * 3 + [-1.0] * 12 + [0.0] * 30)

    found = harm_p_value(differences, 0.0, draws=40_000, seed=0)

    assert found == pytest.approx(576 / 32_768, abs=0.002)


def test_a_sure_harm_has_the_smallest_p_value_that_the_draws_allow():
    assert harm_p_value(np.full(50, -0.5), 0.02, draws=999, seed=0) == 1 / 1_000
    assert harm_p_value(np.zeros(50), 0.02, draws=999, seed=0) == 1.0


@pytest.mark.parametrize(("won", "lost"), [(5, 0), (6, 0), (7, 1), (8, 1), (10, 3), (12, 3)])
def test_with_wins_and_losses_alone_the_lower_end_is_the_exact_sign_test(won, lost):
    gains = np.array([1.0] * won + [-1.0] * lost + [0.0] * 100)[:, None]
    total = won + lost
    p_value = sum(math.comb(total, one) for one in range(won, total + 1)) / 2**total

    (found,) = gain_intervals(gains, np.zeros(len(gains), np.int64), GateSettings(draws=20_000))

    assert (found.low > 0) == (p_value <= 0.025), p_value


def test_a_question_of_which_nothing_was_seen_bounds_what_may_be_missed():
    """Of 100 questions that are all alike, up to −ln 0.025 = 3.7 may have been lost."""
    (found,) = gain_intervals(np.zeros((100, 1)), np.zeros(100, np.int64), GateSettings())

    assert found.value == 0.0
    assert found.high == pytest.approx(0.0369, abs=0.002)
    assert found.low == pytest.approx(-found.high)


def test_a_bootstrap_interval_is_that_of_the_normal_distribution_where_n_is_large():
    values = np.random.default_rng(0).normal(0.3, 1.0, (4_000, 1))
    drawn = Resampling(np.zeros(4_000, np.int64), draws=4_000, seed=0)

    (found,) = interval(drawn.sums(values), values, 0.95)

    half = 1.96 * values.std() / np.sqrt(4_000)
    assert found.low == pytest.approx(values.mean() - half, abs=0.1 * half)
    assert found.high == pytest.approx(values.mean() + half, abs=0.1 * half)


def test_strata_keep_their_sizes_in_every_draw():
    """A difference between datasets is no uncertainty of the mean over both."""
    strata = np.repeat([0, 1], [30, 70])
    values = np.repeat([[1.0], [0.0]], [30, 70], axis=0)

    sums = Resampling(strata, draws=200, seed=0).sums(values)

    assert sums == pytest.approx(30.0)
