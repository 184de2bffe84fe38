"""`atlas route`: the same command resumes, budgets stop it, failures count, nothing is lost."""

from __future__ import annotations

import json
import re
import signal

import polars as pl
import pytest

from warehouse.query import answers
from warehouse.run_lock import run_lock

FIXED = ("--router", "fixed:small@@none")
RECORDED = """\
name: recorded
models:
  m: {provider: recorded, parameters: {table: outcomes.parquet}}
tools:
  none: {kind: recorded}
"""

SERVED = """\
name: served
models:
  sim: {{{provider}, name: sim, prices: {{input_usd: 1, output_usd: 1}}}}
tools:
  none: {{kind: none}}
"""


@pytest.fixture
def recorded(atlas):
    """Writes a pool that replays answers to these texts, and a backlog of all `rows` texts."""
    from tasks.query import content_hash

    def write(known, rows):
        texts = [f"Question {number}" for number in range(rows)]
        outcomes = [
            {
                "query_id": content_hash(text),
                "model": "m",
                "tool": "none",
                "score": 1.0,
                "cost_usd": 0.001,
                "input_tokens": 10,
                "output_tokens": 2,
                "answer": "yes",
            }
            for text in texts[:known]
        ]
        pl.DataFrame(outcomes).write_parquet(atlas.folder / "outcomes.parquet")
        atlas.write("recorded.yaml", RECORDED)
        lines = [json.dumps({"custom_id": text, "prompt": text}) for text in texts]
        atlas.write("questions.jsonl", "\n".join(lines))
        return ("questions.jsonl", "--pool", "recorded.yaml", "--router", "fixed:m@@none")

    return write


def test_a_finished_run_is_a_no_op_that_says_so(atlas, backlog):
    words = ("route", backlog(5), *FIXED, "--json")
    first, second = atlas(*words), atlas(*words)

    assert (0, 0) == (first.code, second.code)
    assert (True, False) == (first.json()["did_work"], second.json()["did_work"])
    assert first.json()["cost_usd"] == second.json()["cost_usd"]
    assert "nothing was left to do, nothing was spent" in second.err


def test_a_budget_stops_the_run_with_3_and_a_higher_one_finishes_it(atlas, backlog):
    words = ("route", backlog(60), *FIXED, "--chunk-size", 10, "--json")

    stopped = atlas(*words, "--max-cost", "0.0015")
    finished = atlas(*words, "--max-cost", "1")

    assert 3 == stopped.code
    assert "paused_budget" == stopped.json()["status"]
    assert "--max-cost" in stopped.err
    assert float(stopped.json()["cost_usd"]) <= 0.0015
    assert 0 == finished.code
    assert 60 == finished.json()["answered"]
    rows = answers(atlas.folder / "warehouse/data").collect()
    assert 60 == rows["custom_id"].n_unique() == rows.height


def test_too_many_failed_rows_are_exit_code_4(atlas, recorded):
    words = recorded(known=6, rows=10)

    strict = atlas("route", *words)
    lenient = atlas("route", *words, "--fail-on-error", "0.5")

    assert 4 == strict.code
    assert "40.0 %" in strict.err
    assert "atlas runs retry" in strict.err
    assert 0 == lenient.code


def test_retrying_asks_the_failed_rows_again_and_no_other(atlas, recorded):
    words = recorded(known=6, rows=10)
    atlas("route", *words, "--name", "run")
    recorded(known=10, rows=10)

    result = atlas("runs", "retry", "run", "--error", "missing_cell")

    assert 0 == result.code, result.err
    assert "4 failed rows" in result.err
    rows = answers(atlas.folder / "warehouse/data", "run").collect()
    assert ["answered"] * 10 == rows["status"].to_list()
    assert [1] * 6 + [2] * 4 == sorted(rows["attempts"].to_list())
    assert "no failed rows" in atlas("runs", "retry", "run").err


