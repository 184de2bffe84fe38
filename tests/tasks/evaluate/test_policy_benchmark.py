"""The benchmark of policies: the figures of `atlas evaluate`, kept parts, lines that can miss."""

from __future__ import annotations

import copy
from decimal import Decimal

import numpy as np
import pytest
import torch

from benchmarks import bench_policies
from benchmarks.policies_page import lines, page
from benchmarks.policy_ablations import (
    Variant,
    both_splits,
    measure_ablations,
    without_answers,
    without_questions,
)
from benchmarks.policy_parts import (
    BUDGETS,
    Bench,
    Grounds,
    kept,
    measure_one_step,
    measure_seed,
    summary_of_table,
)
from benchmarks.policy_trials import PRICES, interval
from profiles.policies.network import STATE_FEATURES
from tasks.embedder import cached_embedder
from tests.tasks.evaluate.test_multi_step import QUICK, _evaluate, table

__all__ = ["table"]


@pytest.fixture(scope="module")
def place(table, tmp_path_factory):
    """The made table under the name of one whose answers tell."""
    folder = tmp_path_factory.mktemp("tables")
    (folder / "tatqa").symlink_to(table)
    bench = Bench(folder, seeds=1, cluster_seeds=2, settings=QUICK)
    embedder = cached_embedder(folder / "root", "hashing", dtype="float32")
    yield bench, Grounds(bench, embedder), embedder
    embedder.close()


@pytest.fixture(scope="module")
def measured(place):
    """One-step routers, one seed, and what they come to."""
    bench, grounds, embedder = place
    alone = measure_one_step(bench, "tatqa", grounds, embedder) | {"cpu_s": 1.0}
    seed = measure_seed(bench, "tatqa", 0, grounds) | {"cpu_s": 1.0}
    return alone, seed, summary_of_table("tatqa", alone, [seed])


def test_strategies_do_what_atlas_evaluate_does_with_them(table, measured, tmp_path):
    _, seed, found = measured
    evaluation = _evaluate(table, tmp_path, "best-single", "dataset-best", "majority", "cascade")
    routed = {name: one["test"] for name, one in evaluation.as_json().items()}
    at_once = PRICES[3]

    for name, same in (("best-single", "best-single"), ("dataset-best", "dataset look-up")):
        assert routed[name]["micro"] == pytest.approx(found["rows"][same]["micro"][0][0] / 100)
    assert routed["majority"]["micro"] == pytest.approx(
        found["rows"]["majority"]["micro"][0][0] / 100
    )
    chosen = np.array(seed["trials"]["cascade"])[:, 3]
    assert abs(np.log(at_once / 0.01)) < 0.1
    assert routed["cascade"]["micro"] == pytest.approx(chosen[0].mean())
    assert routed["cascade"]["calls"] == pytest.approx(chosen[2].mean())


def test_a_budget_is_spent_as_atlas_evaluate_spends_it(table, measured, tmp_path):
    seed = measured[1]
    words = seed["within"]
    unit = measured[0]["unit_usd"]
    limit = Decimal(f"{BUDGETS['tatqa'] * unit:.9f}")

    evaluation = _evaluate(
        table, tmp_path, "cascade", "policy", "hybrid", max_cost_per_query_usd=limit
    )

    for name, one in evaluation.as_json().items():
        score, cost, calls = (np.mean(part) for part in words[name])
        assert one["test"]["micro"] == pytest.approx(score)
        assert one["test"]["cost_usd"] == pytest.approx(cost * unit, rel=1e-4)
        assert one["test"]["calls"] == pytest.approx(calls)


def test_what_was_measured_is_not_measured_again_until_settings_change(tmp_path):
    bench = Bench(tmp_path)
    asked = []

    def measure():
        asked.append(1)
        return {"found": len(asked)}

    path = tmp_path / "made" / "part.json"
    first = kept(path, bench, measure, lambda _text: None)
    again = kept(path, Bench(tmp_path, seeds=5), measure, lambda _text: None)
    other = kept(path, Bench(tmp_path, cluster_seeds=3), measure, lambda _text: None)

    assert [1, 1, 2] == [one["found"] for one in (first, again, other)]


def test_lines_miss_where_a_figure_falls_short(measured):
    found = copy.deepcopy(measured[2])
    found["rows"]["hybrid"]["gains"]["cascade"] = [-0.6, -1.0, -0.2]
    found["rows"]["policy-ppo"]["gains"]["policy"] = [-0.9, -1.5, -0.3]
    found["seconds"] = [61.0]
    left = [{"table": "made", "dataset": "far",
             "rows": {"hybrid": {"gains": {"cluster": [-2.1, -3.0, -1.0]}}}}]  # fmt: skip

    verdicts = {line.what: line.verdict for line in lines([found], left)}

    assert "MISS" == verdicts["tatqa: hybrid's utility minus cascade chosen on train"]
    assert "pass" == verdicts["tatqa: utility of PPO minus exact gradient"]
    assert "MISS" == verdicts["tatqa: seconds of one core, PPO, slowest seed"]
    assert "MISS" == verdicts["hybrid minus cluster, worst of 1 datasets left out"]


def test_the_page_shows_every_router_once_and_is_put_between_its_marks(measured, tmp_path):
    text = "\n".join(page([measured[2]], [], []))
    path = tmp_path / "page.md"
    path.write_text(f"before\n{bench_policies.BEGIN}\nstale words\n{bench_policies.END}\nafter\n")

    bench_policies.write(path, text)

    written = path.read_text()
    assert written.startswith("before\n")
    assert written.endswith("after\n")
    assert "stale words" not in written
    for name in ("policy-ppo", "hybrid", "oracle", "majority", "knn"):
        rows = written.split("\nWithin")[0].count(f"\n| {name} | ")
        assert 1 == rows


@pytest.mark.long
def test_ablations_take_away_what_they_say(place):
    bench, grounds, _ = place
    at = grounds["tatqa"]
    both = both_splits(at, QUICK)
    hidden = Variant(both, QUICK, change=without_answers)
    blind = Variant(both, QUICK, change=without_questions)
    voting = Variant(both, QUICK, votes=True)

    # No two answers agree, so that every leader has but itself to support it.
    supporters = hidden.test.observations.states[:, 1:, STATE_FEATURES.index("supporters")]
    assert supporters.max() == 0.5
    # Before any call no question looks different from another.
    start = blind.test.everywhere(torch.arange(60), torch.zeros(60))
    assert (start.states[:, 0] == start.states[0, 0]).all()
    assert (start.pairs == start.pairs[0]).all()
    assert (start.components == 0).all()
    # Where two of three agree, plain votes say two thirds.
    everything = voting.test.observations.confidence[:, -1]
    assert set(np.round(3 * everything.numpy()).astype(int)) == {1, 2, 3}

    found = measure_ablations(bench, grounds, "tatqa", lambda _text: None)
    utility = {cells[0]: float(cells[1]) for cells in found["body"]}
    assert len(found["head"]) == len(found["body"][0])
    assert 10 == len(utility)
    assert "–" == found["body"][0][2]


def test_an_interval_holds_the_mean_and_narrows_with_questions():
    random = np.random.default_rng(0)
    few, many = (interval(random.random(n)) for n in (50, 5000))

    assert few.low < few.mean < few.high
    assert many.high - many.low < (few.high - few.low) / 4
