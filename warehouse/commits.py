"""Chunk files: written whole or not at all, and known by a record in the ledger.

Writing a file does not commit it. The caller inserts the `CommitRecord`s of all files of a chunk
in one ledger transaction; until then the files do not exist for any reader. A file is written
under a temporary name in its own folder, fsynced, renamed, and its folder fsynced. A chunk has one
file in each folder, so there is nothing to gain from batching the folders' fsyncs.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from warehouse.errors import WarehouseError

if TYPE_CHECKING:
    import pyarrow as pa

ASIDE = "uncommitted"
"""Folder under the root where files without a commit are set aside."""

_SAFE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.=+-]*")


@dataclass(frozen=True, slots=True)
class CommitRecord:
    """One published chunk file.

    Attributes:
        commit_id: hash of the path and the content, so the same file has the same id.
        path: relative to the warehouse's root, with forward slashes.
        bytes: size of the file.
        sha256: hash of its bytes, hexadecimal.
        committed_at: with time zone UTC.
    """

    commit_id: str
    table: str
    run_id: str
    chunk_id: str
    path: str
    rows: int
    bytes: int
    sha256: str
    schema_version: int
    schema_sha: str
    code_version: str
    committed_at: datetime


def write_file(
    root: Path,
    *,
    table: str,
    run_id: str,
    chunk_id: str,
    data: pa.Table,
    code_version: str,
    now: datetime,
) -> CommitRecord:
    """Write one chunk of a table durably, without committing it.

    A file that is already there is never replaced, because it may be committed: the new one takes
    the next free name.

    Args:
        root: the warehouse's root; folders under it are made as needed.
        table: a declared table.
        run_id: names the folder, `run_id=<run_id>`.
        chunk_id: names the file, `chunk-<chunk_id>.parquet`.
        data: rows in the table's declared schema, as `warehouse.tables.to_arrow` makes them.
        code_version: version of ATLAS, for the record.
        now: becomes `committed_at`.

    Raises:
        WarehouseError: the data is not of the declared schema, an id cannot name a file, or the
            disk is full, read-only or failing. Nothing is left behind.
    """
    import pyarrow.parquet as pq

    from warehouse.tables import SCHEMA_VERSION, schema, schema_sha

    if not data.schema.equals(schema(table)):
        raise WarehouseError(
            f"The data of chunk {chunk_id!r} of run {run_id!r} does not have the declared columns "
            f"of table {table!r}; build it with warehouse.tables.to_arrow."
        )
    folder = root / table / f"run_id={_file_name('run_id', run_id)}"
    make_folder(folder)
    path = _free_path(folder / f"chunk-{_file_name('chunk_id', chunk_id)}.parquet")
    with published(path) as temporary:
        pq.write_table(data, temporary, compression="zstd", write_page_checksum=True)
        size, sha256 = temporary.stat().st_size, hash_file(temporary)
    relative = path.relative_to(root).as_posix()
    return CommitRecord(
        commit_id=hashlib.sha256(f"{relative}\n{sha256}".encode()).hexdigest(),
        table=table,
        run_id=run_id,
        chunk_id=chunk_id,
        path=relative,
        rows=data.num_rows,
        bytes=size,
        sha256=sha256,
        schema_version=SCHEMA_VERSION,
        schema_sha=schema_sha(table),
        code_version=code_version,
        committed_at=now.astimezone(UTC),
    )


def verify(root: Path, record: CommitRecord, *, content: bool = True) -> Path:
    """Check that a committed file is whole and return its path.

    Args:
        root: the warehouse's root.
        record: what was committed.
        content: whether to compare the hash of its bytes and not only their number.

    Raises:
        WarehouseError: the file is missing, torn or changed; says what to do.
    """
    path = root / record.path
    try:
        size = path.stat().st_size
        if size != record.bytes:
            fault = f"has {size} bytes where {record.bytes} were committed"
            raise WarehouseError(_damaged(path, record, fault))
        if content and hash_file(path) != record.sha256:
            raise WarehouseError(_damaged(path, record, "has other content than was committed"))
    except FileNotFoundError:
        raise WarehouseError(_damaged(path, record, "is missing")) from None
    except OSError as error:
        raise explained(error, path, "read") from error
    return path


def _damaged(path: Path, record: CommitRecord, fault: str) -> str:
    return (
        f"The committed file {path} {fault}: {record.rows} rows of table {record.table!r}, run "
        f"{record.run_id!r}, chunk {record.chunk_id!r} cannot be trusted. Restore the file from a "
        "backup; without one, route these rows again in a run of another name (--name)."
    )


def remove_uncommitted(root: Path, run_id: str, committed: Iterable[CommitRecord]) -> list[Path]:
    """Clear a run's folders of what a crash left; call it only while holding the run's lock.

    Temporary files are deleted. Whole files without a commit are moved to `root/uncommitted/`
    under a name that no reader matches, rather than deleted: should the ledger be lost, they are
    the last copy of paid answers.

    Returns:
        The paths that are gone, relative to `root`, sorted.

    Raises:
        WarehouseError: a file could not be moved or deleted.
    """
    from warehouse.tables import SCHEMAS

    known = {record.path for record in committed}
    gone = []
    for table in SCHEMAS:
        folder = root / table / f"run_id={_file_name('run_id', run_id)}"
        for path in sorted(folder.glob("*")) if folder.is_dir() else ():
            relative = path.relative_to(root)
            if relative.as_posix() in known or not path.is_file():
                continue
            try:
                if path.suffix == ".tmp":
                    path.unlink(missing_ok=True)
                else:
                    _set_aside(root, relative)
            except OSError as error:
                raise explained(error, path, "move aside") from error
            gone.append(relative)
    return gone


def _set_aside(root: Path, relative: Path) -> None:
    target = root / ASIDE / relative.with_name(f"{relative.name}.aside")
    target.parent.mkdir(parents=True, exist_ok=True)
    (root / relative).replace(target)


@contextmanager
def published(path: Path) -> Iterator[Path]:
    """Write a file whole or not at all: yields a temporary path that becomes `path` at the end.

    The file is fsynced, renamed over `path` and the folder fsynced. After an exception in the body
    the temporary file is gone and `path` is as it was.

    Raises:
        WarehouseError: the folder or disk refuses; says why and what to do.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}.tmp")
    try:
        yield temporary
        _sync(temporary, os.O_RDWR)
        temporary.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        raise explained(error, path, "write") from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def make_folder(folder: Path) -> None:
    """Make a folder and its parents durably: each new one's entry is fsynced in its parent.

    Raises:
        WarehouseError: it cannot be made.
    """
    if folder.is_dir():
        return
    try:
        missing = [one for one in (folder, *folder.parents) if not one.exists()]
        folder.mkdir(parents=True, exist_ok=True)
        for made in missing:
            _sync_folder(made.parent)
    except OSError as error:
        raise explained(error, folder, "make the folder") from error


