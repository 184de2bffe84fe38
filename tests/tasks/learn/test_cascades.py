from __future__ import annotations

import numpy as np
import pytest

from profiles.policies.strategies import CallOnce, Cascade
from tasks.learn.cascades import THRESHOLDS, best_cascade, play_cascades
from tasks.learn.guard import guard_along
from tasks.learn.live import play_strategy
from tasks.learn.rollout import Played
from tests.tasks.learn.test_environment import made_answers, made_environment


@pytest.mark.parametrize("calls", [2, 3])
def test_cascades_walked_at_once_end_as_each_does_played_alone(calls: int) -> None:
    recorded = made_answers(n=60, pairs=4)
    recorded.scores[7, 2] = np.nan
    recorded.scores[9, :3] = np.nan
    environment = made_environment(recorded, calls=calls)
    rows = np.arange(len(recorded))

    played = play_cascades(environment, 3)

    for name, found in list(played.items())[::5]:
        alone = play_strategy(environment, rows, Cascade(*name))
        for mine, theirs in zip(found, alone, strict=True):
            assert mine == pytest.approx(theirs, abs=1e-6)


def test_both_orders_of_two_pairs_may_stop_early_and_asking_both_comes_once() -> None:
    environment = made_environment(made_answers(pairs=3), calls=2)

    names = list(play_cascades(environment, 3))

    assert ((2, 0), 0, 0.7) in names
    assert [name for name in names if name[2] > 1] == [
        ((0, 1), 0, 2.0), ((0, 2), 0, 2.0), ((1, 2), 0, 2.0),
    ]  # fmt: skip
    assert len(names) == 3 + 6 * len(THRESHOLDS)


def test_a_single_pair_is_called_once_even_where_its_answer_cannot_be_compared() -> None:
    environment = made_environment(made_answers(n=60, pairs=3), calls=3)
    recorded = environment.recorded
    costs = recorded.costs.mean(axis=0)
    assert (recorded.keys[:, 2] < 0).any()

    played = play_strategy(environment, np.arange(60), CallOnce(costs, 0.01, fixed=2))

    assert (played.calls == 1).all()
    assert played.cost == pytest.approx(recorded.costs[:, 2])


def _played(score: list[float], cost: float) -> Played:
    n = len(score)
    return Played(np.array(score), np.full(n, cost), np.ones(n), np.zeros(n, np.int64))


def test_a_cascade_is_not_judged_on_questions_that_it_was_chosen_by() -> None:
    first, second = ((0, 1), 0, 0.5), ((1, 0), 0, 0.5)
    played = {first: _played([1, 1, 0, 0], 1.0), second: _played([0, 0, 1, 0.9], 1.0)}

    chosen, whole = best_cascade(played, 0.1)
    _, honest = best_cascade(played, 0.1, [np.array([0, 1]), np.array([2, 3])])

    assert chosen == first
    assert 0.5 == whole.score.mean()
    assert 0.0 == honest.score.mean()


def test_a_gain_at_many_prices_counts_where_each_price_alone_is_too_noisy() -> None:
    random = np.random.default_rng(0)
    n, prices = 400, np.array([0.01, 0.02, 0.3])
    single = _played([0.5] * n, 1.0)
    bold = _played((0.5 + 0.03 + random.normal(0, 0.3, n)).tolist(), 1.1)
    harmful = _played((0.5 + random.normal(0, 0.3, n) - 0.05).tolist(), 1.0)

    names = guard_along([{"single": single, "bold": bold, "harmful": harmful}] * 3, prices)

    assert names == ["bold", "bold", "single"]


@pytest.mark.parametrize(
    ("second", "third", "told", "wanted"),
    [
        (-0.5, 0.0, True, "single"),
        (-0.5, 0.0, False, "bold"),
        (0.1, -0.2, True, "bold"),
        (0.1, -0.9, True, "single"),
    ],
)
def test_what_gains_on_the_largest_dataset_and_loses_over_datasets_is_refused(
    second: float, third: float, told: bool, wanted: str
) -> None:
    groups = np.repeat([0, 1, 2], [300, 60, 10])
    noise = np.random.default_rng(2).normal(0, 0.1, len(groups))
    gain = np.array([0.2, second, third])[groups] + noise
    rows = {"single": _played([0.5] * 370, 1.0), "bold": _played((0.5 + gain).tolist(), 1.0)}

    assert [wanted] == guard_along([rows], np.array([0.01]), groups if told else None)


def test_chance_alone_takes_no_bolder_strategy() -> None:
    random = np.random.default_rng(1)
    n, prices = 400, np.array([0.01, 0.1])
    taken = 0
    for _ in range(40):
        rows = [
            {"single": _played([0.5] * n, 1.0), "bold": _played(noise.tolist(), 1.0)}
            for noise in [0.5 + random.normal(0, 0.3, n)] * 2
        ]
        taken += "bold" in guard_along(rows, prices)

    assert taken <= 14  # one in six by the normal law
