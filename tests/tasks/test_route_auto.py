"""What router auto came to is part of a run: of its identity, its decisions and its words."""

from __future__ import annotations

import pytest

from profiles.errors import RouterNameError
from tests.tasks.small_runs import Small, lines_of
from warehouse.query import committed

APART = [[1.0, 0.2], [0.1, 0.9]]
ALIKE = [[0.9, 0.5], [0.9, 0.5]]
COSTS = [[0.001, 0.002], [0.001, 0.002]]


@pytest.fixture
def small(tmp_path):
    made = Small(tmp_path)
    made.backlog(lines_of(0, 1, 0, 1))
    return made


@pytest.mark.parametrize(
    ("fit_all", "router", "words"),
    [(False, "cluster", "profile again to have it"), (True, "best-single", "no router is clearly")],
)
def test_a_run_is_named_by_what_auto_came_to(small, fit_all, router, words):
    small.profile(ALIKE, COSTS, fit_all=fit_all)

    prepared = small.prepared(router="auto")

    assert f"auto:{router}" == prepared.router.name == prepared.identity["router"]
    assert prepared.because.startswith(router)
    assert words in prepared.because


def test_decisions_say_who_decided_and_why(small):
    small.profile(APART, COSTS)

    small.route(router="auto")

    decisions = committed(small.root, "decisions").collect()
    assert {"auto:cluster"} == set(decisions.get_column("router").cast(str))
    assert all(reason.startswith("auto took cluster: ") for reason in decisions["reason"])
    assert 2 == decisions.select("cluster_id", "pair_id").n_unique()


def test_the_best_single_pair_decides_under_its_name_with_clusters_recorded(small):
    small.profile(ALIKE, COSTS, fit_all=True)

    small.route(router="auto")

    decisions = committed(small.root, "decisions").collect()
    assert {"auto:best-single"} == set(decisions.get_column("router").cast(str))
    assert {"calm@@none"} == set(decisions.get_column("pair_id").cast(str))
    assert {0, 1} == set(decisions.get_column("cluster_id"))


def test_other_routers_need_no_reason(small):
    small.profile(APART, COSTS)

    prepared = small.prepared(router="cluster")

    assert ("", "cluster", "cluster") == (
        prepared.because,
        prepared.router.name,
        prepared.identity["router"],
    )


def test_the_plan_names_the_router_that_will_decide(small):
    small.profile(APART, COSTS)

    assert small.plan(router="auto").router.startswith("auto:cluster · alpha 0 · profile-")


def test_an_unknown_router_is_refused_before_anything_is_looked_up(small):
    with pytest.raises(RouterNameError, match="did you mean 'auto'"):
        small.prepared(router="autp")
