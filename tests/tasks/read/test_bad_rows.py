"""Every malformed row is named with its file, row and field, and costs no other row."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.query import Query
from tasks.read import BadRow, ReadLimits, iter_rows

GOOD = b'{"custom_id": "good", "prompt": "fine"}\n'


def batch_line(**changes: object) -> bytes:
    line = {
        "custom_id": "a",
        "method": "POST",
        "url": "/v1/chat/completions",
        "body": {"model": "m", "messages": [{"role": "user", "content": "hello"}]},
    }
    line.update(changes)
    return json.dumps({k: v for k, v in line.items() if v is not ...}).encode() + b"\n"


def messages(*turns: object) -> bytes:
    return batch_line(body={"messages": list(turns)})


def user(content: object) -> dict[str, object]:
    return {"role": "user", "content": content}


IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}

JSON_CASES = [
    pytest.param(b'{"custom_id": "a", "prompt": }\n', None, "not valid JSON", None, id="bad-json"),
    pytest.param(b"[1, 2]\n", None, "must be a JSON object, is a list", None, id="list"),
    pytest.param(b'"text"\n', None, "must be a JSON object, is text", None, id="string"),
    pytest.param(b"null\n", None, "must be a JSON object, is null", None, id="null"),
    pytest.param(b"[" * 100_000 + b"\n", None, "nested too deeply", None, id="nested"),
    pytest.param(b'{"prompt": ' + b"9" * 5000 + b"}\n", None, "not valid JSON", None, id="digits"),
    pytest.param(b'{"prompt": "\xff\xfe ok"}\n', None, "UTF-8 at byte 13", None, id="bad-utf8"),
    pytest.param(b'{"prompt": "a\x00b"}\n', None, "NUL character at byte 14", None, id="raw-nul"),
    pytest.param(b'{"custom_id": "a"}\n', "prompt", "is missing", "a", id="no-prompt"),
    pytest.param(b'{"id": "a", "prompt": ""}\n', "prompt", "is empty", "a", id="empty"),
    pytest.param(b'{"id": "a", "prompt": " \\n\\t"}\n', "prompt", "white space", "a", id="blank"),
    pytest.param(b'{"id": "a", "prompt": null}\n', "prompt", "is null", "a", id="null-prompt"),
    pytest.param(b'{"id": "a", "prompt": NaN}\n', "prompt", "is NaN", "a", id="nan-prompt"),
    pytest.param(b'{"id": "a", "prompt": 3.5}\n', "prompt", "a number (3.5)", "a", id="number"),
    pytest.param(b'{"id": "a", "text": ["x"]}\n', "text", "is a list", "a", id="list-prompt"),
    pytest.param(b'{"id": "a", "question": {}}\n', "question", "an object", "a", id="object"),
    pytest.param(b'{"id": "a", "prompt": true}\n', "prompt", "is true", "a", id="bool-prompt"),
    pytest.param(
        b'{"id": "a", "prompt": "x\\u0000"}\n', "prompt", "character at position 2", "a", id="nul"
    ),
    pytest.param(
        b'{"id": "a", "prompt": "\\ud83d!"}\n', "prompt", "surrogate pair at position 1", "a",
        id="half-surrogate",
    ),
    pytest.param(
        b'{"id": "a", "prompt": "' + b"x" * 1001 + b'"}\n', "prompt", "1,001 bytes", "a", id="long"
    ),
    pytest.param(
        b'{"id": "a", "prompt": "' + "é".encode() * 501 + b'"}\n', "prompt", "1,002 bytes",
        "a", id="long-in-bytes",
    ),
    pytest.param(
        b'{"id": "a", "prompt": "' + b"x" * 5000 + b'"}\n', None, "more than 4,000 a line", None,
        id="huge-line",
    ),
    pytest.param(b'{"custom_id": ["a"], "prompt": "x"}\n', "custom_id", "list", None, id="ids"),
    pytest.param(b'{"custom_id": 1.5, "prompt": "x"}\n', "custom_id", "1.5", None, id="id-float"),
    pytest.param(b'{"custom_id": true, "prompt": "x"}\n', "custom_id", "true", None, id="id-bool"),
    pytest.param(b'{"id": "a\\u0000", "prompt": "x"}\n', "id", "NUL", None, id="id-nul"),
    pytest.param(
        b'{"id": "' + b"i" * 600 + b'", "prompt": "x"}\n', "id", "600 char", None, id="id-long"
    ),
    pytest.param(b'{"prompt": "x"}\n', "custom_id", "is missing", None, id="id-missing"),
    pytest.param(b'{"id": "a", "prompt": "x", "context": 7}\n', "context", "(7)", "a", id="ctx"),
    pytest.param(b'{"id": "a", "prompt": "x", "context": []}\n', "context", "list", "a", id="[]"),
    pytest.param(b'{"id": "a", "prompt": "x", "dataset": 7}\n', "dataset", "(7)", "a", id="set"),
    pytest.param(
        b'{"id": "a", "prompt": "x", "split": "dev"}\n', "split", "is 'dev'", "a", id="split"
    ),
    pytest.param(
        b'{"id": "a", "prompt": "x", "split": [1]}\n', "split", "is a list", "a", id="split-list"
    ),
    pytest.param(
        b'{"id": "a", "prompt": "x", "reference": "4"}\n', "grader", "is missing", "a",
        id="no-grader",
    ),
    pytest.param(
        b'{"id": "a", "prompt": "x", "reference": "4", "grader": "vibes"}\n', "grader",
        "'vibes' is unknown", "a", id="grader",
    ),
    pytest.param(
        b'{"id": "a", "prompt": "x", "reference": "4", "grader": 4}\n', "grader", "a number", "a",
        id="grader-number",
    ),
    pytest.param(
        b'{"id": "a", "prompt": "x", "reference": NaN, "grader": "exact"}\n', "reference", "NaN",
        "a", id="reference-nan",
    ),
    pytest.param(
        b'{"id": "a", "prompt": "x", "reference": [], "grader": "exact"}\n', "reference", "list",
        "a", id="reference-empty-list",
    ),
    pytest.param(
        b'{"id": "a", "prompt": "x", "reference": "def", "grader": "code"}\n', "reference",
        "JSON object", "a", id="code-tests",
    ),
    pytest.param(batch_line(custom_id=...), "custom_id", "is missing", None, id="batch-no-id"),
    pytest.param(batch_line(method="GET"), "method", "must be POST", "a", id="batch-method"),
    pytest.param(batch_line(url="/v1/embeddings"), "url", "chat completions", "a", id="batch-url"),
    pytest.param(batch_line(body=...), "body", "object, is null", "a", id="batch-no-body"),
    pytest.param(batch_line(body="hi"), "body", "is text", "a", id="batch-body"),
    pytest.param(batch_line(body={}), "body.messages", "be a list", "a", id="batch-no-messages"),
    pytest.param(messages(), "body.messages", "is empty", "a", id="batch-empty-messages"),
    pytest.param(messages("hi"), "body.messages[0]", "is text", "a", id="batch-message"),
    pytest.param(
        messages({"role": "robot", "content": "x"}), "body.messages[0].role", "is 'robot'", "a",
        id="batch-role",
    ),
    pytest.param(
        messages({"content": "x"}), "body.messages[0].role", "null", "a", id="batch-no-role"
    ),
    pytest.param(
        messages(user("x"), {"role": "assistant", "content": "y"}), "body.messages",
        "must end with a message of the user", "a", id="batch-last-turn",
    ),
    pytest.param(messages(user(None)), "body.messages[0].content", "is null", "a", id="batch-null"),
    pytest.param(messages(user(" ")), "body.messages[0].content", "white", "a", id="batch-blank"),
    pytest.param(
        messages(user([{"type": "text", "text": "x"}, IMAGE])), "body.messages[0].content[1]",
        "'image_url'", "a", id="batch-image",
    ),
    pytest.param(
        messages(user([{"type": "text", "text": 1}])), "body.messages[0].content[0].text",
        "a number (1)", "a", id="batch-part",
    ),
    pytest.param(
        messages(user(["x"])), "body.messages[0].content[0]", "is text", "a", id="batch-part-type"
    ),
]  # fmt: skip


@pytest.mark.parametrize(("line", "field", "reason", "custom_id"), JSON_CASES)
def test_a_malformed_json_line_is_one_bad_row(
    tmp_path: Path, line: bytes, field: str | None, reason: str, custom_id: str | None
) -> None:
    path = tmp_path / "q.jsonl"
    path.write_bytes(GOOD + line + GOOD.replace(b"good", b"also"))
    limits = ReadLimits(max_prompt_bytes=1000, max_line_bytes=4000)
    if b"[[[" in line or b"999" in line:
        limits = ReadLimits()

    first, bad, last = iter_rows(path, limits=limits)

    assert isinstance(bad, BadRow)
    assert (str(path), 2, field, custom_id) == (bad.file, bad.row, bad.field, bad.custom_id)
    assert reason in bad.reason
    assert len(bad.raw) <= 500
    assert isinstance(first, Query)
    assert isinstance(last, Query)
    assert (
        first.custom_id, first.row_index, first.source_row,
        last.custom_id, last.row_index, last.source_row,
    ) == ("good", 0, 1, "also", 2, 3)  # fmt: skip


CSV_CASES = [
    pytest.param(b"a,x,y\n", None, "field count is 3, the header's is 2", id="too-many-fields"),
    pytest.param(b"a\n", None, "field count is 1, the header's is 2", id="too-few-fields"),
    pytest.param(b'a,5" pipe\n', None, "quote inside field 2", id="quote-inside"),
    pytest.param(b'a,"x"y\n', None, "text after the closing quote of field 2", id="after-quote"),
    pytest.param(b'a,"x\n', None, "", id="stray-opening-quote"),
    pytest.param(b'a, "x"\n', None, "quote inside field 2", id="blank-before-quote"),
    pytest.param(b"a,\n", "prompt", "is empty", id="empty-prompt"),
    pytest.param(b"a,   \n", "prompt", "white space", id="blank-prompt"),
    pytest.param(b"a,\xff\xfe\n", None, "not valid UTF-8 at byte 3 of line 3", id="bad-utf8"),
    pytest.param(b"a,x\x00y\n", "prompt", "NUL character at position 2", id="nul"),
    pytest.param(b",x\n", "custom_id", "is missing", id="no-id"),
    pytest.param(b"a," + b"x" * 1001 + b"\n", "prompt", "1,001 bytes", id="too-long"),
    pytest.param(b"a," + b"x" * 5000 + b"\n", None, "more than 4,000 bytes", id="huge-line"),
]


@pytest.mark.parametrize(("line", "field", "reason"), CSV_CASES)
def test_a_malformed_csv_record_is_one_bad_row(
    tmp_path: Path, line: bytes, field: str | None, reason: str
) -> None:
    path = tmp_path / "q.csv"
    path.write_bytes(b"custom_id,prompt\ngood,fine\n" + line + b'also,"quoted ""fine"""\n')
    limits = ReadLimits(max_prompt_bytes=1000, max_line_bytes=4000)

    first, bad, last = iter_rows(path, limits=limits)

    assert isinstance(bad, BadRow)
    assert (str(path), 3, field) == (bad.file, bad.row, bad.field)
    assert reason in bad.reason
    assert isinstance(first, Query)
    assert isinstance(last, Query)
    assert (first.prompt, last.prompt) == ("fine", 'quoted "fine"')


