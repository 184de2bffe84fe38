from __future__ import annotations

import numpy as np
import pytest

from profiles.policies.strategies import Cascade
from tasks.learn.cascades import THRESHOLDS, play_cascades
from tasks.learn.live import play_strategy
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
