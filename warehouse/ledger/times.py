"""Times on their way into SQL and back."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any


def naive(row: dict[str, Any]) -> dict[str, Any]:
    """A row as SQL takes it: its times in UTC, without a zone."""
    return {
        key: value.astimezone(UTC).replace(tzinfo=None) if isinstance(value, datetime) else value
        for key, value in row.items()
    }


def aware(row: dict[str, Any]) -> dict[str, Any]:
    """A row as it was before SQL: its times with zone UTC."""
    return {
        key: value.replace(tzinfo=UTC) if isinstance(value, datetime) else value
        for key, value in row.items()
    }
