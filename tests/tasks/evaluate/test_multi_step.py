"""Multi-step routers on a made table: what agreement is worth, budgets, and what is refused."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from decimal import Decimal

import numpy as np
import polars as pl
import pytest

from tasks.evaluate.budget import QueryBudget
from tasks.evaluate.evaluate import EvaluateJob, evaluate
from tasks.evaluate.multi_step import BudgetError, NoAnswersError
from tasks.evaluate.table import read_table
from tasks.learn.exact_gradient import ExactTraining
from tasks.learn.fit_aggregator import AggregatorTraining
from tasks.learn.fit_policy import PolicySettings
from tasks.learn.ppo import PPOTraining
from tests.tasks.evaluate.conftest import OUTCOME_TYPES, QUERY_TYPES
from warehouse.query import answers, attempts, committed

SKILL = {"x": 0.65, "y": 0.7, "z": 0.75}
QUICK = PolicySettings(
    max_calls=3,
    folds=2,
    aggregator=AggregatorTraining(epochs=4, folds=2),
    exact=ExactTraining(epochs=2),
    ppo=PPOTraining(iterations=2, episodes=64, epochs=1),
)
STEPS = ("majority", "cascade", "policy", "hybrid")


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """Three pairs that err on their own: right answers agree, wrong ones are scattered."""
    folder = tmp_path_factory.mktemp("made") / "agreeing"
    folder.mkdir()
    random = np.random.default_rng(3)
    questions = [
        {
            "query_id": f"q{n}", "text": f"made question {n} about {'birds' if n % 2 else 'sums'}",
            "dataset": "made", "split": "train" if n < 150 else "test", "reference": None,
            "grader": "numeric",
        }
        for n in range(210)
    ]  # fmt: skip
    found = []
    for row in questions:
        for place, (model, skill) in enumerate(SKILL.items()):
            right = bool(random.random() < skill)
            answer = "Answer: 7" if right else f"Answer: {random.integers(10, 99)}"
            found.append(
                {
                    "query_id": row["query_id"], "model": model, "tool": "none",
                    "score": float(right), "cost_usd": (place + 1) / 1000, "input_tokens": 10,
                    "output_tokens": 5, "answer": answer, "source": "recorded",
                }
            )  # fmt: skip
    pl.DataFrame(questions, schema=QUERY_TYPES).write_parquet(folder / "queries.parquet")
    pl.DataFrame(found, schema=OUTCOME_TYPES).write_parquet(folder / "outcomes.parquet")
    return folder


def _evaluate(folder, tmp_path, *routers, **settings):
    job = EvaluateJob(
        folder, tmp_path / "root", routers, encoder="hashing", draws=100, keep=tmp_path / "kept",
        training=QUICK,
    )  # fmt: skip
    return asyncio.run(evaluate(replace(job, **settings), env={}))


def test_multi_step_routers_are_routed_as_real_backlogs(table, tmp_path):
    evaluation = _evaluate(table, tmp_path, "best-single", *STEPS)

    figures = {name: splits["test"] for name, splits in evaluation.as_json().items()}
    assert 1.0 == figures["best-single"]["calls"]
    assert 3.0 == figures["majority"]["calls"]
    assert 0.006 == pytest.approx(figures["majority"]["cost_usd"])
    assert figures["majority"]["micro"] > figures["best-single"]["micro"]
    for name in STEPS:
        result = next(r for r in evaluation.results if r.choice.name == name)
        rows = answers(tmp_path / "kept", result.routed.run_id).collect()
        calls = attempts(tmp_path / "kept", result.routed.run_id).collect()
        steps = committed(tmp_path / "kept", "trajectories", result.routed.run_id).collect()
        assert (60, {"answered"}) == (rows.height, set(rows["status"]))
        assert figures[name]["calls"] == pytest.approx(calls.height / 60)
        assert figures[name]["cost_usd"] == pytest.approx(float(calls["cost_usd"].sum()) / 60)
        assert calls.height + 60 == steps.height
        assert figures[name]["micro"] == pytest.approx(rows["score"].mean())
        assert figures[name]["resolved"]["why"]


def test_majority_gives_the_answer_that_two_of_three_agree_on(table, tmp_path):
    evaluation = _evaluate(table, tmp_path, "majority")

    recorded = read_table(table)
    test = recorded.rows("test").select("query_id")
    votes = (
        recorded.outcomes.join(test, on="query_id")
        .group_by("query_id", "answer")
        .agg(pl.len(), pl.col("score").first())
        .filter(pl.col("len") >= 2)
    )
    (result,) = evaluation.results
    rows = answers(tmp_path / "kept", result.routed.run_id).collect()
    both = rows.join(votes, on="query_id", suffix="_voted")
    assert both.height > 20
    assert both["answer"].to_list() == both["answer_voted"].to_list()


def test_a_budget_of_calls_is_kept_on_train_and_about_kept_on_test(table, tmp_path):
    tight = _evaluate(table, tmp_path, "majority", "cascade", "hybrid", max_calls=1.0).as_json()

    assert 1.0 == tight["majority"]["test"]["calls"]
    assert 1.0 <= tight["hybrid"]["test"]["calls"] < 1.1
    assert "within 1 calls a question" in tight["hybrid"]["test"]["resolved"]["why"]
    loose = _evaluate(table, tmp_path, "majority", "cascade", max_calls=2.6).as_json()
    assert (2.0, True) == (
        loose["majority"]["test"]["calls"], 1.0 < loose["cascade"]["test"]["calls"] < 2.9,
    )  # fmt: skip


def test_a_budget_of_dollars_buys_as_many_voters_as_it_pays(table, tmp_path):
    paid = _evaluate(
        table, tmp_path, "majority", "cascade", max_cost_per_query_usd=Decimal("0.0055")
    ).as_json()

    majority = paid["majority"]["test"]
    assert (2.0, True) == (majority["calls"], majority["cost_usd"] < 0.0055)
    assert paid["cascade"]["test"]["cost_usd"] < 0.0065


def test_ppo_is_fitted_too(table, tmp_path):
    figures = _evaluate(table, tmp_path, "policy-ppo").as_json()["policy-ppo"]["test"]

    assert 60 == figures["n"]
    assert 1.0 <= figures["calls"] <= 3.0


def test_the_same_evaluation_again_asks_nothing_and_says_the_same(table, tmp_path):
    first, again = (_evaluate(table, tmp_path, "cascade", "policy").as_json() for _ in range(2))

    for figures in (first, again):
        for splits in figures.values():
            del splits["test"]["decisions_per_s"], splits["test"]["rows_per_s"]
    assert first == again


@pytest.mark.parametrize("router", [router for router in STEPS if router != "hybrid"])
def test_a_table_without_answers_is_refused(make_table, tmp_path, router):
    folder = make_table(answers=lambda rows: [row | {"answer": None} for row in rows])

    with pytest.raises(NoAnswersError, match=f"router '{router}' decides by comparing answers"):
        _evaluate(folder, tmp_path, router)


def test_without_answers_hybrid_decides_as_auto_does(make_table, tmp_path):
    folder = make_table(answers=lambda rows: [row | {"answer": None} for row in rows])

    found = _evaluate(folder, tmp_path, "auto", "hybrid").as_json()

    auto, hybrid = (found[name]["test"] for name in ("auto", "hybrid"))
    assert auto["micro"] == hybrid["micro"]
    assert 1.0 == hybrid["calls"]
    assert "few right answers" in hybrid["resolved"]["why"]


def test_a_budget_in_dollars_needs_recorded_dollars(make_table, tmp_path):
    folder = make_table(answers=lambda rows: [row | {"cost_usd": None} for row in rows])

    with pytest.raises(BudgetError, match="give the budget in calls"):
        _evaluate(folder, tmp_path, "majority", max_cost_per_query_usd=Decimal(1))


def test_too_few_questions_for_a_policy_are_refused_with_a_sentence(table_folder, tmp_path):
    from profiles.errors import ProfileError

    with pytest.raises(ProfileError, match="out-of-fold estimates"):
        _evaluate(table_folder, tmp_path, "policy")


def test_both_budgets_hold():
    budget = QueryBudget(2.0, Decimal("0.01"))

    assert 1.5 == budget.load(3.0, 0.001)
    assert 2.0 == pytest.approx(budget.load(1.0, 0.02))
    assert "2 calls and $0.01 a question" == str(budget)
