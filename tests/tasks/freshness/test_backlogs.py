"""What past backlogs teach: query drift, what to label next, and graded rows folded in."""

from __future__ import annotations

import json
from contextlib import closing

import numpy as np
import polars as pl
import pytest

from tasks.embedder import cached_embedder
from tasks.freshness.feedback import CLIP, production_feedback
from tasks.freshness.query_drift import query_drift, recent_queries
from tasks.freshness.suggestions import SuggestionError, suggested_rows, write_suggestions
from tasks.read import read_labelled
from tests.tasks.small_runs import PAIRS, Small, lines_of
from warehouse.ledger import open_ledger

SCORES = ((0.9, 0.2), (0.5, 0.5))
COSTS = ((0.001, 0.002), (0.001, 0.002))


@pytest.fixture
def small(tmp_path):
    return Small(tmp_path)


def opened(small):
    return closing(open_ledger(small.root))


def far_lines(count):
    return [{"custom_id": f"far-{n}", "prompt": f"zebra quartz violin {n}"} for n in range(count)]


def test_questions_unlike_the_profile_are_noticed(small):
    profile = small.profile(SCORES, COSTS)
    small.backlog([*lines_of(*[0, 1] * 10), *far_lines(60)])
    small.route(router="cluster")
    embedder = cached_embedder(small.root, "hashing")
    with opened(small) as ledger:
        found = query_drift(small.root, ledger, profile, embedder)

    assert ("run",) == found.runs
    assert (80, "shifted") == (found.found.n, found.found.level)
    assert 0.6 < found.found.ood_share < 0.9
    assert "another population" in found.sentence()
    assert 80 == json.loads(json.dumps(found.as_json()))["queries"]


def test_without_a_backlog_there_is_no_query_drift(small):
    profile = small.profile(SCORES, COSTS)
    embedder = cached_embedder(small.root, "hashing")
    with opened(small) as ledger:
        assert None is query_drift(small.root, ledger, profile, embedder)


def test_recent_queries_are_distinct_and_newest_first(small):
    small.profile(SCORES, COSTS)
    small.backlog(lines_of(0, 1))
    small.route(router="cluster", name="first")
    small.backlog(lines_of(0, 1, 1, 0))
    small.route(router="cluster", name="second")
    with opened(small) as ledger:
        rows, runs = recent_queries(small.root, ledger)
        few, _ = recent_queries(small.root, ledger, most=3)

    assert 4 == len(rows)
    assert 4 == rows.get_column("query_id").n_unique()
    assert 1 <= len(runs) <= 2
    assert 3 == len(few)


def test_suggestions_are_taken_by_the_labelled_reader_once_they_are_labelled(small, tmp_path):
    profile = small.profile(SCORES, COSTS)
    small.backlog([*lines_of(0, 0, 1, 1), *far_lines(5)])
    small.route(router="cluster")
    embedder = cached_embedder(small.root, "hashing")
    with opened(small) as ledger:
        rows = suggested_rows(small.root, ledger, profile, embedder, count=6)
    path = tmp_path / "label.jsonl"
    write_suggestions(path, rows)

    assert 5 == sum(row["why"] == "out of distribution" for row in rows)
    unlabelled = read_labelled(path)
    assert [] == unlabelled.bad
    assert 6 == len(unlabelled.queries)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    labelled = tmp_path / "labelled.jsonl"
    filled = [{**line, "reference": "1", "grader": "numeric"} for line in lines]
    labelled.write_text("".join(json.dumps(line) + "\n" for line in filled))
    read = read_labelled(labelled)
    assert [] == read.bad
    assert {"train"} == {query.split for query in read.queries}
    assert all(query.reference.grader == "numeric" for query in read.queries)
    assert {line["text"] for line in lines} == {query.prompt for query in read.queries}


def test_suggestions_never_overwrite_a_file(small, tmp_path):
    path = tmp_path / "label.jsonl"
    path.write_text("labels of a long evening")

    with pytest.raises(SuggestionError, match="exists already"):
        write_suggestions(path, [])
    assert "labels of a long evening" == path.read_text()


def test_without_an_unlabelled_question_nothing_is_suggested(small):
    profile = small.profile(SCORES, COSTS)
    small.backlog(lines_of(0, 1, reference="42", grader="numeric"))
    small.route(router="cluster")
    embedder = cached_embedder(small.root, "hashing")
    with opened(small) as ledger, pytest.raises(SuggestionError, match="unlabelled"):
        suggested_rows(small.root, ledger, profile, embedder, count=3)


def graded(count):
    return [
        {"custom_id": f"g{n}", "prompt": f"question number {n}", "reference": "42",
         "grader": "numeric"}
        for n in range(count)
    ]  # fmt: skip


