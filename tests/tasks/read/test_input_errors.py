"""A source that cannot be read at all is refused in one sentence: which file, what, what to do."""

from __future__ import annotations

import gzip
import random
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from tasks.read import InputError, input_fingerprint, iter_rows

NOISE = random.Random(1).randbytes(4000)
ROWS = b'{"prompt": "a"}\n'


def parquet_bytes(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    return bytes(sink.getvalue())


def prompts(values: pa.Array, name: str = "prompt") -> bytes:
    return parquet_bytes(pa.table({name: values, "more": pa.nulls(len(values))}))


CASES = [
    pytest.param("q.jsonl", b"", "is empty", id="empty"),
    pytest.param("q.jsonl", b"\n \n\n", "is empty", id="blank-lines"),
    pytest.param("q.jsonl", b"\xef\xbb\xbf", "is empty", id="only-a-bom"),
    pytest.param("q.csv", b"", "is empty", id="empty-csv"),
    pytest.param("q.csv", b"id,prompt\n", "is empty", id="header-only"),
    pytest.param("q.jsonl.gz", gzip.compress(b""), "is empty", id="empty-gzip"),
    pytest.param("q.parquet", b"", "is empty", id="empty-parquet-file"),
    pytest.param("q.parquet", prompts(pa.array([], pa.string())), "is empty", id="no-parquet-rows"),
    pytest.param("q.jsonl", NOISE, "not UTF-8 text", id="binary-jsonl"),
    pytest.param("q.csv", NOISE, "not UTF-8 text", id="binary-csv"),
    pytest.param("q.csv", "вопрос\n".encode("cp1251"), "another encoding", id="cyrillic"),
    pytest.param("q.jsonl", ROWS.decode().encode("utf-16"), "-f UTF-16 -t UTF-8", id="utf-16"),
    pytest.param("q.jsonl", ROWS.decode().encode("utf-16-le"), "is in UTF-16", id="utf-16-no-bom"),
    pytest.param("q.csv", "prompt\nhé\n".encode("utf-32"), "is in UTF-32", id="utf-32"),
    pytest.param("q.jsonl", prompts(pa.array(["a"])), "a Parquet file", id="parquet-in-text"),
    pytest.param("q.jsonl", gzip.compress(ROWS), "end in .gz", id="gzip-in-text"),
    pytest.param("q.csv", zstandard.compress(ROWS), "end in .zst", id="zstd-in-text"),
    pytest.param("q.csv", b"PK\x03\x04....", "Excel", id="excel"),
    pytest.param("q.jsonl.gz", ROWS, "is not gzip-compressed", id="text-in-gzip"),
    pytest.param("q.jsonl.zst", ROWS, "is not zstd-compressed", id="text-in-zstd"),
    pytest.param("q.jsonl.gz", gzip.compress(ROWS)[:15], "before its first row", id="gzip-stump"),
    pytest.param("q.csv.zst", zstandard.compress(ROWS)[:9], "before its first", id="zstd-stump"),
    pytest.param("q.json", b'[\n  {"prompt": "a"}\n]\n', "one object a line", id="json-array"),
    pytest.param("q.json", b'{\n  "prompt": "a"\n}\n', "one object a line", id="pretty-json"),
    pytest.param("q.csv", b"id,query\n1,a\n", "found 'id', 'query' (separated by comma)", id="csv"),
    pytest.param("q.csv", b"prompt,Prompt\na,b\n", "two columns named 'prompt'", id="column-twice"),
    pytest.param("q.csv", b'"prompt\na\n', "has a header (line 1)", id="open-header"),
    pytest.param("q.csv", b"prompt,\xff\na,b\n", "has a header (line 1)", id="bad-utf8-header"),
    pytest.param("q.parquet", b"PAR1 but no more", "no whole Parquet file", id="no-parquet"),
    pytest.param("q.parquet", prompts(pa.array(["a"]))[:-9], "no whole Parquet", id="cut-parquet"),
    pytest.param("q.parquet", prompts(pa.array([1])), "'prompt' of type int64", id="int-prompt"),
    pytest.param("q.parquet", prompts(pa.array([["a"]])), "must hold text", id="list-prompt"),
    pytest.param("q.parquet", prompts(pa.array(["a"]), "ask"), "found 'ask', 'more'", id="ask"),
    pytest.param(
        "q.parquet", parquet_bytes(pa.table({"prompt": ["a"], "id": [1.5]})),
        "'id' of type double, it must hold text or integers", id="float-id",
    ),
    pytest.param(
        "q.parquet", parquet_bytes(pa.table({"prompt": ["a"], "split": [1]})),
        "rename it if it is not the split", id="int-split",
    ),
    pytest.param("q.txt", ROWS, "unknown extension; accepted are .jsonl", id="extension"),
    pytest.param("q.parquet.gz", ROWS, "compressed twice", id="parquet-gz"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "content", "sentence"), CASES)
def test_an_unreadable_file_is_refused_by_name(
    tmp_path: Path, name: str, content: bytes, sentence: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)

    with pytest.raises(InputError) as refused:
        list(iter_rows(path))

    assert str(path) in str(refused.value)
    assert sentence in str(refused.value)
    assert "; " in str(refused.value)


def test_a_missing_source_is_refused_at_the_call(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone\.jsonl does not exist"):
        iter_rows(tmp_path / "gone.jsonl")


def test_a_folder_without_rows_to_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "_SUCCESS").write_text("")
    (tmp_path / ".hidden.jsonl").write_bytes(ROWS)

    with pytest.raises(InputError, match="holds no file that can be read"):
        iter_rows(tmp_path)


def test_a_folder_of_empty_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").touch()
    (tmp_path / "b.csv").touch()

    with pytest.raises(InputError, match="holds no row in any file"):
        list(iter_rows(tmp_path))


def test_a_glob_that_matches_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="matches no file"):
        iter_rows(f"{tmp_path}/*.jsonl")


@pytest.mark.parametrize("source", ["s3://bucket/q.jsonl", "https://example.org/q.csv"])
def test_an_address_is_refused(source: str) -> None:
    with pytest.raises(InputError, match="download it"):
        iter_rows(source)


@pytest.mark.parametrize("source", ["a\x00b", "x" * 5000])
def test_an_impossible_path_is_refused(source: str) -> None:
    with pytest.raises(InputError):
        iter_rows(source)


def test_a_device_is_refused() -> None:
    with pytest.raises(InputError, match="neither a file nor a folder"):
        iter_rows("/dev/null")


@pytest.mark.parametrize("read", [lambda path: list(iter_rows(path)), input_fingerprint])
def test_a_file_without_permission_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read: object
) -> None:
    path = tmp_path / "q.jsonl"
    path.write_bytes(ROWS)

    def refuse(*args: object, **kwargs: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "open", refuse)

    with pytest.raises(InputError, match=r"q\.jsonl cannot be (opened|read): permission denied"):
        read(path)  # type: ignore[operator]


def test_a_parquet_file_damaged_in_the_middle_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "q.parquet"
    content = bytearray(prompts(pa.array([f"question {n}" for n in range(5000)])))
    content[100:600] = bytes(500)
    path.write_bytes(content)

    with pytest.raises(InputError, match="damaged"):
        list(iter_rows(path))
