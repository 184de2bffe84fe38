"""Every accepted form gives the same queries, lazily, with what it left aside said aloud."""

from __future__ import annotations

import gzip
import json
import zlib
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from tasks.grade.base import Reference
from tasks.query import Query, content_hash
from tasks.read import BadRow, InputError, ReadLimits, input_fingerprint, iter_rows


def queries(source: object, **options: object) -> list[Query]:
    rows = list(iter_rows(source, **options))  # type: ignore[arg-type]
    assert [row for row in rows if isinstance(row, BadRow)] == []
    return [row for row in rows if isinstance(row, Query)]


def write_lines(path: Path, *rows: object) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_a_plain_row_becomes_a_query_with_all_it_says(tmp_path: Path) -> None:
    path = write_lines(
        tmp_path / "q.jsonl",
        {
            "id": 17,
            "question": " 2 + 2? ",
            "context": "Be brief.",
            "dataset": "sums",
            "split": "test",
            "reference": 4,
            "grader": "numeric",
        },
    )

    assert [
        Query(
            query_id=content_hash("2 + 2?", "Be brief."),
            custom_id="17",
            prompt=" 2 + 2? ",
            context="Be brief.",
            row_index=0,
            source=str(path),
            source_row=1,
            dataset="sums",
            split="test",
            reference=Reference("numeric", "4"),
        )
    ] == queries(path)


def parts(*texts: str) -> list[dict[str, str]]:
    return [{"type": "text", "text": text} for text in texts]


CONVERSATION = [
    {"role": "system", "content": "Be kind."},
    {"role": "user", "content": "Who wrote it?"},
    {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"function": {"name": "look_up", "arguments": '{"q": "it"}'}}],
    },
    {"role": "tool", "content": "Ann"},
    {"role": "assistant", "content": "Ann did."},
    {"role": "developer", "content": parts("And", "brief.")},
    {"role": "user", "content": parts("When?", "Where?")},
]


def test_a_conversation_folds_into_prompt_and_context(tmp_path: Path) -> None:
    line = {
        "custom_id": "c",
        "method": "POST",
        "url": "/v1/chat/completions",
        "body": {"model": "m", "messages": CONVERSATION},
        "reference": ["1970", "in 1970"],
        "grader": "exact",
    }

    (query,) = queries(write_lines(tmp_path / "q.jsonl", line))

    assert query.prompt == "When?\nWhere?"
    assert query.context == (
        "Be kind.\n\nAnd\nbrief.\n\nConversation so far:\n\nUser: Who wrote it?\n\n"
        'Assistant: [called look_up with {"q": "it"}]\n\nTool: Ann\n\nAssistant: Ann did.'
    )
    assert Reference("exact", '["1970", "in 1970"]') == query.reference


TEXT_ROWS = b'{"id": "1", "prompt": "one"}\n{"id": "2", "prompt": "two"}\n'
CSV_ROWS = b"id,prompt\r\n1,one\r\n2,two\r\n"


def as_parquet() -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"id": ["1", "2"], "prompt": ["one", "two"]}), sink)
    return bytes(sink.getvalue())


