"""A share of the cells, or a table without a dataset: only what is learnt from changes."""

from __future__ import annotations

import asyncio

import polars as pl
import pytest

from profiles.clusters import ClusterSettings
from tasks.evaluate.evaluate import EvaluateJob, evaluate
from tasks.evaluate.fit import Knowledge, Share
from tasks.evaluate.router_names import RouterChoice
from tasks.evaluate.table import read_table, recorded_pool
from tasks.evaluate.training import CellsError, LeaveOutError, cells_run, leave_out

SAMPLERS = ("adaptive", "queries", "cells")


def _job(folder, tmp_path, *routers, **settings):
    given = {"encoder": "hashing", "clusters": 2, "draws": 50} | settings
    return EvaluateJob(folder, tmp_path / "root", tuple(routers), **given)


def _figures(job):
    return asyncio.run(evaluate(job, env={})).as_json()


def _learnt(folder, tmp_path, share, choice=None):
    """The profile that a share of a table's cells makes."""
    from tasks.embedder import cached_embedder

    table = read_table(folder)
    embedder = cached_embedder(tmp_path / "root", "hashing")
    try:
        knowledge = Knowledge(table, recorded_pool(table), embedder, share=share)
        chosen = choice or RouterChoice("cluster", "cluster", ClusterSettings(2))
        return knowledge.profile(chosen)
    finally:
        embedder.close()


@pytest.fixture
def longer(make_table):
    """The tiny table with forty training questions of each topic instead of eight."""

    def more_questions(rows):
        for topic in ("sums", "birds"):
            (first,) = (row for row in rows if row["query_id"] == f"{topic}-0")
            rows += [
                first | {"query_id": f"{topic}-0{n}", "text": f"{first['text']} and {n}"}
                for n in range(1, 33)
            ]

    def more_answers(rows):
        rows += [
            row | {"query_id": f"{row['query_id']}{n}"}
            for row in rows
            if row["query_id"].endswith("-0")
            for n in range(1, 33)
        ]

    return make_table(more_questions, more_answers, name="longer")


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_the_same_seed_runs_the_same_cells_and_no_more_than_the_share(longer, tmp_path, sampler):
    import numpy as np

    table = read_table(longer)
    labels = np.arange(80) % 2

    def cells(seed):
        run = cells_run(table, labels, sampler=sampler, share=0.25, seed=seed)
        return set(run.select("query_id", "model", "tool").iter_rows())

    assert cells(1) == cells(1) != cells(2)
    assert 0 < len(cells(1)) <= 60
    assert 20 <= len(cells(1))


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_held_out_rows_are_never_among_the_cells(longer, sampler):
    import numpy as np

    table = read_table(longer)

    run = cells_run(table, np.zeros(80, int), sampler=sampler, share=0.5, seed=0)

    train = set(table.rows("train").get_column("query_id"))
    assert set(run.get_column("query_id")) <= train


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_poisoned_test_rows_change_nothing_that_a_share_teaches(longer, tmp_path, sampler):
    share = Share(0.3, sampler, seed=4, clusters=2)
    choice = RouterChoice("auto", "auto", ClusterSettings(2), choose_k=True)
    before = _learnt(longer, tmp_path, share, choice)
    queries = pl.read_parquet(longer / "queries.parquet")
    held_out = queries.filter(pl.col("split") != "train").get_column("query_id")
    queries.with_columns(
        text=pl.when(pl.col("split") == "train").then("text").otherwise(pl.lit("poison")),
        dataset=pl.when(pl.col("split") == "train").then("dataset").otherwise(pl.lit("sums")),
    ).write_parquet(longer / "queries.parquet")
    outcomes = pl.read_parquet(longer / "outcomes.parquet")
    outcomes.with_columns(
        score=pl.when(pl.col("query_id").is_in(held_out.implode()))
        .then(1.0 - pl.col("score"))
        .otherwise("score"),
        cost_usd=pl.when(pl.col("query_id").is_in(held_out.implode()))
        .then(None)
        .otherwise("cost_usd"),
    ).write_parquet(longer / "outcomes.parquet")

    after = _learnt(longer, tmp_path, share, choice)

    assert before.selection is not None
    assert (before.profile_id, before.k) == (after.profile_id, after.k)


def test_a_share_of_the_cells_is_all_that_is_learnt_from(longer, tmp_path):
    profile = _learnt(longer, tmp_path, Share(0.25, "cells", seed=0, clusters=2))

    assert 60 == profile.statistics.n[-1].sum()


def test_a_baseline_does_not_depend_on_what_it_is_compared_with(longer, tmp_path):
    first = _figures(_job(longer, tmp_path, "best-single", "majority", "cluster", cells=0.3))
    last = _figures(_job(longer, tmp_path, "cluster", "majority", "best-single", cells=0.3))

    for router in first:
        for split, figures in first[router].items():
            speeds = {"decisions_per_s": None, "rows_per_s": None}
            assert figures | speeds == last[router][split] | speeds, (router, split)


