"""Rows of a log of any form (JSON lines, CSV, Parquet), one after the other, every field kept."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from tasks.importing.errors import LogError
from tasks.read.columns import Columns
from tasks.read.csv_form import iter_csv
from tasks.read.errors import InputError
from tasks.read.json_form import iter_json
from tasks.read.lines import Record, TornStream, check_is_text
from tasks.read.parquet_form import iter_parquet
from tasks.read.rows import BadRow, ReadLimits
from tasks.read.sources import InputFile, find_files, open_stream


def find_file(path: Path) -> InputFile:
    """One file by its extension.

    Raises:
        LogError: it is not there, or its extension is unknown.
    """
    try:
        return find_files(path).files[0]
    except InputError as error:
        raise LogError(str(error)) from None


def column_names(file: InputFile, limits: ReadLimits) -> list[str] | None:
    """The names of all columns of a CSV or Parquet file; None for JSON lines, which have none.

    Raises:
        LogError: the file cannot be read.
    """
    if file.form == "jsonl":
        return None
    try:
        with closing(_items(file, limits)) as items:
            first = next(items, None)
    except InputError as error:
        raise LogError(str(error)) from None
    return first.names if isinstance(first, Columns) else []


def iter_records(file: InputFile, limits: ReadLimits) -> Generator[Record | BadRow, None, None]:
    """Rows in order, what is torn or broken as `BadRow` without its text; bounded memory.

    Raises:
        LogError: the whole file cannot be read.
    """
    try:
        for item in _items(file, limits):
            if isinstance(item, BadRow):
                yield replace(item, raw="")
            elif not isinstance(item, Columns):
                yield item
    except InputError as error:
        raise LogError(str(error)) from None


def _items(file: InputFile, limits: ReadLimits) -> Generator[Columns | Record | BadRow, None, None]:
    if file.form == "parquet":
        yield from iter_parquet(file, every=True)
        return
    with open_stream(file) as stream:
        check_is_text(file, stream)
        try:
            if file.form == "csv":
                yield from iter_csv(file, stream, limits, every=True)
            else:
                yield from iter_json(file, stream, limits)
        except TornStream as torn:
            if torn.number == 0:
                raise LogError(
                    f"{file.label} cannot be unpacked: it is cut off or damaged before its first "
                    f"row ({torn.cause}); fetch it again"
                ) from None
            reason = (
                f"the compressed data is cut off or damaged here ({torn.cause}); all lines before "
                f"it were read; fetch the file again for the rest"
            )
            yield BadRow(file.label, torn.number + 1, None, reason)
