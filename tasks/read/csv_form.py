"""CSV with a header, by the letter of RFC 4180, with a way back after a broken row.

Written here rather than left to the `csv` module because that one joins a stray quote silently
with the rows after it, and one lost row in a million is one too many. Strict: a quote may open a
field, close it, or stand doubled inside it. A record may span lines inside quotes.

Where a record is broken, its first line is the bad row and reading goes on with the line after
it, so that a stray quote costs one row and not all rows up to the next quote. Not so in a file
of one column, where any line of a broken record would pass for a row of its own: there the whole
record is the bad row.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING

from tasks.read.columns import Columns, every_column, find_columns
from tasks.read.errors import InputError
from tasks.read.lines import Line, Record, iter_lines
from tasks.read.rows import BadRow, ReadLimits, snippet

if TYPE_CHECKING:
    import io

    from tasks.read.sources import InputFile

DELIMITERS = (",", ";", "\t")
NAMES = {",": "comma", ";": "semicolon", "\t": "tab"}
REREAD_RECORDS = 16
"""How many records of the largest size may be read a second time in one file: bounds the time a
file full of stray quotes can take. Beyond, a broken record is one bad row as a whole."""

LINE_OVERHEAD_BYTES = 128
"""What keeping a line costs beside its bytes, so that many short lines are bounded too."""

QUOTED = re.compile(r'(?:[^"]++|"")*+')


class CsvProblem(Exception):  # noqa: N818 - becomes a BadRow
    """Why the lines at hand are no record."""


class RecordSplitter:
    """Cuts lines into records; each character is looked at once, however many lines they span."""

    def __init__(self, delimiter: str) -> None:
        self.delimiter = delimiter
        self._unquoted = re.compile(f'[^"{re.escape(delimiter)}]*+')
        self._fields: list[str] = []
        self._open: list[str] | None = None

    @property
    def is_open(self) -> bool:
        """Whether a quoted field still waits for its closing quote."""
        return self._open is not None

    def reset(self) -> None:
        """Forget the record begun."""
        self._fields, self._open = [], None

    def feed(self, line: str) -> list[str] | None:
        """Take one line with its ending; the fields of the record it completes, or None.

        Raises:
            CsvProblem: a quote where none may stand; the splitter is ready for a new record.
        """
        stop = len(line) - (2 if line.endswith("\r\n") else line.endswith("\n"))
        if self._open is None and '"' not in line:
            return line[:stop].split(self.delimiter)
        try:
            return self._scan(line, stop)
        except CsvProblem:
            self.reset()
            raise

    def _scan(self, line: str, stop: int) -> list[str] | None:
        place = 0
        is_quoted = self._open is not None
        while True:
            if not is_quoted and line.startswith('"', place, stop):
                is_quoted, place = True, place + 1
            if is_quoted:
                closed = self._read_quoted(line, place)
                if closed is None:
                    return None
                place = closed
            else:
                place = self._read_unquoted(line, place, stop)
            if place >= stop:
                fields = self._fields
                self.reset()
                return fields
            if line[place] != self.delimiter:
                raise CsvProblem(f"has text after the closing quote of field {len(self._fields)}")
            place, is_quoted = place + 1, False

    def _read_quoted(self, line: str, place: int) -> int | None:
        """Read up to the closing quote; where the text goes on, or None if it is not here."""
        match = QUOTED.match(line, place)
        end = match.end() if match else place
        parts = self._open or []
        parts.append(line[place:end])
        if end == len(line):
            self._open = parts
            return None
        self._fields.append("".join(parts).replace('""', '"'))
        self._open = None
        return end + 1

    def _read_unquoted(self, line: str, place: int, stop: int) -> int:
        match = self._unquoted.match(line, place, stop)
        end = match.end() if match else place
        self._fields.append(line[place:end])
        if line.startswith('"', end, stop):
            raise CsvProblem(
                f"has a quote inside field {len(self._fields)}, which does not begin with one; "
                f"put the field in quotes and double the quotes inside it"
            )
        return end


def iter_csv(
    file: InputFile, stream: io.BufferedReader, limits: ReadLimits, *, every: bool = False
) -> Iterator[Columns | Record | BadRow]:
    """The columns of a CSV file first, then its records; an empty line is no row.

    Args:
        file: names the rows.
        stream: its bytes.
        limits: the largest line and record.
        every: read every column under its own name; else the fields that a backlog knows.

    Raises:
        InputError: no header, one without a prompt column (unless `every`), or a column twice.
        TornStream: compressed data breaks off.
    """
    budget = REREAD_RECORDS * limits.max_line_bytes
    lines = _Rewindable(iter_lines(file, stream, limits.max_line_bytes), budget)
    splitter, columns = _read_header(file, lines, every=every)
    yield columns
    for start in lines:
        if start.data in (b"\n", b"\r\n", b"\r"):
            continue
        taken = [start]
        try:
            fields = _read_record(splitter, lines, taken, limits.max_line_bytes)
            if len(fields) != columns.count:
                raise CsvProblem(f"field count is {len(fields)}, the header's is {columns.count}")
        except CsvProblem as problem:
            reason = _reason(problem, taken)
            if columns.count == 1 or not lines.go_back(taken[1:]):
                _skip_quoted(splitter, lines)
            splitter.reset()
            yield BadRow(file.label, start.number, None, reason, raw=_raw(taken))
        else:
            values = columns.pick(fields)
            yield Record(start.number, values, start.data if len(taken) == 1 else _raw(taken))


class _Rewindable(Iterator[Line]):
    """Lines that can be given back."""

    def __init__(self, lines: Iterator[Line], budget_bytes: int) -> None:
        self._lines = lines
        self._returned: deque[Line] = deque()
        self._budget_bytes = budget_bytes

    def __next__(self) -> Line:
        return self._returned.popleft() if self._returned else next(self._lines)

    def go_back(self, lines: list[Line]) -> bool:
        """Read these lines again next; False where going back has been overdone."""
        self._budget_bytes -= sum(len(line.data) + LINE_OVERHEAD_BYTES for line in lines)
        if self._budget_bytes < 0:
            return False
        self._returned.extendleft(reversed(lines))
        return True


def _read_record(
    splitter: RecordSplitter, lines: Iterator[Line], taken: list[Line], max_bytes: int
) -> list[str]:
    """Feed lines until a record is whole; `taken` gathers what was read.

    Raises:
        CsvProblem: no record; the splitter is open still where the record is only too large.
    """
    size = 0
    line: Line | None = taken[0]
    while line is not None:
        if line.oversize:
            raise CsvProblem(f"has a line of more than {max_bytes:,} bytes")
        try:
            fields = splitter.feed(line.data.decode())
        except UnicodeDecodeError as error:
            splitter.reset()
            where = f"byte {error.start + 1} of line {line.number}"
            raise CsvProblem(f"is not valid UTF-8 at {where}") from None
        if fields is not None:
            return fields
        size += len(line.data) + LINE_OVERHEAD_BYTES
        if size > max_bytes:
            raise CsvProblem(f"has a quote that is not closed within {max_bytes:,} bytes")
        line = next(lines, None)
        if line is not None:
            taken.append(line)
    splitter.reset()
    raise CsvProblem("has a quote that is never closed")


def _skip_quoted(splitter: RecordSplitter, lines: Iterator[Line]) -> None:
    """Pass over the rest of a record too large to keep: to where its open quote closes."""
    line = next(lines, None) if splitter.is_open else None
    while line is not None and not line.oversize and line.data.count(b'"') % 2 == 0:
        line = next(lines, None)


def _reason(problem: CsvProblem, taken: list[Line]) -> str:
    """The problem, with the lines it spans and whether the file ends there."""
    reason = str(problem)
    if not taken[-1].data.endswith(b"\n") and not taken[-1].oversize:
        reason += "; the file ends here, its last row may be cut off"
    if len(taken) > 1:
        reason += f" (lines {taken[0].number} to {taken[-1].number})"
    return reason


def _raw(taken: list[Line]) -> str:
    return snippet(b"".join(line.data for line in taken[:40]))


def _read_header(
    file: InputFile, lines: Iterator[Line], *, every: bool
) -> tuple[RecordSplitter, Columns]:
    """Find the delimiter whose header has a prompt column, else the one that cuts most."""
    line = next((line for line in lines if line.data.strip()), None)
    if line is None:
        return RecordSplitter(","), Columns.empty()
    best: tuple[bool, int, RecordSplitter, list[str]] | None = None
    for delimiter in DELIMITERS:
        splitter = RecordSplitter(delimiter)
        try:
            names = splitter.feed(line.data.decode())
        except (UnicodeDecodeError, CsvProblem):
            continue
        if names is None or line.oversize:
            continue
        has_prompt = not every and find_columns(names).prompt is not None
        if best is None or (has_prompt, len(names)) > best[:2]:
            best = has_prompt, len(names), splitter, names
    if best is None:
        raise InputError(
            f"{file.label} has a header (line {line.number}) that cannot be read; write the "
            f"column names on one line in UTF-8, separated by commas, semicolons or tabs"
        )
    splitter, names = best[2:]
    if every:
        columns = every_column(names)
        columns.require_distinct(file.label)
        return splitter, columns
    columns = find_columns(names)
    columns.require(file.label, f"separated by {NAMES[splitter.delimiter]}")
    return splitter, columns