def test_retrying_an_error_that_never_happened_is_wrong_usage(atlas, recorded):
    atlas("route", *recorded(known=1, rows=2), "--name", "run")

    result = atlas("runs", "retry", "run", "--error", "rate_limited")

    assert 2 == result.code
    assert "missing_cell" in result.err
    assert 2 == atlas("runs", "retry", "run", "--max-cost", "much").code


def test_unreadable_rows_are_counted_listed_and_left_out(atlas):
    good = [json.dumps({"custom_id": f"{n}", "prompt": f"Number {n}?"}) for n in range(20)]
    atlas.write("mixed.jsonl", "\n".join([*good[:10], '{"custom_id": "torn', *good[10:]]))

    result = atlas("route", "mixed.jsonl", *FIXED, "--json")

    assert 0 == result.code
    assert 20 == result.json()["answered"]
    letters = [json.loads(line) for line in atlas.lines(result.json()["dead_letter_path"])]
    assert [("mixed.jsonl", 11)] == [(letter["file"], letter["row"]) for letter in letters]
    assert result.json()["dead_letter_path"] in result.err


def test_a_run_killed_before_settling_is_resumed_and_its_doubt_is_listed(atlas, backlog):
    words = ("route", backlog(12), *FIXED, "--name", "killed", "--concurrency", 1)

    killed = atlas.process(*words, ATLAS_FAULT_POINT="before_settle:5")
    assert -signal.SIGKILL == killed.code
    state = {run["run_id"]: run["state"] for run in atlas("runs", "list", "--json").json()}
    resumed = atlas(*words)

    assert "killed" == state["killed"]
    assert 0 == resumed.code
    assert 12 == answers(atlas.folder / "warehouse/data", "killed").collect().height
    (doubt,) = atlas("runs", "show", "killed", "--in-doubt", "--json").json()
    assert 2 == doubt["sends"]
    assert float(doubt["doubt_usd"]) > 0
    assert float(doubt["settled_usd"]) > 0
    assert "killed" in doubt["reason"]
    listed = atlas("runs", "show", "killed", "--in-doubt")
    assert doubt["request_id"] in listed.out
    assert doubt["query_id"] in listed.out


def test_a_run_shows_what_it_holds(atlas, finished):
    shown = atlas("runs", "show", finished, "--json").json()

    assert ("route", "complete", 4) == (shown["kind"], shown["state"], shown["rows"]["answered"])
    money = shown["money"]
    assert money["settled_usd"] == money["total_usd"]
    assert {"answers", "attempts", "decisions", "queries"} <= set(shown["files"])
    assert "fixed:small@@none" in atlas("runs", "show", finished).out


def test_a_run_that_does_not_exist_is_said_with_the_one_that_is_close(atlas, finished):
    result = atlas("runs", "show", "dome")

    assert 1 == result.code
    assert "Did you mean done?" in result.err


def test_a_live_run_is_refused_to_a_second_process(atlas, backlog, finished):
    with run_lock(atlas.folder / "warehouse/data", "mine"):
        result = atlas("route", backlog(2), *FIXED, "--name", "mine")

    assert 1 == result.code
    assert "is being worked on by process" in result.err
    assert "complete" in atlas("runs", "list").out


@pytest.mark.parametrize("format_", ["openai-jsonl", "csv", "parquet"])
def test_answers_are_exported_in_the_order_of_the_backlog(atlas, finished, format_):
    result = atlas("runs", "export", finished, "--format", format_, "--out", "out")

    assert 0 == result.code
    read = {"openai-jsonl": pl.read_ndjson, "csv": pl.read_csv, "parquet": pl.read_parquet}
    ids = read[format_](atlas.folder / "out")["custom_id"].to_list()
    assert [f"row-{number}" for number in range(4)] == ids


