"""Rows of a backlog, one after the other, from any accepted form.

A row of plain form (JSON lines, CSV, Parquet) has the fields `custom_id` (or `id`, `query_id`),
`prompt` (or `text`, `question`) and, if it likes, `context`, `dataset`, `split`, `reference` and
`grader`. JSON lines may also be of OpenAI's batch form (`tasks.read.batch_form`).

If none of the first 100 rows of a file carries an id, ids `<file name>:<row>` are made up for
all of its rows; if one does, a row without an id is bad.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import closing
from itertools import chain, islice
from pathlib import Path
from typing import Any

from tasks.query import Query, content_hash
from tasks.read.batch_form import BATCH_NAMES, USED_BODY_NAMES, is_batch_form, parse_batch
from tasks.read.columns import Columns
from tasks.read.csv_form import iter_csv
from tasks.read.errors import InputError
from tasks.read.json_form import iter_json
from tasks.read.lines import Record, TornStream, check_is_text
from tasks.read.parquet_form import iter_parquet
from tasks.read.rows import (
    KNOWN_NAMES,
    BadRow,
    Draft,
    ReadLimits,
    RowProblem,
    parse_plain,
    snippet,
)
from tasks.read.sources import Found, InputFile, find_files, open_stream

ID_LOOKAHEAD_ROWS = 100
MAX_NAMES_SHOWN = 20

Placed = tuple[int, Draft]
"""A checked row with its 1-based place in its file."""


class Notes:
    """What a person should hear about one file once it is read, though no row is bad for it."""

    def __init__(self) -> None:
        self.unknown: dict[str, None] = {}
        self.unused_body: dict[str, None] = {}
        self.ungraded = 0

    def add_names(self, kept: dict[str, None], names: list[str]) -> None:
        """Remember a few names of fields, in order of appearance."""
        for name in names:
            if len(kept) < MAX_NAMES_SHOWN:
                kept[name[:60]] = None

    def see(self, values: dict[str, Any]) -> None:
        """Remember the names in one JSON object that nothing reads."""
        if values.keys() <= KNOWN_NAMES:
            return
        if not is_batch_form(values):
            self.add_names(self.unknown, [name for name in values if name not in KNOWN_NAMES])
            return
        if not values.keys() <= BATCH_NAMES:
            self.add_names(self.unknown, [name for name in values if name not in BATCH_NAMES])
        body = values.get("body")
        if isinstance(body, dict) and not body.keys() <= USED_BODY_NAMES:
            unused = [name for name in body if name not in USED_BODY_NAMES]
            self.add_names(self.unused_body, unused)

    def sentences(self, file: InputFile) -> list[str]:
        """The notes as warnings."""
        said = []
        if self.unknown:
            names = ", ".join(map(repr, self.unknown))
            said.append(f"{file.label}: columns that ATLAS does not know were not read: {names}")
        if self.unused_body:
            names = ", ".join(self.unused_body)
            said.append(f"{file.label}: settings in the body were not used, ATLAS chooses: {names}")
        if self.ungraded:
            said.append(
                f"{file.label}: rows that count as unlabelled: {self.ungraded:,} "
                f"(grader free or unknown, or no reference)"
            )
        return said


def iter_rows(
    source: str | Path,
    *,
    limit: int | None = None,
    limits: ReadLimits | None = None,
    warnings: list[str] | None = None,
    own_query_ids: bool = False,
) -> Iterator[Query | BadRow]:
    """Read a backlog row by row, files in order of their names, each opened when it is its turn.

    Nothing is held but the row at hand (and up to 100 rows at the start of a file without ids).
    That a `custom_id` is unique is for `stage_backlog` and `read_labelled` to check.

    Args:
        source: one file, a folder (searched recursively) or a glob.
        limit: stop after so many rows, bad ones included.
        limits: sizes beyond which a row is bad.
        warnings: a list that gets a sentence for each thing worth saying about a file, when the
            reading of that file ends.
        own_query_ids: let a file's `query_id` be the query's identity; else it is the content's
            hash, and `query_id` serves as one more name of `custom_id`.

    Raises:
        InputError: at the call when there is no such source; while reading when a whole file
            cannot be read.
    """
    found = find_files(source)
    said = warnings if warnings is not None else []
    return iter_found(found, source, limit, limits or ReadLimits(), said, own_query_ids)


def iter_found(
    found: Found,
    source: str | Path,
    limit: int | None,
    limits: ReadLimits,
    warnings: list[str],
    own_query_ids: bool,
) -> Iterator[Query | BadRow]:
    """`iter_rows` over files already found."""
    if found.skipped:
        names = ", ".join(found.skipped[:5]) + (" …" if len(found.skipped) > 5 else "")
        warnings.append(f"files of other kinds left aside: {len(found.skipped)} ({names})")
    count = 0
    for file in found.files:
        if limit is not None and count >= limit:
            break
        before = count
        remaining = None if limit is None else limit - count
        with closing(_read_file(file, limits, warnings)) as rows:
            for item in islice(rows, remaining):
                yield item if isinstance(item, BadRow) else _query(file, item, count, own_query_ids)
                count += 1
        if count == before and len(found.files) > 1:
            warnings.append(f"{file.label} is empty")
    if count == 0 and limit != 0:
        what = "is empty" if len(found.files) == 1 else "holds no row in any file"
        raise InputError(f"{source} {what}; give at least one row with a prompt")


def _query(file: InputFile, placed: Placed, index: int, own_query_ids: bool) -> Query:
    """A checked row in its place."""
    row, draft = placed
    query_id = draft.query_id if own_query_ids else None
    return Query(
        query_id or content_hash(draft.prompt, draft.context),
        draft.custom_id or f"{file.name}:{row}",
        draft.prompt,
        draft.context,
        index,
        file.label,
        row,
        draft.dataset,
        draft.split,
        draft.reference,
    )


def _read_file(
    file: InputFile, limits: ReadLimits, warnings: list[str]
) -> Generator[Placed | BadRow, None, None]:
    """Rows of one file with ids settled; its warnings are added when reading it ends."""
    notes = Notes()
    try:
        yield from _settle_ids(
            file, _check_rows(file, _records(file, limits, notes), limits, notes)
        )
    finally:
        warnings += notes.sentences(file)


def _records(file: InputFile, limits: ReadLimits, notes: Notes) -> Iterator[Record | BadRow]:
    """Unchecked rows of one file, whatever its form; torn data ends in a bad row."""
    if file.form == "parquet":
        yield from _noting_columns(iter_parquet(file), notes)
        return
    with open_stream(file) as stream:
        check_is_text(file, stream)
        try:
            if file.form == "csv":
                yield from _noting_columns(iter_csv(file, stream, limits), notes)
            else:
                yield from iter_json(file, stream, limits)
        except TornStream as torn:
            if torn.number == 0:
                raise InputError(
                    f"{file.label} cannot be unpacked: it is cut off or damaged before its first "
                    f"row ({torn.cause}); fetch it again"
                ) from None
            reason = (
                f"the compressed data is cut off or damaged here ({torn.cause}); "
                f"all lines before it were read; fetch the file again for the rest"
            )
            yield BadRow(file.label, torn.number + 1, None, reason)


def _noting_columns(
    items: Iterator[Columns | Record | BadRow] | Iterator[Columns | Record], notes: Notes
) -> Iterator[Record | BadRow]:
    """Take note of the columns that come first, hand on the rows."""
    for item in items:
        if isinstance(item, Columns):
            notes.add_names(notes.unknown, item.unknown)
        else:
            yield item


def _check_rows(
    file: InputFile, records: Iterator[Record | BadRow], limits: ReadLimits, notes: Notes
) -> Iterator[Placed | BadRow]:
    """Check the fields of each row."""
    is_json = file.form == "jsonl"
    for record in records:
        if isinstance(record, BadRow):
            yield record
            continue
        row, values, raw = record
        try:
            if is_json:
                notes.see(values)
            if is_json and is_batch_form(values):
                draft = parse_batch(values, limits)
            else:
                draft = parse_plain(values, limits)
        except RowProblem as bad:
            raw = snippet(raw)
            yield BadRow(file.label, row, bad.field, bad.reason, bad.custom_id, raw)
            continue
        notes.ungraded += draft.ungraded
        yield row, draft


def _settle_ids(file: InputFile, items: Iterator[Placed | BadRow]) -> Iterator[Placed | BadRow]:
    """Decide on the first rows whether the file brings ids, then hold every row to it."""
    first: list[Placed | BadRow] = []
    has_ids = False
    for item in items:
        first.append(item)
        has_ids = _has_id(item)
        if has_ids or len(first) >= ID_LOOKAHEAD_ROWS:
            break
    for item in chain(first, items):
        if not has_ids or isinstance(item, BadRow) or item[1].custom_id is not None:
            yield item
        else:
            reason = "is missing, though other rows of the file have one; give every row an id"
            row, draft = item
            yield BadRow(file.label, row, "custom_id", reason, raw=snippet(draft.prompt))


def _has_id(item: Placed | BadRow) -> bool:
    """Whether a row shows that its file means to bring ids."""
    if isinstance(item, BadRow):
        return item.custom_id is not None or item.field in ("custom_id", "id", "query_id")
    return item[1].custom_id is not None
