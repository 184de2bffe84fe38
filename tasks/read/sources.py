"""Where rows come from: one file, a folder or a glob; plain, gzip or zstd; and its fingerprint."""

from __future__ import annotations

import glob
import gzip
import hashlib
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from tasks.read.errors import InputError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

Form = Literal["jsonl", "csv", "parquet"]

FORMS: dict[str, Form] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".csv": "csv",
    ".tsv": "csv",
    ".parquet": "parquet",
    ".pq": "parquet",
}
COMPRESSIONS = (".gz", ".zst")
ACCEPTED = "accepted are .jsonl, .csv, .tsv (also as .gz or .zst) and .parquet"
BUFFER_BYTES = 1 << 18
# A zstd block of 4 bytes can unfold to 128 KiB: small reads keep a hostile file's burst small.
ZSTD_READ_BYTES = 1 << 13


@dataclass(frozen=True, slots=True)
class InputFile:
    """One file to read.

    Attributes:
        path: where it is.
        label: its path as shown to people and stored in rows, always valid UTF-8.
        name: its path relative to the source, which opens generated ids.
        form: what it holds.
        compression: `.gz`, `.zst` or nothing.
    """

    path: Path
    label: str
    name: str
    form: Form
    compression: str


class Found(NamedTuple):
    """The files of a source in reading order, and the names of those left aside."""

    files: list[InputFile]
    skipped: list[str]


def find_files(source: str | Path) -> Found:
    """List the files of a source, sorted by their path relative to it.

    A folder is searched recursively for known extensions; names that begin with a dot or an
    underscore are markers and half-written files of other programs, and are left out. A glob is
    expanded by the rules of Python's `glob` (`**` spans folders).

    Raises:
        InputError: nothing there, nothing readable, or an extension ATLAS does not know.
    """
    path = Path(source)
    try:
        if path.is_dir():
            return _search_folder(path)
        if path.is_file():
            return Found([_known(path, path.name)], [])
        if path.exists():
            raise InputError(f"{path} is neither a file nor a folder; give a file of rows")
    except (OSError, ValueError) as error:
        raise InputError(f"{_shown(path)} cannot be read: {_cause(error)}") from None
    text = str(source)
    if "://" in text:
        raise InputError(f"{text} is an address; download it and give the local file")
    if glob.has_magic(text):
        return _search_glob(text)
    raise InputError(f"{path} does not exist (looked in {Path.cwd()}); check the path")


def _search_folder(folder: Path) -> Found:
    """Files of known extension under a folder, at any depth."""
    names = []
    for parent, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name[0] not in "._"]
        names += [Path(parent, name) for name in files if name[0] not in "._"]
    pairs = [(path, path.relative_to(folder).as_posix()) for path in names]
    found = _sift(pairs)
    if not found.files:
        raise InputError(f"{folder} holds no file that can be read; {ACCEPTED}")
    return found


def _search_glob(pattern: str) -> Found:
    """Files of known extension that match a pattern."""
    paths = [Path(match) for match in glob.glob(pattern, recursive=True)]  # noqa: PTH207 - absolute too
    found = _sift([(path, path.as_posix()) for path in paths if path.is_file()])
    if not found.files:
        raise InputError(f"{pattern} matches no file that can be read; {ACCEPTED}")
    return found


def _sift(pairs: list[tuple[Path, str]]) -> Found:
    """Sort files by name and set aside those of unknown extension."""
    found = Found([], [])
    for path, name in sorted(pairs, key=lambda pair: pair[1]):
        form, compression = _classify(path)
        if form is None or (form == "parquet" and compression):
            found.skipped.append(_shown(name))
        else:
            found.files.append(InputFile(path, _shown(path), _shown(name), form, compression))
    return found


def _known(path: Path, name: str) -> InputFile:
    """A file the user named; its extension must be known."""
    form, compression = _classify(path)
    if form is None:
        raise InputError(f"{_shown(path)} has an unknown extension; {ACCEPTED}")
    if form == "parquet" and compression:
        raise InputError(f"{_shown(path)} is compressed twice; unpack it, Parquet is compact")
    return InputFile(path, _shown(path), _shown(name), form, compression)


def _classify(path: Path) -> tuple[Form | None, str]:
    """Form and compression by extension."""
    name = path.name.lower()
    compression = next((end for end in COMPRESSIONS if name.endswith(end)), "")
    stem = name[: len(name) - len(compression)]
    return FORMS.get(os.path.splitext(stem)[1]), compression  # noqa: PTH122 - a bare name


