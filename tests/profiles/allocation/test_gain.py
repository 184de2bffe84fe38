"""What further cells are worth: by hand where it can be, and spent within the budget."""

import numpy as np

from profiles.allocation.gain import BLOCKS, block_gain, plan_round
from profiles.posterior import fit_cells


def test_the_worth_of_a_pair_against_a_certain_rival_by_hand():
    # E max(a, b + σ̃z) − max(a, b) with a = b is σ̃ · φ(0); σ̃ = C / √(C + v / block).
    spread, noise = 0.01, 0.2
    expected = max(spread / np.sqrt(spread + noise / block) * 0.39894 / block for block in BLOCKS)

    gain = block_gain(np.array([0.5, 0.5]), np.diag([1e-12, spread]), np.full(2, noise))

    assert abs(gain[1] - expected) < 0.1 * expected  # nine nodes on a kink
    assert gain[0] < 1e-6


def test_a_pair_far_behind_is_worth_less_than_one_close_behind():
    gain = block_gain(np.array([0.7, 0.66, 0.3]), np.diag([0.004] * 3), np.full(3, 0.2))

    assert gain[1] > 100 * gain[2] > 0


def test_knowing_two_pairs_that_move_together_is_worth_less():
    mean, noise = np.array([0.6, 0.58]), np.full(2, 0.2)
    apart = np.array([[0.01, 0.0], [0.0, 0.01]])
    together = np.array([[0.01, 0.009], [0.009, 0.01]])

    assert block_gain(mean, together, noise).max() < 0.5 * block_gain(mean, apart, noise).max()


def planned(budget, prices, explore=0.0, room=50):
    rng = np.random.default_rng(0)
    scores = (rng.random((60, 3)) < np.array([0.6, 0.6, 0.2])).astype(float)
    cells = fit_cells(scores, np.arange(60) % 2, 2)
    return plan_round(
        cells,
        sizes=np.array([30.0, 30.0]),
        prices=prices,
        room=np.full((2, 3), room),
        budget=budget,
        explore=explore,
        rng=rng,
    )


def test_a_round_spends_its_budget_and_no_more():
    counts = planned(37.0, np.ones((2, 3)))

    assert 37 == counts.sum()
    assert counts[:, 2].sum() < 5


def test_a_round_stops_where_nothing_is_left_to_run():
    counts = planned(1000.0, np.ones((2, 3)), room=7)

    assert [[7, 7, 7], [7, 7, 7]] == counts.tolist()


def test_gain_is_weighed_by_price():
    dear_first = planned(40.0, np.array([[8.0, 1.0, 1.0]] * 2)).sum(axis=0)
    dear_second = planned(40.0, np.array([[1.0, 8.0, 1.0]] * 2)).sum(axis=0)

    assert dear_first[1] > dear_first[0]
    assert dear_second[0] > dear_second[1]


def test_exploring_reaches_every_pair():
    assert (planned(200.0, np.ones((2, 3)), explore=1.0) > 0).all()