def test_a_specialist_that_was_run_where_it_shines_does_not_pass_for_the_best_pair(
    longer, tmp_path
):
    path = longer / "outcomes.parquet"
    of_birds = pl.col("query_id").str.starts_with("birds")
    specialist = pl.when(of_birds).then(1.0).otherwise(0.0)
    other = pl.when(pl.col("tool") == "python").then(0.6).otherwise(0.1)
    score = pl.when(pl.col("model") == "small").then(specialist).otherwise(other)
    pl.read_parquet(path).with_columns(score=score.cast(pl.Float32)).write_parquet(path)

    job = _job(longer, tmp_path, "best-single", "fixed:big@@python", cells=0.3)
    figures = _figures(job)

    assert figures["best-single"]["test"]["micro"] == figures["fixed:big@@python"]["test"]["micro"]


def test_a_share_without_a_scored_cell_is_refused_in_words_of_its_own(longer, tmp_path):
    job = _job(longer, tmp_path, "best-single", cells=0.0001, sampler="cells")

    with pytest.raises(CellsError, match=r"of 240 training cells a share of 0\.0001 \(cells\)"):
        _figures(job)


def test_the_share_changes_what_is_learnt_not_what_is_scored(longer, tmp_path):
    routers = ("random", "oracle", "cluster")

    whole = _figures(_job(longer, tmp_path, *routers))
    quarter = _figures(_job(longer, tmp_path, *routers, cells=0.25, sampler="queries"))

    for router in ("random", "oracle"):
        for split in ("test", "ood"):
            assert whole[router][split]["micro"] == quarter[router][split]["micro"]
            assert whole[router][split]["n"] == quarter[router][split]["n"]
    assert 1.0 == quarter["cluster"]["test"]["micro"]


def test_a_dataset_left_out_teaches_nothing_and_is_scored_whole(table_folder, tmp_path):
    figures = _figures(
        _job(table_folder, tmp_path, "best-single", "oracle", "dataset-best", leave_out="birds")
    )

    # Without birds nothing shows that big is ever good: small, which knows none, is the best.
    best = figures["best-single"]
    assert (12, 0.0) == (best["left_out"]["n"], best["left_out"]["micro"])
    assert {"birds": 0.0} == best["left_out"]["by_dataset"]
    assert (4, 1.0) == (best["test"]["n"], best["test"]["micro"])
    assert 4 == best["ood"]["n"]
    assert 1.0 == figures["oracle"]["left_out"]["micro"]
    assert 0.0 == figures["dataset-best"]["left_out"]["micro"]


def test_leaving_out_the_only_test_dataset_leaves_its_split_alone(make_table, tmp_path):
    def one_test_dataset(rows):
        for row in rows:
            if row["split"] == "test":
                row["dataset"] = "exam"

    figures = _figures(
        _job(make_table(one_test_dataset), tmp_path, "best-single", leave_out="exam")
    )

    assert {"ood", "left_out"} == set(figures["best-single"])


def test_a_table_without_a_dataset_is_another_table(table_folder):
    table = read_table(table_folder)

    one, other = leave_out(table, "birds"), leave_out(table, "sums")

    assert 3 == len({table.sha256, one.sha256, other.sha256})
    assert one.sha256 == leave_out(table, "birds").sha256
    assert ("test", "ood", "left_out") == one.held_out


def test_an_unknown_dataset_is_refused_with_those_there_are(table_folder):
    with pytest.raises(LeaveOutError, match=r"did you mean 'birds'.*it has birds, far-birds"):
        leave_out(read_table(table_folder), "bird")


def test_auto_and_predictor_are_evaluated_and_auto_says_what_it_took(longer, tmp_path):
    figures = _figures(_job(longer, tmp_path, "best-single", "predictor", "auto"))

    test = figures["auto"]["test"]
    assert test["resolved"]["router"] in {"best-single", "cluster", "predictor"}
    assert test["resolved"]["why"].startswith(test["resolved"]["router"])
    assert test["micro"] >= figures["best-single"]["test"]["micro"]
    assert 0.0 <= test["ece"] <= 1.0
    assert test["gain_low"] <= test["micro_gain"][0] <= test["gain_high"]


def test_a_predictor_that_cannot_be_fitted_keeps_the_best_single_pair(table_folder, tmp_path):
    figures = _figures(_job(table_folder, tmp_path, "best-single", "predictor"))

    assert figures["best-single"]["test"]["micro"] == figures["predictor"]["test"]["micro"]
    assert "too few" in figures["predictor"]["test"]["resolved"]["why"]


def test_random_expects_nothing_and_has_no_calibration_error(table_folder, tmp_path):
    figures = _figures(_job(table_folder, tmp_path, "random"))["random"]["test"]

    assert (None, None, None) == (figures["ece"], figures["gain_low"], figures["gain_high"])
