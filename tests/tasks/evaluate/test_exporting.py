"""What profile runs committed becomes a table that can be evaluated."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace

import polars as pl
import pytest

from tasks.embedder import cached_embedder
from tasks.evaluate import exporting
from tasks.evaluate.evaluate import EvaluateJob, evaluate
from tasks.evaluate.exporting import export_table
from tasks.evaluate.table import read_table
from tasks.profiling.planning import ProfileJob, plan_profile
from tasks.profiling.profile import run_profile
from warehouse.errors import WarehouseError

POOL = """
name: two
models:
  no: {provider: scripted, parameters: {answer: "no"}, prices: {input_usd: 1, output_usd: 1}}
  yes: {provider: scripted, parameters: {answer: "yes"}, prices: {input_usd: 1, output_usd: 2}}
"""


class _Silence:
    def start(self, total, already_done, max_cost): ...
    def advance(self, rows, cost_usd): ...
    def note(self, text): ...
    def finish(self): ...


def _questions(path):
    rows = [
        {
            "query_id": f"q{number}",
            "prompt": f"is {number} {'even' if number % 2 else 'odd'} or what",
            "dataset": "odd" if number % 2 else "even",
            "split": "train" if number < 12 else "test",
            "reference": "yes" if number % 2 else "no",
            "grader": "exact",
        }
        for number in range(20)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def _profiled(tmp_path, **settings):
    _questions(tmp_path / "questions.jsonl")
    (tmp_path / "pool.yaml").write_text(POOL)
    root = tmp_path / "root"
    job = ProfileJob(
        questions=str(tmp_path / "questions.jsonl"),
        pool=tmp_path / "pool.yaml",
        root=root,
        clusters=2,
        encoder="hashing",
        **settings,
    )
    planned = plan_profile(job, env={})
    embedder = lambda: cached_embedder(root, "hashing")  # noqa: E731
    asyncio.run(run_profile(planned, env={}, embedder=embedder, progress=_Silence()))
    return planned


def test_a_profile_run_can_be_evaluated(tmp_path):
    planned = _profiled(tmp_path)

    exported = export_table(planned, tmp_path / "table")

    assert (20, 40, 0) == (exported.queries, exported.outcomes, exported.left_out)
    table = read_table(tmp_path / "table")
    assert (12, 8) == (len(table.rows("train")), len(table.rows("test")))
    job = EvaluateJob(
        tmp_path / "table",
        tmp_path / "root",
        ("random", "best-single", "dataset-best", "oracle"),
        draws=100,
    )
    figures = asyncio.run(evaluate(job, env={})).as_json()
    assert {"random": 0.5, "best-single": 0.5, "dataset-best": 1.0, "oracle": 1.0} == {
        router: splits["test"]["micro"] for router, splits in figures.items()
    }
    assert figures["oracle"]["test"]["cost_usd"] > 0


def test_a_table_has_the_schema_of_published_ones(tmp_path):
    planned = _profiled(tmp_path)
    export_table(planned, tmp_path / "table")

    assert {
        "query_id": pl.String,
        "model": pl.String,
        "tool": pl.String,
        "score": pl.Float32,
        "cost_usd": pl.Float64,
        "input_tokens": pl.Int32,
        "output_tokens": pl.Int32,
        "answer": pl.String,
        "source": pl.String,
    } == dict(pl.read_parquet_schema(tmp_path / "table" / "outcomes.parquet"))
    assert ["query_id", "text", "dataset", "split", "reference", "grader"] == list(
        pl.read_parquet_schema(tmp_path / "table" / "queries.parquet")
    )


def test_held_out_questions_without_every_pairs_outcome_are_left_out_and_counted(
    tmp_path, monkeypatch
):
    planned = _profiled(tmp_path)
    usable = exporting.usable_outcomes
    failed = pl.col("query_id").is_in(["q3", "q17"]) & (pl.col("model") == "yes")
    monkeypatch.setattr(exporting, "usable_outcomes", lambda *known: usable(*known).filter(~failed))

    exported = export_table(planned, tmp_path / "table")

    # Of q3, a training question, what is known is kept; q17 is to be routed, and goes.
    assert (19, 37, 1) == (exported.queries, exported.outcomes, exported.left_out)


def test_answers_stand_beside_their_scores(tmp_path):
    export_table(_profiled(tmp_path), tmp_path / "table")

    rows = pl.read_parquet(tmp_path / "table" / "outcomes.parquet")
    assert {("no", "no"), ("yes", "yes")} == set(rows.select("model", "answer").unique().rows())


def test_a_limit_takes_the_jobs_own_questions(tmp_path):
    planned = _profiled(tmp_path, limit=13)

    exported = export_table(planned, tmp_path / "table")

    assert (13, 26) == (exported.queries, exported.outcomes)


def test_without_a_ledger_there_is_nothing_to_export(tmp_path):
    planned = _profiled(tmp_path)

    moved = replace(planned, job=replace(planned.job, root=tmp_path / "elsewhere"))

    with pytest.raises(WarehouseError, match="There is no ledger"):
        export_table(moved, tmp_path / "table")

    assert not (tmp_path / "table").exists()
