"""What a change costs: exactly the cells it touches are asked, counted by the client."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import polars as pl
import pytest

from profiles import prompts
from profiles.pool import Pair
from profiles.pool_file import load_pool
from tasks.grade import graders
from tasks.profiling.cell_versions import PoolVersions, cell_versions
from tasks.profiling.fit import usable_outcomes
from tasks.profiling.store import find_profile, latest_id
from tasks.tools import registry
from tests.tasks.profiling.bench import Bench
from warehouse.ledger import open_ledger
from warehouse.query import committed

EVERY = {"a@@calculator": 8, "a@@none": 8, "b@@calculator": 8, "b@@none": 8}


def costs(bench):
    """Dollars of every cell as a fit would see them."""
    planned = bench.plan()
    ledger = open_ledger(bench.root)
    try:
        rows = usable_outcomes(planned, ledger).select("query_id", "pair_id", "cost_usd").rows()
    finally:
        ledger.close()
    return {(query, pair): cost for query, pair, cost in rows}


def test_the_first_profiling_asks_every_cell_and_stamps_what_it_was(profiled):
    rows = committed(profiled.root, "outcomes").collect()
    pool = load_pool(profiled.folder / "pool.yaml")

    assert 32 == rows.height == rows["cell_key"].n_unique()
    row = rows.row(0, named=True)
    versions = cell_versions(pool, Pair(row["model"], row["tool"]), "numeric")
    stamped = [row[f"{name}_version"] for name in versions._fields]
    assert list(versions) == stamped
    assert 0 == rows.select(pl.col("prices_version").null_count()).item()


def test_a_refresh_with_nothing_to_do_asks_nobody_and_keeps_the_version(profiled):
    before = latest_id(profiled.root)
    report = profiled.run()

    assert ({}, None, 0, 32) == (profiled.asked, report.run, report.new_cells, report.known_cells)
    assert before == latest_id(profiled.root)


def test_a_new_model_asks_only_that_model(profiled):
    profiled.models["c"] = {}
    profiled.client.answers["c"] = 1
    profiled.run()

    assert {"c@@calculator": 8, "c@@none": 8} == profiled.asked
    assert 6 == len(find_profile(profiled.root).pairs)


def test_a_model_taken_out_asks_nobody(profiled):
    del profiled.models["b"]
    profiled.run()

    assert {} == profiled.asked
    assert ["a@@calculator", "a@@none"] == [p.pair_id for p in find_profile(profiled.root).pairs]


def test_a_changed_price_asks_nobody_and_is_exact(profiled):
    before, version = costs(profiled), latest_id(profiled.root)
    prices = {"input_usd": "1.7", "output_usd": "3", "cached_input_usd": "0.123456"}
    profiled.models["a"] = {"prices": prices}
    profiled.run()
    after = costs(profiled)

    assert {} == profiled.asked
    assert version != latest_id(profiled.root)
    # 60 fresh, 40 cached and 10 written tokens a call, rounded to a billionth of a dollar.
    exact = (60 * Decimal("1.7") + 40 * Decimal("0.123456") + 10 * 3) / 1_000_000
    expected = exact.quantize(Decimal("1e-9"))
    assert {expected} == {cost for (_, pair), cost in after.items() if pair.startswith("a@@")}
    assert {c: v for c, v in before.items() if c[1].startswith("b@@")} == {
        c: v for c, v in after.items() if c[1].startswith("b@@")
    }
    mean = find_profile(profiled.root).statistics.cost_mean_usd[-1]
    assert pytest.approx([float(expected), float(expected), 0.00012, 0.00012]) == mean.tolist()


def test_a_price_put_back_gives_the_version_that_was_there(profiled):
    version = latest_id(profiled.root)
    profiled.models["a"] = {"prices": {"input_usd": "9", "output_usd": "9"}}
    profiled.run()
    profiled.models["a"] = {}
    profiled.run()

    assert version == latest_id(profiled.root)


def test_a_prompt_edited_in_the_pool_asks_only_the_pairs_of_its_tool(profiled):
    profiled.tools["calculator"] = {"prompt": "Compute. End with `Answer: <x>`."}
    profiled.run()

    assert {"a@@calculator": 8, "b@@calculator": 8} == profiled.asked


def test_a_prompt_edited_in_the_package_makes_only_its_own_pairs_stale(profiled, monkeypatch):
    plain = prompts.prompt
    monkeypatch.setattr(
        prompts, "prompt", lambda name: plain(name) + (" Be brief." if name == "none" else "")
    )
    planned = profiled.plan()

    assert {"a@@none", "b@@none"} == {pair for _, pair in planned.cells}
    assert {"prompt": 16} == dict(planned.reasons)


def test_a_prompt_edited_and_put_back_asks_nobody_the_second_time(profiled):
    profiled.tools["none"] = {"prompt": "Other words."}
    profiled.run()
    profiled.tools["none"] = {}

    assert [] == profiled.plan().cells


@pytest.mark.parametrize("change", ["version", "constant", "parameters"])
def test_a_bumped_tool_asks_only_its_pairs(profiled, monkeypatch, change):
    if change == "version":
        profiled.tools["calculator"] = {"version": "2"}
    elif change == "parameters":
        profiled.tools["calculator"] = {"parameters": {"timeout_s": 3}}
    else:
        monkeypatch.setitem(registry.VERSIONS, "calculator", "calculator-99")
    planned = profiled.plan()

    assert {"a@@calculator": 8, "b@@calculator": 8} == _by_pair(planned)
    assert {"tool": 16} == dict(planned.reasons)


@pytest.mark.parametrize(
    "changed",
    [{"revision": "2026-05"}, {"name": "model-a-2"}, {"limits": {"max_output_tokens": 50}},
     {"parameters": {"answer": "x", "temperature": 1.0}}],
    ids=["revision", "name", "limit", "parameter"],
)  # fmt: skip
def test_a_changed_model_asks_only_its_pairs(profiled, changed):
    profiled.models["a"] = changed
    planned = profiled.plan()

    assert {"a@@calculator": 8, "a@@none": 8} == _by_pair(planned)
    assert {"model": 16} == dict(planned.reasons)


@pytest.mark.parametrize(
    "changed",
    [{"prices": {"input_usd": "3", "output_usd": "1"}}, {"description": "Words."},
     {"limits": {"max_output_tokens": 100, "concurrency": 3, "timeout_s": 9}}],
    ids=["price", "description", "limits"],
)  # fmt: skip
def test_what_cannot_change_an_answer_makes_nothing_stale(profiled, changed):
    profiled.models["a"] = changed

    assert [] == profiled.plan().cells


def test_a_bumped_grader_grades_known_answers_again_and_asks_nobody(profiled, monkeypatch):
    before = committed(profiled.root, "outcomes").collect()
    monkeypatch.setitem(graders.VERSIONS, "numeric", "numeric-99")
    report = profiled.run()
    rows = committed(profiled.root, "outcomes", report.run.run_id).collect()

    assert {} == profiled.asked
    assert (32, {"numeric-99"}) == (rows.height, set(rows["grader_version"]))
    kept = ["query_id", "pair_id", "score", "answer", "cost_usd", "calls", "created_at"]
    assert before.select(kept).sort(kept[:2]).equals(rows.select(kept).sort(kept[:2]))
    assert [] == profiled.plan().cells


def test_an_answer_graded_again_is_still_priced_by_its_own_tokens(profiled, monkeypatch):
    monkeypatch.setitem(graders.VERSIONS, "numeric", "numeric-99")
    profiled.run()
    profiled.models["a"] = {"prices": {"input_usd": "2", "output_usd": "4"}}

    assert Decimal("0.000240000") == costs(profiled)["q0", "a@@none"]


def test_a_corrected_reference_grades_again_and_changes_the_score(profiled):
    profiled.questions[0]["reference"] = "2"
    profiled.run()
    scores = find_profile(profiled.root).train.scores[0].tolist()

    assert {} == profiled.asked
    assert [0.0, 0.0, 1.0, 1.0] == scores


def test_a_changed_question_under_its_old_id_is_asked_anew(profiled):
    profiled.questions[0]["text"] = "What is 7 minus 6?"
    planned = profiled.plan()

    assert {"q0"} == {query for query, _ in planned.cells}
    assert {"question": 4} == dict(planned.reasons)


def test_a_judge_is_paid_and_counted_when_known_answers_are_judged_again(tmp_path):
    bench = Bench(tmp_path, rows=4, grader="judge")
    bench.models["b"] = {"parameters": {"answer": "x", "judge": True}}
    first = bench.run()
    asked, judged = bench.asked, bench.client.judged
    bench.tools["none"] = {}
    bench.models["b"] = {"parameters": {"answer": "x", "judge": True}, "revision": "2"}
    planned = bench.plan()
    second = bench.run()

    assert (dict.fromkeys(EVERY, 4), 16) == (asked, judged)
    assert Decimal(0) < first.run.spend.total_usd
    # The judge is b: its own pairs are asked again, the answers of a are only judged again.
    assert {"regrade": 8, "model": 8} == dict(planned.reasons)
    assert ({"b@@calculator": 4, "b@@none": 4}, 16) == (bench.asked, bench.client.judged)
    assert 16 * Decimal("0.00006") + 8 * Decimal("0.00012") == second.run.spend.total_usd


def test_every_pairs_answer_to_one_question_is_judged_in_its_own_name(tmp_path):
    bench = Bench(tmp_path, rows=4, grader="judge")
    bench.models["b"] = {"parameters": {"answer": "x", "judge": True}}
    report = bench.run()
    attempts = committed(bench.root, "attempts").filter(pl.col("pair_id") == "b@@judge").collect()

    assert 16 == attempts.height == attempts["request_id"].n_unique()
    charged = committed(bench.root, "attempts").collect()["cost_usd"].sum()
    assert report.run.spend.total_usd == Decimal(charged)


def test_cells_declared_stale_are_run_again_and_only_they(profiled):
    ledger = open_ledger(profiled.root)
    ledger.invalidate("a@@none", before=datetime.now(UTC), reason="accuracy fell 12 points")
    ledger.close()
    planned = profiled.plan()
    profiled.run()

    assert {"invalidated": 8} == dict(planned.reasons)
    assert {"a@@none": 8} == profiled.asked
    assert [] == profiled.plan().cells


def test_cells_grow_old_only_when_asked_to(profiled):
    assert [] == profiled.plan(max_age="30d").cells
    planned = profiled.plan(max_age="0.000001s")

    assert {"old": 32} == dict(planned.reasons)


def test_old_answers_stand_in_until_they_are_run_again(profiled):
    planned = profiled.plan(max_age="0.000001s")
    ledger = open_ledger(profiled.root)
    rows = usable_outcomes(planned, ledger)
    ledger.close()

    assert (32, 0) == (rows.height, rows["score"].null_count())


def test_outcomes_lose_weight_with_age(profiled):
    from tasks.profiling.fit import _weights

    planned = profiled.plan(half_life="10d")
    ledger = open_ledger(profiled.root)
    rows = usable_outcomes(planned, ledger)
    ledger.close()
    aged = rows.with_columns(
        created_at=pl.when(pl.col("pair_id") == "b@@none")
        .then(pl.col("created_at") - timedelta(days=20))
        .otherwise("created_at")
    )
    weights = _weights(planned, [f"q{n}" for n in range(6)], aged)

    assert [[1.0, 1.0, 1.0, 0.25]] * 6 == weights.tolist()
    assert None is _weights(profiled.plan(), ["q0"], aged)


def test_a_corpus_is_part_of_the_search_tool(tmp_path):
    bench = Bench(tmp_path)
    bench.tools["search"] = {"parameters": {"corpus": "corpus"}}
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "one.txt").write_text("Rivers are long.")
    bench.write()
    pool = load_pool(tmp_path / "pool.yaml")
    before = {key: PoolVersions(pool).tool(key) for key in pool.tools}
    (tmp_path / "corpus" / "one.txt").write_text("Rivers are short.")
    after = {key: PoolVersions(pool).tool(key) for key in pool.tools}

    assert {"search"} == {key for key in pool.tools if before[key] != after[key]}


def test_a_finished_run_of_a_name_is_followed_by_one_of_the_next_number(profiled):
    profiled.models["c"] = {}
    profiled.client.answers["c"] = 1
    first = profiled.run(name="night")
    ledger = open_ledger(profiled.root)
    ledger.invalidate("a@@none", before=datetime.now(UTC), reason="drift")
    ledger.close()

    assert ("night", "night-2") == (first.run.run_id, profiled.plan(name="night").run_id)


def test_a_version_can_be_kept_for_a_gate_to_decide(profiled):
    before = latest_id(profiled.root)
    del profiled.models["b"]
    report = profiled.run(publish="saved")

    assert before == latest_id(profiled.root)
    assert report.profile.profile_id == find_profile(profiled.root, report.folder.name).profile_id


def _by_pair(planned):
    cells = [pair for _, pair in planned.cells]
    return {pair: cells.count(pair) for pair in sorted(set(cells))}


def test_outcomes_of_version_0_1_count_where_their_run_was_what_the_pool_is_today(profiled):
    as_version_0_1(profiled)

    assert [] == profiled.plan().cells
    profiled.models["a"] = {"name": "model-a-2"}
    assert {"a@@calculator": 8, "a@@none": 8} == _by_pair(profiled.plan())


def test_a_lost_calls_reservation_makes_a_repriced_cost_unknown_never_zero():
    from tasks.profiling.recost import _call_cost

    pool = load_pool_of(prices='{input_usd: "3", output_usd: "4"}', tool_price="0.5")
    pair = Pair("a", "calculator")
    call = {
        "operation_name": "chat", "status": "error", "charge_kind": "settled",
        "input_tokens": None, "output_tokens": None, "cache_read_input_tokens": None,
    }  # fmt: skip
    tool = call | {"operation_name": "execute_tool", "status": "ok"}

    assert None is _call_cost(call, pair, pool)
    assert Decimal(0) == _call_cost(call | {"charge_kind": "free"}, pair, pool)
    assert Decimal("0.5") == _call_cost(tool, pair, pool)
    refused = tool | {"status": "error", "charge_kind": "free"}
    assert Decimal("0.5") == _call_cost(refused, pair, pool)
    assert Decimal(0) == _call_cost(refused, Pair("a", "search"), pool)


def test_recorded_models_know_no_prompt_but_their_table(tmp_path):
    (tmp_path / "table.parquet").write_bytes(b"one")
    pool = tmp_path / "pool.yaml"
    pool.write_text(
        "name: r\nmodels:\n  a: {provider: recorded, name: a, parameters: {table: table.parquet}}\n"
        "tools:\n  none: {kind: recorded}\n"
    )
    first = cell_versions(load_pool(pool), Pair("a", "none"), None)
    (tmp_path / "table.parquet").write_bytes(b"other")
    second = cell_versions(load_pool(pool), Pair("a", "none"), None)

    assert ("replayed", "none") == (first.prompt, first.grader)
    assert first.model != second.model
    assert first[2:] == second[2:]


def as_version_0_1(bench):
    """Turn what is known into what ATLAS 0.1 left: rows without versions, runs with prints."""
    import hashlib
    import json
    import sqlite3

    from profiles.fingerprint import pair_fingerprint

    pool = load_pool(bench.folder / "pool.yaml")
    prints = {pair.pair_id: pair_fingerprint(pool, pair) for pair in pool.pairs}
    config = json.dumps({"prompts": prompts.prompt_version(), "pairs": prints})
    new = ["cell_key", "query_version", "reference_version", "model_version", "tool_version",
           "grader_version", "prices_version", "answer_run_id"]  # fmt: skip
    with sqlite3.connect(bench.root / "ledger.db") as ledger:
        ledger.execute("update runs set config_json = ?", [config])
        for (path,) in ledger.execute(
            'select path from commits where "table" = ?', ["outcomes"]
        ).fetchall():
            file = bench.root / path
            rows = pl.read_parquet(file).drop(new)
            rows.with_columns(
                prompt_version=pl.lit(prompts.prompt_version()),
                schema_version=pl.lit(1, pl.Int32),
            ).write_parquet(file)
            data = file.read_bytes()
            ledger.execute(
                "update commits set bytes = ?, sha256 = ?, schema_version = 1 where path = ?",
                [len(data), hashlib.sha256(data).hexdigest(), path],
            )


def load_pool_of(prices, tool_price):
    """A pool of one model with two tools of this price."""
    import tempfile
    from pathlib import Path

    tool = f'price_per_call_usd: "{tool_price}"'
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pool.yaml"
        path.write_text(
            f"name: p\nmodels:\n  a: {{provider: scripted, name: a, prices: {prices}}}\n"
            f"tools:\n  calculator: {{{tool}}}\n  search: {{{tool}, parameters: {{corpus: c}}}}\n"
        )
        return load_pool(path)
