"""Canaries are kept while their cells are what they were, and asked once a night."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import polars as pl
import pytest

from profiles.pool_file import load_pool
from tasks.freshness.canary_run import plan_canaries
from tasks.freshness.canary_sets import CanarySet, living_sets, set_versions
from tasks.freshness.drift_state import history_of
from tasks.grade.base import Reference
from tasks.profiling.cell_versions import PoolVersions
from tasks.query import Query

POOL = """\
name: p
models:
  a: {{provider: scripted, name: "{name}", prices: {{input_usd: "{price}", output_usd: "1"}}}}
tools:
  none: {{kind: none}}
"""
NOW = datetime(2026, 11, 20, 3, tzinfo=UTC)
PAIR = "a@@none"


class World:
    def __init__(self, folder, name="model", price="1"):
        (folder / "pool.yaml").write_text(POOL.format(name=name, price=price), encoding="utf-8")
        self.pool = load_pool(folder / "pool.yaml")
        self.versions = PoolVersions(self.pool)
        self.queries = {
            f"q{n}": Query(f"q{n}", f"c{n}", f"text {n}", reference=Reference("1", "exact"))
            for n in range(4)
        }

    def made(self):
        ids = ("q0", "q1")
        version = set_versions(ids, self.pool.pairs[0], self.queries, self.versions)
        return CanarySet("set-1", PAIR, ids, version, NOW)

    def living(self, sets, **stale):
        return living_sets(
            sets, pool=self.pool, queries=self.queries, versions=self.versions, stale=stale
        )


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


def test_a_set_lives_while_nothing_about_its_cells_changes(world, tmp_path):
    made = world.made()

    assert {PAIR: made} == world.living([made])
    assert {PAIR: made} == World(tmp_path, price="7").living([made])
    assert {} == World(tmp_path, name="other").living([made])


def test_a_set_ends_with_its_questions_or_when_its_pair_is_declared_stale(world):
    made = world.made()

    assert {PAIR: made} == world.living([made], **{PAIR: NOW - timedelta(hours=1)})
    assert {} == world.living([made], **{PAIR: NOW + timedelta(hours=1)})
    world.queries["q1"] = Query("q1", "c1", "another text", reference=Reference("1", "exact"))
    assert {} == world.living([made])
    del world.queries["q1"]
    assert {} == world.living([made])


def run(run_id, night, repeat, sets, state="complete"):
    config = json.dumps({"kind": "canary", "night": night, "repeat": repeat, "sets": sets})
    return SimpleNamespace(run_id=run_id, kind="canary", state=state, config_json=config)


def test_a_new_set_is_asked_several_times_and_then_once_a_night(world):
    living = world.living([world.made()])
    first = plan_canaries([], living, night="2026-11-20", first_night_runs=3)

    assert [0, 1, 2] == [one.repeat for one in first]
    assert 3 == len({one.run_id for one in first})
    done = [run(one.run_id, one.night, one.repeat, ["set-1"]) for one in first]
    assert [] == plan_canaries(done, living, night="2026-11-20", first_night_runs=3)
    (next_,) = plan_canaries(done, living, night="2026-11-21", first_night_runs=3)
    assert ("canary-2026-11-21", 0) == (next_.run_id, next_.repeat)


def test_what_was_begun_is_finished_first_under_its_own_name(world):
    living = world.living([world.made()])
    runs = [run("canary-2026-11-20", "2026-11-20", 0, ["set-1"], "running")]
    planned = plan_canaries(runs, living, night="2026-11-20", first_night_runs=1)

    assert ["canary-2026-11-20"] == [one.run_id for one in planned]


def outcomes(rows):
    schema = {
        "run_id": pl.String, "query_id": pl.String, "pair_id": pl.String, "score": pl.Float64,
        "answer": pl.String, "cost_usd": pl.Float64, "output_tokens": pl.Int64,
        "duration_s": pl.Float64, "error_type": pl.String, "prices_version": pl.String,
    }  # fmt: skip
    return pl.DataFrame(rows, schema=schema, orient="row")


def test_the_history_keeps_failures_and_old_prices_out(world):
    runs = [
        (SimpleNamespace(run_id="n1"), {"repeat": 0}),
        (SimpleNamespace(run_id="n2"), {"repeat": 0}),
    ]
    made = history_of(
        world.made(),
        runs,
        outcomes(
            [
                ("n1", "q0", PAIR, 1.0, "Answer: 1", 0.5, 10, 1.0, None, "old"),
                ("n1", "q1", PAIR, None, "I do not know", 0.5, None, 2.0, None, "old"),
                ("n2", "q0", PAIR, 0.0, "Answer: 2", 0.9, 12, 1.0, None, "new"),
                ("n2", "q1", PAIR, None, None, None, None, None, "timeout", "new"),
                ("n2", "q0", "b@@none", 1.0, "x", 1.0, 1, 1.0, None, "new"),
            ]
        ),
    )

    assert [[1.0, None], [0.0, None]] == nulls(made.scores)
    assert [[0.0, 1.0], [0.0, None]] == nulls(made.refused)
    assert [[None, None], [0.9, None]] == nulls(made.costs_usd)
    # One answer came without a count of tokens, so all are measured in characters.
    assert [[9.0, 13.0], [9.0, None]] == nulls(made.lengths)
    assert [True, True] == made.first_of_night.tolist()


def nulls(table):
    return [[None if value != value else value for value in row] for row in table.tolist()]
