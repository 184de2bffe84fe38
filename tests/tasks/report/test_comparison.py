"""Routers are compared exactly by the published definitions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.report.comparison import compare

TABLES = Path(__file__).parents[4] / "shared" / "data" / "outcomes"


def test_micro_weighs_questions_and_macro_weighs_datasets():
    scores = {"router": np.array([1.0, 1.0, 1.0, 0.0])}

    score = compare(scores, ["big", "big", "big", "small"], draws=50).routers["router"]

    assert 0.75 == score.micro.value
    assert 0.5 == score.macro.value
    assert {"big": 1.0, "small": 0.0} == score.by_dataset


def test_an_unscored_answer_counts_zero_and_is_counted():
    score = compare({"router": np.array([1.0, np.nan])}, ["a", "a"], draws=50).routers["router"]

    assert 0.5 == score.micro.value
    assert 1 == score.unscored
    assert 2 == score.n


def test_the_baseline_gains_nothing_on_itself():
    scores = {"single": np.array([1.0, 0.0]), "router": np.array([1.0, 1.0])}

    comparison = compare(scores, ["a", "a"], "single", draws=50)

    assert comparison.routers["single"].micro_gain is None
    gain = comparison.routers["router"].micro_gain
    assert gain is not None
    assert 0.5 == gain.value


def test_without_a_baseline_there_are_no_gains():
    comparison = compare({"a": np.array([1.0]), "b": np.array([0.0])}, ["x"], draws=10)

    assert [None, None] == [score.macro_gain for score in comparison.routers.values()]


def test_draws_are_paired_so_that_equal_routers_differ_by_exactly_nothing():
    column = np.random.default_rng(3).random(200)

    gain = compare({"a": column, "b": column.copy()}, ["x"] * 200, "a").routers["b"].micro_gain

    assert (0.0, 0.0, 0.0) == gain


def test_macro_draws_keep_every_dataset_at_its_size():
    scores = {"router": np.array([1.0] * 5 + [0.0] * 5)}

    macro = compare(scores, ["a"] * 5 + ["b"] * 5).routers["router"].macro

    assert (0.5, 0.5, 0.5) == macro


def test_chunked_draws_equal_the_plain_bootstrap():
    rng = np.random.default_rng(7)
    values, datasets = rng.random(900), ["a"] * 600 + ["b"] * 300
    stream = np.random.default_rng(11)
    micro = values[stream.integers(0, 900, (5000, 900))].mean(axis=1)
    parts = [values[:600], values[600:]]
    macro = sum(part[stream.integers(0, len(part), (5000, len(part)))].mean(1) for part in parts)

    score = compare({"r": values}, datasets, seed=11).routers["r"]

    assert pytest.approx(np.percentile(micro, [2.5, 97.5])) == score.micro[1:]
    assert pytest.approx(np.percentile(np.asarray(macro) / 2, [2.5, 97.5])) == score.macro[1:]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1), st.sampled_from("abc")), min_size=1, max_size=30))
def test_intervals_are_ordered_and_inside_the_scale(rows: list[tuple[float, str]]):
    scores, datasets = zip(*rows, strict=True)

    score = compare({"r": np.array(scores)}, datasets, draws=200).routers["r"]

    for interval in (score.micro, score.macro):
        assert -1e-9 <= interval.low <= interval.high <= 1 + 1e-9


@pytest.mark.parametrize(
    ("scores", "datasets", "baseline", "message"),
    [
        pytest.param({}, ["a"], None, "no router", id="no-router"),
        pytest.param({"r": np.array([])}, [], None, "no question", id="no-question"),
        pytest.param({"r": np.array([1.0])}, ["a", "a"], None, "2 questions", id="lengths"),
        pytest.param({"r": np.array([1.0])}, ["a"], "best", "'best' is not among", id="baseline"),
    ],
)
def test_what_cannot_be_compared_is_refused(scores, datasets, baseline, message):
    with pytest.raises(ValueError, match=message):
        compare(scores, datasets, baseline)


@pytest.mark.shared
@pytest.mark.skipif(not TABLES.exists(), reason=f"the recorded tables are not at {TABLES}")
@pytest.mark.parametrize(
    ("table", "router", "macro", "micro"),
    [
        ("tatqa", "dataset", (1.31, 0.12, 2.50), (2.20, 0.20, 4.20)),
        ("tatqa", "oracle", (15.05, 9.07, 22.40), (13.40, 10.40, 16.40)),
        ("mathvista", "dataset", (0.24, -3.10, 3.55), (0.30, -2.74, 3.35)),
        ("mathvista", "oracle", (43.71, 38.35, 48.91), (44.51, 39.02, 49.70)),
    ],
)
def test_published_intervals_of_the_recorded_tables_come_out(table, router, macro, micro):
    scores, datasets = _recorded_routers(table)

    score = compare(scores, datasets, "single").routers[router]

    assert pytest.approx(macro, abs=0.011) == [100 * figure for figure in score.macro_gain]
    assert pytest.approx(micro, abs=0.011) == [100 * figure for figure in score.micro_gain]


def _recorded_routers(table):
    """Scores of single, dataset and oracle on the test split, straight from the definitions."""
    import polars as pl

    queries = pl.read_parquet(TABLES / table / "queries.parquet")
    outcomes = pl.read_parquet(TABLES / table / "outcomes.parquet")
    wide = outcomes.with_columns(pair=pl.concat_str("model", "tool", separator="@@")).pivot(
        "pair", index="query_id", values="score"
    )
    rows = queries.select("query_id", "dataset", "split").join(
        wide, on="query_id", maintain_order="left"
    )
    pairs = sorted((name for name in wide.columns if name != "query_id"), key=_pair_order)
    train, test = (rows.filter(split=split) for split in ("train", "test"))
    by_dataset = train.group_by("dataset", maintain_order=True).agg(pl.col(pairs).mean())
    means = by_dataset.select(pairs).to_numpy()
    single = int(np.argmax(means.mean(axis=0)))
    best = dict(zip(by_dataset["dataset"], means.argmax(axis=1), strict=True))
    scores = np.nan_to_num(test.select(pairs).to_numpy().astype(float))
    datasets = test["dataset"].to_list()
    told = scores[np.arange(len(scores)), [best[name] for name in datasets]]
    columns = {"single": scores[:, single], "dataset": told, "oracle": scores.max(axis=1)}
    return columns, datasets


def _pair_order(pair_id):
    return tuple(pair_id.split("@@"))
