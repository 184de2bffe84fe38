"""Policies are played over held-out questions as they run live, and compared like with like."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from profiles.errors import ProfileError
from profiles.policies.guide import policy_guide
from profiles.policies.lattice import build_lattice
from profiles.policies.policy import CASCADE, POLICY, PREDICTOR, SINGLE
from profiles.policies.price_choice import PriceError
from tasks.learn.environment import Environment, observe
from tasks.learn.gate import GateSettings
from tasks.learn.held_out_play import (
    AUTO,
    Contender,
    compare_held_out,
    play_guide,
    play_policy,
    play_router,
)
from tasks.learn.learning_set import HeldOut
from tasks.learn.live import play_strategy
from tasks.learn.recorded import RecordedAnswers
from tests.profiles.made_profiles import corners, random_profile
from tests.profiles.policies.made_policies import made_policy

N, PRICE = 150, 0.02
SETTINGS = GateSettings(price=PRICE, draws=200)


@pytest.fixture(scope="module")
def profile():
    return random_profile(pairs=3)


@pytest.fixture(scope="module")
def policy(profile):
    return made_policy(
        pairs=tuple(pair.pair_id for pair in profile.pairs),
        width=profile.clusters.centroids.shape[1],
        profile_id=profile.profile_id,
        pool_fingerprint=profile.pool_fingerprint,
    )


@pytest.fixture(scope="module")
def held(profile):
    return made_held(profile)


def made_held(profile, n=N, seed=0):
    """Questions of which each has one right answer; pairs with an equal key have equal scores."""
    rng = np.random.default_rng(seed)
    embeddings = corners(np.arange(n) % 4, profile.clusters.centroids.shape[1])
    keys = rng.integers(-1, 3, (n, len(profile.pairs)))
    scores = (keys == 1).astype(float)
    costs = rng.uniform(0.001, 0.01, keys.shape)
    distances = profile.clusters.assign(embeddings).distances
    return HeldOut(
        tuple(f"held {number}" for number in range(n)),
        tuple("ab"[number % 2] for number in range(n)),
        tuple(f"question {number}" for number in range(n)),
        embeddings, scores, costs, keys, distances,
    )  # fmt: skip


@pytest.mark.parametrize("strategy", [SINGLE, PREDICTOR, CASCADE, POLICY, "hybrid"])
def test_an_episode_is_that_of_the_environment_that_policies_are_trained_in(
    policy, profile, held, strategy
):
    guide = policy_guide(policy, profile, strategy, PRICE)
    prospect = guide.foresee(held.texts, held.embeddings)
    recorded = RecordedAnswers(
        held.keys, held.scores, held.costs_usd, prospect.priors, prospect.components,
        policy.accuracy, policy.accuracy_sd, policy.correlation, 1.0,
    )  # fmt: skip
    lattice = build_lattice(3, policy.max_calls)
    environment = Environment(recorded, lattice, observe(recorded, lattice, policy.aggregator))
    twin = play_strategy(environment, np.arange(N), guide.strategy)

    found = play_guide(guide, profile, held)

    with_answer = found.leader >= 0
    assert with_answer.sum() > N / 2
    assert (twin.calls == found.calls).all()
    assert (twin.leader == found.leader).all()
    assert (twin.score == found.score)[with_answer].all()
    assert found.cost == pytest.approx(twin.cost, rel=1e-5)


def test_no_recorded_score_changes_what_is_called(policy, profile, held):
    shuffled = held._replace(scores=np.random.default_rng(1).permutation(held.scores))

    first, second = (
        play_policy(policy, profile, one, price=0.3, strategy=POLICY) for one in (held, shuffled)
    )

    assert (first.leader == second.leader).all()
    assert (first.calls == second.calls).all()
    assert (first.score != second.score).any()


def test_a_call_that_was_never_recorded_leaves_its_question_without_a_score(policy, profile, held):
    guide = policy_guide(policy, profile, CASCADE, PRICE)
    whole = play_guide(guide, profile, held)
    scores = held.scores.copy()
    scores[:20, 0] = np.nan
    scores[20:40, 2] = np.nan

    found = play_guide(guide, profile, held._replace(scores=scores))

    assert np.isnan(found.score[:20]).all(), "the cascade begins with pair 0"
    assert (found.score[20:] == whole.score[20:]).all(), "and never calls pair 2"
    assert (found.cost[20:] == whole.cost[20:]).all()


def test_the_cost_of_a_call_that_nobody_wrote_down_is_the_expected_one(policy, profile, held):
    guide = policy_guide(policy, profile, SINGLE, PRICE)
    single = guide.strategy.fixed

    found = play_guide(
        guide, profile, held._replace(costs_usd=np.full(held.costs_usd.shape, np.nan))
    )

    once = found.calls == 1
    assert once.any()
    assert found.cost[once] == pytest.approx(policy.costs[single] * policy.cost_unit_usd)


def test_off_the_training_distribution_a_policy_plays_its_cascade(policy, profile, held):
    far = held._replace(embeddings=held.embeddings * 50)

    found = play_policy(policy, profile, far, strategy=POLICY, price=PRICE)
    cascade = play_policy(policy, profile, far, strategy=CASCADE, price=PRICE)

    assert (found.leader == cascade.leader).all()
    assert (found.calls == cascade.calls).all()


def test_auto_calls_once_and_saves_money_where_money_is_dear(profile, held):
    free = play_router(AUTO, profile, held, price=0.0)
    thrifty = play_router(AUTO, profile, held, price=20.0)

    assert (free.calls == 1).all()
    assert thrifty.cost.mean() < free.cost.mean()


def test_auto_leaves_a_question_open_whose_pair_was_not_recorded(profile, held):
    found = play_router(
        AUTO, profile, held._replace(scores=np.full(held.scores.shape, np.nan)), price=0.1
    )

    assert np.isnan(found.score).all()


def test_a_policy_against_itself_gains_exactly_nothing(policy, profile, held):
    side = Contender("version 1", profile, held, policy)

    found = compare_held_out(side, side, SETTINGS)

    assert found.decision.gain.value == 0.0
    assert found.decision.alike == N
    assert not found.decision.accepted
    assert found.decision.settings.unit_usd == policy.cost_unit_usd
    assert found.notes == ()


def test_questions_are_paired_by_their_ids_not_their_order(policy, profile, held):
    order = np.random.default_rng(2).permutation(N)
    other = HeldOut(
        *(one[order] if isinstance(one, np.ndarray) else tuple(one[r] for r in order)
          for one in held)
    )  # fmt: skip

    found = compare_held_out(
        Contender("a", profile, held, policy), Contender("b", profile, other, policy), SETTINGS
    )

    assert found.decision.alike == N


def test_a_champion_with_another_unit_plays_at_the_same_price_a_dollar(policy, profile, held):
    dearer = replace(policy, cost_unit_usd=policy.cost_unit_usd * 2)

    found = compare_held_out(
        Contender("a", profile, held, policy), Contender("b", profile, held, dearer), SETTINGS
    )

    assert found.champion_price == pytest.approx(PRICE * 2)
    costs = {one.name: one for one in found.decision.figures}["cost"]
    played = play_policy(policy, profile, held, price=PRICE)
    assert costs.challenger.value == pytest.approx(played.cost.mean() / policy.cost_unit_usd)


def test_a_champion_at_a_price_it_was_not_trained_for_takes_the_nearest_and_says_so(
    policy, profile, held
):
    tiny = replace(policy, cost_unit_usd=policy.cost_unit_usd / 1_000)

    found = compare_held_out(
        Contender("a", profile, held, policy), Contender("b", profile, held, tiny), SETTINGS
    )

    assert found.champion_price == pytest.approx(policy.points[0].price)
    assert "it plays at 0.002" in found.notes[0]


def test_where_no_dollars_are_known_calls_are_counted(policy, profile, held):
    unpriced = replace(policy, cost_unit_usd=float("nan"))

    found = compare_held_out(
        Contender("a", profile, held, unpriced), Contender("b", profile, held, policy), SETTINGS
    )

    figures = {one.name: one for one in found.decision.figures}
    assert figures["cost"][1:] == figures["calls"][1:]
    assert found.champion_price == PRICE
    assert found.decision.settings.unit_usd is None
    assert "counted in calls" in found.notes[0]


def test_without_a_policy_the_champion_is_the_one_step_router(policy, profile, held):
    found = compare_held_out(
        Contender("a", profile, held, policy), Contender("auto", profile, held, None), SETTINGS
    )

    calls = {one.name: one for one in found.decision.figures}["calls"]
    assert calls.champion.value == 1.0


def test_questions_that_one_was_trained_on_are_left_out_and_said(policy, profile, held):
    ids = (*profile.train.query_ids[:10], *held.query_ids[10:])
    side = Contender("a", profile, held._replace(query_ids=ids), policy)

    found = compare_held_out(side, side, SETTINGS)

    assert found.decision.questions == N - 10
    (note,) = found.notes
    assert note.startswith("10 of 150 held-out questions are left out: one of the two was trained")


def test_without_a_question_in_common_nothing_is_promoted(policy, profile, held):
    strangers = held._replace(query_ids=tuple(f"other {number}" for number in range(N)))

    found = compare_held_out(
        Contender("a", profile, held, policy), Contender("b", profile, strangers, policy), SETTINGS
    )

    assert found.decision.questions == 0
    assert not found.decision.accepted


def test_a_price_that_the_challenger_was_not_trained_for_is_refused(policy, profile, held):
    side = Contender("a", profile, held, policy)

    with pytest.raises(PriceError, match="was trained for prices from"):
        compare_held_out(side, side, replace(SETTINGS, price=5.0))


def test_a_policy_of_another_profile_is_refused(policy, profile, held):
    other = replace(policy, profile_id="profile-of-somebody-else")

    with pytest.raises(ProfileError, match="was trained on profile-of-somebody-else"):
        play_policy(other, profile, held, price=PRICE)


def test_playing_leaves_torch_and_its_random_numbers_alone(policy, profile, held):
    before = torch.get_rng_state()

    play_policy(policy, profile, held, price=PRICE)

    assert torch.equal(before, torch.get_rng_state())
