"""Figures come from committed answers of real backlogs, and are what can be worked out by hand."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import polars as pl
import pytest

from profiles.errors import RouterError
from tasks.batch.stop import StopFlag
from tasks.call.recorded import RecordedTableError
from tasks.evaluate.backlog import EvaluationStoppedError
from tasks.evaluate.evaluate import EvaluateJob, evaluate
from warehouse.ledger import open_ledger
from warehouse.query import answers, attempts, committed

BASELINES = ("random", "best-single", "dataset-best", "oracle")
SPEEDS = ("decisions_per_s", "rows_per_s")


def _job(folder, tmp_path, *routers, **settings):
    given = {"encoder": "hashing", "clusters": 2, "draws": 200} | settings
    return EvaluateJob(folder, tmp_path / "root", tuple(routers), **given)


def _run(job, **context):
    return asyncio.run(evaluate(job, env={}, **context))


def _figures(evaluation, name):
    return {
        (router, split): figures[name]
        for router, splits in evaluation.as_json().items()
        for split, figures in splits.items()
    }


def test_baselines_come_to_what_can_be_worked_out_by_hand(table_folder, tmp_path):
    found = _run(_job(table_folder, tmp_path, *BASELINES))

    assert {
        ("random", "test"): 0.5,
        ("random", "ood"): 0.5,
        ("best-single", "test"): 0.5,
        ("best-single", "ood"): 0.5,
        ("dataset-best", "test"): 1.0,
        ("dataset-best", "ood"): 0.5,
        ("oracle", "test"): 1.0,
        ("oracle", "ood"): 1.0,
    } == _figures(found, "micro")
    assert _figures(found, "micro") == _figures(found, "macro")
    assert {8, 4} == set(_figures(found, "n").values())
    assert {1.0} == set(_figures(found, "calls").values())


def test_mean_cost_is_the_recorded_one(table_folder, tmp_path):
    costs = _figures(_run(_job(table_folder, tmp_path, *BASELINES)), "cost_usd")

    assert {
        ("random", "test"): 0.002,
        ("best-single", "test"): 0.001,
        ("dataset-best", "test"): 0.002,
        ("oracle", "test"): 0.002,
    } == {key: pytest.approx(cost) for key, cost in costs.items() if key[1] == "test"}


def test_cluster_routers_find_the_topics(table_folder, tmp_path):
    found = _run(_job(table_folder, tmp_path, "cluster-plain", "knn:3", "cluster-plain+shrink"))

    assert {1.0} == {micro for key, micro in _figures(found, "micro").items() if key[1] == "test"}
    assert {2} == set(_figures(found, "pairs_used").values())


def test_all_additions_together_decide_like_the_product(table_folder, tmp_path):
    names = ("cluster", "cluster-plain+shrink+nmin+ood+kmeans")
    figures = _run(_job(table_folder, tmp_path, *names)).as_json()

    product, parts = (
        {split: (one["micro"], one["cost_usd"]) for split, one in figures[name].items()}
        for name in names
    )
    assert product == parts


def test_macro_weighs_datasets_and_micro_questions(make_table, tmp_path):
    def gather(rows):
        for row in rows:
            if row["query_id"] in {"sums-8", "birds-8", "birds-9", "birds-10", "birds-11"}:
                row["dataset"] = "mixed"

    figures = _run(_job(make_table(gather), tmp_path, "best-single")).as_json()
    test = figures["best-single"]["test"]

    assert (4 / 8, (4 / 5 + 0) / 2) == (test["micro"], pytest.approx(test["macro"]))
    assert {"mixed": pytest.approx(4 / 5), "sums": 0.0} == test["by_dataset"]
    assert test["micro_low"] <= test["micro"] <= test["micro_high"]


def test_an_unscored_outcome_counts_0_and_is_counted(make_table, tmp_path):
    def blank(rows):
        for row in rows:
            if (row["query_id"], row["model"], row["tool"]) == ("birds-8", "big", "none"):
                row["score"] = None

    found = _run(_job(make_table(answers=blank), tmp_path, *BASELINES))

    assert 3 / 8 == _figures(found, "micro")["best-single", "test"]
    assert 1 == _figures(found, "unscored")["best-single", "test"]
    # The others' best on that question is the half point of big with python.
    assert 7.5 / 8 == _figures(found, "micro")["oracle", "test"]
    assert pytest.approx(11 / 24) == _figures(found, "micro")["random", "test"]


def test_the_oracle_takes_an_unscored_outcome_for_a_0_like_any_other(make_table, tmp_path):
    def hopeless(rows):
        for row in rows:
            if row["query_id"] == "birds-8":
                row["score"] = None if (row["model"], row["tool"]) == ("big", "none") else 0.0

    # All are worth 0, so the tie goes by training, to the pair whose score is not known.
    figures = _run(_job(make_table(answers=hopeless), tmp_path, "oracle")).as_json()["oracle"]

    assert (1, 7 / 8) == (figures["test"]["unscored"], figures["test"]["micro"])


def test_an_unscored_outcome_is_left_out_of_training_means(make_table, tmp_path):
    def blank(rows):
        for row in rows:
            # A level table but for one 0 of small: as a null it lifts small above the others.
            if (row["query_id"], row["model"]) == ("birds-0", "small"):
                row["score"] = None

    found = _run(_job(make_table(answers=blank), tmp_path, "best-single"))

    assert pytest.approx(0.003) == _figures(found, "cost_usd")["best-single", "test"]


def test_rows_of_unknown_cost_are_left_out_of_mean_cost(make_table, tmp_path):
    def hide(rows):
        for row in rows:
            if row["query_id"].startswith("sums"):
                row["cost_usd"] = None

    def hide_all(rows):
        for row in rows:
            row["cost_usd"] = None

    some = _run(_job(make_table(answers=hide), tmp_path, "dataset-best")).as_json()
    none = _run(_job(make_table(answers=hide_all, name="free"), tmp_path, "oracle")).as_json()

    assert (pytest.approx(0.001), 4) == (
        some["dataset-best"]["test"]["cost_usd"],
        some["dataset-best"]["test"]["cost_n"],
    )
    assert (None, 0) == (none["oracle"]["test"]["cost_usd"], none["oracle"]["test"]["cost_n"])


def test_random_reports_the_expectation_beside_a_routed_draw(table_folder, tmp_path):
    kept = tmp_path / "kept"
    figures = _run(_job(table_folder, tmp_path, "random", keep=kept)).as_json()["random"]["test"]

    tests = [f"{topic}-{number}" for topic in ("sums", "birds") for number in range(8, 12)]
    drawn = answers(kept).filter(pl.col("query_id").is_in(tests)).collect()
    assert 0.5 == figures["micro"]
    assert 8 == len(drawn)
    assert pytest.approx(figures["micro_realised"]) == drawn.get_column("score").mean()
    assert pytest.approx(figures["cost_usd_realised"]) == float(drawn.get_column("cost_usd").mean())


def test_random_draws_follow_the_seed(table_folder, tmp_path):
    draws = {
        seed: _run(_job(table_folder, tmp_path, "random", seed=seed)).as_json()["random"]["test"]
        for seed in range(3)
    }

    assert 1 < len({(one["micro_realised"], one["cost_usd_realised"]) for one in draws.values()})
    assert {0.5} == {one["micro"] for one in draws.values()}


def test_every_figure_rests_on_committed_rows_of_a_finished_run(table_folder, tmp_path):
    kept = tmp_path / "kept"
    _run(_job(table_folder, tmp_path, "cluster", "best-single", keep=kept))

    rows = answers(kept).collect()
    assert (24, {"answered"}) == (len(rows), set(rows.get_column("status")))
    assert {"cluster", "best-single"} == set(rows.get_column("router"))
    assert 24 == len(attempts(kept).collect()) == len(committed(kept, "decisions").collect())
    assert 24 == len(committed(kept, "grades").collect())
    assert Decimal("0.001") in set(rows.get_column("cost_usd"))
    ledger = open_ledger(kept, read_only=True)
    try:
        assert ["complete"] * 4 == [run.state for run in ledger.runs()]
    finally:
        ledger.close()


def test_a_kept_evaluation_is_read_back_without_routing_again(table_folder, tmp_path):
    job = _job(table_folder, tmp_path, "cluster", "oracle", keep=tmp_path / "kept")

    first, second = _run(job).as_json(), _run(job).as_json()

    for figures in (first, second):
        for splits in figures.values():
            for one in splits.values():
                speeds = {name: one.pop(name) for name in SPEEDS}
                assert (figures is second) == (speeds == dict.fromkeys(SPEEDS))
    assert first == second


def test_a_stopped_evaluation_says_how_to_go_on_and_does(table_folder, tmp_path):
    job = _job(table_folder, tmp_path, "best-single", "oracle", keep=tmp_path / "kept")
    stop = StopFlag()
    stop.request()

    with pytest.raises(EvaluationStoppedError, match="--keep FOLDER"):
        _run(job, stop=stop)

    assert 1.0 == _run(job).as_json()["oracle"]["test"]["micro"]


def test_evaluations_with_other_settings_share_a_kept_folder(table_folder, tmp_path):
    kept = tmp_path / "kept"
    for alpha in (0.0, 1.0):
        found = _run(_job(table_folder, tmp_path, "cluster", keep=kept, alpha=alpha))
    assert pytest.approx(0.001) == found.as_json()["cluster"]["test"]["cost_usd"]


def test_the_temporary_warehouse_is_gone_afterwards(table_folder, tmp_path, monkeypatch):
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))

    _run(_job(table_folder, tmp_path, "best-single"))

    assert [] == list((tmp_path / "temporary").iterdir())


def test_baselines_need_no_encoder(table_folder, tmp_path):
    found = _run(_job(table_folder, tmp_path, *BASELINES, encoder="/no/such/encoder"))

    assert found.encoder_fingerprint is None
    assert not (tmp_path / "root").exists()


def test_texts_are_embedded_once_for_all_evaluations(table_folder, tmp_path, monkeypatch):
    job = _job(table_folder, tmp_path, "cluster")
    first = _run(job)

    def refuse(_self, _texts):
        raise AssertionError("embedded twice")

    monkeypatch.setattr("tasks.encoders.HashingEncoder.encode", refuse)
    again = _run(job)

    assert _figures(first, "micro") == _figures(again, "micro")
    assert "hashing@1/word-1-2-grams/256/float32" == again.encoder_fingerprint


def test_a_chosen_cell_that_was_never_recorded_is_an_error_naming_it(make_table, tmp_path):
    def lose(rows):
        return [
            row
            for row in rows
            if (row["query_id"], row["model"], row["tool"]) != ("birds-8", "big", "none")
        ]

    folder = make_table(answers=lose)

    with pytest.raises(RecordedTableError) as refused:
        _run(_job(folder, tmp_path, "best-single"))
    assert "'birds-8', pair 'big@@none'" in str(refused.value)
    assert str(folder) in str(refused.value)
    with pytest.raises(RecordedTableError, match="'birds-8', pair 'big@@none'"):
        _run(_job(folder, tmp_path, "random", seed=1))
    # The oracle may choose among what was recorded; small never answers birds.
    assert 7.5 / 8 == _run(_job(folder, tmp_path, "oracle")).as_json()["oracle"]["test"]["micro"]


def test_an_unknown_pair_is_refused(table_folder, tmp_path):
    with pytest.raises(RouterError, match="no pair 'huge@@none'"):
        _run(_job(table_folder, tmp_path, "fixed:huge@@none"))


def test_chunks_are_wrapped_and_notes_are_told(table_folder, tmp_path):
    worked, notes = [], []

    def wrap(work):
        async def wrapped(chunk_id):
            worked.append(chunk_id)
            return await work(chunk_id)

        return wrapped

    _run(_job(table_folder, tmp_path, "cluster", chunk_size=3), wrap=wrap, note=notes.append)

    # 8 test and 4 ood questions in chunks of 3.
    assert ["000000", "000000", "000001", "000001", "000002"] == sorted(worked)
    assert "train: embedding 16 of 16 questions (kept for the next time)" in notes
    assert "test: 8 questions through cluster" in notes


def test_facts_for_people_name_baseline_and_what_is_told(table_folder, tmp_path):
    facts = _run(_job(table_folder, tmp_path, "best-single", "oracle")).facts()

    assert ("best-single", "evaluate tiny · alpha 0") == (facts.baseline, facts.title)
    assert {"best-single": "", "oracle": "the recorded scores"} == {
        one.router: one.told for one in facts.routers
    }


def test_gains_are_against_the_best_single_pair(table_folder, tmp_path):
    figures = _run(_job(table_folder, tmp_path, "best-single", "dataset-best")).as_json()

    assert figures["best-single"]["test"]["micro_gain"] is None
    gain, low, high = figures["dataset-best"]["test"]["micro_gain"]
    assert (0.5, True) == (gain, 0.0 <= low <= gain <= high <= 1.0)