@pytest.mark.parametrize(
    ("name", "content"),
    [
        pytest.param("q.jsonl", TEXT_ROWS, id="jsonl"),
        pytest.param("q.ndjson", TEXT_ROWS[:-1], id="no-newline-at-the-end"),
        pytest.param("q.json", b"\xef\xbb\xbf" + TEXT_ROWS, id="bom"),
        pytest.param("q.jsonl", TEXT_ROWS.replace(b"\n", b"\r\n"), id="windows-line-ends"),
        pytest.param("q.jsonl", TEXT_ROWS.replace(b"\n", b"\n\n \n"), id="blank-lines"),
        pytest.param("Q.JSONL.GZ", gzip.compress(TEXT_ROWS), id="gzip"),
        pytest.param("q.csv.gz", gzip.compress(CSV_ROWS), id="csv-gzip"),
        pytest.param(
            "q.jsonl.gz",
            gzip.compress(TEXT_ROWS[:20]) + gzip.compress(TEXT_ROWS[20:]),
            id="members",
        ),
        pytest.param("q.jsonl.zst", zstandard.compress(TEXT_ROWS), id="zstd"),
        pytest.param(
            "q.jsonl.zst",
            zstandard.compress(TEXT_ROWS[:20]) + zstandard.compress(TEXT_ROWS[20:]),
            id="zstd-frames",
        ),
        pytest.param("q.csv", CSV_ROWS, id="csv"),
        pytest.param("q.csv", b"\xef\xbb\xbf" + CSV_ROWS, id="csv-bom"),
        pytest.param("q.csv", CSV_ROWS.replace(b",", b";"), id="semicolons"),
        pytest.param("q.tsv", CSV_ROWS.replace(b",", b"\t")[:-2], id="tabs"),
        pytest.param("q.csv", b' ID ,"PROMPT"\n"1","one"\n\n"2","two"\n', id="quoted-header"),
        pytest.param("q.csv", b"a;b,prompt,id\n,one,1\n,two,2\n", id="delimiter-in-a-name"),
        pytest.param("q.parquet", as_parquet(), id="parquet"),
    ],
)
def test_every_form_gives_the_same_queries(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)

    assert [(q.custom_id, q.prompt) for q in queries(path)] == [("1", "one"), ("2", "two")]


def test_parquet_takes_dictionaries_large_text_bytes_and_integer_ids(tmp_path: Path) -> None:
    path = tmp_path / "q.parquet"
    table = pa.table(
        {
            "custom_id": pa.array([1, 2], pa.int32()),
            "text": pa.array(["one", "two"]).dictionary_encode(),
            "context": pa.array(["x", None], pa.large_string()),
            "dataset": pa.array([b"d", b"e"], pa.binary()),
            "reference": pa.array([["a", "b"], ["c"]]),
            "grader": ["exact", "token_f1"],
        }
    )
    pq.write_table(table, path)

    one, two = queries(path)

    assert ("1", "one", "x", "d", Reference("exact", '["a", "b"]')) == (
        one.custom_id, one.prompt, one.context, one.dataset, one.reference,
    )  # fmt: skip
    assert ("2", "two", "", "e", Reference("token_f1", '["c"]')) == (
        two.custom_id, two.prompt, two.context, two.dataset, two.reference,
    )  # fmt: skip


def test_a_missing_number_in_a_parquet_reference_is_no_reference(tmp_path: Path) -> None:
    path = tmp_path / "q.parquet"
    table = pa.table(
        {"prompt": ["a", "b"], "reference": [1.5, float("nan")], "grader": ["numeric"] * 2}
    )
    pq.write_table(table, path)

    assert [Reference("numeric", "1.5"), None] == [query.reference for query in queries(path)]


