"""Questions unlike anything in training are decided by a more cautious strategy, and it is said."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from profiles.policies.guide import Seen, advise, policy_guide
from profiles.policies.policy import CASCADE, POLICY, PREDICTOR, SINGLE
from profiles.policies.step_down import StepDown, decided_by, step_down, whereabouts
from profiles.policies.strategies import ANSWER, Cascade
from tests.profiles.made_profiles import random_profile
from tests.profiles.policies.made_policies import made_live, made_policy

PRICE = 0.01


@pytest.fixture(scope="module")
def profile():
    return random_profile(pairs=3)


@pytest.fixture(scope="module")
def policy(profile):
    made = made_policy(
        pairs=tuple(pair.pair_id for pair in profile.pairs),
        width=profile.clusters.centroids.shape[1],
        profile_id=profile.profile_id,
        pool_fingerprint=profile.pool_fingerprint,
    )
    reversed_cascades = tuple(replace(one, cascade=((2, 0), 2, 2.0)) for one in made.points)
    return replace(made, points=reversed_cascades)


class Always:
    """Calls one pair wherever it may, and answers elsewhere."""

    def __init__(self, pair, name=POLICY):
        self.pair, self.name = pair, name

    def act(self, live):
        return np.where(live.allowed[:, self.pair], self.pair, ANSWER)


def test_every_row_is_decided_by_its_own_strategy(policy):
    live = made_live(policy)
    away = np.arange(len(live.called)) % 3 == 0
    near, far = Always(0), Cascade((2, 1), 2)

    actions = StepDown(near, far).act(live._replace(away=away))

    assert (near.act(live)[~away] == actions[~away]).all()
    assert (far.act(live)[away] == actions[away]).all()
    assert (near.act(live)[away] != actions[away]).any()


def test_where_nobody_looked_all_is_near(policy):
    live = made_live(policy)

    assert (StepDown(Always(0), Always(1)).act(live) == Always(0).act(live)).all()


def test_a_row_decides_alike_alone_and_among_others(policy):
    live = made_live(policy)
    away = np.arange(len(live.called)) % 2 == 0
    strategy = StepDown(Always(0), Cascade((2, 1), 2))

    together = strategy.act(live._replace(away=away))
    alone = [
        strategy.act(type(live)(*(c[[row]] for c in (*live[:-1], away))))[0]
        for row in range(len(away))
    ]

    assert alone == together.tolist()


def test_away_is_what_the_cluster_router_calls_out_of_distribution(profile):
    centroid = profile.clusters.centroids[0]
    beside = np.zeros_like(centroid)
    beside[np.abs(centroid).argmin()] = 1.0
    points = centroid + beside * profile.clusters.radius99 * np.array([[0.9], [1.1]])

    where = whereabouts(profile, points.astype(np.float32))

    assert [False, True] == where.away.tolist()
    assert (where.distance > 0).all()


@pytest.mark.parametrize(
    ("name", "far"),
    [(POLICY, CASCADE), (PREDICTOR, SINGLE), (CASCADE, None), (SINGLE, None)],
)
def test_what_each_strategy_steps_down_to(policy, profile, name, far):
    guide = step_down(policy_guide(policy, profile, name, PRICE), policy, profile)

    assert name == guide.strategy.name
    assert far == getattr(getattr(guide.strategy, "far", None), "name", None)
    decider, why = decided_by(guide, away=True)
    assert (far or name) == decider
    assert bool(far) == ("farther from its cluster than 99 %" in why)
    assert (name, "") == decided_by(guide, away=False)


def test_a_policy_without_a_cascade_steps_down_to_the_best_single_pair(policy, profile):
    bare = replace(
        policy, points=tuple(replace(one, cascade=((0,), 0, 2.0)) for one in policy.points)
    )
    guide = step_down(policy_guide(bare, profile, POLICY, PRICE), bare, profile)

    assert SINGLE == guide.strategy.far.name
    best = int((bare.accuracy - PRICE * bare.costs).argmax())
    assert best == guide.strategy.far.fixed


def test_a_strategy_without_a_price_is_left_alone(policy, profile):
    guide = replace(policy_guide(policy, profile, POLICY, PRICE), price=None)

    assert guide.strategy is step_down(guide, policy, profile).strategy


def test_a_guide_sees_where_questions_lie_and_follows_the_cascade_there(policy, profile):
    guide = step_down(policy_guide(policy, profile, POLICY, PRICE), policy, profile)
    guide = replace(guide, strategy=replace(guide.strategy, near=Always(1)))
    far_off = profile.clusters.centroids[:1] * 40
    texts, embeddings = ["near", "far"], np.vstack([profile.clusters.centroids[:1], far_off])

    prospect = guide.foresee(texts, embeddings)
    nothing = np.zeros((2, 3), np.bool_)
    advice = advise(
        guide,
        Seen(
            nothing, np.full((2, 3), -1), ~nothing, prospect.priors, prospect.components,
            prospect.where.away,
        ),
    )  # fmt: skip

    assert [False, True] == prospect.where.away.tolist()
    assert [1, 2] == advice.action.tolist()
