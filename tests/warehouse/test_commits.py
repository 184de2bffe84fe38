from __future__ import annotations

import errno
import hashlib
import os
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from warehouse.commits import CommitRecord, published, remove_uncommitted, verify, write_file
from warehouse.errors import WarehouseError
from warehouse.tables import SCHEMA_VERSION, schema, schema_sha, to_arrow

NOW = datetime(2026, 11, 20, tzinfo=UTC)


def rows(count: int = 3) -> pa.Table:
    return to_arrow(
        "answers",
        [
            {
                "run_id": "run",
                "chunk_id": "00000",
                "custom_id": f"c-{number}",
                "query_id": f"q-{number}",
                "row_index": number,
                "answer": "42",
                "status": "answered",
                "attempts": 1,
                "cost_usd": Decimal("0.0001"),
                "answered_at": NOW,
            }
            for number in range(count)
        ],
    )


def write(root: Path, data: pa.Table | None = None, **changes: Any) -> CommitRecord:
    arguments: dict[str, Any] = {
        "table": "answers",
        "run_id": "run",
        "chunk_id": "00000",
        "data": rows() if data is None else data,
        "code_version": "0.1.0",
        "now": NOW,
    }
    return write_file(root, **arguments | changes)


def test_record_describes_the_file_that_was_written(tmp_path: Path) -> None:
    record = write(tmp_path)

    content = (tmp_path / record.path).read_bytes()
    assert record.path == "answers/run_id=run/chunk-00000.parquet"
    assert (len(content), hashlib.sha256(content).hexdigest()) == (record.bytes, record.sha256)
    assert (3, SCHEMA_VERSION, schema_sha("answers")) == (
        record.rows,
        record.schema_version,
        record.schema_sha,
    )


def test_file_holds_the_declared_schema_compressed_with_zstd(tmp_path: Path) -> None:
    record = write(tmp_path)

    file = pq.ParquetFile(tmp_path / record.path)
    assert file.schema_arrow.equals(schema("answers"), check_metadata=True)
    assert file.metadata.row_group(0).column(0).compression == "ZSTD"
    assert rows().equals(file.read())


def test_record_keeps_utc(tmp_path: Path) -> None:
    record = write(tmp_path, now=NOW.astimezone(timezone(timedelta(hours=5))))

    assert (NOW, UTC) == (record.committed_at, record.committed_at.tzinfo)


def test_no_temporary_file_stays(tmp_path: Path) -> None:
    record = write(tmp_path)

    assert [tmp_path / record.path] == [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_file_that_exists_is_never_replaced(tmp_path: Path) -> None:
    first = write(tmp_path)
    second = write(tmp_path, rows(5))

    assert second.path == "answers/run_id=run/chunk-00000.1.parquet"
    assert first.commit_id != second.commit_id
    assert tmp_path / first.path == verify(tmp_path, first)
    assert tmp_path / second.path == verify(tmp_path, second)


def test_data_of_another_schema_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(WarehouseError, match=r"declared columns of table 'answers'.*to_arrow"):
        write(tmp_path, pa.table({"answer": ["42"]}))

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["../up", "a/b", "", ".", "a b", "x" * 300, "a\0b", "a\n"])
def test_ids_that_cannot_name_a_file_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(WarehouseError, match="cannot name a file"):
        write(tmp_path, run_id=name)
    with pytest.raises(WarehouseError, match="cannot name a file"):
        write(tmp_path, chunk_id=name)


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "free some space"),
        (errno.EROFS, "choose another folder"),
        (errno.EACCES, "choose another folder"),
        (errno.EIO, "reports a fault"),
        (errno.EMFILE, "more open files"),
        (errno.EBUSY, "run the same command again"),
    ],
)
@pytest.mark.parametrize("moment", ["write", "sync", "rename"])
def test_failing_disk_becomes_a_sentence_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, words: str, moment: str
) -> None:
    def fail(*arguments: object, **_options: object) -> None:
        if moment == "write":
            Path(str(arguments[1])).write_bytes(b"PAR1 half a file")
        raise OSError(number, os.strerror(number))

    (tmp_path / "answers" / "run_id=run").mkdir(parents=True)
    place = {"write": (pq, "write_table"), "sync": (os, "fsync"), "rename": (Path, "replace")}
    with monkeypatch.context() as patch:
        patch.setattr(*place[moment], fail)
        with pytest.raises(WarehouseError, match=words) as caught:
            write(tmp_path)

    assert "chunk-00000.parquet" in str(caught.value)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no RLIMIT_FSIZE")
