"""Inspect logs: documents and zips, grades, usage, epochs, errors and limits."""

from __future__ import annotations

import json

import pytest

from tasks.importing import LogError, read_logs, read_options
from tests.tasks.importing.made_logs import (
    inspect_eval,
    inspect_header,
    inspect_json,
    inspect_sample,
)


def write(path, *samples, **header):
    """A log of these samples, of the kind its extension says."""
    writer = inspect_eval if path.suffix == ".eval" else inspect_json
    return writer(path, inspect_header(**header), list(samples))


def only(imported, *names):
    """The columns of the one outcome there is."""
    (row,) = imported.outcomes.select(names).rows()
    return row


@pytest.mark.parametrize("form", ["json", "eval", "zstd", "killed"])
def test_every_form_of_a_log_tells_the_same(tmp_path, form):
    header, samples = inspect_header(), [inspect_sample(1), inspect_sample(2, "What is 2+2?")]
    if form == "json":
        path = inspect_json(tmp_path / "log.json", header, samples)
    else:
        path = inspect_eval(
            tmp_path / "log.eval",
            header,
            samples,
            compression="zstd" if form == "zstd" else "deflate",
            finished=form != "killed",
        )

    imported = read_logs([path])

    names = ("model", "tool", "score", "input_tokens", "output_tokens", "cost_usd", "duration_s")
    wanted = ("openai/gpt", "none", 1.0, 30, 4, 0.002, 1.5)
    assert [wanted, wanted] == imported.outcomes.select(names).rows()
    assert {("arithmetic", "2")} == set(imported.queries.select("dataset", "reference").iter_rows())
    assert ["It is 2"] * 2 == imported.outcomes.get_column("answer").to_list()


@pytest.mark.parametrize(
    ("value", "score"),
    [("C", 1.0), ("I", 0.0), ("P", 0.5), ("N", 0.0), (0.25, 0.25), (True, 1.0), ("yes", 1.0),
     ("0.75", 0.75), (float("nan"), None), ("perhaps", None)],
)  # fmt: skip
def test_grades_become_scores_and_words_that_are_none_stay_unscored(tmp_path, value, score):
    path = write(tmp_path / "a.json", inspect_sample(1, score=value))

    assert (score,) == only(read_logs([path]), "score")


def test_epochs_are_averaged_with_their_number(tmp_path):
    samples = [inspect_sample(1, epoch=n, score=grade) for n, grade in enumerate("CCI", start=1)]
    path = write(tmp_path / "a.eval", *samples)

    score, *counts = only(read_logs([path]), "score", "repeats", "scored")

    assert (pytest.approx(2 / 3), [3, 3]) == (score, counts)


def test_failures_are_outcomes_without_a_score(tmp_path):
    broken = inspect_sample(1, "a", error={"message": "SECRET", "traceback": "…"})
    limited = inspect_sample(2, "b", limit={"type": "token", "limit": 5}, scores=None)
    scored = inspect_sample(3, "c", limit={"type": "time", "limit": 5}, score="I")
    path = write(tmp_path / "a.json", broken, limited, scored)

    imported = read_logs([path])

    texts = imported.queries.select("query_id", "text")
    found = imported.outcomes.join(texts, on="query_id").sort("text")
    assert [
        ("a", None, "sample_error"),
        ("b", None, "limit_token"),
        ("c", 0.0, None),
    ] == found.select("text", "score", "error_type").rows()


def test_several_scorers_are_asked_for(tmp_path):
    scores = {"match": {"value": "C"}, "judge": {"value": {"truth": 0.5, "style": 1.0}}}
    path = write(tmp_path / "a.json", inspect_sample(1, scores=scores))

    with pytest.raises(LogError, match="judge, match; choose one with --metric"):
        read_logs([path])
    with pytest.raises(LogError, match=r"judge\.style, judge\.truth"):
        read_logs([path], read_options(metric=["judge"]))

    assert (0.5,) == only(read_logs([path], read_options(metric=["judge.truth"])), "score")


