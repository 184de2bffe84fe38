"""Files of Inspect logs: the `.json` document and the `.eval` zip, one sample at a time.

`.eval` holds `header.json` (`_journal/start.json` while the run lasts, or where it was killed)
and `samples/<id>_epoch_<n>.json`. Its members are deflated, or since 2026 compressed with zstd
(zip method 93), which `zipfile` of Python 3.11 cannot unpack: that is done here.

Log versions 1 and 2 are read. Version 3, which cuts a sample into several members, is refused.
"""

from __future__ import annotations

import json
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tasks.importing.errors import LogError

KNOWN_VERSIONS = (1, 2)
MAX_SAMPLE_BYTES = 512 * 1024 * 1024
"""Largest sample that is unpacked; more is a damaged size or a trap."""

_ZSTD = 93
_LOCAL_HEADER = struct.Struct("<4s5H3I2H")
_DECODER = json.JSONDecoder()
_BLANKS = " \t\r\n"


class Sample(NamedTuple):
    """One sample of a log, or why it cannot be read."""

    number: int
    """1-based, in the order of the file."""
    fields: Mapping[str, Any]
    problem: str | None = None


class InspectFile(NamedTuple):
    """A log opened: what is said of the whole run, and its samples as they come."""

    header: Mapping[str, Any]
    samples: Iterator[Sample]


def is_inspect_document(path: Path) -> bool:
    """Whether a .json file begins as Inspect writes a log."""
    with path.open("rb") as file:
        start = file.read(4096).lstrip(b"\xef\xbb\xbf \t\r\n")
    return start.startswith(b"{") and b'"version"' in start[:200] and b'"eval"' in start


def open_inspect(path: Path) -> InspectFile:
    """Open a log of either form.

    Raises:
        LogError: it is no Inspect log, is damaged before its first sample, or too new.
    """
    opened = _open_zip(path) if path.suffix.lower() == ".eval" else _open_document(path)
    version = opened.header.get("version")
    if version not in KNOWN_VERSIONS or isinstance(version, bool):
        raise LogError(
            f"{path} is an Inspect log of version {version!r}; versions 1 and 2 can be read: "
            f"write it again with `inspect log convert`"
        )
    if not isinstance(opened.header.get("eval"), Mapping):
        raise LogError(f"{path} does not say what was evaluated (no `eval`); it is no Inspect log")
    return opened


def _open_document(path: Path) -> InspectFile:
    """A log as one JSON document: its text is held, its samples are not."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise LogError(f"{path} is not valid UTF-8 at byte {error.start + 1}") from None
    except OSError as error:
        raise LogError(f"{path} cannot be read: {error.strerror or error}") from None
    header: dict[str, Any] = {}
    try:
        place = _to_samples(text, header)
    except (ValueError, IndexError, RecursionError):
        raise LogError(
            f"{path} is cut off or no JSON before its first sample; fetch it again"
        ) from None
    return InspectFile(header, _document_samples(text, place))


def _to_samples(text: str, header: dict[str, Any]) -> int | None:
    """Read entries up to the samples; where their list begins, None where there is none."""
    place = _skip(text, 0)
    if text[place] != "{":
        raise ValueError
    place = _skip(text, place + 1)
    while text[place] != "}":
        key, place = _DECODER.raw_decode(text, place)
        place = _skip(text, place)
        if text[place] != ":":
            raise ValueError
        place = _skip(text, place + 1)
        if key == "samples" and text[place] == "[":
            return place + 1
        header[str(key)], place = _DECODER.raw_decode(text, place)
        place = _skip(text, place)
        if text[place] == ",":
            place = _skip(text, place + 1)
    return None


def _document_samples(text: str, place: int | None) -> Iterator[Sample]:
    number = 0
    while place is not None:
        try:
            place = _skip(text, place)
            if text[place] == "]":
                return
            if text[place] == ",":
                place = _skip(text, place + 1)
            fields, place = _DECODER.raw_decode(text, place)
        except (ValueError, IndexError, RecursionError):
            reason = "is cut off or damaged: the samples before it were read; fetch the log again"
            yield Sample(number + 1, {}, reason)
            return
        number += 1
        if isinstance(fields, Mapping):
            yield Sample(number, fields)
        else:
            yield Sample(number, {}, "must be an object")


def _skip(text: str, place: int) -> int:
    while text[place] in _BLANKS:
        place += 1
    return place


def _open_zip(path: Path) -> InspectFile:
    try:
        archive = zipfile.ZipFile(path)
    except zipfile.BadZipFile:
        raise LogError(
            f"{path} is no whole zip archive: it is cut off, damaged or no .eval log; fetch it "
            f"again"
        ) from None
    except OSError as error:
        raise LogError(f"{path} cannot be read: {error.strerror or error}") from None
    members = {info.filename: info for info in archive.infolist()}
    name = "header.json" if "header.json" in members else "_journal/start.json"
    try:
        if name not in members:
            raise LogError(
                f"{path} holds neither header.json nor _journal/start.json; it is no Inspect log"
            )
        try:
            header = _parsed(archive, members[name])
        except ValueError as error:
            raise LogError(f"{path}: {name} {error}") from None
    except BaseException:
        archive.close()
        raise
    samples = [
        info
        for filename, info in members.items()
        if filename.startswith("samples/") and filename.endswith(".json")
    ]
    return InspectFile(header, _zip_samples(archive, samples))


def _zip_samples(archive: zipfile.ZipFile, members: list[zipfile.ZipInfo]) -> Iterator[Sample]:
    with archive:
        for number, info in enumerate(members, start=1):
            try:
                yield Sample(number, _parsed(archive, info))
            except ValueError as error:
                yield Sample(number, {}, str(error))


def _parsed(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Mapping[str, Any]:
    """A member as a JSON object.

    Raises:
        ValueError: what is wrong with it.
    """
    import zstandard

    if info.file_size > MAX_SAMPLE_BYTES:
        raise ValueError(f"is {info.file_size:,} bytes long unpacked, more than the limit")
    try:
        data = _unpacked(archive, info)
    except (zipfile.BadZipFile, zlib.error, zstandard.ZstdError, EOFError, OSError):
        raise ValueError("is damaged inside the archive; fetch the log again") from None
    except NotImplementedError:
        method = info.compress_type
        raise ValueError(f"is compressed by zip method {method}, which is unknown here") from None
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        raise ValueError("is no valid JSON") from None
    if not isinstance(found, Mapping):
        raise ValueError("must be an object")
    return found


def _unpacked(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    """The bytes of a member, its checksum verified."""
    import zstandard

    if info.compress_type != _ZSTD:
        with archive.open(info) as member:
            return member.read(info.file_size + 1)
    file = archive.fp
    assert file is not None
    file.seek(info.header_offset)
    fields = _LOCAL_HEADER.unpack(file.read(_LOCAL_HEADER.size).ljust(_LOCAL_HEADER.size, b"\0"))
    if fields[0] != b"PK\x03\x04":
        raise zipfile.BadZipFile
    file.seek(fields[-2] + fields[-1], 1)
    packed = file.read(info.compress_size)
    reader = zstandard.ZstdDecompressor().stream_reader(packed, read_across_frames=True)
    data: bytes = reader.read(info.file_size + 1)
    if len(data) != info.file_size or zlib.crc32(data) != info.CRC:
        raise zipfile.BadZipFile
    return data