def test_refused_write_in_the_middle_of_a_file_is_a_sentence(tmp_path: Path) -> None:
    """A real short write: the kernel refuses bytes past a limit, as a full disk does."""
    script = """
import resource, signal, sys
from datetime import UTC, datetime
from pathlib import Path
from warehouse.commits import published
from warehouse.errors import WarehouseError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
import pyarrow as pa, pyarrow.parquet as pq
try:
    with published(Path(sys.argv[1]) / "file.parquet") as temporary:
        pq.write_table(pa.table({"a": list(range(100_000))}), temporary, compression="none")
except WarehouseError as error:
    print(error)
"""
    root = Path(__file__).parents[2]
    result = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], cwd=root, capture_output=True, text=True
    )

    assert result.stdout.startswith(f"Cannot write {tmp_path / 'file.parquet'}: "), result.stderr
    assert list(tmp_path.iterdir()) == []


def test_file_where_a_folder_should_be_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "answers").write_text("in the way")

    with pytest.raises(WarehouseError, match="Check the path"):
        write(tmp_path)


def test_published_replaces_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "file"
    target.write_text("old")

    def fail() -> None:
        with published(target) as temporary:
            temporary.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert target.read_text() == "old"

    with published(target) as temporary:
        temporary.write_text("new")
    assert target.read_text() == "new"
    assert [target] == list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        pytest.param(lambda path: path.unlink(), "is missing", id="missing"),
        pytest.param(lambda path: os.truncate(path, 10), "has 10 bytes where", id="torn"),
        pytest.param(
            lambda path: path.write_bytes(bytes(path.stat().st_size)), "other content", id="zeroed"
        ),
    ],
)
def test_damaged_file_is_named_with_its_rows_and_the_remedy(
    tmp_path: Path, damage: Any, words: str
) -> None:
    record = write(tmp_path)
    damage(tmp_path / record.path)

    with pytest.raises(WarehouseError, match=words) as caught:
        verify(tmp_path, record)

    message = str(caught.value)
    assert str(tmp_path / record.path) in message
    assert "3 rows" in message
    assert "Restore the file from a backup" in message


def test_verify_without_content_sees_the_size_only(tmp_path: Path) -> None:
    record = write(tmp_path)
    path = tmp_path / record.path
    path.write_bytes(bytes(record.bytes))

    assert path == verify(tmp_path, record, content=False)


def test_uncommitted_files_are_moved_aside_and_committed_ones_stay(tmp_path: Path) -> None:
    kept = write(tmp_path)
    lost = write(tmp_path, chunk_id="00001")
    other_run = write(tmp_path, run_id="other")
    half = tmp_path / "answers" / "run_id=run" / ".chunk-00002.parquet.1.ab.tmp"
    half.write_bytes(b"half")

    gone = remove_uncommitted(tmp_path, "run", iter([kept]))

    assert [half.relative_to(tmp_path), Path(lost.path)] == gone
    assert not half.exists()
    assert tmp_path / kept.path == verify(tmp_path, kept)
    assert tmp_path / other_run.path == verify(tmp_path, other_run)
    aside = replace(lost, path=f"uncommitted/{lost.path}.aside")
    assert tmp_path / aside.path == verify(tmp_path, aside)
    assert remove_uncommitted(tmp_path, "run", [kept]) == []


def test_chunk_takes_its_own_name_again_after_the_clearing(tmp_path: Path) -> None:
    lost = write(tmp_path)
    remove_uncommitted(tmp_path, "run", [])

    assert lost.path == write(tmp_path).path


def test_clearing_a_run_that_wrote_nothing_does_nothing(tmp_path: Path) -> None:
    assert remove_uncommitted(tmp_path, "run", []) == []
