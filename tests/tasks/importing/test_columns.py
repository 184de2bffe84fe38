"""Plain rows with a column map, and everything that can be wrong with a field."""

from __future__ import annotations

import math

import polars as pl
import pytest

from tasks.importing import ImportUsageError, LogError, read_logs, read_options
from tests.tasks.importing.made_logs import lines

ROWS = [
    {"q": "one?", "llm": "a", "ok": 1.0, "usd": 0.5, "ms": 250, "try": 0},
    {"q": "one?", "llm": "b", "ok": 0.0, "usd": 0.25, "ms": 500, "try": 0},
    {"q": "two?", "llm": "a", "ok": None, "usd": None, "ms": None, "try": 0},
]
MAP = ["prompt=q,model=llm,score=ok", "cost=usd,duration_ms=ms"]


def only(imported, *names):
    """The columns of the one outcome there is."""
    (row,) = imported.outcomes.select(names).rows()
    return row


@pytest.mark.parametrize("form", ["jsonl", "csv", "tsv", "parquet"])
def test_a_map_says_which_column_is_which_field(tmp_path, form):
    path = tmp_path / f"log.{form}"
    frame = pl.DataFrame(ROWS)
    if form == "jsonl":
        lines(path, ROWS)
    elif form == "parquet":
        frame.write_parquet(path)
    else:
        frame.write_csv(path, separator="\t" if form == "tsv" else ",")

    imported = read_logs([path], read_options(columns=MAP))

    texts = imported.queries.select("query_id", "text")
    found = imported.outcomes.join(texts, on="query_id").sort("text", "model")
    assert [
        ("one?", "a", 1.0, 0.5, 0.25),
        ("one?", "b", 0.0, 0.25, 0.5),
        ("two?", "a", None, None, None),
    ] == found.select("text", "model", "score", "cost_usd", "duration_s").rows()


