"""A plan is written whole or not at all, holds every row once, and never changes."""

from __future__ import annotations

import errno
import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from tasks.grade.base import Reference
from tasks.query import Query, content_hash
from tasks.read import (
    Duplicate,
    InputError,
    ReadLimits,
    Staged,
    StageError,
    input_fingerprint,
    load_chunk,
    load_duplicates,
    load_plan,
    stage_backlog,
    stage_queries,
)


def write_lines(path: Path, *rows: object) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def backlog(tmp_path: Path, count: int = 25) -> Path:
    rows = [{"id": f"r{n}", "prompt": f"question {n}"} for n in range(count)]
    return write_lines(tmp_path / "q.jsonl", *rows)


def staged_queries(folder: Path, plan: Staged) -> list[Query]:
    return [query for number in range(plan.chunks) for query in load_chunk(folder, number)]


def dead_letters(plan: Staged) -> list[dict[str, object]]:
    assert plan.dead_letter_path is not None
    lines = plan.dead_letter_path.read_text().splitlines()
    return [json.loads(line) for line in lines]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_every_row_goes_to_exactly_one_place(tmp_path: Path) -> None:
    path = write_lines(
        tmp_path / "q.jsonl",
        {"id": "a", "prompt": "one"},
        {"id": "b", "prompt": "two", "context": "c"},
        {"id": "c", "prompt": "  one\n"},
        {"id": "a", "prompt": "three"},
        {"id": "d", "prompt": ""},
        {"id": "e", "prompt": "two"},
        {"id": "f", "prompt": "one"},
    )
    folder = tmp_path / "run" / "plan"
    counts: list[int] = []

    plan = stage_backlog(path, folder, chunk_size=2, progress=counts.append)

    assert plan == Staged(
        rows=7,
        unique=3,
        duplicates=2,
        bad=2,
        chunks=2,
        duplicate_chunks=1,
        bytes=path.stat().st_size,
        input_sha256=input_fingerprint(path),
        chunk_size=2,
        limit=None,
        warnings=[],
        dead_letter_path=folder / "dead_letters.jsonl",
    )
    assert [names(folder)[:3], names(folder)[3:]] == [
        ["chunk-000000.parquet", "chunk-000001.parquet", "dead_letters.jsonl"],
        ["duplicates-000000.parquet", "plan.json"],
    ]
    assert [
        (query.custom_id, query.prompt, query.row_index) for query in staged_queries(folder, plan)
    ] == [("a", "one", 0), ("b", "two", 1), ("e", "two", 5)]
    asked = content_hash("one")
    assert load_duplicates(folder, 0) == [
        Duplicate("c", 2, asked, str(path), 3, "a"),
        Duplicate("f", 6, asked, str(path), 7, "a"),
    ]
    reused, empty = dead_letters(plan)
    assert reused == {
        "file": str(path),
        "row": 4,
        "field": "custom_id",
        "reason": f"'a' was used before, in {path}, row 1; ids must be unique",
        "custom_id": "a",
        "raw": "three",
    }
    assert (empty["row"], empty["field"], empty["custom_id"]) == (5, "prompt", "d")
    assert counts == [7]


def test_a_query_comes_back_with_every_field(tmp_path: Path) -> None:
    row = {
        "id": "é\t'\"",
        "prompt": "p\r\n\u2028😀",
        "context": "c",
        "dataset": "d",
        "split": "ood",
    }
    path = write_lines(
        tmp_path / "q.jsonl",
        row | {"reference": ["x", "y"], "grader": "exact"},
        {"id": "2", "prompt": "bare"},
    )
    folder = tmp_path / "plan"

    plan = stage_backlog(path, folder)

    full = Query(
        content_hash("p\r\n\u2028😀", "c"), "é\t'\"", "p\r\n\u2028😀", "c", 0, str(path), 1, "d",
        "ood", Reference("exact", '["x", "y"]'),
    )  # fmt: skip
    bare = Query(content_hash("bare"), "2", "bare", row_index=1, source=str(path), source_row=2)
    assert staged_queries(folder, plan) == [full, bare]


