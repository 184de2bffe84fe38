"""Every reward against its equation in the paper, read by a reference of a few lines."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tasks.learn.rewards import (
    AtlasReward,
    Selection,
    atlas_reward,
    format_reward,
    preference_reward,
    priced_utility,
    selection_reward,
)

FLAGS = hnp.arrays(np.bool_, (6, 4))
EACH = hnp.arrays(np.bool_, (6,))


def reference_atlas(
    well_formed: bool, correct: float, called: set[int], last: int, optimal: set[int],
    rule: AtlasReward,
) -> float:  # fmt: skip
    """r = R_fmt + γ·R_out + ξ·R_sel (ATLAS, Eq. 6-9), one trajectory in plain words."""
    fmt = 0.0 if well_formed else -1.0
    out = correct if well_formed or rule.malformed_earns else 0.0
    if not optimal:
        selected = True
    elif rule.selection is Selection.ANY_CALL:
        selected = bool(called & optimal)
    elif rule.selection is Selection.LAST_CALL:
        selected = last in optimal
    else:
        selected = bool(called) and called <= optimal
    sel = 0.0 if selected else rule.selection_penalty
    return fmt + rule.outcome_weight * out + rule.selection_weight * sel


@given(
    called=FLAGS, optimal=FLAGS, well_formed=EACH, correct=EACH, seed=st.integers(0, 99),
    rule=st.builds(
        AtlasReward,
        outcome_weight=st.floats(0, 2),
        selection_weight=st.floats(0, 2),
        selection_penalty=st.floats(-1, 0),
        malformed_earns=st.booleans(),
        selection=st.sampled_from(Selection),
    ),
)  # fmt: skip
def test_the_atlas_reward_is_that_of_the_paper(
    called: np.ndarray, optimal: np.ndarray, well_formed: np.ndarray, correct: np.ndarray,
    seed: int, rule: AtlasReward,
) -> None:  # fmt: skip
    random = np.random.default_rng(seed)
    last = np.array([random.choice(np.flatnonzero(row)) if row.any() else -1 for row in called])
    got = atlas_reward(
        well_formed,
        correct.astype(float),
        selection_reward(called, last, optimal, rule),
        rule,
    )

    for n in range(6):
        wanted = reference_atlas(
            bool(well_formed[n]), float(correct[n]), set(np.flatnonzero(called[n])), int(last[n]),
            set(np.flatnonzero(optimal[n])), rule,
        )  # fmt: skip
        assert got[n] == pytest.approx(wanted)


@pytest.mark.parametrize(
    ("well_formed", "correct", "optimal_called", "reward"),
    [
        (True, 1.0, True, 1.0),
        (True, 1.0, False, 0.85),
        (True, 0.0, True, 0.0),
        (True, 0.0, False, -0.15),
        (False, 0.0, True, -1.0),
        (False, 0.0, False, -1.15),
        (False, 1.0, True, -1.0),
        (False, 1.0, False, -1.15),
    ],
)
def test_the_values_that_the_paper_allows(
    well_formed: bool, correct: float, optimal_called: bool, reward: float
) -> None:
    """γ = ξ = 1; a malformed trajectory earns nothing for its answer."""
    called = np.array([[True, False]])
    optimal = np.array([[optimal_called, not optimal_called]])
    selection = selection_reward(called, np.array([0]), optimal)

    got = atlas_reward(np.array([well_formed]), np.array([correct]), selection)

    assert got.tolist() == pytest.approx([reward])


@pytest.mark.parametrize(("correct", "reward"), [(1.0, 0.0), (0.0, -1.0)])
def test_a_malformed_trajectory_may_be_made_to_earn_its_answer(
    correct: float, reward: float
) -> None:
    rule = AtlasReward(malformed_earns=True)

    got = atlas_reward(np.array([False]), np.array([correct]), np.zeros(1), rule)
    assert got.tolist() == [reward]


def test_which_of_several_calls_is_looked_at() -> None:
    """Pair 0 is optimal; it was called first, then pair 1."""
    called, last = np.array([[True, True, False]]), np.array([1])
    optimal = np.array([[True, False, False]])

    penalties = {
        rule: selection_reward(called, last, optimal, AtlasReward(selection=rule))[0]
        for rule in Selection
    }

    assert penalties == {
        Selection.ANY_CALL: 0.0, Selection.LAST_CALL: -0.15, Selection.EVERY_CALL: -0.15
    }  # fmt: skip


@pytest.mark.parametrize("rule", Selection)
def test_a_trajectory_without_a_call_selected_nothing(rule: Selection) -> None:
    nothing, last = np.zeros((1, 2), bool), np.array([-1])
    some, none = np.array([[False, True]]), np.zeros((1, 2), bool)
    settings = AtlasReward(selection=rule)

    assert selection_reward(nothing, last, some, settings).tolist() == [-0.15]
    assert selection_reward(nothing, last, none, settings).tolist() == [0.0]


def test_a_bad_format_costs_one() -> None:
    assert format_reward(np.array([True, False])).tolist() == [0.0, -1.0]


@given(
    correct=st.lists(st.floats(0, 1), min_size=1, max_size=5),
    price=st.floats(0, 1),
    cost=st.floats(0, 10),
)
def test_utility_is_what_is_left_once_calls_are_paid(
    correct: list[float], price: float, cost: float
) -> None:
    got = priced_utility(np.array(correct), np.full(len(correct), cost), price)
    dearer = priced_utility(np.array(correct), np.full(len(correct), cost + 1.0), price)

    assert got.tolist() == pytest.approx([one - price * cost for one in correct])
    assert (got - dearer).tolist() == pytest.approx([price] * len(correct), abs=1e-9)


def test_utility_takes_a_price_for_each_trajectory() -> None:
    got = priced_utility(np.ones(2), np.array([2.0, 2.0]), np.array([0.1, 0.25]))

    assert got.tolist() == pytest.approx([0.8, 0.5])


def reference_preference(
    measures: np.ndarray, preference: np.ndarray, correct: np.ndarray
) -> list[float]:
    """ToolOrchestra, Eq. 2: M_norm · P where right, min and max over *all* rollouts."""
    rewards = []
    for g in range(len(measures)):
        total = 0.0
        for f in range(measures.shape[1]):
            low, high = min(measures[:, f]), max(measures[:, f])
            if high > low:
                total += preference[f] * (measures[g, f] - low) / (high - low)
        rewards.append(total if correct[g] else 0.0)
    return rewards


GROUPS = st.integers(0, 9999).map(np.random.default_rng)


@given(random=GROUPS, group=st.integers(1, 8), features=st.integers(1, 6))
def test_the_preference_reward_is_that_of_the_paper(
    random: np.random.Generator, group: int, features: int
) -> None:
    measures = random.integers(-3, 4, (group, features)).astype(float)
    preference, correct = random.random(features), random.random(group) < 0.6

    got = preference_reward(measures, preference, correct)

    assert got.tolist() == pytest.approx(reference_preference(measures, preference, correct))
    assert (got >= 0).all()
    assert (got <= preference.sum() + 1e-9).all()


@given(random=GROUPS, group=st.integers(2, 8))
def test_of_two_right_answers_the_dearer_never_earns_more(
    random: np.random.Generator, group: int
) -> None:
    """The public code of the paper has this sign the wrong way round."""
    dollars = random.random(group)
    assume(np.ptp(dollars) > 0)
    measures = np.column_stack([np.ones(group), -dollars, np.zeros(group)])
    preference = np.array([1.0, 0.5, 0.5])

    got = preference_reward(measures, preference, np.ones(group, bool))

    assert (np.diff(got[np.argsort(dollars)]) <= 1e-12).all()
    assert got[dollars.argmin()] - got[dollars.argmax()] == pytest.approx(0.5)


def test_the_preference_reward_by_hand() -> None:
    """Calls of two tools, outcome, −dollars, −seconds; the third rollout is wrong."""
    measures = np.array([[2, 0, 1, -0.10, -8], [1, 0, 1, -0.02, -4], [0, 0, 0, -0.00, -0]], float)
    preference = np.array([0.0, 1.0, 0.4, 1.0, 0.5])

    got = preference_reward(measures, preference, np.array([True, True, False]))

    # Dollars scale to 0, 0.8, 1 and seconds to 0, 0.5, 1; the unused tool adds nothing.
    assert got.tolist() == pytest.approx([0.4, 0.4 + 0.8 + 0.25, 0.0])


@given(shift=st.floats(-5, 5), random=GROUPS)
def test_a_measure_that_all_rollouts_share_adds_nothing(
    shift: float, random: np.random.Generator
) -> None:
    measures = random.random((4, 3))
    with_it = np.column_stack([measures, np.full(4, shift)])
    preference, correct = random.random(4), np.ones(4, bool)

    assert preference_reward(with_it, preference, correct).tolist() == pytest.approx(
        preference_reward(measures, preference[:3], correct).tolist()
    )