def test_a_folder_is_read_in_the_order_of_its_paths(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    write_lines(tmp_path / "b" / "x.jsonl", {"prompt": "third"})
    write_lines(tmp_path / "a.jsonl", {"prompt": "first"}, {"prompt": "second"})
    (tmp_path / "c.csv").write_text("prompt\nfourth\n")
    (tmp_path / "d.jsonl").touch()
    (tmp_path / "readme.md").write_text("x")
    warnings: list[str] = []

    read = queries(tmp_path, warnings=warnings)

    assert [query.prompt for query in read] == ["first", "second", "third", "fourth"]
    assert [q.custom_id for q in read] == ["a.jsonl:1", "a.jsonl:2", "b/x.jsonl:1", "c.csv:2"]
    assert [query.row_index for query in read] == [0, 1, 2, 3]
    assert [
        "files of other kinds left aside: 1 (readme.md)",
        f"{tmp_path / 'd.jsonl'} is empty",
    ] == warnings


def test_a_glob_reads_what_it_matches(tmp_path: Path) -> None:
    for name in ("b.jsonl", "a.jsonl", "c.csv"):
        write_lines(tmp_path / name, {"prompt": name})

    assert [q.prompt for q in queries(f"{tmp_path}/*.jsonl")] == ["a.jsonl", "b.jsonl"]


def test_a_file_whose_name_looks_like_a_glob_is_read(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "q[1].jsonl", {"prompt": "x"})

    assert [query.custom_id for query in queries(path)] == ["q[1].jsonl:1"]


def test_a_row_arrives_before_the_next_file_is_opened(tmp_path: Path) -> None:
    write_lines(tmp_path / "a.jsonl", {"id": 1, "prompt": "first"}, {"id": 2, "prompt": "x"})
    (tmp_path / "b.jsonl").write_bytes(b"PAR1")
    rows = iter_rows(tmp_path)

    assert isinstance(next(rows), Query)
    assert isinstance(next(rows), Query)
    with pytest.raises(InputError, match=r"b\.jsonl is a Parquet file"):
        next(rows)


def test_a_limit_leaves_further_files_unopened_and_still_warns(tmp_path: Path) -> None:
    write_lines(tmp_path / "a.jsonl", {"prompt": 1, "tag": "x"}, {"prompt": "x"}, {"prompt": "y"})
    (tmp_path / "b.jsonl").write_bytes(b"PAR1")
    warnings: list[str] = []

    rows = list(iter_rows(tmp_path, limit=2, warnings=warnings))

    assert [BadRow, Query] == [type(row) for row in rows]
    assert len(warnings) == 1
    assert "'tag'" in warnings[0]


def test_a_first_row_is_read_without_reading_the_file(tmp_path: Path) -> None:
    path = tmp_path / "q.jsonl"
    with path.open("wb") as file:
        file.write(b'{"id": 1, "prompt": "first"}\n')
        file.truncate(1 << 40)

    assert queries(path, limit=1)[0].prompt == "first"


def test_a_line_without_end_is_skipped_in_pieces(tmp_path: Path) -> None:
    path = tmp_path / "q.jsonl"
    with path.open("wb") as file:
        file.write(b'{"id": 1, "prompt": "first"}\n')
        file.truncate(100_000_000)

    _, bad = iter_rows(path, limits=ReadLimits(max_line_bytes=10_000))

    assert isinstance(bad, BadRow)
    assert (bad.row, bad.field) == (2, None)
    assert "is 99,999,971 bytes long" in bad.reason


def test_ids_are_made_up_where_the_first_hundred_rows_have_none(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [{"prompt": f"q{n}"} for n in range(120)]
    rows[110]["custom_id"] = "late"

    ids = [query.custom_id for query in queries(write_lines(tmp_path / "q.jsonl", *rows))]

    assert ids[0] == "q.jsonl:1"
    assert ids[110] == "late"
    assert ids[119] == "q.jsonl:120"


def test_an_id_among_the_first_hundred_rows_makes_a_missing_one_bad(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [{"prompt": f"q{n}"} for n in range(120)]
    rows[99]["id"] = "only"

    read = list(iter_rows(write_lines(tmp_path / "q.jsonl", *rows)))

    assert [place for place, row in enumerate(read) if isinstance(row, Query)] == [99]
    assert {("custom_id", None)} == {
        (row.field, row.custom_id) for row in read if isinstance(row, BadRow)
    }


@pytest.mark.parametrize(
    ("suffix", "pack", "unpack"),
    [
        (".gz", gzip.compress, lambda: zlib.decompressobj(31)),
        (".zst", zstandard.compress, zstandard.ZstdDecompressor().decompressobj),
    ],
)
def test_torn_compression_keeps_the_rows_before_and_says_where(
    tmp_path: Path, suffix: str, pack: object, unpack: object
) -> None:
    path = tmp_path / f"q.jsonl{suffix}"
    rows = b"".join(
        b'{"id": %d, "prompt": "%s"}\n' % (n, content_hash(str(n)).encode()) for n in range(20_000)
    )
    packed = pack(rows)  # type: ignore[operator]
    path.write_bytes(packed[: len(packed) // 2])

    *good, bad = iter_rows(path)

    assert isinstance(bad, BadRow)
    unpacked = unpack().decompress(packed[: len(packed) // 2])  # type: ignore[operator]
    assert len(good) == unpacked.count(b"\n") > 1000
    assert all(isinstance(row, Query) for row in good)
    assert (len(good) + 1, None) == (bad.row, bad.field)
    assert "cut off or damaged" in bad.reason


def test_damage_found_by_a_checksum_is_said(tmp_path: Path) -> None:
    path = tmp_path / "q.jsonl.gz"
    packed = bytearray(gzip.compress(TEXT_ROWS))
    packed[-8] ^= 1
    path.write_bytes(packed)

    *good, bad = iter_rows(path)

    assert len(good) == 2
    assert isinstance(bad, BadRow)
    assert bad.row == 3


def test_unknown_columns_are_named_once_a_file(tmp_path: Path) -> None:
    lines = [{"prompt": "a", "tags": 1}, {"prompt": "b", "tags": 2, "lang": "en"}]
    write_lines(tmp_path / "a.jsonl", *lines)
    (tmp_path / "b.csv").write_text("prompt,question,note\nx,y,z\n")
    warnings: list[str] = []

    read = queries(tmp_path, warnings=warnings)

    assert [query.prompt for query in read] == ["a", "b", "x"]
    assert [
        f"{tmp_path / 'a.jsonl'}: columns that ATLAS does not know were not read: 'tags', 'lang'",
        f"{tmp_path / 'b.csv'}: columns that ATLAS does not know were not read: 'question', 'note'",
    ] == warnings


def test_settings_of_a_batch_body_that_go_unused_are_named(tmp_path: Path) -> None:
    body = {"model": "m", "temperature": 1, "messages": [{"role": "user", "content": "x"}]}
    path = write_lines(tmp_path / "q.jsonl", {"custom_id": "a", "body": body, "tag": 1})
    warnings: list[str] = []

    queries(path, warnings=warnings)

    assert [
        f"{path}: columns that ATLAS does not know were not read: 'tag'",
        f"{path}: settings in the body were not used, ATLAS chooses: temperature",
    ] == warnings


def test_rows_of_free_and_unknown_graders_count_as_unlabelled(tmp_path: Path) -> None:
    path = write_lines(
        tmp_path / "q.jsonl",
        {"prompt": "a", "reference": "x", "grader": "free"},
        {"prompt": "b", "grader": "unknown"},
        {"prompt": "c", "grader": "exact"},
        {"prompt": "d", "grader": "recorded"},
    )
    warnings: list[str] = []

    read = queries(path, warnings=warnings)

    assert [None, None, None, Reference("recorded", "")] == [query.reference for query in read]
    assert len(warnings) == 1
    assert "rows that count as unlabelled: 3 " in warnings[0]


def test_a_fingerprint_follows_content_and_names_and_not_the_place(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        for name in ("a.jsonl", "b.jsonl"):
            write_lines(tmp_path / folder / name, {"prompt": name})
    first = input_fingerprint(tmp_path / "one")

    assert len(first) == 64
    assert first == input_fingerprint(tmp_path / "two")
    assert first == input_fingerprint(f"{tmp_path}/one/*.jsonl")
    write_lines(tmp_path / "two" / "b.jsonl", {"prompt": "c.jsonl"})
    assert first != input_fingerprint(tmp_path / "two")
    (tmp_path / "one" / "b.jsonl").rename(tmp_path / "one" / "c.jsonl")
    assert first != input_fingerprint(tmp_path / "one")
