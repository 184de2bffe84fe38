"""From `atlas init` to an export, on a small generated benchmark with simulated models."""

from __future__ import annotations

import json

import polars as pl
import pytest
import yaml

from flows.cli import main

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with an example: 45 labelled questions, 40 to route, 2 models × 2 tools."""
    folder = tmp_path_factory.mktemp("example")
    assert 0 == main(["init", str(folder), "--labelled", "45", "--backlog", "40", "--seed", "7"])
    pool = yaml.safe_load((folder / "pool.yaml").read_text())
    kept = list(pool["models"])[:2]
    pool["models"] = {key: pool["models"][key] for key in kept}
    pool["tools"] = {k: v for k, v in pool["tools"].items() if v["kind"] in ("none", "calculator")}
    pool["pairs"] = {"include": ["*@@*"]}
    (folder / "pool.yaml").write_text(yaml.safe_dump(pool, sort_keys=False))
    return folder


@pytest.fixture
def example(atlas, home, monkeypatch):
    """The command in that folder; what one test did, the next one finds."""
    monkeypatch.chdir(home)
    atlas.folder = home
    return atlas


def test_profile_plan_route_report_and_export_follow_each_other(example):
    profiled = example("profile", "run", "labelled.parquet", "--clusters", 3, "--json")
    assert 0 == profiled.code, profiled.err
    assert 45 * 4 == profiled.json()["new_cells"]
    profile_id = profiled.json()["profile_id"]
    assert profile_id in example("profile", "show").out
    assert 4 * 4 == len(example("profile", "show", "--json").json()["statistics"])

    again = example("profile", "run", "labelled.parquet", "--clusters", 3, "--json")
    assert (0, profile_id) == (again.json()["new_cells"], again.json()["profile_id"])
    assert "nothing was spent" in again.err

    before = example("runs", "list", "--json").json()
    plan = example("plan", "backlog.jsonl", "--json").json()
    assert (40, 40) == (plan["rows"], plan["planned"])
    assert 0 < float(plan["cost_usd"]["expected"])
    assert before == example("runs", "list", "--json").json()

    words = ("route", "backlog.jsonl", "--max-cost", plan["ample_cap_usd"], "--json")
    routed = example(*words)
    assert 0 == routed.code, routed.err
    report = routed.json()
    assert ("complete", 40) == (report["status"], report["answered"])
    assert float(report["cost_usd"]) <= float(plan["ample_cap_usd"])

    told = example("report", report["run_id"])
    assert profile_id in told.out
    assert "best" in told.out
    exported = example("runs", "export", report["run_id"], "--out", "out.jsonl")
    assert 0 == exported.code
    lines = [json.loads(line) for line in example.lines("out.jsonl")]
    assert [f"q{number:06d}" for number in range(40)] == [line["custom_id"] for line in lines]


def test_a_profile_of_another_pool_is_refused_before_anything_is_paid(example):
    pool = yaml.safe_load((example.folder / "pool.yaml").read_text())
    first = next(iter(pool["models"]))
    pool["models"]["other"] = pool["models"].pop(first) | {"name": "other"}
    example.write("other.yaml", yaml.safe_dump(pool, sort_keys=False))
    if not (example.folder / "warehouse/data/profiles/latest").exists():
        example("profile", "run", "labelled.parquet", "--clusters", 3)
    before = example("runs", "list", "--json").json()

    result = example("route", "backlog.jsonl", "--pool", "other.yaml")

    assert 1 == result.code
    assert "other@@" in result.err
    assert before == example("runs", "list", "--json").json()


def test_a_profile_of_another_encoder_is_refused(example):
    if not (example.folder / "warehouse/data/profiles/latest").exists():
        example("profile", "run", "labelled.parquet", "--clusters", 3)

    result = example("route", "backlog.jsonl", "--encoder", "minilm")

    assert 1 == result.code
    assert "hashing" in result.err
    assert "minilm" in result.err


def test_profiling_stops_at_a_budget_and_goes_on_with_a_higher_one(atlas, home, monkeypatch):
    pool = home / "pool.yaml"
    table = pl.read_parquet(home / "labelled.parquet").head(12)
    table.write_parquet(atlas.folder / "few.parquet")
    words = ("profile", "run", "few.parquet", "--pool", pool, "--clusters", 2, "--json")
    words = (*words, "--concurrency", 2, "--chunk-size", 8)

    stopped = atlas(*words, "--max-cost", "0.002")
    finished = atlas(*words, "--max-cost", "5")

    assert 3 == stopped.code
    assert stopped.json()["profile_id"] is None
    assert float(stopped.json()["cost_usd"]) <= 0.002
    assert 0 == finished.code, finished.err
    assert finished.json()["profile_id"] is not None
    assert stopped.json()["run_id"] == finished.json()["run_id"]


def test_an_imported_profile_routes_by_what_was_recorded(atlas):
    queries = [
        {
            "query_id": f"q{number}",
            "text": f"{'stars above' if number % 2 else 'fish below'} {number}",
            "dataset": "all",
            "split": "train" if number < 12 else "test",
        }
        for number in range(16)
    ]
    outcomes = [
        {
            "query_id": query["query_id"],
            "model": model,
            "tool": "none",
            "score": float((number % 2 == 0) == (model == "a")),
            "cost_usd": 0.001,
            "input_tokens": 5,
            "output_tokens": 1,
            "answer": model,
        }
        for number, query in enumerate(queries)
        for model in ("a", "b")
    ]
    (atlas.folder / "table").mkdir()
    pl.DataFrame(queries).write_parquet(atlas.folder / "table/queries.parquet")
    pl.DataFrame(outcomes).write_parquet(atlas.folder / "table/outcomes.parquet")
    test = [{"custom_id": q["query_id"], "prompt": q["text"]} for q in queries[12:]]
    atlas.write("new.jsonl", "\n".join(map(json.dumps, test)))

    imported = atlas(
        "profile", "import", "table", "--clusters", 2, "--encoder", "hashing", "--json"
    )
    routed = atlas("route", "new.jsonl", "--pool", imported.json()["pool"], "--json")

    assert 0 == imported.code, imported.err
    assert 0 == routed.code, routed.err
    assert 4 == routed.json()["answered"]