@pytest.mark.parametrize(
    ("column", "row", "field", "reason"),
    [
        pytest.param(["a", None, "c"], 2, "prompt", "is null", id="null"),
        pytest.param(["a", "b", ""], 3, "prompt", "is empty", id="empty"),
        pytest.param(["a", "b\x00", "c"], 2, "prompt", "NUL", id="nul"),
        pytest.param([b"a", b"\xff", b"c"], 2, "prompt", "not valid UTF-8", id="bytes"),
        pytest.param(["x" * 1001, "b", "c"], 1, "prompt", "1,001 bytes", id="too-long"),
    ],
)
def test_a_malformed_parquet_row_is_one_bad_row(
    tmp_path: Path, column: list[object], row: int, field: str, reason: str
) -> None:
    path = tmp_path / "q.parquet"
    pq.write_table(pa.table({"id": [7, 8, 9], "prompt": column}), path)

    rows = list(iter_rows(path, limits=ReadLimits(max_prompt_bytes=1000)))

    bad = rows.pop(row - 1)
    assert isinstance(bad, BadRow)
    assert (str(path), row, field, str(6 + row)) == (bad.file, bad.row, bad.field, bad.custom_id)
    assert reason in bad.reason
    assert all(isinstance(item, Query) for item in rows)


def test_a_parquet_text_column_with_broken_bytes_keeps_its_good_rows(tmp_path: Path) -> None:
    path = tmp_path / "q.parquet"
    broken = pa.array([b"one", b"\xff", b"drei \xc3\xbc"]).view(pa.string())
    pq.write_table(pa.table({"prompt": broken}), path)

    first, bad, last = iter_rows(path)

    assert isinstance(bad, BadRow)
    assert (bad.row, bad.field) == (2, "prompt")
    assert [row.prompt for row in (first, last) if isinstance(row, Query)] == ["one", "drei ü"]


