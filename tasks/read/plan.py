"""The plan of a batch run: what was staged, written last and never changed."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tasks.read.errors import StageError

PLAN = "plan.json"
PLAN_VERSION = 1


@dataclass(frozen=True, slots=True)
class Staged:
    """The plan of a batch run: what there is to answer, and where it lies.

    `rows` = `unique` + `duplicates` + `bad`.

    Attributes:
        rows: rows read.
        unique: queries to answer.
        duplicates: rows that repeat the content of a unique query.
        bad: rows that cannot be asked.
        chunks: files of unique queries.
        duplicate_chunks: files of duplicates.
        bytes: size of the input files, in bytes.
        input_sha256: fingerprint of the input (`input_fingerprint`).
        chunk_size: queries a chunk.
        limit: rows read at most; None is all.
        warnings: what a person should hear about the input.
        dead_letter_path: the bad rows, one JSON object a line; None when there are none.
    """

    rows: int
    unique: int
    duplicates: int
    bad: int
    chunks: int
    duplicate_chunks: int
    bytes: int
    input_sha256: str
    chunk_size: int
    limit: int | None
    warnings: list[str] = field(default_factory=list)
    dead_letter_path: Path | None = None


def load_plan(folder: str | Path) -> Staged | None:
    """The plan of a staged folder, or None where staging has not finished.

    Raises:
        StageError: the plan cannot be read, or was written by a newer version.
    """
    path = Path(folder) / PLAN
    try:
        stored = json.loads(path.read_text("utf-8"))
        version = stored.pop("version")
        if version > PLAN_VERSION:
            raise StageError(f"{path} was written by a newer version of ATLAS; use that version")
        letters = stored.pop("dead_letters")
        return Staged(**stored, dead_letter_path=path.parent / letters if letters else None)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise StageError(f"{path} cannot be read: {error.strerror or error}") from None
    except (ValueError, TypeError, KeyError, AttributeError):
        raise StageError(
            f"{path} is damaged; remove {path.parent} and start again under a new name"
        ) from None


def matching_plan(folder: Path, chunk_size: int, limit: int | None) -> Staged | None:
    """The plan in `folder`, or None; a plan cut in another way is refused.

    Raises:
        StageError: the plan there has another chunk size or limit, or cannot be read.
    """
    if chunk_size < 1:
        raise StageError(f"a chunk holds at least one query, not {chunk_size}")
    plan = load_plan(folder)
    if plan is None or (plan.chunk_size, plan.limit) == (chunk_size, limit):
        return plan
    raise StageError(
        f"{folder} was planned with chunk size {plan.chunk_size} and limit {plan.limit or 'none'}, "
        f"not {chunk_size} and {limit or 'none'}; a plan never changes: use those, or a new name"
    )


def write_plan(folder: Path, plan: Staged) -> None:
    """Publish the plan: from here on the folder is whole."""
    stored: dict[str, Any] = asdict(plan)
    stored.pop("dead_letter_path")
    stored["dead_letters"] = plan.dead_letter_path.name if plan.dead_letter_path else None
    stored["version"] = PLAN_VERSION
    temporary = folder / f"{PLAN}.tmp"
    with temporary.open("w", encoding="utf-8") as file:
        json.dump(stored, file, indent=2)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(folder / PLAN)
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
