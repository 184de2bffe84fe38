"""Committing the few rows that a refresh adds to its own tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.version import code_version
from warehouse.commits import write_file
from warehouse.tables import to_arrow

if TYPE_CHECKING:
    from warehouse.ledger import Ledger


def commit_rows(
    root: Path,
    ledger: Ledger,
    table: str,
    rows: Sequence[Mapping[str, Any]],
    *,
    run_id: str,
    chunk_id: str,
) -> None:
    """Write rows as one committed file; nothing to write is no file.

    Args:
        root: of the warehouse.
        ledger: gets the commit.
        table: a declared table.
        rows: without `run_id` and `chunk_id`.
        run_id: the refresh they belong to.
        chunk_id: names the file.

    Raises:
        WarehouseError: a row does not fit the table, or the file cannot be written.
    """
    if not rows:
        return
    stamped = [{"run_id": run_id, "chunk_id": chunk_id, **row} for row in rows]
    record = write_file(
        root,
        table=table,
        run_id=run_id,
        chunk_id=chunk_id,
        data=to_arrow(table, stamped),
        code_version=code_version(),
        now=datetime.now(UTC),
    )
    ledger.commit_files(run_id, [record])