def test_an_all_null_prompt_column_is_bad_row_by_row(tmp_path: Path) -> None:
    path = tmp_path / "q.parquet"
    pq.write_table(pa.table({"prompt": pa.nulls(2)}), path)

    rows = list(iter_rows(path))

    assert [(row.row, row.field) for row in rows] == [(1, "prompt"), (2, "prompt")]  # type: ignore[union-attr]


def test_a_bad_row_reads_as_a_sentence() -> None:
    bad = BadRow("q.jsonl", 7, "prompt", "is empty")

    assert str(bad) == "q.jsonl, row 7, field prompt: is empty"


def test_a_torn_last_line_says_so(tmp_path: Path) -> None:
    path = tmp_path / "q.jsonl"
    path.write_bytes(GOOD + b'{"custom_id": "b", "prom')

    _, bad = iter_rows(path)

    assert isinstance(bad, BadRow)
    assert (bad.row, bad.field) == (2, None)
    assert "cut off" in bad.reason


def test_a_torn_last_csv_record_says_so_and_costs_no_made_up_rows(tmp_path: Path) -> None:
    path = tmp_path / "q.csv"
    path.write_bytes(b'prompt\nfine\n"a text\nof several\nlines')

    _, bad = iter_rows(path)

    assert isinstance(bad, BadRow)
    assert bad.row == 3
    assert "never closed; the file ends here" in bad.reason
    assert "(lines 3 to 5)" in bad.reason