def test_usual_names_need_no_map_whatever_their_case(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("\ufeffQuestion;Model;Correct;Tool\nwhy?;m;true;search\n", encoding="utf-8")

    imported = read_logs([path])

    assert ("m", "search", 1.0) == only(imported, "model", "tool", "score")


def test_paths_lead_into_objects_lists_and_json_text(tmp_path):
    row = {"in": {"messages": [{"text": "why?"}]}, "out": '{"grade": 1}'}
    path = lines(tmp_path / "a.jsonl", [row])
    options = read_options(columns=["prompt=in.messages.0.text,score=out.grade"], model="m")

    imported = read_logs([path], options)

    assert ("why?", 1.0) == (imported.queries.item(0, "text"), *only(imported, "score"))


def test_rows_of_json_may_differ_in_their_fields(tmp_path):
    rows = [{"prompt": "a", "model": "m", "score": 1}, {"prompt": "b", "model": "m", "error": "x"}]
    imported = read_logs([lines(tmp_path / "a.jsonl", rows)])

    assert {None, "x"} == set(imported.outcomes.get_column("error_type"))


def test_models_and_tools_are_renamed_and_made_fit(tmp_path):
    path = lines(
        tmp_path / "a.jsonl", [{"prompt": "q", "model": "GPT 5 (new)", "score": 1, "tool": "py@@3"}]
    )

    assert ("GPT-5-(new)", "py-3") == only(read_logs([path]), "model", "tool")
    renamed = read_options(model_map=["GPT 5 (new)=big"], tool="none")
    assert ("big", "none") == only(read_logs([path], renamed), "model", "tool")


@pytest.mark.parametrize(
    ("value", "score"),
    [(1, 1.0), (True, 1.0), ("0.5", 0.5), ("TRUE", 1.0), (None, None), ("", None), ("NaN", None),
     (math.nan, None), (1.0000000001, 1.0)],
)  # fmt: skip
def test_scores_are_numbers_truth_values_or_unknown(tmp_path, value, score):
    path = lines(tmp_path / "a.jsonl", [{"prompt": "q", "model": "m", "score": value}])

    assert (score,) == only(read_logs([path]), "score")


@pytest.mark.parametrize(
    ("fields", "field", "words"),
    [
        ({"score": 1.5}, "score", "outside 0 to 1"),
        ({"score": -0.1}, "score", "outside 0 to 1"),
        ({"score": math.inf}, "score", "infinite"),
        ({"score": "good"}, "score", "must be a number, is text"),
        ({"score": [1]}, "score", "a list"),
        ({"cost_usd": -1}, "cost_usd", "0 or more"),
        ({"cost_usd": True}, "cost_usd", "true"),
        ({"input_tokens": 1.5}, "input_tokens", "whole number"),
        ({"output_tokens": 10**400}, "output_tokens", "sensible size"),
        ({"duration_s": "fast"}, "duration_s", "text"),
        ({"prompt": ""}, "prompt", "empty"),
        ({"prompt": None}, "prompt", "null"),
        ({"prompt": 7}, "prompt", "a number"),
        ({"prompt": "nul\0"}, "prompt", "NUL"),
        ({"model": None}, "model", "--model"),
        ({"model": {}}, "model", "an object"),
        ({"split": "dev"}, "split", "train, test or ood"),
        ({"reference": "x", "grader": "magic"}, "grader", "unknown"),
        ({"prompt": [{"role": "assistant", "content": "x"}]}, "prompt", "message of the user"),
    ],
)
def test_a_wrong_field_is_a_bad_row_that_names_it(tmp_path, fields, field, words):
    row = {"prompt": "fine", "model": "m", "score": 1}
    path = lines(tmp_path / "a.jsonl", [row, row | {"prompt": "SECRET words"} | fields])

    imported = read_logs([path])

    (bad,) = imported.problems
    assert (str(path), 2, field) == (bad.file, bad.row, bad.field)
    assert words in bad.reason
    assert "SECRET" not in str(bad) + bad.raw
    assert 1 == imported.outcomes.height


def test_an_equal_row_is_read_once_and_a_contradicting_one_never(tmp_path):
    rows = [
        {"prompt": text, "model": "m", "score": score}
        for text, score in (("a", 1), ("a", 1), ("b", 1), ("b", 0), ("c", 1))
    ]
    imported = read_logs([lines(tmp_path / "a.jsonl", rows)])

    assert {"a", "c"} == set(imported.queries.get_column("text"))
    assert "rows written twice, read once: 1" in imported.warnings
    assert [(3, "score"), (4, "score")] == [(bad.row, bad.field) for bad in imported.problems]
    assert f"{tmp_path}/a.jsonl, row 4" in imported.problems[0].reason
    assert (2, 5) == (imported.bad, imported.rows)


def test_a_column_of_repeats_makes_them_observations(tmp_path):
    rows = [{"prompt": "a", "model": "m", "score": n % 2, "round": n} for n in range(3)]
    path = lines(tmp_path / "a.jsonl", rows)

    imported = read_logs([path], read_options(columns=["repeat=round"]))

    assert (pytest.approx(1 / 3), 3) == only(imported, "score", "repeats")


def test_conversations_are_folded_as_in_a_backlog(tmp_path):
    chat = [{"role": "system", "content": "S"}, {"role": "user", "content": "U"}]
    path = lines(tmp_path / "a.jsonl", [{"prompt": chat, "model": "m", "score": 1}])

    assert ("U", "S") == read_logs([path]).queries.select("text", "context").row(0)


@pytest.mark.parametrize(
    ("text", "options", "words"),
    [
        ("q,ok\nwhy?,1\n", {"model": "m"}, "no column for 'prompt'.*'q', 'ok'.*--map prompt="),
        ("prompt,ok\nwhy?,1\n", {}, "no column for 'model'.*--model NAME"),
        ("prompt,ok\nw,1\n", {"model": "m", "columns": ["score=okay"]}, "no column 'okay'"),
        ("prompt,prompt\na,b\n", {"model": "m"}, "two columns named 'prompt'"),
        ("", {}, "no readable row"),
        ("prompt,model\n", {}, "no readable row"),
    ],
    ids=["prompt", "model", "map", "twice", "empty", "header only"],
)
def test_a_file_that_lacks_a_column_is_a_sentence(tmp_path, text, options, words):
    path = tmp_path / "a.csv"
    path.write_text(text)

    with pytest.raises(LogError, match=words):
        read_logs([path], read_options(**options))


def test_an_unscored_file_is_said(tmp_path):
    path = lines(tmp_path / "a.jsonl", [{"prompt": "q", "model": "m", "cost": 1}])

    imported = read_logs([path])

    assert (None, 1.0) == only(imported, "score", "cost_usd")
    assert any("no column for 'score'" in said for said in imported.warnings)


@pytest.mark.parametrize(
    "given",
    [
        {"format": "excel"},
        {"split": "dev"},
        {"grader": "magic"},
        {"columns": ["prompt"]},
        {"columns": ["colour=red"]},
        {"columns": ["prompt=a", "text=b"]},
        {"model_map": ["a=b,a=c"]},
        {"score_range": "0"},
        {"score_range": "1,1"},
        {"score_range": "0,nan"},
    ],
    ids=str,
)
def test_options_that_cannot_be_meant_are_usage_errors(given):
    with pytest.raises(ImportUsageError):
        read_options(**given)
