"""Times on their way into SQL and back."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any


def naive(row: dict[str, Any]) -> dict[str, Any]:
    """A row as SQL takes it: its times in UTC, without a zone."""
    return {
        key: value.astimezone(UTC).replace(tzinfo=None) if isinstance(value, datetime) else value
        for key, value in row.items()
    }


def moments(row: Mapping[str, Any], *columns: str) -> dict[str, Any]:
    """A row as it was before SQL: the times in these columns with zone UTC."""
    return {**row, **{column: _moment(row[column]) for column in columns}}


def _moment(value: str | datetime | None) -> datetime | None:
    """A time as a server's driver gives it, or as the text that an SQLite file holds."""
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    return None if value is None else value.replace(tzinfo=UTC)