def test_a_stray_quote_costs_its_own_row_and_none_of_those_after_it(tmp_path: Path) -> None:
    path = tmp_path / "q.csv"
    rows = b"".join(b'r%d,"question, number %d"\n' % (n, n) for n in range(50))
    path.write_bytes(b'id,prompt\nx,"never closed\n' + rows)

    bad, *good = iter_rows(path)

    assert isinstance(bad, BadRow)
    assert bad.row == 2
    assert [f"question, number {n}" for n in range(50)] == [
        row.prompt for row in good if isinstance(row, Query)
    ]


def test_a_stray_quote_that_nothing_closes_costs_one_row_in_a_long_file(tmp_path: Path) -> None:
    path = tmp_path / "q.csv"
    path.write_bytes(b'id,prompt\nx,"open\n' + b"".join(b"%d,fine\n" % n for n in range(500)))

    bad, *good = iter_rows(path, limits=ReadLimits(max_line_bytes=4000))

    assert isinstance(bad, BadRow)
    assert bad.row == 2
    assert [row.custom_id for row in good] == [str(n) for n in range(500)]


def test_a_file_full_of_stray_quotes_ends_in_bounded_time(tmp_path: Path) -> None:
    path = tmp_path / "q.csv"
    path.write_bytes(b"id,prompt\n" + b'x,"""open\n' * 3000 + b'y,"end"\n')

    rows = list(iter_rows(path, limits=ReadLimits(max_line_bytes=10_000)))

    assert {type(row) for row in rows} == {BadRow}
    assert len(rows) < 3000


def test_a_record_too_large_to_keep_in_a_file_of_one_column_is_one_bad_row(tmp_path: Path) -> None:
    path = tmp_path / "q.csv"
    path.write_bytes(b'prompt\nfine\n"' + b"a line\n" * 1000 + b'end"\nalso fine\n')

    first, bad, last = iter_rows(path, limits=ReadLimits(max_line_bytes=4000))

    assert isinstance(bad, BadRow)
    assert (bad.row, bad.field) == (3, None)
    assert "not closed within 4,000 bytes" in bad.reason
    assert [row.prompt for row in (first, last) if isinstance(row, Query)] == ["fine", "also fine"]
