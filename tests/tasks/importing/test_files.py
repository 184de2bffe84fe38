"""What a file is, told by its content; and hostile files, each a sentence."""

from __future__ import annotations

import gzip
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.importing import ImportingError, LogError, detect, read_logs, read_options
from tasks.importing.inspect_file import open_inspect
from tests.tasks.importing.made_logs import (
    batch_request,
    batch_response,
    inspect_eval,
    inspect_header,
    inspect_json,
    inspect_sample,
    lines,
    lm_eval,
    lm_sample,
    spend,
    spend_csv,
)


def test_every_kind_is_known_by_its_content(tmp_path):
    rows = {
        "lm-eval": lm_eval(tmp_path, "t", "m", [lm_sample(0, {"question": "q"}, acc=1)]),
        "openai-batch": lines(tmp_path / "b.jsonl", [batch_response("a", "x")]),
        "litellm": spend_csv(tmp_path / "s.csv", [spend(1)]),
        "columns": lines(tmp_path / "c.jsonl", [{"prompt": "q"}]),
        "inspect": inspect_json(tmp_path / "i.json", inspect_header(), [inspect_sample(1)]),
    }

    assert list(rows) == [detect(path) for path in rows.values()]
    assert "openai-batch" == detect(lines(tmp_path / "in.jsonl", [batch_request("a", "x")]))
    assert "inspect" == detect(inspect_eval(tmp_path / "i.eval", inspect_header(), []))


