"""Which files a person means, and which kind of log each of them is.

A file tells what it is by its extension and its first readable row, never by its name alone:

    folder with queries.parquet and outcomes.parquet    table
    .eval; .json with `eval` and `version`              inspect
    rows with `doc`, `doc_id`, `arguments`              lm-eval
    rows with `custom_id` and `response` or `error`     openai-batch, output or error file
    rows with `custom_id` and `body`                    openai-batch, input file
    rows with `request_id`, `spend`, `startTime`        litellm
    any other rows                                      columns
"""

from __future__ import annotations

import glob
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from tasks.importing.errors import LogError
from tasks.importing.inspect_file import is_inspect_document
from tasks.importing.options import AUTO, Format
from tasks.importing.records import find_file, iter_records
from tasks.read.rows import BadRow, ReadLimits

QUERIES, OUTCOMES = "queries.parquet", "outcomes.parquet"
LOOKAHEAD_ROWS = 20
"""How many rows may be unreadable before the first that says what a file is."""

_EXTENSIONS = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet", ".pq", ".eval")
_COMPRESSIONS = (".gz", ".zst")
_OUR_OWN = ("dead_letters.jsonl",)


@dataclass(frozen=True, slots=True)
class LogFile:
    """One file, or for a table one folder, and the kind of log it is."""

    path: Path
    format: Format

    @property
    def label(self) -> str:
        """Its path as shown to people, always valid UTF-8."""
        return os.fsencode(self.path).decode("utf-8", "replace")


def find_logs(
    sources: Sequence[str | Path], format_: str, limits: ReadLimits, notes: list[str]
) -> list[LogFile]:
    """The logs that files, folders and globs hold, each once, sorted by path within a source.

    Args:
        sources: as typed.
        format_: one of `FORMATS`, or `auto`.
        limits: sizes beyond which a row is not looked at.
        notes: gets a sentence about files that are left aside.

    Raises:
        LogError: a source is missing, or none of its files is a log.
    """
    found: dict[Path, LogFile] = {}
    for source in sources:
        before = len(found)
        named = Path(source).is_file()
        aside: list[str] = []
        for path in _paths(source):
            try:
                log = LogFile(path, _format_of(path, format_, limits))
            except _Metadata:
                continue
            except LogError:
                if named:
                    raise
                aside.append(path.name)
                continue
            found.setdefault(path.resolve(), log)
        if aside:
            shown = ", ".join(aside[:5]) + (" …" if len(aside) > 5 else "")
            notes.append(f"{source}: files that are no log were left aside: {len(aside)} ({shown})")
        if len(found) == before and not any(_same(source, one) for one in found):
            raise LogError(
                f"{source} holds no log that can be read; known are lm-eval samples, Inspect logs, "
                f"OpenAI batch files, LiteLLM spend logs, recorded tables, and rows with --map"
            )
    return list(found.values())


def _same(source: str | Path, one: Path) -> bool:
    return one.is_relative_to(Path(source).resolve()) or glob.has_magic(str(source))


class _Metadata(Exception):  # noqa: N818 - never leaves this module
    """A file that belongs to a log and is no log itself."""


def _paths(source: str | Path) -> list[Path]:
    path = Path(source)
    try:
        if path.is_dir():
            return list(_walk(path))
        if path.is_file():
            return [path]
    except (OSError, ValueError) as error:
        raise LogError(f"{source} cannot be read: {error}") from None
    if glob.has_magic(str(source)):
        matches = sorted(glob.glob(str(source), recursive=True))  # noqa: PTH207 - absolute too
        return [
            one
            for match in map(Path, matches)
            for one in (_walk(match) if match.is_dir() else [match])
        ]
    raise LogError(f"{path} does not exist (looked in {Path.cwd()}); check the path")


def _walk(folder: Path) -> Iterator[Path]:
    """Tables and files of known extension under a folder, sorted by path."""
    if is_table(folder):
        yield folder
        return
    for path in sorted(folder.iterdir()):
        if path.name[0] in "._" or path.name in _OUR_OWN:
            continue
        if path.is_dir():
            yield from _walk(path)
        elif _extension(path) in _EXTENSIONS:
            yield path


def _extension(path: Path) -> str:
    name = path.name.lower()
    for ending in _COMPRESSIONS:
        name = name.removesuffix(ending)
    return Path(name).suffix


def is_table(folder: Path) -> bool:
    """Whether a folder holds a table of recorded outcomes."""
    return (folder / QUERIES).is_file() and (folder / OUTCOMES).is_file()


def detect(path: Path, limits: ReadLimits | None = None) -> Format:
    """The kind of log a file or a table's folder is.

    Raises:
        LogError: it is none, or cannot be read.
    """
    try:
        return _format_of(path, AUTO, limits or ReadLimits())
    except _Metadata:
        raise LogError(
            f"{path} holds the totals of an lm-eval run; give its samples_*.jsonl"
        ) from None


def _format_of(path: Path, format_: str, limits: ReadLimits) -> Format:
    if path.is_dir():
        return "table"
    extension = _extension(path)
    if extension == ".eval":
        return "inspect"
    if extension == ".json":
        document = _document_kind(path)
        if document is not None:
            return document
    if format_ == "inspect":
        return "inspect"
    if format_ == "table":
        raise LogError(
            f"{path} is a file; a table of recorded outcomes is a folder with {QUERIES} and "
            f"{OUTCOMES}"
        )
    if format_ in ("lm-eval", "openai-batch", "litellm", "columns"):
        return format_  # type: ignore[return-value]
    return _kind_of_rows(path, limits)


def _document_kind(path: Path) -> Format | None:
    """What a .json file is if it is one document; None if it looks like lines of JSON."""
    if is_inspect_document(path):
        return "inspect"
    if path.name.startswith("results_"):
        raise _Metadata
    with path.open("rb") as file:
        start = file.read(1 << 16).lstrip(b"\xef\xbb\xbf \t\r\n")
    first = start.partition(b"\n")[0].strip()
    if first in (b"{", b"["):
        raise LogError(
            f"{path} is one JSON document and no Inspect log; ATLAS reads one object a line: "
            f"jq -c '.[]?' {path.name} > {path.stem}.jsonl"
        )
    if first.startswith(b"["):
        raise LogError(
            f"{path} is a list on one line, ATLAS reads one object a line: "
            f"jq -c '.[]' {path.name} > {path.stem}.jsonl"
        )
    return None


def _kind_of_rows(path: Path, limits: ReadLimits) -> Format:
    file = find_file(path)
    with closing(iter_records(file, limits)) as rows:
        for item in islice(rows, LOOKAHEAD_ROWS):
            if not isinstance(item, BadRow):
                return kind_of(item.values)
    raise LogError(
        f"{path} holds no readable row among its first {LOOKAHEAD_ROWS}: it is empty, or of "
        f"another format; say which with --format"
    )


def kind_of(record: Mapping[str, Any]) -> Format:
    """The kind of log that a row belongs to, by the names of its fields."""
    names = record.keys()
    if {"doc_id", "doc", "arguments"} <= names:
        return "lm-eval"
    if "custom_id" in names and names & {"response", "error", "body"}:
        return "openai-batch"
    if "request_id" in names and names & {"spend", "call_type"} and "startTime" in names:
        return "litellm"
    return "columns"


def read_json(path: Path) -> Any:  # noqa: ANN401 - whatever is there
    """A small JSON file, None where it cannot be read."""
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError):
        return None
