"""Labelled sets: ids, splits, references, repeats and contradictions."""

from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.grade.base import Reference
from tasks.query import content_hash
from tasks.read import InputError, LabelledSet, input_fingerprint, read_labelled

SHARED = Path("../shared/data")
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="the recorded tables are not here")


def write_lines(path: Path, *rows: object) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def row(text: str, answer: str | None = "1", **more: object) -> dict[str, object]:
    return {"text": text, "reference": answer, "grader": "exact", "split": "test", **more}


def splits(read: LabelledSet) -> dict[str, str | None]:
    return {query.prompt: query.split for query in read.queries}


def test_a_files_own_query_id_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "sums.parquet"
    table = {
        "query_id": ["q1", "q2", None],
        "text": ["2+2", "3+3", "4+4"],
        "dataset": ["sums", None, "sums"],
        "split": ["train", "test", "ood"],
        "reference": ["4", None, "8"],
        "grader": ["numeric", "choice", "free"],
    }
    pq.write_table(pa.table(table), path)

    read = read_labelled(path)

    assert [
        ("q1", "q1", "sums", "train", Reference("numeric", "4")),
        ("q2", "q2", "sums", "test", None),
    ] == [(q.query_id, q.custom_id, q.dataset, q.split, q.reference) for q in read.queries]
    assert [(bad.row, bad.field) for bad in read.bad] == [(3, "custom_id")]
    assert "rows that count as unlabelled: 2 " in read.warnings[0]
    assert input_fingerprint(path) == read.input_sha256


def test_without_query_ids_the_content_is_the_identity(tmp_path: Path) -> None:
    path = tmp_path / "sums.csv"
    with path.open("w", newline="") as file:
        rows = [["2+2", "4", "numeric", "test"], ["3+3", "6", "numeric", "train"]]
        csv.writer(file).writerows([["question", "reference", "grader", "split"], *rows])

    read = read_labelled(path)

    assert [
        (content_hash("2+2"), "sums.csv:2", "sums"),
        (content_hash("3+3"), "sums.csv:3", "sums"),
    ] == [(query.query_id, query.custom_id, query.dataset) for query in read.queries]
    assert [] == read.bad == read.warnings


def test_exact_repeats_are_kept_once_and_the_labelled_one_wins(tmp_path: Path) -> None:
    rows = [row("a", None), row("a"), row(" a "), row("b")]

    read = read_labelled(write_lines(tmp_path / "q.jsonl", *rows))

    assert [(query.prompt, query.source_row) for query in read.queries] == [("a", 2), ("b", 4)]
    assert "rows that repeat an earlier row and were left out: 2" in read.warnings
    assert read.bad == []


def test_contradicting_references_make_every_row_of_the_question_bad(tmp_path: Path) -> None:
    rows = [row("a", "1"), row("b"), row("a", "2"), row("a", "1")]
    path = write_lines(tmp_path / "q.jsonl", *rows)

    read = read_labelled(path)

    assert [query.prompt for query in read.queries] == ["b"]
    assert [(bad.row, bad.field) for bad in read.bad] == [
        (1, "reference"),
        (3, "reference"),
        (4, "reference"),
    ]
    assert (
        f"the same question has different references; keep the right one "
        f"(see {path}, row 3; {path}, row 4)"
    ) == read.bad[0].reason


def test_the_same_text_in_another_context_is_another_question(tmp_path: Path) -> None:
    rows = [row("a", "1", context="x"), row("a", "2", context="y")]

    read = read_labelled(write_lines(tmp_path / "q.jsonl", *rows))

    assert len(read.queries) == 2
    assert read.bad == []


def test_query_ids_tell_repeated_texts_apart(tmp_path: Path) -> None:
    rows = [row("a", "1", query_id="x"), row("a", "2", query_id="y", split="train")]

    read = read_labelled(write_lines(tmp_path / "q.jsonl", *rows))

    assert [query.query_id for query in read.queries] == ["x", "y"]
    assert read.bad == []
    leak, shared = read.warnings
    assert leak == "texts both in train and in a held-out split: 1"
    assert "under several query_ids: 1, of these with different references: 1;" in shared


