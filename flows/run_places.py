"""Where the files of a run are."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from warehouse.ledger import RunRecord


def staging_folder(root: Path, run_id: str) -> Path:
    """Where the plan of a run is staged."""
    return root / "staging" / run_id


def answers_folder(root: Path, run_id: str) -> Path:
    """Where the answers of a run are committed."""
    return root / "answers" / f"run_id={run_id}"


def dead_letters(root: Path, run: RunRecord) -> Path | None:
    """The file that lists the rows which could not be read, if there are any."""
    if not run.bad_rows:
        return None
    from tasks.read.stage import DEAD_LETTERS

    path = staging_folder(root, run.run_id) / DEAD_LETTERS
    return path if path.exists() else None
