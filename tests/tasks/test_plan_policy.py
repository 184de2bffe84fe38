"""A plan of many steps: the first call is decided, the rest is expected, and bounds are kept."""

from __future__ import annotations

import math
from decimal import Decimal

import pytest

from profiles.policies.policy import POLICY
from profiles.policies.policy_file import write_policy
from tests.tasks.small_policies import UNIT_USD, small_policy
from tests.tasks.small_runs import Small, lines_of

SCORES = ((0.9, 0.2), (0.2, 0.9))
COSTS = ((0.001, 0.001), (0.001, 0.001))
TWO = {"order": (0, 1), "agree": 0}


@pytest.fixture
def small(tmp_path):
    made = Small(tmp_path)
    made.backlog(lines_of(0, 0, 0, 1, 1))
    return made


def planned(small, policy, **job):
    """The plan of the backlog by a policy given as a folder."""
    folder = small.folder / policy.policy_id
    write_policy(policy, folder)
    return small.plan(policy=str(folder), router="auto", **job)


def test_the_interval_is_that_of_the_documented_formula(small):
    policy = small_policy(small.profile(SCORES, COSTS), **TWO)

    plan = planned(small, policy)

    # 1.5 units a question; a call of either candidate is 0.5 and 1 unit, both are 1.5; the
    # profile's costs have no spread of their own, and 40 questions are behind it.
    usd, least, most = 1.5 * UNIT_USD, 0.5 * UNIT_USD, 1.5 * UNIT_USD
    cv = math.sqrt((most - usd) * (usd - least)) / usd
    factor = math.exp(1.6448536269514722 * cv * math.sqrt(1 / 5 + 1 / 40))
    assert float(plan.cost_usd.expected) == pytest.approx(5 * usd)
    assert float(plan.cost_usd.low) == pytest.approx(5 * usd / factor)
    # A unit a question: half a unit more than the cheapest call, half a unit less than both.
    wider = small_policy(small.profile(SCORES, COSTS), costs=(2, 1, 1), seed=1, **TWO)
    dearer = planned(small, wider)
    cv = math.sqrt(0.5 * 0.5)
    factor = math.exp(1.6448536269514722 * cv * math.sqrt(1 / 5 + 1 / 40))
    assert float(dearer.cost_usd.high) == pytest.approx(5 * UNIT_USD * factor, rel=1e-6)


def test_pairs_are_those_that_are_asked_first(small):
    profile = small.profile(SCORES, COSTS)

    plan = planned(small, small_policy(profile, order=(1, 0), agree=0))

    assert [("wild@@none", 5)] == [(pair.pair_id, pair.rows) for pair in plan.pairs]
    learnt = planned(small, small_policy(profile, strategy=POLICY, **TWO))
    assert 5 == sum(pair.rows for pair in learnt.pairs)


def test_tokens_and_time_are_the_first_calls_as_often_as_expected(small):
    profile = small.profile(SCORES, COSTS)
    single = small.plan(router="fixed:calm@@none")

    plan = planned(small, small_policy(profile, **TWO))

    assert 1.75 == plan.calls_per_question
    assert plan.input_tokens.expected == round(1.75 * single.input_tokens.expected)
    assert plan.time_s.expected == pytest.approx(1.75 * single.time_s.expected)


def test_the_worst_case_is_every_call_that_may_be_made(small):
    profile = small.profile(SCORES, COSTS)
    calm, wild = (small.plan(router=f"fixed:{name}@@none") for name in ("calm", "wild"))

    plan = planned(small, small_policy(profile, **TWO))

    assert calm.worst_case_usd + wild.worst_case_usd == plan.worst_case_usd
    assert max(calm.reservation_usd, wild.reservation_usd) == plan.reservation_usd


def test_a_finished_backlog_costs_nothing_more(small):
    policy = small_policy(small.profile(SCORES, COSTS), **TWO)
    write_policy(policy, small.folder / "mine")
    job = {"policy": str(small.folder / "mine"), "router": "auto"}
    small.route(**job)

    plan = small.plan(**job)

    assert (0, 5, Decimal(0)) == (plan.planned, plan.finished, plan.cost_usd.high)
