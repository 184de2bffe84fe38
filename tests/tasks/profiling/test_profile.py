"""Profiling's promises: only missing cells are asked, nothing known is forgotten or invented."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from decimal import Decimal

import polars as pl
import pytest

from tasks.batch.stop import StopFlag
from tasks.embedder import cached_embedder
from tasks.profiling.cells import PlannedCell, SavedPlan, load_plan, save_plan
from tasks.profiling.profile import ProfileJob, plan_profile, run_profile
from tasks.profiling.store import ProfileNotFoundError, find_profile, list_profiles
from warehouse.errors import WarehouseError

MODEL = """\
  {key}:
    provider: scripted
    name: model-{key}
    prices: {{input_usd: "{price}", output_usd: "2"}}
    limits: {{max_output_tokens: 100}}
    parameters: {{answer: "Answer: {answer}"}}
"""


class Silent:
    def start(self, total, already_done, max_cost):
        pass

    def advance(self, rows, cost_usd):
        pass

    def note(self, text):
        pass

    def finish(self):
        pass


class Bench:
    """Profiles one labelled set under one folder, as often as a test likes."""

    def __init__(self, folder):
        self.folder = folder
        self.pool(a=1, b=2)
        rows = [
            {"text": f"What is {n} minus {n - 1}?", "dataset": "sums" if n % 2 else "more",
             "split": "train" if n < 8 else "test", "reference": "1", "grader": "numeric"}
            for n in range(12)
        ]  # fmt: skip
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / "labelled.jsonl").write_text(lines, encoding="utf-8")

    def pool(self, price="1", **answers):
        models = "".join(
            MODEL.format(key=key, answer=answer, price=price) for key, answer in answers.items()
        )
        text = f"name: test\nmodels:\n{models}tools:\n  none: {{kind: none}}\n"
        (self.folder / "pool.yaml").write_text(text, encoding="utf-8")

    def job(self, **changed):
        settings = {"clusters": 2, "chunk_size": 5, "encoder": "hashing"} | changed
        return ProfileJob(
            questions=str(self.folder / "labelled.jsonl"),
            pool=self.folder / "pool.yaml",
            root=self.folder / "data",
            **settings,
        )

    def plan(self, **changed):
        return plan_profile(self.job(**changed), env={})

    def run(self, *, stop=None, **changed):
        planned = self.plan(**changed)
        embedder = cached_embedder(self.folder / "data", "hashing")
        return asyncio.run(
            run_profile(planned, env={}, embedder=lambda: embedder, progress=Silent(), stop=stop)
        )


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path)


def test_every_cell_is_run_once_and_makes_a_profile(bench):
    report = bench.run()

    statistics = report.profile.statistics
    assert (24, 0) == (report.new_cells, report.known_cells)
    assert [8, 8] == statistics.n[-1].tolist()
    assert [1.0, 0.0] == statistics.score_mean[-1].tolist()
    assert report.profile.profile_id == find_profile(bench.folder / "data").profile_id


def test_a_second_profiling_asks_nothing(bench):
    first = bench.run()
    again = bench.run()

    assert (0, 24, None) == (again.new_cells, again.known_cells, again.run)
    assert first.profile.profile_id == again.profile.profile_id


def test_a_new_model_costs_only_its_own_cells(bench):
    bench.run()
    bench.pool(a=1, b=2, c=1)
    report = bench.run()

    assert (12, 24) == (report.new_cells, report.known_cells)
    assert ["a@@none", "b@@none", "c@@none"] == [p.pair_id for p in report.profile.pairs]


def test_a_changed_answerer_is_asked_again(bench):
    bench.run()
    bench.pool(a=1, b=1)

    assert {"b@@none"} == {pair for _, pair in bench.plan().cells}


def test_an_interrupted_profiling_goes_on_with_the_plan_it_began_with(bench):
    report = bench.run(max_cost_usd=Decimal("0.0012"))
    assert ("paused_budget", None) == (report.run.state, report.profile)
    planned = bench.plan()
    assert (report.run.run_id, 24) == (planned.run_id, len(planned.cells))
    report = bench.run()

    assert ("complete", 24) == (report.run.state, report.run.counts.answered)
    assert [8, 8] == report.profile.statistics.n[-1].tolist()


def test_a_stop_before_the_first_cell_leaves_everything_to_do(bench):
    stop = StopFlag()
    stop.request()
    report = bench.run(stop=stop)

    assert ("cancelled", 24) == (report.run.state, report.run.pending)
    assert "complete" == bench.run().run.state


def test_cells_that_failed_are_planned_again_and_count_as_errors_not_as_wrong(bench):
    table = bench.folder / "outcomes.parquet"
    planned = bench.plan()
    known = [query_id for query_id, pair in planned.cells if pair == "a@@none"][1:]
    pl.DataFrame(
        {"query_id": known, "model": "a", "tool": "none", "score": 1.0, "answer": "Answer: 1"},
        schema_overrides={"score": pl.Float32},
    ).with_columns(
        cost_usd=pl.lit(0.001), input_tokens=pl.lit(5), output_tokens=pl.lit(5),
        source=pl.lit("recorded"),
    ).write_parquet(table)  # fmt: skip
    pool = bench.folder / "pool.yaml"
    pool.write_text(
        "name: t\nmodels:\n  a: {provider: recorded, name: a, "
        "prices: {input_usd: 0, output_usd: 0},"
        " parameters: {table: outcomes.parquet}}\ntools:\n  none: {kind: recorded}\n"
    )
    report = bench.run()

    statistics = report.profile.statistics
    assert 1 == report.run.counts.failed
    assert [1.0] == statistics.score_mean[-1].tolist()
    assert 0 < statistics.error_rate[-1][0] < 1
    assert 1 == len(bench.plan().cells)


def test_a_profile_that_does_not_exist_is_named(bench):
    with pytest.raises(ProfileNotFoundError, match="no profile under"):
        find_profile(bench.folder / "data")
    report = bench.run()
    with pytest.raises(ProfileNotFoundError, match=f"there is: {report.profile.profile_id}"):
        find_profile(bench.folder / "data", "profile-other")

    assert [report.profile.profile_id] == list_profiles(bench.folder / "data")


def test_cells_of_a_question_stand_together(bench):
    planned = bench.plan()

    cells = planned.cells

    assert [query.query_id for query in planned.queries for _ in (0, 1)] == [q for q, _ in cells]
    assert ["a@@none", "b@@none"] * 12 == [pair for _, pair in cells]


def test_a_plan_reads_back_as_it_was_saved(tmp_path):
    path = tmp_path / "run" / "cells.json"
    cells = [PlannedCell("q1", "a@@none", "missing"), PlannedCell("q2", "b@@none", "regrade", "r")]
    plan = SavedPlan("s", datetime(2026, 1, 2, tzinfo=UTC), cells, [cells[1:]], None, 5.0, 1, [0.1])
    save_plan(path, plan)

    assert plan == load_plan(path)
    assert None is load_plan(tmp_path / "other.json")


def test_a_plan_of_version_0_1_is_taken_up(tmp_path):
    path = tmp_path / "cells.json"
    path.write_text('{"input_sha256": "s", "cells": [["q1", "a@@none"]]}')

    assert [PlannedCell("q1", "a@@none", "missing")] == load_plan(path).cells


def test_a_damaged_plan_is_named_and_not_planned_over(tmp_path):
    path = tmp_path / "cells.json"
    path.write_text('{"format": 2, "cells"')

    with pytest.raises(WarehouseError, match="cannot be read"):
        load_plan(path)
