"""Staging: a backlog read, checked, deduplicated and cut into chunks before a cent is spent.

A staged folder is immutable. It holds `chunk-000000.parquet` … with the unique queries,
`duplicates-000000.parquet` … with rows that repeat one of them, `dead_letters.jsonl` with the bad
rows, and `plan.json`, which is written last: a folder without it is unfinished, and staging
begins anew. The same backlog always gives the same chunks.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import IO

from tasks.query import Query
from tasks.read.chunks import (
    CHUNK,
    DUPLICATE_COLUMNS,
    DUPLICATES,
    QUERY_COLUMNS,
    ChunkWriter,
    Duplicate,
)
from tasks.read.errors import InputError, StageError
from tasks.read.formats import iter_found
from tasks.read.index import SeenIndex
from tasks.read.plan import PLAN, Staged, matching_plan, write_plan
from tasks.read.rows import BadRow, ReadLimits, snippet
from tasks.read.sources import InputFile, find_files, fingerprint_files

DEAD_LETTERS = "dead_letters.jsonl"
INDEX = "seen.sqlite"
DIGITS = "[0-9]" * 6
OWN_FILES = (
    PLAN,  # first: while it stands, the rest must stand too
    f"{PLAN}.tmp",
    f"{CHUNK}-{DIGITS}.parquet",
    f"{DUPLICATES}-{DIGITS}.parquet",
    DEAD_LETTERS,
    INDEX,
    f"{INDEX}-journal",
)
BATCH_ROWS = 4096
BATCH_CHARS = 8_000_000


def stage_backlog(
    source: str | Path,
    folder: str | Path,
    *,
    chunk_size: int = 500,
    limit: int | None = None,
    limits: ReadLimits | None = None,
    progress: Callable[[int], None] | None = None,
) -> Staged:
    """Read a backlog and write its plan; a plan that is there already is returned at once.

    Memory is bounded by `chunk_size` and the size limits, not by the backlog. A source that
    changed since is not noticed here: compare `Staged.input_sha256` with `input_fingerprint`.

    Args:
        source: one file, a folder or a glob (see `iter_rows`).
        folder: where the plan goes; made if missing. Other files in it are left alone.
        chunk_size: unique queries a chunk.
        limit: stop after so many rows, bad ones included.
        limits: sizes beyond which a row is bad.
        progress: called now and then with the number of rows read so far.

    Raises:
        InputError: the source cannot be read, or changed while it was read.
        StageError: the folder cannot be written, or holds the plan of another run.
    """
    folder = Path(folder)
    plan = matching_plan(folder, chunk_size, limit)
    if plan is not None:
        return plan
    found = find_files(source)
    _check_apart(Path(source), folder)
    before = _sizes_and_times(found.files)
    total = sum(size for size, _ in before)
    sha = fingerprint_files(found.files)
    warnings: list[str] = []
    rows = iter_found(found, source, limit, limits or ReadLimits(), warnings, False)

    def check_unchanged() -> None:
        if _sizes_and_times(found.files) != before:
            raise InputError(f"{source} changed while it was read; start again when it is at rest")

    plan = Staged(0, 0, 0, 0, 0, 0, total, sha, chunk_size, limit, warnings)
    return _stage(rows, folder, plan, progress, check_unchanged)


def stage_queries(
    queries: Iterable[Query],
    folder: str | Path,
    *,
    input_sha256: str,
    chunk_size: int = 500,
    progress: Callable[[int], None] | None = None,
) -> Staged:
    """Write the plan of queries that are at hand already, such as those of a labelled set.

    Two queries are one where their `query_id` is the same: a set that names its own query_ids is
    staged question by question, even where texts repeat. `row_index` is set anew by position.

    Raises:
        StageError: the folder cannot be written, or holds the plan of another run.
    """
    folder = Path(folder)
    plan = matching_plan(folder, chunk_size, None)
    if plan is not None:
        return plan
    placed = (replace(query, row_index=place) for place, query in enumerate(queries))
    plan = Staged(0, 0, 0, 0, 0, 0, 0, input_sha256, chunk_size, None)
    return _stage(placed, folder, plan, progress, lambda: None)


def _check_apart(source: Path, folder: Path) -> None:
    """Refuse to stage into the very folder that is read."""
    if source.is_dir() and folder.resolve().is_relative_to(source.resolve()):
        raise InputError(
            f"{source} contains {folder}, the run's own folder, whose files would be read as rows; "
            f"give the folder with the backlog alone"
        )


def _sizes_and_times(files: list[InputFile]) -> list[tuple[int, int]]:
    """Size in bytes and time of change in nanoseconds of each file."""
    try:
        stats = [file.path.stat() for file in files]
    except OSError as error:
        raise InputError(f"{error.filename} is gone: {error.strerror}; check the path") from None
    return [(stat.st_size, stat.st_mtime_ns) for stat in stats]


def _stage(
    rows: Iterable[Query | BadRow],
    folder: Path,
    plan: Staged,
    progress: Callable[[int], None] | None,
    check_unchanged: Callable[[], None],
) -> Staged:
    """Write every file of a plan, `plan.json` last; on any failure leave none of them."""
    with _explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
        _remove_own_files(folder)
    try:
        with _explained(folder):
            plan = _write_files(rows, folder, plan, progress)
            check_unchanged()
            write_plan(folder, plan)
    except BaseException:
        # What is left of a failed attempt is of no use and may be what fills the disk.
        with suppress(OSError):
            _remove_own_files(folder)
        raise
    return plan


def _write_files(
    rows: Iterable[Query | BadRow],
    folder: Path,
    plan: Staged,
    progress: Callable[[int], None] | None,
) -> Staged:
    """Write chunks, duplicates and dead letters; the plan with its counts filled in."""
    unique = ChunkWriter(folder, CHUNK, QUERY_COLUMNS, plan.chunk_size)
    duplicates = ChunkWriter(folder, DUPLICATES, DUPLICATE_COLUMNS, plan.chunk_size)
    count = bad = disagreeing = 0
    with (folder / DEAD_LETTERS).open("w", encoding="utf-8") as letters:
        with closing(SeenIndex(folder / INDEX)) as index:
            for batch in _batches(rows):
                lost, differing = _place(batch, index, unique, duplicates, letters)
                bad, disagreeing, count = bad + lost, disagreeing + differing, count + len(batch)
                if progress is not None:
                    progress(count)
        unique.flush()
        duplicates.flush()
        letters.flush()
        os.fsync(letters.fileno())
    (folder / INDEX).unlink()
    if not bad:
        (folder / DEAD_LETTERS).unlink()
    if disagreeing:
        plan.warnings.append(
            f"rows that repeat a question with another gold answer than its first row: "
            f"{disagreeing:,}; they are graded by the first"
        )
    return replace(
        plan,
        rows=count,
        unique=unique.rows,
        duplicates=duplicates.rows,
        bad=bad,
        chunks=unique.chunks,
        duplicate_chunks=duplicates.chunks,
        dead_letter_path=folder / DEAD_LETTERS if bad else None,
    )


def _batches(rows: Iterable[Query | BadRow]) -> Iterator[list[Query | BadRow]]:
    """Cut a stream where enough rows or enough text have gathered."""
    batch: list[Query | BadRow] = []
    chars = 0
    for row in rows:
        batch.append(row)
        if type(row) is Query:
            chars += len(row.prompt) + len(row.context)
        if len(batch) >= BATCH_ROWS or chars >= BATCH_CHARS:
            yield batch
            batch, chars = [], 0
    if batch:
        yield batch


def _place(
    batch: list[Query | BadRow],
    index: SeenIndex,
    unique: ChunkWriter,
    duplicates: ChunkWriter,
    letters: IO[str],
) -> tuple[int, int]:
    """Put each row of a batch where it belongs; how many were bad, how many disagreed."""
    taken = index.claim_ids(batch)
    queries = [item for item in batch if type(item) is Query and item.row_index not in taken]
    repeats = index.claim_questions(queries)
    bad = 0
    for item in batch:
        if isinstance(item, BadRow):
            letter = item
        elif item.row_index in taken:
            first = taken[item.row_index]
            where = f"{first.source}, row {first.source_row}"
            letter = BadRow(
                item.source,
                item.source_row,
                "custom_id",
                f"{item.custom_id!r} was used before, in {where}; ids must be unique",
                item.custom_id,
                snippet(item.prompt),
            )
        else:
            asker = repeats.get(item.row_index)
            if asker is None:
                unique.add(item)
            else:
                duplicates.add(_duplicate(item, asker.custom_id))
            continue
        bad += 1
        letters.write(json.dumps(asdict(letter)) + "\n")
    return bad, sum(asker.differs for asker in repeats.values())


def _duplicate(query: Query, first_custom_id: str) -> Duplicate:
    return Duplicate(
        query.custom_id,
        query.row_index,
        query.query_id,
        query.source,
        query.source_row,
        first_custom_id,
    )


def _remove_own_files(folder: Path) -> None:
    """Delete what staging writes, and nothing else."""
    for pattern in OWN_FILES:
        for path in folder.glob(pattern):
            path.unlink()


@contextmanager
def _explained(folder: Path) -> Iterator[None]:
    """Turn a refusal of the disk into a sentence."""
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        cause = getattr(error, "strerror", None) or str(error)
        raise StageError(
            f"the plan cannot be written to {folder}: {cause.lower()}; free some space or give a "
            f"folder that can be written, then start again"
        ) from None
