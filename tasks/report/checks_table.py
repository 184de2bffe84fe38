"""What `atlas doctor` shows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tasks.report.layout import Block, Document, Labelled, Note, Style

if TYPE_CHECKING:
    from tasks.doctor import Check

_MARKS: dict[str, tuple[str, Style]] = {
    "ok": ("ok", "green"),
    "warn": ("look", "yellow"),
    "fail": ("FAIL", "red"),
}


def checks_table(checks: Sequence[Check]) -> Document:
    """One line a check, and under every check that is not well what to do."""
    rows: list[tuple[str, str, Style]] = []
    for check in checks:
        mark, style = _MARKS[check.status]
        rows.append(
            (f"{mark:4}  {check.name}", check.detail, "" if check.status == "ok" else style)
        )
        if check.remedy:
            rows.append(("", f"→ {check.remedy}", ""))
    blocks: list[Block] = [Labelled(rows), _verdict(checks)]
    return Document("doctor", blocks)


def _verdict(checks: Sequence[Check]) -> Note:
    failed = [check.name for check in checks if check.status == "fail"]
    if failed:
        return Note(f"not ready: {', '.join(failed)}", "red")
    warned = [check.name for check in checks if check.status == "warn"]
    if warned:
        return Note(f"ready; worth a look: {', '.join(warned)}", "yellow")
    return Note("ready", "green")