def test_broken_rows_at_the_start_do_not_hide_what_a_file_is(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"torn\n' + json.dumps(spend(1)) + "\n")

    assert "litellm" == detect(path)


def test_other_files_of_a_folder_are_left_aside_and_said(tmp_path):
    lines(tmp_path / "a.jsonl", [{"prompt": "q", "model": "m", "score": 1}])
    (tmp_path / "empty.jsonl").write_text("")
    (tmp_path / "notes.txt").write_text("x")

    imported = read_logs([tmp_path])

    assert 1 == imported.outcomes.height
    assert any("left aside: 1 (empty.jsonl)" in said for said in imported.warnings)


def test_a_file_that_is_named_twice_is_read_once(tmp_path):
    path = lines(tmp_path / "a.jsonl", [{"prompt": "q", "model": "m", "score": 1}])

    imported = read_logs([path, tmp_path, str(tmp_path / "*.jsonl")])

    assert (1, 1) == (imported.rows, len(imported.files))


def test_a_torn_last_line_is_one_bad_row(tmp_path):
    path = lines(tmp_path / "a.jsonl", [{"prompt": "q", "model": "m", "score": 1}] * 2)
    path.write_text(path.read_text()[:-9])

    (bad,) = read_logs([path]).problems

    assert (2, "is cut off: the last line of the file is no whole JSON object") == (
        bad.row,
        bad.reason,
    )


def test_torn_gzip_gives_the_rows_before_the_tear(tmp_path):
    rows = [{"prompt": f"question {n}", "model": "m", "score": n % 2} for n in range(5000)]
    plain = lines(tmp_path / "a.jsonl", rows)
    packed = gzip.compress(plain.read_bytes())
    torn = tmp_path / "b.jsonl.gz"
    torn.write_bytes(packed[: len(packed) // 2])

    imported = read_logs([torn])

    assert 500 < imported.outcomes.height < 5000
    assert "cut off or damaged here" in imported.problems[-1].reason


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.jsonl", b"", "no readable row"),
        ("a.jsonl", b"\n\n", "no readable row"),
        ("a.jsonl", b"[]\n[]\n", "no readable row"),
        ("a.jsonl", b"\x00\x01\x02" * 99, "not UTF-8 text"),
        ("a.jsonl", "{}".encode("utf-16"), "UTF-16"),
        ("a.jsonl", b"PK\x03\x04rest", "a zip archive"),
        ("a.jsonl", b'{\n  "a": 1\n}\n', "one JSON document"),
        ("a.json", b'[\n{"a": 1}\n]\n', "jq -c"),
        ("a.json", b'[{"a": 1}]', "a list on one line"),
        ("a.json", b'{"version": 2, "eval": {"task"', "cut off"),
        ("a.parquet", b"PAR1 not", "no whole Parquet"),
        ("a.jsonl.gz", b"not gzip", "gzip"),
        ("a.xlsx", b"PK", "unknown extension"),
        ("a.txt", b"hello", "unknown extension"),
    ],
)
def test_a_hostile_file_is_a_sentence(tmp_path, name, content, words):
    path = tmp_path / name
    path.write_bytes(content)

    with pytest.raises(LogError, match=words):
        read_logs([path])


@pytest.mark.parametrize("source", ["missing.jsonl", "no/*.jsonl", "."])
def test_sources_without_a_log_are_a_sentence(tmp_path, monkeypatch, source):
    monkeypatch.chdir(tmp_path)

    with pytest.raises(LogError, match=r"check the path|holds no log"):
        read_logs([source])


def test_a_format_that_a_file_is_not_of_gives_bad_rows_and_a_sentence(tmp_path):
    path = lines(tmp_path / "a.jsonl", [{"prompt": "q", "model": "m", "score": 1}])

    with pytest.raises(LogError, match=r"no output file|input file|no row can be used"):
        read_logs([path], read_options(format="openai-batch"))
    with pytest.raises(LogError, match="is a file; a table"):
        read_logs([path], read_options(format="table"))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_damage_to_an_archive_is_a_sentence_or_a_bad_row(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("damaged")
    packing = data.draw(st.sampled_from(["deflate", "zstd"]))
    samples = [inspect_sample(1), inspect_sample(2, "b")]
    path = inspect_eval(folder / "a.eval", inspect_header(), samples, compression=packing)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(bytes(content[: data.draw(st.integers(1, len(content)))]))

    try:
        imported = read_logs([path])
    except ImportingError as refused:
        said = str(refused)
    else:
        said = str(path)
        assert imported.rows == imported.bad + imported.outcomes.get_column("repeats").sum()
    assert str(path) in said


@settings(max_examples=80, deadline=None)
@given(
    st.lists(
        st.dictionaries(st.sampled_from(["id", "input", "scores", "x"]), st.text(), max_size=3),
        max_size=4,
    ),
    st.sampled_from([None, 2]),
    st.booleans(),
)
def test_a_document_read_piece_by_piece_is_what_json_reads(
    tmp_path_factory, samples, indent, ascii_
):
    path = tmp_path_factory.mktemp("document") / "a.json"
    document = inspect_header() | {"samples": samples, "reductions": [1]}
    path.write_text(json.dumps(document, indent=indent, ensure_ascii=ascii_), encoding="utf-8")

    opened = open_inspect(path)

    assert samples == [dict(one.fields) for one in opened.samples]
    assert inspect_header() == dict(opened.header)


ROWS = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)
NAMES = st.sampled_from(
    ["prompt", "model", "score", "custom_id", "body", "response", "error", "doc", "doc_id",
     "arguments", "metrics", "filter", "acc", "request_id", "spend", "startTime", "messages",
     "proxy_server_request", "call_type", "choices", "reference", "grader", "filtered_resps"]
)  # fmt: skip


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.dictionaries(NAMES, ROWS, max_size=8), min_size=1, max_size=4),
    st.sampled_from(["auto", "lm-eval", "openai-batch", "litellm", "columns"]),
)
def test_no_row_of_any_shape_is_a_crash(tmp_path_factory, rows, format_):
    path = lines(tmp_path_factory.mktemp("rows") / "samples_t.jsonl", rows)

    try:
        imported = read_logs([path], read_options(format=format_, model="m"))
    except ImportingError as refused:
        said = str(refused)
    else:
        said = "".join(map(str, imported.problems)) or "fine"
        assert imported.outcomes.get_column("score").drop_nulls().is_between(0, 1).all()
    assert said
