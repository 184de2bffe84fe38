"""What is watched of a pair: each metric alarms for its own drift and stays quiet for others."""

from __future__ import annotations

import numpy as np
import pytest

from profiles.drift.canaries import choose_canaries
from profiles.drift.metrics import CanaryHistory, read_metrics, relative_level


def history(nights=40, canaries=50, seed=0, **changed):
    """A quiet pair; `changed` tables replace its own."""
    rng = np.random.default_rng(seed)
    shape = (nights, canaries)
    night = rng.normal(0, 0.2, (nights, 1))
    tables = {
        "scores": (rng.random(shape) > 0.02).astype(float),
        "refused": (rng.random(shape) < 0.01).astype(float),
        "lengths": np.exp(rng.normal(5, 0.5, (1, canaries)) + rng.normal(0, 0.05, shape)),
        "durations_s": np.exp(
            rng.normal(0, 0.5, (1, canaries)) + night + rng.normal(0, 0.2, shape)
        ),
        "costs_usd": np.exp(rng.normal(-7, 0.5, (1, canaries)) + rng.normal(0, 0.03, shape)),
        "first_of_night": np.ones(nights, bool),
    }
    tables |= {name: change(tables[name]) for name, change in changed.items()}
    return CanaryHistory(**tables)


def shifted(factor, last):
    def change(table):
        table = table.copy()
        table[-last:] = table[-last:] * factor
        return table

    return change


def alarms(made):
    return {(one.metric, one.direction) for one in read_metrics(made) if one.alarm}


def test_a_quiet_pair_raises_no_alarm_and_every_metric_is_read():
    readings = read_metrics(history())

    assert ["accuracy", "refusal", "length", "price", "latency"] == [r.metric for r in readings]
    assert not any(reading.alarm for reading in readings)
    for reading in readings:
        assert reading.low <= reading.value <= reading.high
        assert (50, 39) == (reading.n, reading.nights)


@pytest.mark.parametrize(
    ("table", "change", "wanted"),
    [
        ("lengths", shifted(1.4, 3), ("length", "up")),
        ("lengths", shifted(0.6, 3), ("length", "down")),
        ("costs_usd", shifted(1.3, 3), ("price", "up")),
        ("durations_s", shifted(2.5, 13), ("latency", "up")),
        ("scores", shifted(0.8 * 0, 1), ("accuracy", "down")),
    ],
)
def test_a_shift_is_found_in_its_own_metric_only(table, change, wanted):
    assert {wanted} == alarms(history(**{table: change}))


def test_refusals_are_found_whatever_the_score():
    def refuse(table):
        table = table.copy()
        table[-2:, :12] = 1.0
        return table

    assert {("refusal", "up")} == alarms(history(refused=refuse))


def test_one_slow_evening_is_no_drift_of_latency():
    assert set() == alarms(history(durations_s=shifted(5.0, 1)))


def test_a_change_too_small_to_matter_is_no_drift():
    def always_as_long_then_a_little_longer(table):
        return shifted(1.05, 10)(np.broadcast_to(table[0], table.shape))

    assert set() == alarms(history(lengths=always_as_long_then_a_little_longer))


def test_a_metric_that_was_not_measured_is_not_read():
    made = history(costs_usd=lambda table: np.full_like(table, np.nan))

    assert "price" not in {reading.metric for reading in read_metrics(made)}


def test_the_level_of_a_night_is_relative_to_each_canary():
    values = np.array([[1.0, 10.0, np.nan], [2.0, 20.0, np.nan], [1.0, 10.0, np.nan]])

    assert [1.0, 2.0, 1.0] == relative_level(values).tolist()


def test_canaries_are_drawn_from_every_cluster_and_mostly_from_right_answers():
    ids = [f"q{number}" for number in range(400)]
    labels = np.repeat([0, 1, 2, 3], [200, 100, 60, 40])
    scores = np.tile([1.0, 1.0, 0.0, np.nan], 100)
    chosen = choose_canaries(ids, labels, scores, pair_id="a@@none", seed=0)
    rows = [ids.index(one) for one in chosen]

    assert 50 == len(set(chosen))
    assert 45 == int((scores[rows] == 1.0).sum())
    assert 5 == int((scores[rows] == 0.0).sum())
    assert [25, 12, 8, 5] == pytest.approx(np.bincount(labels[rows]).tolist(), abs=1)


def test_canaries_are_the_same_for_the_same_seed_and_others_for_another_pair():
    ids = [f"q{number}" for number in range(200)]
    labels, scores = np.zeros(200, int), np.ones(200)

    def drawn(pair_id, seed):
        return choose_canaries(ids, labels, scores, pair_id=pair_id, seed=seed)

    assert drawn("a@@none", 0) == drawn("a@@none", 0)
    assert drawn("a@@none", 0) != drawn("b@@none", 0)
    assert drawn("a@@none", 0) != drawn("a@@none", 1)


def test_a_pair_that_is_always_wrong_or_hardly_scored_has_the_canaries_there_are():
    ids = [f"q{number}" for number in range(60)]
    labels = np.zeros(60, int)

    assert 50 == len(choose_canaries(ids, labels, np.zeros(60), pair_id="a", seed=0))
    assert [] == choose_canaries(ids, labels, np.full(60, np.nan), pair_id="a", seed=0)
    few = np.where(np.arange(60) < 7, 1.0, np.nan)
    assert 7 == len(choose_canaries(ids, labels, few, pair_id="a", seed=0))