def hash_file(path: Path) -> str:
    """The sha256 of a file's bytes, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def explained(error: OSError, path: Path, doing: str) -> WarehouseError:
    """An operating system's error as a sentence for people: what, where, what to do."""
    remedy = "Look at the disk and its permissions, then run the same command again."
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        remedy = "The disk is full: free some space, then run the same command again."
    elif error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
        remedy = "It may not be written to: change its permissions or choose another folder."
    elif error.errno in (errno.ENOTDIR, errno.EEXIST, errno.EISDIR, errno.ENOENT):
        remedy = "Check the path: a folder is missing on it, or a file stands where one should."
    elif error.errno in (errno.EMFILE, errno.ENFILE):
        remedy = "Allow this process more open files (`ulimit -n 4096`) or lower --concurrency."
    elif error.errno == errno.EIO:
        remedy = "The disk reports a fault: check it before anything else."
    reason = os.strerror(error.errno) if error.errno else str(error)
    return WarehouseError(
        f"Cannot {doing} {path}: {reason}. {remedy} Nothing already committed is lost."
    )


def _file_name(what: str, value: str) -> str:
    if not _SAFE_NAME.fullmatch(value) or len(value) > 200:
        raise WarehouseError(
            f"{what} {value!r} cannot name a file: use at most 200 letters, digits, '-', '_', '.', "
            "'=' and '+', beginning with a letter, a digit or '_'."
        )
    return value


def _free_path(path: Path) -> Path:
    number, candidate = 0, path
    while candidate.exists():
        number += 1
        candidate = path.with_name(f"{path.stem}.{number}{path.suffix}")
    return candidate


def _sync(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_folder(folder: Path) -> None:
    # Windows cannot open a folder, and needs no fsync of one.
    if os.name != "nt":
        _sync(folder, os.O_RDONLY)
