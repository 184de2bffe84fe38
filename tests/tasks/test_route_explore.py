"""Routing with exploration: what is logged of a draw, and that a resumed run draws the same."""

from __future__ import annotations

from decimal import Decimal

import polars as pl
import pytest

from profiles.errors import RouterError
from tests.tasks.small_runs import PAIRS, Small
from warehouse.query import committed

SCORES = ((0.9, 0.85), (0.8, 0.85))
COSTS = ((0.001, 0.002), (0.001, 0.002))
EXPLORED = {"router": "cluster", "explore": 0.5, "explore_band": 1.0}


@pytest.fixture
def small(tmp_path):
    made = Small(tmp_path)
    made.profile(SCORES, COSTS)
    made.backlog(
        [
            {"custom_id": f"row-{n}", "prompt": f"{('river lake', 'add sum')[n % 2]} {n}"}
            for n in range(60)
        ]
    )
    return made


def decisions(small, run_id="run"):
    return (
        committed(small.root, "decisions", run_id)
        .sort("query_id")
        .select("query_id", "pair_id", "propensity", "chances", "reason")
        .collect()
    )


def test_every_decision_carries_its_propensity_and_the_chances_of_every_pair(small):
    small.route(**EXPLORED)
    rows = decisions(small)

    assert {0.25, 0.75} == set(rows.get_column("propensity").to_list())
    for row in rows.to_dicts():
        chances = {one["pair_id"]: one["chance"] for one in row["chances"]}
        assert set(PAIRS) == set(chances)
        assert 1.0 == sum(chances.values())
        assert row["propensity"] == chances[row["pair_id"]]
        assert (0.25 == row["propensity"]) == row["reason"].startswith("explored (epsilon, 0.5 of")


def test_without_exploring_nothing_is_left_to_chance(small):
    small.route(router="cluster")
    rows = decisions(small)

    assert {1.0} == set(rows.get_column("propensity").to_list())
    assert 60 == rows.get_column("chances").null_count()


def test_a_random_router_logs_the_chances_of_every_pair_too(small):
    small.route(router="random")
    rows = decisions(small)

    assert {0.5} == set(rows.get_column("propensity").to_list())
    assert [[0.5, 0.5]] * 60 == [
        [one["chance"] for one in row] for row in rows.get_column("chances").to_list()
    ]


def test_a_stopped_run_takes_up_the_draws_it_began_with(small):
    small.route(name="whole", **EXPLORED)
    stopped = small.route(name="cut", max_cost_usd=Decimal("0.0015"), **EXPLORED)
    before = decisions(small, "cut")
    small.route(name="cut", **EXPLORED)

    assert "paused_budget" == stopped.state
    assert 0 < len(before) < 60
    assert decisions(small, "whole").equals(decisions(small, "cut"))


def test_a_fallback_was_not_drawn_and_says_nothing_of_chances():
    from types import SimpleNamespace

    from tasks.batch.rows import _decisions

    pairs = [SimpleNamespace(pair_id=name) for name in PAIRS]
    query = SimpleNamespace(query_id="q")
    decision = {"propensity": 0.25, "chances": [{"pair_id": PAIRS[0], "chance": 0.25}]}
    item = SimpleNamespace(query=query, decision=decision, plan=None)
    context = SimpleNamespace(run_id="r", chunk_id="0", pool=SimpleNamespace(pairs=pairs), now=None)
    first, second = _decisions([SimpleNamespace(item=item, tried=(0, 1))], context)

    assert (0.25, decision["chances"]) == (first["propensity"], first["chances"])
    assert (None, None) == (second["propensity"], second["chances"])


def test_what_is_explored_belongs_to_the_run_and_nothing_does_without(small):
    plain = small.prepared(router="cluster")
    first = small.prepared(**EXPLORED)
    other = small.prepared(**(EXPLORED | {"explore_band": 0.5}))

    assert "explore" not in plain.identity
    assert [0.5, "epsilon", 1.0] == first.identity["explore"]
    assert first.identity != other.identity
    assert "cluster" == first.router.name


def test_a_plan_expects_what_explored_choices_cost(small):
    cheap = small.plan(router="cluster")
    tried = small.plan(**(EXPLORED | {"explore": 1.0}))

    assert tried.cost_usd.expected > cheap.cost_usd.expected


@pytest.mark.parametrize("router", ["random", f"fixed:{PAIRS[0]}"])
def test_a_router_without_utilities_says_so_before_anything_is_paid(small, router):
    with pytest.raises(RouterError, match="nothing to explore near the best one"):
        small.prepared(router=router, explore=0.1)


def test_the_table_of_decisions_can_be_read_together_with_older_files(small):
    from warehouse.query import polars_schema

    assert polars_schema("decisions")["chances"] == pl.List(
        pl.Struct({"pair_id": pl.String, "chance": pl.Float64})
    )
