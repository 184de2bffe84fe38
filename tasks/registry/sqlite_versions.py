"""Reading versions from MLflow's SQLite file directly: MLflow takes four seconds to import.

Read only, and only where the tables look as expected: everything else is left to MLflow.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from tasks.registry.versions import PolicyVersion, made_version

_PREFIX = "sqlite:///"
_DELETED = "Deleted_Internal"
"""Stage of a version that was deleted; MLflow keeps the row."""


def sqlite_file(uri: str) -> Path | None:
    """The file of a SQLite address; None for other addresses."""
    if not uri.startswith(_PREFIX):
        return None
    return Path(uri.removeprefix(_PREFIX).partition("?")[0])


def read_versions(file: Path, name: str) -> list[PolicyVersion] | None:
    """The versions of a registered model by rising number; None where MLflow must be asked.

    Args:
        file: of MLflow's tables; a missing one holds no version.
        name: of the registered model.
    """
    if not file.exists():
        return []
    address = f"file:{quote(str(file.absolute()))}?mode=ro"
    try:
        with closing(sqlite3.connect(address, uri=True)) as connection:
            # One reading transaction, so that an alias never points to a version not seen.
            connection.execute("BEGIN")
            rows = connection.execute(
                "SELECT version, run_id, creation_time FROM model_versions"
                " WHERE name = ? AND current_stage IS NOT ? ORDER BY version",
                (name, _DELETED),
            ).fetchall()
            tags = connection.execute(
                "SELECT version, key, value FROM model_version_tags WHERE name = ?", (name,)
            ).fetchall()
            aliases = connection.execute(
                "SELECT version, alias FROM registered_model_aliases WHERE name = ?", (name,)
            ).fetchall()
    except sqlite3.Error:
        return None
    noted: dict[int, dict[str, str]] = defaultdict(dict)
    for version, key, value in tags:
        noted[int(version)][str(key)] = str(value)
    pointing: dict[int, list[str]] = defaultdict(list)
    for version, alias in aliases:
        pointing[int(version)].append(str(alias))
    return [
        made_version(
            name,
            int(version),
            run_id=run_id,
            created_ms=int(created),
            tags=noted[int(version)],
            aliases=pointing[int(version)],
        )
        for version, run_id, created in rows
    ]