def test_ids_are_unique_across_files_and_batches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.read.stage.BATCH_ROWS", 3)
    source = tmp_path / "in"
    source.mkdir()
    one = [{"id": n, "prompt": f"p{n}"} for n in range(10)]
    two = [{"id": n, "prompt": f"p{n}"} for n in range(5, 15)] + [{"id": 99, "prompt": "p0"}]
    write_lines(source / "a.jsonl", *one)
    write_lines(source / "b.jsonl", *two)

    plan = stage_backlog(source, tmp_path / "plan", chunk_size=4)

    assert (plan.rows, plan.unique, plan.duplicates, plan.bad) == (21, 15, 1, 5)
    first = tmp_path / "in" / "a.jsonl"
    assert [letter["reason"] for letter in dead_letters(plan)] == [
        f"'{n}' was used before, in {first}, row {n + 1}; ids must be unique" for n in range(5, 10)
    ]
    (duplicate,) = load_duplicates(tmp_path / "plan", 0)
    assert (duplicate.custom_id, duplicate.first_custom_id) == ("99", "0")


def test_batches_end_where_much_text_has_gathered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.read.stage.BATCH_CHARS", 50)
    counts: list[int] = []

    stage_backlog(backlog(tmp_path), tmp_path / "plan", progress=counts.append)

    assert counts == [5, 10, 15, 20, 25]


def test_a_row_refused_for_its_id_leaves_its_question_to_the_next(tmp_path: Path) -> None:
    path = write_lines(
        tmp_path / "q.jsonl",
        {"id": "a", "prompt": "one"},
        {"id": "a", "prompt": "two"},
        {"id": "b", "prompt": "two"},
    )

    plan = stage_backlog(path, tmp_path / "plan")

    assert (plan.unique, plan.duplicates, plan.bad) == (2, 0, 1)
    assert [query.custom_id for query in staged_queries(tmp_path / "plan", plan)] == ["a", "b"]


def test_a_repeated_question_with_another_gold_answer_is_warned_of(tmp_path: Path) -> None:
    rows = [{"prompt": "one", "reference": value, "grader": "exact"} for value in "xxy"]

    plan = stage_backlog(write_lines(tmp_path / "q.jsonl", *rows), tmp_path / "plan")

    assert (plan.unique, plan.duplicates) == (1, 2)
    (warning,) = plan.warnings
    assert "another gold answer than its first row: 1; they are graded by the first" in warning


def test_a_finished_plan_is_returned_without_reading_the_source(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "q.jsonl", {"id": 1, "prompt": "x", "tag": 1}, {"id": 1})
    plan = stage_backlog(path, tmp_path / "plan", limit=5)
    path.unlink()

    assert stage_backlog(path, tmp_path / "plan", limit=5) == plan
    assert load_plan(tmp_path / "plan") == plan
    assert len(plan.warnings) == 1


def test_a_plan_of_another_cut_is_never_overwritten(tmp_path: Path) -> None:
    path = backlog(tmp_path)
    stage_backlog(path, tmp_path / "plan")
    before = {name: (tmp_path / "plan" / name).read_bytes() for name in names(tmp_path / "plan")}

    with pytest.raises(StageError, match="chunk size 500 and limit none, not 100 and none"):
        stage_backlog(path, tmp_path / "plan", chunk_size=100)
    with pytest.raises(StageError, match="not 500 and 3"):
        stage_backlog(path, tmp_path / "plan", limit=3)

    assert before == {name: (tmp_path / "plan" / name).read_bytes() for name in before}


def test_an_unfinished_folder_is_staged_from_empty_and_foreign_files_stay(tmp_path: Path) -> None:
    folder = tmp_path / "plan"
    stage_backlog(backlog(tmp_path), folder, chunk_size=5)
    (folder / "plan.json").unlink()
    (folder / "seen.sqlite").write_bytes(b"half an index")
    (folder / "chunk-notes.parquet").write_bytes(b"the user's own")

    plan = stage_backlog(backlog(tmp_path, 7), folder, chunk_size=5)

    assert (plan.unique, plan.chunks) == (7, 2)
    assert names(folder) == [
        "chunk-000000.parquet", "chunk-000001.parquet", "chunk-notes.parquet", "plan.json",
    ]  # fmt: skip


