"""JSON lines: one object a line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

from tasks.read.errors import InputError
from tasks.read.lines import Line, Record, iter_lines
from tasks.read.rows import BadRow, ReadLimits, describe, snippet

if TYPE_CHECKING:
    import io

    from tasks.read.sources import InputFile


def iter_json(
    file: InputFile, stream: io.BufferedReader, limits: ReadLimits
) -> Iterator[Record | BadRow]:
    """Objects of a JSON-lines file in order; a blank line is no row.

    Raises:
        InputError: the file is one JSON document over several lines.
        TornStream: compressed data breaks off.
    """
    decode = json.JSONDecoder().decode
    for line in iter_lines(file, stream, limits.max_line_bytes):
        number, data, oversize = line
        if oversize:
            reason = f"is {oversize:,} bytes long, more than {limits.max_line_bytes:,} a line"
            yield BadRow(file.label, number, None, reason, raw=snippet(data))
            continue
        try:
            values = decode(data.decode())
        except (ValueError, RecursionError) as error:
            if data.isspace():
                continue
            if number == 1:
                _check_is_lines(file, data)
            yield BadRow(file.label, number, None, _reason(line, error), raw=snippet(data))
            continue
        if type(values) is dict:
            yield Record(number, values, data)
        else:
            reason = f"must be a JSON object, is {describe(values)}"
            yield BadRow(file.label, number, None, reason, raw=snippet(data))


def _check_is_lines(file: InputFile, first: bytes) -> None:
    """Refuse a pretty-printed document: each of its lines would be a bad row."""
    if first.endswith(b"\n") and first.strip() in (b"[", b"{"):
        raise InputError(
            f"{file.label} is one JSON document over several lines, ATLAS reads one object a "
            f"line; convert it: jq -c '.[]?' {file.path.name} > {file.path.stem}.jsonl"
        )


def _reason(line: Line, error: Exception) -> str:
    """Why a line is no JSON, in a person's words."""
    if isinstance(error, UnicodeDecodeError):
        return f"is not valid UTF-8 at byte {error.start + 1} of the line"
    if b"\x00" in line.data:
        return f"holds a NUL character at byte {line.data.index(0) + 1} of the line"
    if isinstance(error, RecursionError):
        return "is nested too deeply"
    if not line.data.endswith(b"\n"):
        return "is cut off: the last line of the file is no whole JSON object"
    if isinstance(error, json.JSONDecodeError):
        return f"is not valid JSON: {error.msg} (column {error.colno})"
    return f"is not valid JSON: {error}"
