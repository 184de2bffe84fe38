"""Whatever text goes into a file comes out of the plan, character for character."""

from __future__ import annotations

import csv
import gzip
import io
import json
import tempfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.query import Query, content_hash
from tasks.read import BadRow, InputError, iter_rows, load_chunk, load_duplicates, stage_backlog
from tasks.read.csv_form import CsvProblem, RecordSplitter

Rows = list[tuple[str, str]]

AWKWARD = st.sampled_from(
    ['"', '""', ",", ";", "\t", "\n", "\r", "\r\n", "'", "\\", "\ufeff", "\x1c"]
)
TEXT = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=20)
PROMPT = st.lists(AWKWARD | TEXT, max_size=6).map("".join).filter(lambda text: text.strip() != "")
ROWS = st.lists(st.tuples(TEXT.filter(bool), PROMPT), min_size=1, max_size=12)


def to_json(rows: Rows) -> bytes:
    lines = (
        json.dumps({"custom_id": i, "prompt": p}, ensure_ascii=len(p) % 2 == 0) for i, p in rows
    )
    return "".join(line + "\n" for line in lines).encode()


def to_batch(rows: Rows) -> bytes:
    lines = (
        json.dumps({"custom_id": i, "body": {"messages": [{"role": "user", "content": p}]}})
        for i, p in rows
    )
    return "\n".join(lines).encode()


def to_csv(rows: Rows, delimiter: str = ",") -> bytes:
    text = io.StringIO()
    # Fields with a carriage return are quoted by the writer; all others where they need it.
    writer = csv.writer(text, delimiter=delimiter)
    writer.writerows([("custom_id", "prompt"), *rows])
    return text.getvalue().encode()


def to_parquet(rows: Rows) -> bytes:
    sink = pa.BufferOutputStream()
    ids, prompts = zip(*rows, strict=True)
    pq.write_table(pa.table({"custom_id": ids, "prompt": prompts}), sink)
    return bytes(sink.getvalue())


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("q.jsonl", to_json),
        ("q.jsonl", to_batch),
        ("q.jsonl.gz", lambda rows: gzip.compress(to_json(rows), 1)),
        ("q.jsonl.zst", lambda rows: zstandard.compress(to_json(rows))),
        ("q.csv", to_csv),
        ("q.csv", lambda rows: to_csv(rows, ";")),
        ("q.tsv", lambda rows: to_csv(rows, "\t")),
        ("q.parquet", to_parquet),
    ],
)
@settings(max_examples=40, deadline=None)
@given(rows=ROWS, chunk_size=st.integers(1, 5))
def test_text_survives_every_form(
    name: str, write: Callable[[Rows], bytes], rows: Rows, chunk_size: int
) -> None:
    """First uses of ids and of questions are staged, everything else is accounted for."""
    prompts = dict(reversed(rows))
    kept = list(dict(rows))
    first: dict[str, str] = {}
    for custom_id in kept:
        first.setdefault(content_hash(prompts[custom_id]), custom_id)

    with tempfile.TemporaryDirectory() as home:
        path, folder = Path(home, name), Path(home, "plan")
        path.write_bytes(write(rows))
        plan = stage_backlog(path, folder, chunk_size=chunk_size)
        unique = [query for n in range(plan.chunks) for query in load_chunk(folder, n)]
        repeats = [row for n in range(plan.duplicate_chunks) for row in load_duplicates(folder, n)]

    assert [(q.custom_id, q.prompt) for q in unique] == [(i, prompts[i]) for i in first.values()]
    assert [r.custom_id for r in repeats] == [i for i in kept if i not in set(first.values())]
    assert all(first[row.query_id] == row.first_custom_id for row in repeats)
    assert (plan.rows, plan.bad) == (len(rows), len(rows) - len(kept))


@settings(max_examples=150, deadline=None)
@given(fields=st.lists(PROMPT | st.just(""), min_size=1, max_size=5), data=st.data())
def test_the_splitter_undoes_any_correct_writer(fields: list[str], data: st.DataObject) -> None:
    quoting = data.draw(st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]))
    if any("\r" in field for field in fields):
        # RFC 4180 quotes a bare CR; minimal quoting here leaves it, and at a row's end it is CRLF.
        quoting = csv.QUOTE_ALL
    ending = data.draw(st.sampled_from(["\n", "\r\n"]))
    text = io.StringIO()
    csv.writer(text, quoting=quoting, lineterminator=ending).writerow(fields)
    lines = text.getvalue().split("\n")[:-1]
    splitter = RecordSplitter(",")

    results = [splitter.feed(line + "\n") for line in lines]

    assert [None] * (len(lines) - 1) == results[:-1]
    assert fields == results[-1]


@settings(max_examples=200, deadline=None)
@given(text=st.text('ab",\n', max_size=30))
def test_the_splitter_takes_exactly_what_a_strict_csv_reader_takes(text: str) -> None:
    splitter = RecordSplitter(",")
    records: list[list[str]] | None = []
    try:
        for line in io.StringIO(text, newline="\n"):
            fields = splitter.feed(line)
            if fields is not None:
                records.append(fields)
        if splitter.is_open:
            records = None
    except CsvProblem:
        records = None

    if records is None:
        assert '"' in text
    else:
        expected = csv.reader(io.StringIO(text, newline="\n"), strict=True)
        assert records == [fields or [""] for fields in expected]


PIECES = (b'{"id":', b'"a"', b'"', b",", b"\n", b"}", b"prompt", b"\xff", b"\0", b"PAR1")


@settings(max_examples=100, deadline=None)
@given(
    content=st.binary(max_size=300) | st.lists(st.sampled_from(PIECES)).map(b"".join),
    name=st.sampled_from(["q.jsonl", "q.csv", "q.parquet", "q.jsonl.gz", "q.csv.zst"]),
)
def test_no_bytes_end_in_anything_but_rows_or_a_sentence(content: bytes, name: str) -> None:
    sentence = ""
    rows: list[object] = []
    with tempfile.TemporaryDirectory() as home:
        path = Path(home, name)
        path.write_bytes(content)
        try:
            rows = list(iter_rows(path))
        except InputError as error:
            sentence = str(error)

    assert {type(row) for row in rows} <= {Query, BadRow}
    assert rows or name in sentence
