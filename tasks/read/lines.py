"""Lines of a text file in bounded memory, and the first look that tells text from anything else."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from tasks.read.errors import InputError
from tasks.read.rows import SNIPPET_CHARS

if TYPE_CHECKING:
    import io

    from tasks.read.sources import InputFile

BOM = b"\xef\xbb\xbf"
SAMPLE_BYTES = 8192
BINARY_SHARE = 0.3
"""Share of bytes in the sample that are no UTF-8 text beyond which a file counts as binary."""

WIDE_BOMS = (
    (b"\xff\xfe\x00\x00", "UTF-32"),
    (b"\x00\x00\xfe\xff", "UTF-32"),
    (b"\xff\xfe", "UTF-16"),
    (b"\xfe\xff", "UTF-16"),
)
SIGNATURES = (
    (b"PAR1", "a Parquet file; rename it to end in .parquet"),
    (b"\x1f\x8b", "gzip-compressed; rename it to end in .gz"),
    (b"\x28\xb5\x2f\xfd", "zstd-compressed; rename it to end in .zst"),
    (b"PK\x03\x04", "a zip archive or an Excel workbook; unpack it, or save it as CSV in UTF-8"),
    (b"%PDF-", "a PDF document; ATLAS reads rows, not documents"),
    (b"SQLite format 3\x00", "an SQLite database; export the table as CSV"),
)
CONTROLS = bytes(code for code in range(32) if code not in b"\t\n\r\f\x1b")


class Line(NamedTuple):
    """One line with its ending.

    Attributes:
        number: 1-based.
        data: the bytes; of a line that is too long only its beginning.
        oversize: length in bytes of a line that is too long, else 0.
    """

    number: int
    data: bytes
    oversize: int


class TornStream(Exception):  # noqa: N818 - becomes a BadRow or an InputError
    """Compressed data breaks off or is damaged after `number` whole lines."""

    def __init__(self, number: int, cause: str) -> None:
        super().__init__(cause)
        self.number = number
        self.cause = cause


def tear_errors() -> tuple[type[Exception], ...]:
    """What gzip, zlib and zstd raise over cut or damaged data."""
    import zstandard

    return EOFError, zlib.error, gzip.BadGzipFile, zstandard.ZstdError


def iter_lines(file: InputFile, stream: io.BufferedReader, max_bytes: int) -> Iterator[Line]:
    """Read line by line, never holding more than `max_bytes` of one line.

    A byte order mark at the very beginning is dropped.

    Raises:
        TornStream: compressed data breaks off; the lines before were yielded.
        InputError: the disk fails.
    """
    torn = tear_errors()
    number = 0
    try:
        if stream.peek(3)[:3] == BOM:
            stream.read(3)
        while data := stream.readline(max_bytes + 1):
            oversize = 0
            if len(data) > max_bytes and data[-1] != 0x0A:
                data, oversize = data[: 4 * SNIPPET_CHARS], len(data) + _skip_line(stream)
            number += 1
            yield Line(number, data, oversize)
    except torn as error:
        raise TornStream(number, str(error)) from None
    except OSError as error:
        cause = error.strerror or str(error)
        raise InputError(f"{file.label} cannot be read after line {number}: {cause}") from None


def _skip_line(stream: io.BufferedReader) -> int:
    """Read to the end of a line in pieces; how many bytes that was."""
    skipped = 0
    while piece := stream.readline(1 << 20):
        skipped += len(piece)
        if piece[-1] == 0x0A:
            break
    return skipped


def check_is_text(file: InputFile, stream: io.BufferedReader) -> None:
    """Refuse what no row can come of: another format, another encoding, binary data.

    Raises:
        InputError: what the file is instead, and what to do.
    """
    try:
        sample = stream.peek(SAMPLE_BYTES)[:SAMPLE_BYTES]
    except gzip.BadGzipFile:
        raise InputError(_misnamed(file, "gzip")) from None
    except tear_errors() as error:
        if file.compression == ".zst" and not isinstance(error, EOFError):
            raise InputError(_misnamed(file, "zstd")) from None
        return  # torn before the first byte: reading it says so, with the row
    except OSError as error:
        raise InputError(f"{file.label} cannot be read: {error.strerror or error}") from None
    for mark, encoding in WIDE_BOMS:
        if sample.startswith(mark):
            raise InputError(_other_encoding(file, encoding))
    for signature, verdict in SIGNATURES:
        if sample.startswith(signature):
            raise InputError(f"{file.label} is {verdict}")
    if _is_wide(sample):
        raise InputError(_other_encoding(file, "UTF-16"))
    if _foreign_share(sample) > BINARY_SHARE:
        raise InputError(
            f"{file.label} is not UTF-8 text: it is binary, or text in another encoding; "
            f"give it the extension of what it is, or save it as UTF-8"
        )


def _misnamed(file: InputFile, kind: str) -> str:
    return (
        f"{file.label} is named {file.compression} but is not {kind}-compressed, or its beginning "
        f"is damaged; rename it if it is plain text, else fetch it again"
    )


def _other_encoding(file: InputFile, encoding: str) -> str:
    return (
        f"{file.label} is in {encoding}, ATLAS reads UTF-8; convert it: "
        f"iconv -f {encoding} -t UTF-8 {file.path.name} > utf8-{file.path.name}"
    )


def _is_wide(sample: bytes) -> bool:
    """Whether every other byte is NUL, as in Western text in UTF-16 without a mark."""
    half = len(sample) // 2
    fewer, more = sorted((sample[0::2].count(0), sample[1::2].count(0)))
    return half >= 2 and more > 0.8 * half and fewer < 0.2 * half


def _foreign_share(sample: bytes) -> float:
    """Share of bytes that are control characters or no UTF-8.

    NULs at the end do not count beside text: a crash can leave a text file padded with them.
    """
    sample = sample.rstrip(b"\x00") or sample
    if not sample:
        return 0.0
    controls = len(sample) - len(sample.translate(None, CONTROLS))
    broken = sample.decode("utf-8", "replace").count("�")
    return (controls + broken) / len(sample)


class Record(NamedTuple):
    """One row as its file gives it, its fields still unchecked.

    Attributes:
        row: 1-based line (JSONL, CSV) or row (Parquet).
        values: fields by name.
        raw: the row as it stands, for a snippet, should it be bad.
    """

    row: int
    values: dict[str, Any]
    raw: Any