def test_the_same_backlog_gives_the_same_files(tmp_path: Path) -> None:
    path = backlog(tmp_path)
    for folder in ("one", "two"):
        stage_backlog(path, tmp_path / folder, chunk_size=10)

    assert names(tmp_path / "one") == names(tmp_path / "two")
    for name in names(tmp_path / "one"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def fail(error: Exception) -> object:
    def raise_it(*args: object, **kwargs: object) -> None:
        raise error

    return raise_it


@pytest.mark.parametrize(
    ("target", "number", "sentence"),
    [
        ("tasks.read.chunks.os.fsync", errno.ENOSPC, "no space left on device; free some space"),
        ("tasks.read.plan.json.dump", errno.EROFS, "read-only file system"),
        ("tasks.read.index.sqlite3.connect", errno.EACCES, "permission denied"),
    ],
)
def test_a_disk_that_refuses_is_named_and_left_clean(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: str, number: int, sentence: str
) -> None:
    folder = tmp_path / "plan"
    monkeypatch.setattr(target, fail(OSError(number, os.strerror(number))))

    with pytest.raises(StageError, match=sentence) as refused:
        stage_backlog(backlog(tmp_path), folder, chunk_size=5)

    assert str(folder) in str(refused.value)
    assert names(folder) == []


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")

    with pytest.raises(StageError, match="cannot be written"):
        stage_backlog(backlog(tmp_path), tmp_path / "file" / "plan")


def test_an_interruption_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        stage_backlog(
            backlog(tmp_path),
            tmp_path / "plan",
            chunk_size=5,
            progress=fail(KeyboardInterrupt()),  # type: ignore[arg-type]
        )

    assert names(tmp_path / "plan") == []


def test_an_unreadable_file_in_the_middle_leaves_nothing_behind(tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.mkdir()
    write_lines(source / "a.jsonl", {"prompt": "x"})
    (source / "b.jsonl").write_bytes(b"PAR1")

    with pytest.raises(InputError, match=r"b\.jsonl"):
        stage_backlog(source, tmp_path / "plan", chunk_size=1)

    assert names(tmp_path / "plan") == []


def test_a_source_that_changes_while_it_is_read_is_refused(tmp_path: Path) -> None:
    path = backlog(tmp_path)

    with pytest.raises(InputError, match="changed while it was read"):
        stage_backlog(path, tmp_path / "plan", progress=lambda _: path.write_text("x") and None)

    assert names(tmp_path / "plan") == []


def test_a_plan_inside_the_source_folder_is_refused(tmp_path: Path) -> None:
    backlog(tmp_path)

    with pytest.raises(InputError, match="the run's own folder"):
        stage_backlog(tmp_path, tmp_path / "runs" / "plan")


def test_a_chunk_size_below_one_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StageError, match="at least one query"):
        stage_backlog(backlog(tmp_path), tmp_path / "plan", chunk_size=0)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("{", "is damaged"),
        ("[]", "is damaged"),
        ('{"version": 1}', "is damaged"),
        ('{"version": 99}', "newer version"),
    ],
)
def test_an_unreadable_plan_is_refused(tmp_path: Path, content: str, sentence: str) -> None:
    (tmp_path / "plan.json").write_text(content)

    with pytest.raises(StageError, match=sentence):
        load_plan(tmp_path)


def test_a_missing_or_damaged_chunk_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "plan"
    stage_backlog(backlog(tmp_path, 400), folder)
    path = folder / "chunk-000000.parquet"
    content = bytearray(path.read_bytes())

    with pytest.raises(StageError, match="is missing"):
        load_chunk(folder, 1)
    with pytest.raises(StageError, match="is missing"):
        load_duplicates(folder, 0)
    content[len(content) // 3] ^= 1
    path.write_bytes(content)
    with pytest.raises(StageError, match="is damaged"):
        load_chunk(folder, 0)
    path.write_bytes(content[:-20])
    with pytest.raises(StageError, match="is damaged"):
        load_chunk(folder, 0)


def test_queries_at_hand_are_staged_by_their_own_ids(tmp_path: Path) -> None:
    queries = [
        Query("q1", "a", "same text", dataset="d", split="test", row_index=7),
        Query("q2", "b", "same text", dataset="d", split="test", row_index=9),
        Query("q1", "c", "same text"),
    ]

    plan = stage_queries(iter(queries), tmp_path, input_sha256="abc", chunk_size=1)

    assert (
        plan.rows, plan.unique, plan.duplicates, plan.bad, plan.input_sha256,
    ) == (3, 2, 1, 0, "abc")  # fmt: skip
    placed = [replace(queries[0], row_index=0), replace(queries[1], row_index=1)]
    assert staged_queries(tmp_path, plan) == placed
    assert stage_queries([], tmp_path, input_sha256="abc", chunk_size=1) == plan


def test_limits_reach_the_rows(tmp_path: Path) -> None:
    plan = stage_backlog(
        backlog(tmp_path), tmp_path / "plan", limits=ReadLimits(max_prompt_bytes=10)
    )

    assert (plan.unique, plan.bad) == (10, 15)