def _shown(path: str | Path) -> str:
    """A path as valid UTF-8: file systems allow names that are not."""
    return os.fsencode(path).decode("utf-8", "replace")


def _cause(error: Exception) -> str:
    """The operating system's own words, without its numbers and quotes."""
    strerror = getattr(error, "strerror", None)
    return (strerror or str(error)).lower()


@contextmanager
def open_stream(file: InputFile) -> Iterator[io.BufferedReader]:
    """Open a text file for reading bytes, decompressed as they are asked for.

    Raises:
        InputError: the file cannot be opened.
    """
    try:
        raw = file.path.open("rb", buffering=0)
    except OSError as error:
        raise InputError(f"{file.label} cannot be opened: {_cause(error)}") from None
    with raw:
        stream: Any = raw
        if file.compression == ".gz":
            stream = _GzipStream(raw)
        elif file.compression == ".zst":
            stream = _ZstdStream(raw)
        yield io.BufferedReader(stream, BUFFER_BYTES)


class _GzipStream(io.RawIOBase):
    """Decompressed bytes of a gzip file, handed out as they come.

    GzipFile fills the whole buffer it is given and, where the file is cut off, throws away what
    it has unpacked of it: rows that are there would be lost.
    """

    def __init__(self, raw: io.RawIOBase) -> None:
        self._gzip = gzip.GzipFile(fileobj=io.BufferedReader(raw, BUFFER_BYTES), mode="rb")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        """Fill `buffer` with what one read unpacks; 0 at the end of a whole file."""
        target = memoryview(buffer).cast("B")
        unpacked = self._gzip.read1(len(target))
        target[: len(unpacked)] = unpacked
        return len(unpacked)


class _ZstdStream(io.RawIOBase):
    """Decompressed bytes of a zstd file of one or more frames.

    zstandard's own reader ends silently where a file is cut off; this one raises EOFError.
    """

    def __init__(self, raw: io.RawIOBase) -> None:
        import zstandard

        self._new_frame = zstandard.ZstdDecompressor().decompressobj
        self._frame = self._new_frame()
        self._raw = raw
        self._inside = False
        self._ready = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        """Fill `buffer` with the next decompressed bytes; 0 at the end of a whole file."""
        target = memoryview(buffer).cast("B")
        while not self._ready:
            packed = self._raw.read(ZSTD_READ_BYTES)
            if not packed:
                if self._inside:
                    raise EOFError("the file ends inside a zstd frame")
                return 0
            self._ready = memoryview(self._unpack(packed))
        size = min(len(target), len(self._ready))
        target[:size] = self._ready[:size]
        self._ready = self._ready[size:]
        return size

    def _unpack(self, packed: bytes) -> bytes:
        """Decompress one read, stepping over ends of frames inside it."""
        unpacked = []
        while packed:
            self._inside = True
            unpacked.append(self._frame.decompress(packed))
            if not self._frame.eof:
                break
            packed = self._frame.unused_data
            self._frame = self._new_frame()
            self._inside = False
        return b"".join(unpacked)


def input_fingerprint(source: str | Path) -> str:
    """Identity of a source: sha256 over its files' names, sizes and bytes, in reading order.

    Streams; 64 hexadecimal digits. Renaming or moving the folder that holds the files changes
    nothing; changing, adding, removing or renaming a file in it does.

    Raises:
        InputError: a file cannot be found or read.
    """
    return fingerprint_files(find_files(source).files)


def fingerprint_files(files: list[InputFile]) -> str:
    """`input_fingerprint` of files already found."""
    digest = hashlib.sha256()
    buffer = bytearray(1 << 20)
    window = memoryview(buffer)
    # Names from a glob carry its folders; what they share says nothing about the content.
    shared = os.path.commonpath([Path(file.name).parent for file in files])
    for file in files:
        name = Path(file.name).relative_to(shared).as_posix()
        try:
            with file.path.open("rb", buffering=0) as raw:
                digest.update(f"{name}\0{file.path.stat().st_size}\0".encode())
                while size := raw.readinto(buffer):
                    digest.update(window[:size])
        except OSError as error:
            raise InputError(f"{file.label} cannot be read: {_cause(error)}") from None
    return digest.hexdigest()
