"""Odd labelled sets and broken pairs: reported, left out or worked around; never a crash."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from profiles.errors import ProfileError
from profiles.pool_file import load_pool
from profiles.profile import check_compatible
from profiles.routers.base import RoutingContext
from profiles.routers.cluster import ClusterRouter
from tasks.embedder import cached_embedder
from tasks.profiling.profile import run_profile
from tasks.profiling.store import latest_id
from tests.tasks.profiling.bench import Bench
from warehouse.query import committed


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path)


def test_an_unknown_grader_is_reported_and_its_row_left_out(bench):
    bench.questions[0]["grader"] = "vibes"
    planned = bench.plan()

    assert ["grader"] == [bad.field for bad in planned.labelled.bad]
    assert "'vibes' is unknown" in str(planned.labelled.bad[0])
    assert 28 == len(planned.cells)


def test_contradicting_duplicates_are_reported_and_none_of_them_is_asked(bench):
    twin = {**bench.questions[0], "reference": "7"}
    bench.questions = [{k: v for k, v in q.items() if k != "query_id"} for q in bench.questions]
    bench.questions.append({k: v for k, v in twin.items() if k != "query_id"})
    planned = bench.plan()

    assert 2 == len(planned.labelled.bad)
    assert "different references" in str(planned.labelled.bad[0])
    assert 28 == len(planned.cells)


def test_one_and_the_same_answer_everywhere_is_remarked_upon_and_profiled(bench):
    report = bench.run()
    (warning,) = [w for w in bench.plan().labelled.warnings if "references are the same" in w]

    assert "all 8 references" in warning
    assert report.profile is not None


def test_a_single_question_makes_a_profile_of_one_cluster(tmp_path):
    bench = Bench(tmp_path, rows=4)
    bench.questions = bench.questions[:1]
    report = bench.run(clusters=8)

    assert (1, [1, 1, 1, 1]) == (report.profile.k, report.profile.statistics.n[-1].tolist())
    assert any("cluster" in note for note in report.profile.clusters.notes)


def test_a_dataset_of_one_row_stands_beside_the_others(bench):
    bench.questions[0]["dataset"] = "lonely"
    report = bench.run()

    assert ("lonely", "sums") == report.profile.datasets.names


def test_all_right_and_all_wrong_pairs_have_intervals_that_are_not_points(bench):
    report = bench.run()
    statistics = report.profile.statistics

    assert [1.0, 1.0, 0.0, 0.0] == statistics.score_mean[-1].tolist()
    assert (statistics.score_high[-1] - statistics.score_low[-1] > 0.2).all()


def test_a_pair_that_always_errors_is_counted_as_failing_never_as_wrong_nor_chosen(bench):
    bench.client.fail = {"a@@calculator"}
    report = bench.run()
    profile = report.profile
    column = profile.index()["a@@calculator"]
    ids = profile.train.query_ids
    decisions = ClusterRouter(profile).decide(
        profile.train.embeddings, RoutingContext(query_ids=ids, texts=("",) * len(ids))
    )

    assert 8 == report.run.counts.failed
    assert 1.0 == profile.statistics.error_rate[-1, column]
    assert np.isnan(profile.statistics.score_mean[-1, column])
    assert column not in set(decisions.pair.tolist())
    planned = bench.plan()
    assert {"failed": 8} == dict(planned.reasons)
    assert {"a@@calculator"} == {pair for _, pair in planned.cells}


def test_cells_that_failed_in_three_runs_are_left_alone_until_asked_for_or_changed(bench):
    bench.client.fail = {"a@@calculator"}
    for _ in range(3):
        bench.run()
    planned = bench.plan()

    assert 8 == bench.client.asked.total()
    assert (0, 8, 24) == (len(planned.cells), planned.given_up, planned.known)
    bench.run()
    assert 0 == bench.client.asked.total()
    assert {"failed": 8} == dict(bench.plan(retry_failed=True).reasons)
    bench.models["a"]["revision"] = "2"
    assert {"a@@calculator", "a@@none"} == {pair for _, pair in bench.plan().cells}


def test_a_question_without_a_reference_is_not_asked_and_it_is_said(bench):
    del bench.questions[1]["reference"], bench.questions[1]["grader"]
    planned = bench.plan()

    assert 28 == len(planned.cells)
    assert "q1" not in {query for query, _ in planned.cells}
    (warning,) = [w for w in planned.labelled.warnings if "without a reference" in w]
    assert "not asked: 1; the first is 'q1'" in warning


def test_where_every_pair_errors_nothing_is_published_and_it_is_said(bench):
    bench.client.fail = {"a@@calculator", "a@@none", "b@@calculator", "b@@none"}

    with pytest.raises(ProfileError, match="none of the 24 training outcomes has a score"):
        bench.run()
    assert latest_id(bench.root) is None


def test_questions_without_any_training_split_are_refused_before_they_cost(bench):
    for question in bench.questions:
        question["split"] = "test"

    with pytest.raises(ProfileError, match="no question has split 'train'"):
        bench.plan()


def test_questions_without_any_reference_are_refused_before_they_cost(bench):
    for question in bench.questions:
        del question["reference"], question["grader"]

    with pytest.raises(ProfileError, match="none of the 6 training questions has a reference"):
        bench.plan()


def test_a_reference_longer_than_the_judges_context_stays_unscored_and_is_not_sent(tmp_path):
    bench = Bench(tmp_path, rows=4, grader="judge")
    limits = {"max_output_tokens": 100, "context_tokens": 4_000}
    bench.models["b"] = {"parameters": {"answer": "x", "judge": True}, "limits": limits}
    bench.questions[0]["reference"] = "long " * 4_000
    bench.run()
    rows = committed(bench.root, "outcomes").collect()
    unscored = rows.filter(rows["score"].is_null())

    assert (12, {"q0"}) == (bench.client.judged, set(unscored["query_id"]))
    assert {"the judge could not be asked: too_long"} == set(unscored["unscored_reason"])
    assert [] == bench.plan().cells


class Mirrored:
    """Another encoder: the hashing one, turned around."""

    fingerprint = "mirrored-1"

    def __init__(self, root):
        self._inner = cached_embedder(root, "hashing")

    def __call__(self, texts):
        return -self._inner(texts)[:, ::-1]


def test_another_encoder_is_fitted_from_what_is_known_without_a_call(profiled):
    before = profiled.run().profile
    planned = profiled.plan()
    report = asyncio.run(
        run_profile(
            planned,
            env={},
            embedder=lambda: Mirrored(profiled.root),
            progress=profiled.progress,
            clients=dict.fromkeys(profiled.models, profiled.client),
        )
    )
    pool = load_pool(profiled.folder / "pool.yaml")

    assert ({}, 0) == (profiled.asked, report.new_cells)
    assert "mirrored-1" == report.profile.encoder_fingerprint
    assert before.statistics.score_mean[-1].tolist() == (
        report.profile.statistics.score_mean[-1].tolist()
    )
    with pytest.raises(ProfileError, match=r"the encoder is 'hashing.*', but the profile was made"):
        check_compatible(report.profile, pool, before.encoder_fingerprint)