def test_rows_drawn_at_random_are_folded_in_and_chosen_ones_are_not(small):
    small.profile(SCORES, COSTS)
    small.backlog(graded(30))
    small.route(router="random", name="drawn")
    small.route(router="cluster", name="chosen")
    small.route(router=f"fixed:{PAIRS[0]}", name="fixed")
    with opened(small) as ledger:
        found = production_feedback(small.root, ledger, small.pool)

    runs = set(found.outcomes.get_column("run_id").to_list())
    assert {"drawn", "fixed"} >= runs
    assert {"sent to their pair with certainty because of what they ask": 30} == found.excluded
    assert {0.5, 1.0} >= set(found.outcomes.get_column("propensity").to_list())
    assert {"train"} == set(found.queries.get_column("split").to_list())
    assert "30 sent to their pair with certainty" in found.sentence()


def test_fold_in_adds_new_questions_and_leaves_labelled_ones_alone(small):
    from types import SimpleNamespace

    from tasks.freshness.feedback import fold_in

    small.profile(SCORES, COSTS)
    small.backlog(graded(8))
    small.route(router="random", name="drawn")
    queries = pl.DataFrame(
        {
            "query_id": ["own", "held"],
            "text": ["my own", "question number 3"],
            "dataset": ["d", "d"],
            "split": ["train", "test"],
        }
    )
    outcomes = pl.DataFrame(
        {"query_id": ["own"], "pair_id": [PAIRS[0]], "model": ["calm"], "tool": ["none"],
         "score": [1.0]}
    )  # fmt: skip
    planned = SimpleNamespace(
        job=SimpleNamespace(root=small.root, seed=0), pool=small.pool, labelled=None
    )
    with opened(small) as ledger:
        more_queries, more_outcomes = fold_in(queries, outcomes, planned, ledger)

    assert 2 + 7 == len(more_queries)
    assert 1 == more_queries.get_column("text").to_list().count("question number 3")
    assert 1 + 7 == len(more_outcomes)
    assert {"feedback", "d"} == set(more_queries.get_column("dataset").to_list())
    assert outcomes.columns == more_outcomes.columns


def test_unlabelled_rows_are_no_feedback(small):
    small.profile(SCORES, COSTS)
    small.backlog(lines_of(0, 1))
    small.route(router="random")
    with opened(small) as ledger:
        found = production_feedback(small.root, ledger, small.pool)

    assert (0, {}) == (len(found.outcomes), found.excluded)


def test_weighting_undoes_what_the_router_preferred(small, monkeypatch):
    """Pair a gets hard questions with probability 0.1 and easy ones with 0.9: raw means flatter."""
    rng = np.random.default_rng(0)
    n = 4_000
    easy = rng.random(n) < 0.5
    chance = np.where(easy, 0.9, 0.1)
    sent = rng.random(n) < chance
    rows = pl.DataFrame(
        {
            "run_id": "r", "query_id": [f"q{i}" for i in range(n)], "pair_id": PAIRS[0],
            "model": "calm", "tool": "none", "score": easy.astype(float), "cost_usd": 0.1,
            "input_tokens": 1, "output_tokens": 1, "duration_s": 1.0, "error_type": None,
            "router": "sampled", "created_at": 0, "propensity": chance, "first_pair": PAIRS[0],
            "prompt": "p",
        }
    ).filter(pl.Series(sent))  # fmt: skip
    monkeypatch.setattr("tasks.freshness.feedback._graded", lambda *_: rows)
    found = production_feedback(small.root, None, small.pool).outcomes
    kept = found.filter("kept")

    assert rows.get_column("score").mean() > 0.85
    assert 0.5 == pytest.approx(kept.get_column("score").mean(), abs=0.08)
    weighted = (found["score"] * found["weight"]).sum() / found["weight"].sum()
    assert 0.5 == pytest.approx(weighted, abs=0.05)
    assert 1.0 == pytest.approx(found["weight"].mean())


def test_rows_without_a_known_chance_are_left_out_and_counted(small, monkeypatch):
    rows = pl.DataFrame(
        {
            "run_id": "r", "query_id": ["a", "b", "c", "d", "e"], "pair_id": [PAIRS[0]] * 4 + ["x"],
            "model": "calm", "tool": "none", "score": 1.0, "cost_usd": 0.1, "input_tokens": 1,
            "output_tokens": 1, "duration_s": 1.0, "error_type": None, "router": "sampled",
            "created_at": 0, "propensity": [None, 0.0, 0.5, 1 / 1_000, 0.5],
            "first_pair": [PAIRS[0], PAIRS[0], PAIRS[1], PAIRS[0], "x"], "prompt": "p",
        }
    )  # fmt: skip
    monkeypatch.setattr("tasks.freshness.feedback._graded", lambda *_: rows)
    found = production_feedback(small.root, None, small.pool)

    assert {
        "of unknown or zero propensity": 2,
        "answered by a fallback": 1,
        "of pairs that the pool no longer has": 1,
    } == found.excluded
    assert (1, 1) == (len(found.outcomes), found.clipped)
    assert CLIP == 20.0
