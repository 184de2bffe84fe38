"""The end of a routed run: duplicates get their answers, dead letters and the run their rows."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Any

from tasks.read import Staged, load_duplicates
from warehouse.commits import write_file
from warehouse.ledger import Ledger
from warehouse.query import scan
from warehouse.tables import to_arrow

_COPIED = (
    "query_id",
    "answer",
    "status",
    "error_type",
    "error_message",
    "pair_id",
    "model",
    "tool",
    "router",
    "policy_version",
    "profile_id",
    "confidence",
    "score",
    "grade_status",
    "answered_at",
)


FILES_AT_ONCE = 40
"""Staged files of duplicates answered by one pass over the answers."""
LETTERS_AT_ONCE = 20_000
"""Dead letters written to one file."""


def answer_duplicates(
    root: Path, ledger: Ledger, run_id: str, *, folder: Path, staged: Staged, code_version: str
) -> None:
    """Give every row that repeats a question the answer of the row that was asked.

    Works through the duplicates file by file, in bounded memory; costs nothing.

    Raises:
        WarehouseError: a file cannot be read or written.
    """
    import polars as pl

    asked = scan(root, ledger.commits("answers", run_id), "answers").filter(
        ~pl.col("chunk_id").str.starts_with("dup-")
    )
    for start in range(0, staged.duplicate_chunks, FILES_AT_ONCE):
        numbers = range(start, min(start + FILES_AT_ONCE, staged.duplicate_chunks))
        duplicates = [row for number in numbers for row in load_duplicates(folder, number)]
        wanted = {duplicate.query_id for duplicate in duplicates}
        found = {
            row["query_id"]: row
            for row in asked.filter(pl.col("query_id").is_in(list(wanted)))
            .select(_COPIED)
            .collect()
            .to_dicts()
        }
        chunk_id = f"dup-{start:06d}"
        rows = [
            {name: found[duplicate.query_id][name] for name in _COPIED}
            | {
                "run_id": run_id,
                "chunk_id": chunk_id,
                "custom_id": duplicate.custom_id,
                "row_index": duplicate.row_index,
                "attempts": 0,
                "cost_usd": Decimal(0),
                "doubt_usd": Decimal(0),
                "input_tokens": 0,
                "output_tokens": 0,
                "duration_s": 0.0,
                "duplicate_of": duplicate.first_custom_id,
            }
            for duplicate in duplicates
        ]
        _publish(root, ledger, "answers", run_id, chunk_id, rows, code_version)


def publish_run(
    root: Path,
    ledger: Ledger,
    run_id: str,
    *,
    dead_letters: Path | None,
    code_version: str,
    now: datetime,
) -> None:
    """Write the run's own row and its dead letters as tables.

    Raises:
        WarehouseError: a file cannot be written.
    """
    run = ledger.run(run_id)
    assert run is not None
    spend = ledger.spend(run_id)
    row = {
        "run_id": run_id,
        "name": run_id,
        "kind": run.kind,
        "input_sha256": run.input_sha256,
        "config_json": run.config_json,
        "config_sha": run.config_sha,
        "code_version": run.code_version,
        "state": run.state,
        "max_cost_usd": run.max_cost_usd,
        "spent_usd": spend.total_usd,
        "flow_run_id": run.flow_run_id,
        "mlflow_run_id": run.mlflow_run_id,
        "started_at": run.started_at,
        "ended_at": run.ended_at,
    }
    _publish(root, ledger, "runs", run_id, "run", [row], code_version)
    if dead_letters is not None and dead_letters.exists():
        with dead_letters.open(encoding="utf-8") as lines:
            for number, batch in enumerate(iter(lambda: list(islice(lines, LETTERS_AT_ONCE)), [])):
                chunk_id = f"bad-{number:06d}"
                letters = [_dead_letter(line, run_id, chunk_id, now) for line in batch]
                _publish(root, ledger, "dead_letters", run_id, chunk_id, letters, code_version)


def _dead_letter(line: str, run_id: str, chunk_id: str, now: datetime) -> dict[str, Any]:
    letter = json.loads(line)
    return {
        "run_id": run_id,
        "chunk_id": chunk_id,
        "source_uri": letter["file"],
        "source_row": letter["row"],
        "field": letter.get("field"),
        "custom_id": letter.get("custom_id"),
        "error_type": "bad_row",
        "reason": letter["reason"],
        "raw_text": letter.get("raw"),
        "rejected_at": now,
    }


def _publish(
    root: Path,
    ledger: Ledger,
    table: str,
    run_id: str,
    chunk_id: str,
    rows: Sequence[dict[str, Any]],
    code_version: str,
) -> None:
    if not rows:
        return
    from datetime import UTC

    record = write_file(
        root,
        table=table,
        run_id=run_id,
        chunk_id=chunk_id,
        data=to_arrow(table, rows),
        code_version=code_version,
        now=datetime.now(UTC),
    )
    ledger.commit_files(run_id, [record])