def test_a_report_is_data_and_a_page(atlas, finished):
    plain = atlas("report", finished, "--html", "page.html")
    facts = atlas("report", finished, "--json").json()

    assert 0 == plain.code
    assert "4 answered" in plain.out
    assert 4 == facts["answered"]
    assert "<html" in (atlas.folder / "page.html").read_text()


def test_the_same_name_with_other_settings_is_refused_and_nothing_changes(atlas, backlog, finished):
    result = atlas("route", "done.jsonl", "--router", "fixed:large@@none", "--name", finished)

    assert 1 == result.code
    assert "router" in result.err
    assert "--name" in result.err
    shown = atlas("runs", "show", finished, "--json").json()
    assert "fixed:small@@none" == shown["settings"]["router"]


@pytest.fixture
def server(atlas):
    """Simulated models served by `atlas simulate`, each answer taking 0.2 s; a pool for them."""
    atlas.write("served.yaml", SERVED.format(provider="provider: simulated"))
    words = ("--pool", "served.yaml", "--port", "0", "--faults", "latency=0.2")
    with atlas.start("simulate", *words, "--latency-scale", "0") as process:
        url = process.stdout.readline().strip()
        atlas.write("http.yaml", SERVED.format(provider=f"provider: openai, endpoint: '{url}'"))
        yield url
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=120)


def test_cancelling_a_live_run_keeps_what_it_did_and_the_same_command_ends_it(
    atlas, backlog, server
):
    words = ("route", backlog(100), "--pool", "http.yaml", "--router", "fixed:sim@@none")
    words = (*words, "--name", "live", "--concurrency", 2)
    with atlas.start(*words) as process:
        while "0/100" not in process.stderr.readline():
            assert process.poll() is None, "the run ended before it could be cancelled"
        cancelled = atlas("runs", "cancel", "live")
        process.communicate(timeout=120)
    state = atlas("runs", "show", "live", "--json").json()
    resumed = atlas(*words, "--concurrency", 50)

    assert 0 == cancelled.code
    assert 130 == process.returncode
    assert "cancelled" == state["state"]
    assert state["rows"]["waiting"] > 0
    assert 0 == resumed.code
    assert 100 == answers(atlas.folder / "warehouse/data", "live").collect().height


def test_a_dead_run_is_marked_cancelled_and_a_complete_one_is_refused(atlas, backlog, finished):
    words = ("route", backlog(6), *FIXED, "--name", "dead")
    atlas.process(*words, ATLAS_FAULT_POINT="before_commit:1")

    dead, complete = atlas("runs", "cancel", "dead"), atlas("runs", "cancel", finished)

    assert (0, 1) == (dead.code, complete.code)
    assert "cancelled" == atlas("runs", "show", "dead", "--json").json()["state"]
    assert 0 == atlas(*words).code


def test_a_changed_backlog_says_that_the_run_of_the_old_one_is_not_finished(atlas, backlog):
    words = ("route", backlog(60), *FIXED, "--chunk-size", 10)
    stopped = atlas(*words, "--max-cost", "0.0015")
    backlog(61)

    begun = atlas(*words, "--max-cost", "0.0016")
    again = atlas(*words)

    assert 3 == stopped.code
    assert "is not finished" not in stopped.err
    [note] = [line for line in begun.err.splitlines() if "is not finished" in line]
    assert re.search(r"run backlog-\w{10} of the same file is not finished: \d+ of 60 rows", note)
    assert "the content of the backlog" in note
    assert 0 == again.code
    assert "is not finished" not in again.err


def test_another_router_than_an_unfinished_runs_is_said(atlas, backlog):
    file = backlog(60)
    atlas("route", file, *FIXED, "--chunk-size", 10, "--max-cost", "0.0015")

    other = atlas("route", file, "--router", "fixed:large@@none", "--chunk-size", 10)
    named = atlas("route", file, "--router", "fixed:small@@none", "--seed", 5, "--name", "mine")

    assert "router: 'fixed:small@@none' then, 'fixed:large@@none' now" in other.err
    assert "is not finished" not in named.err