def test_messages_options_and_attachments_make_one_question(tmp_path):
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "attachment://abc"}]},
    ]
    sample = inspect_sample(
        1, messages, choices=["one", "two"], target="B", attachments={"abc": "Which?"}
    )
    path = write(tmp_path / "a.json", sample)

    queries = read_logs([path]).queries

    assert ("Which?\nA. one\nB. two", "Be brief.", "B", "choice") == queries.select(
        "text", "context", "reference", "grader"
    ).row(0)


def test_an_image_is_a_bad_row_that_says_which_part(tmp_path):
    pictured = [{"role": "user", "content": [{"type": "image", "image": "data:…"}]}]
    path = write(tmp_path / "a.json", inspect_sample(1), inspect_sample(2, pictured))

    (bad,) = read_logs([path]).problems

    assert (2, "prompt[0].content[0]") == (bad.row, bad.field)
    assert "image" in bad.reason


def test_invalidated_samples_and_unfinished_runs_are_said(tmp_path):
    path = write(
        tmp_path / "a.json",
        inspect_sample(1),
        inspect_sample(2, invalidation={"author": "x"}),
        status="cancelled",
    )

    imported = read_logs([path])

    assert 1 == imported.outcomes.height
    assert any("marked invalid: 1" in said for said in imported.warnings)
    assert any("status is 'cancelled'" in said for said in imported.warnings)


def test_a_torn_document_gives_the_samples_before_the_tear(tmp_path):
    path = write(tmp_path / "a.json", inspect_sample(1), inspect_sample(2, "b"))
    text = path.read_text()
    path.write_text(text[: text.rindex('"working_time"')])

    imported = read_logs([path])

    assert ["What is 1+1?"] == imported.queries.get_column("text").to_list()
    assert [2] == [bad.row for bad in imported.problems]
    assert "cut off" in imported.problems[0].reason


@pytest.mark.parametrize("compression", ["deflate", "zstd"])
def test_a_damaged_member_is_one_bad_row(tmp_path, compression):
    path = inspect_eval(
        tmp_path / "a.eval",
        inspect_header(),
        [inspect_sample(1), inspect_sample(2, "b")],
        compression=compression,
    )
    data = bytearray(path.read_bytes())
    place = data.index(b"samples/2_epoch_1.json") + len("samples/2_epoch_1.json") + 40
    data[place : place + 8] = b"\0" * 8
    path.write_bytes(data)

    imported = read_logs([path])

    assert (1, 1) == (imported.outcomes.height, imported.bad)
    assert "damaged" in imported.problems[0].reason


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        pytest.param(lambda data: data[: len(data) // 2], "no whole zip archive", id="truncated"),
        pytest.param(lambda data: b"", "no whole zip archive", id="empty"),
        pytest.param(lambda data: b"hello", "no whole zip archive", id="text"),
    ],
)
def test_a_zip_that_is_none_is_a_sentence(tmp_path, damage, sentence):
    path = write(tmp_path / "a.eval", inspect_sample(1))
    path.write_bytes(damage(path.read_bytes()))

    with pytest.raises(LogError, match=sentence):
        read_logs([path])


def test_newer_versions_are_refused(tmp_path):
    path = write(tmp_path / "a.eval", inspect_sample(1), version=3)

    with pytest.raises(LogError, match="version 3; versions 1 and 2 can be read"):
        read_logs([path])


def test_a_log_of_version_1_with_one_score_is_read(tmp_path):
    sample = inspect_sample(1) | {"scores": None, "score": {"value": "P"}}
    path = write(tmp_path / "a.json", sample, version=1)

    assert (0.5,) == only(read_logs([path]), "score")


def test_an_entry_before_the_samples_may_hold_anything(tmp_path):
    header = inspect_header() | {"results": {"scores": [{"name": "samples", "metrics": {}}]}}
    path = inspect_json(tmp_path / "a.json", header, [inspect_sample(1)])
    assert json.loads(path.read_text())["samples"]

    assert 1 == read_logs([path]).outcomes.height
