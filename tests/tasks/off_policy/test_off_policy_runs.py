"""From a routed backlog to the value of other routers: what is read, refused and found."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from profiles.errors import RouterNameError
from tasks.off_policy.evaluate import OffPolicyJob, evaluate
from tasks.off_policy.log import OffPolicyError, find_runs, read_log
from tasks.off_policy.table import off_policy_table
from tasks.profiling import store
from tests.tasks.off_policy.made_log import PRICES, MadeLog
from warehouse.query import answers

BOTH = ("fixed:calm@@none", "fixed:wild@@none")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """One warehouse: an explored run, a certain one, a random one."""
    log = MadeLog(tmp_path_factory.mktemp("made"))
    log.route(name="explored", explore=0.6, explore_band=1.0)
    log.route(name="certain")
    log.route(name="narrow", explore=0.3, explore_band=0.0, limit=20)
    log.route(name="drawn", router="random", limit=40)
    return log


def value(made, source="explored", **how):
    job = OffPolicyJob(source, made.root, encoder="hashing", draws=400, **how)
    return evaluate(job, note=lambda _text: None)


def test_other_routers_are_worth_what_was_recorded_of_them(made):
    found = value(made, routers=(*BOTH, "cluster", "best-single"))
    truth = {name: made.scores[:, place].mean() for place, name in enumerate(BOTH)}
    certain = answers(made.root, "certain").select("score").collect()
    truth["cluster"] = certain.get_column("score").mean()
    truth["best-single"] = truth[BOTH[int(made.profile.train_macro.argmax())]]

    for target in found.targets:
        for one in target.values["score"].estimates:
            assert one.interval.covers(truth[target.router]), (target.router, one)
            assert 0.0 < one.interval.high - one.interval.low < 0.35
    dear = found.targets[1].values["cost_usd"].by("snips").interval
    assert PRICES[1] == pytest.approx(dear.value)
    assert made.n == len(found.log.query_ids)
    assert made.n == found.log.explored
    assert found.targets[2].agreement == pytest.approx(0.7, abs=0.07)


def test_utility_at_an_alpha_is_the_mix_of_score_and_cost(made):
    found = value(made, routers=(BOTH[0],), alpha=0.4)
    values = found.targets[0].values
    score, cost, utility = (
        values[kind].by("ips").interval.value for kind in ("score", "cost_usd", "utility")
    )

    assert utility == pytest.approx(0.6 * score - 0.4 * cost / PRICES[1])


def test_the_logged_value_is_the_mean_of_what_came_back(made):
    found = value(made, routers=(BOTH[0],))

    assert found.log.score.mean() == pytest.approx(found.logged["score"].value)
    assert found.logged["score"].low < found.logged["score"].value < found.logged["score"].high


def test_the_log_holds_the_recorded_chances_in_the_profile_s_order(made):
    log = read_log(find_runs(made.root, "explored"), made.profile.pairs)
    row = {query: number for number, query in enumerate(log.query_ids)}
    assert made.n == len(row)

    assert {0.3, 0.7} == set(np.round(log.chances.ravel(), 12).tolist())
    np.testing.assert_allclose(1.0, log.chances.sum(axis=1))
    scored = dict(
        zip(log.texts, zip(log.pair.tolist(), log.score.tolist(), strict=True), strict=True)
    )
    for number, text in enumerate(made.texts):
        pair, score = scored[text]
        assert made.scores[number, pair] == score


def test_questions_that_the_profile_learnt_from_are_left_out_and_counted(made):
    runs = find_runs(made.root, "explored")
    learnt = read_log(runs, made.profile.pairs).query_ids[:30]
    log = read_log(runs, made.profile.pairs, learnt)

    assert made.n - 30 == len(log.query_ids)
    assert {"that the profile learnt from": 30} == log.left_out


def test_a_folder_is_all_its_runs_each_question_once(made):
    found = value(made, str(made.root), routers=("cluster",))

    assert ("explored", "certain", "narrow", "drawn") == tuple(
        run.run_id for run in found.runs.records
    )
    assert made.n == len(found.log.query_ids)
    # Rows left to chance count before certain ones, the 40 of even chances before older ones.
    assert made.n == found.log.explored
    assert 40 == (found.log.chances == 0.5).all(axis=1).sum()


def test_a_run_without_exploration_says_nothing_of_other_routers(made):
    with pytest.raises(OffPolicyError, match=r"every choice of certain was certain.*--explore"):
        value(made, "certain")


def test_a_band_that_left_no_choice_is_the_same(made):
    with pytest.raises(OffPolicyError, match="every choice of narrow was certain"):
        value(made, "narrow")


def test_too_few_rows_are_refused_with_the_sample_they_amount_to(made):
    with pytest.raises(
        OffPolicyError, match=r"effective sample size is 20 of 40 questions, and at least 50"
    ):
        value(made, "drawn", routers=(BOTH[0],))


@pytest.mark.parametrize(
    ("source", "words"),
    [("nowhere", "there is no run 'nowhere'"), ("", "no backlog was ever routed|no ledger")],
)
def test_what_is_not_there_is_said(made, source, words, tmp_path):
    with pytest.raises(Exception, match=words):
        find_runs(made.root, source or str(tmp_path))


def test_a_baseline_that_is_told_answers_has_no_value_on_a_log(made):
    with pytest.raises(RouterNameError, match="must be told what a router may not know"):
        value(made, routers=("oracle",))


def test_a_profile_of_another_pool_is_refused(made, tmp_path):
    other = MadeLog(tmp_path, n=4)
    store.publish_profile(made.root, other.profile, make_latest=False)

    with pytest.raises(OffPolicyError, match=r"knows another pool than explored"):
        value(made, profile=other.profile.profile_id)


def test_another_encoder_is_refused(made, monkeypatch):
    changed = replace(made.profile, encoder_fingerprint="other@1/float32")
    monkeypatch.setattr(store, "find_profile", lambda *_: changed)

    with pytest.raises(OffPolicyError, match="was made with encoder 'other@1/float32', not"):
        value(made)


def test_json_and_table_say_the_same(made):
    found = value(made, routers=(BOTH[0], "predictor"), alpha=0.2)
    plain = json.loads(json.dumps(found.as_json()))
    text = off_policy_table(found).plain()

    dr = plain["routers"][BOTH[0]]["values"]["score"]["dr"]
    assert f"{100 * dr['value']:.1f} [{100 * dr['low']:.1f}, {100 * dr['high']:.1f}]" in text
    assert "has no predictor" in plain["routers"]["predictor"]["refused"]
    assert "has no predictor" in " ".join(text.split())
    assert "as logged" in text
    assert {"score", "cost_usd", "utility"} == set(plain["logged"])