def test_a_query_id_on_different_questions_is_bad_on_all_of_them(tmp_path: Path) -> None:
    rows = [row("a", query_id="x"), row("b", query_id="x"), row("c", query_id="y")]

    read = read_labelled(write_lines(tmp_path / "q.jsonl", *rows))

    assert [query.prompt for query in read.queries] == ["c"]
    assert [(bad.row, bad.field) for bad in read.bad] == [(1, "query_id"), (2, "query_id")]


def test_a_custom_id_used_twice_is_bad_the_second_time(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "q.jsonl", row("a", id="x"), row("b", id="x"))

    read = read_labelled(path)

    assert [query.prompt for query in read.queries] == ["a"]
    assert [(2, "custom_id", f"'x' was used before, in {path}, row 1; ids must be unique")] == [
        (bad.row, bad.field, bad.reason) for bad in read.bad
    ]


def test_a_set_without_a_usable_row_is_refused(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "q.jsonl", row("a", split="dev"), row(""))

    with pytest.raises(
        InputError, match=r"no usable row .bad rows: 2.; the first: .*row 1, field sp"
    ):
        read_labelled(path)


def test_missing_splits_are_drawn_seventy_to_thirty_per_dataset_by_seed(tmp_path: Path) -> None:
    rows = [{"text": f"{name} {n}", "dataset": name} for name in ("b", "a") for n in range(20)]
    path = write_lines(tmp_path / "q.jsonl", *rows)

    read = read_labelled(path)

    counts = Counter((query.dataset, query.split) for query in read.queries)
    assert counts == {("a", "train"): 14, ("a", "test"): 6, ("b", "train"): 14, ("b", "test"): 6}
    assert splits(read) == splits(read_labelled(path))
    assert splits(read) != splits(read_labelled(path, seed=1))
    assert read.warnings == ["rows without a split: 40; drawn 70 % train, 30 % test, with seed 42"]


def test_a_given_split_is_kept_and_a_repeated_text_follows_it(tmp_path: Path) -> None:
    rows = [
        {"query_id": f"{name}{n}", "text": f"t{n}", "dataset": name}
        for name in ("b", "a")
        for n in range(10)
    ]
    for given in rows[:5]:
        given["split"] = "ood"

    read = read_labelled(write_lines(tmp_path / "q.jsonl", *rows))

    assert [query.split for query in read.queries[:5]] == ["ood"] * 5
    by_text: dict[str, set[str | None]] = {}
    for query in read.queries:
        by_text.setdefault(query.prompt, set()).add(query.split)
    assert [len(seen) for seen in by_text.values()] == [1] * 10


@needs_shared
@pytest.mark.shared
@pytest.mark.parametrize("name", ["mathvista", "routellm", "tatqa", "routerbench", "routerdc"])
def test_a_recorded_table_is_read_row_for_row(name: str) -> None:
    path = SHARED / "outcomes" / name / "queries.parquet"
    table = pq.read_table(path).to_pydict()

    read = read_labelled(path)

    assert read.bad == []
    assert table["query_id"] == [query.query_id for query in read.queries]
    assert table["text"] == [query.prompt for query in read.queries]
    assert table["split"] == [query.split for query in read.queries]


@needs_shared
@pytest.mark.shared
@pytest.mark.parametrize("name", ["mathvista", "tatqa"])
def test_the_draw_gives_the_splits_of_the_recorded_tables(tmp_path: Path, name: str) -> None:
    table = pq.read_table(SHARED / "outcomes" / name / "queries.parquet")
    path = tmp_path / "queries.parquet"
    pq.write_table(table.drop_columns("split"), path)

    read = read_labelled(path)

    assert table["split"].to_pylist() == [query.split for query in read.queries]
