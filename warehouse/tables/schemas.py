"""Every declared table by name, its pyarrow schema and the schema's fingerprint."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING

from warehouse.errors import WarehouseError
from warehouse.tables.columns import TableSchema
from warehouse.tables.freshness import CANARIES, CANARY_OUTCOMES, DRIFT, REFRESHES
from warehouse.tables.knowledge import CLUSTER_STATS, CLUSTERS, OUTCOMES
from warehouse.tables.records import COMMITS, RUNS
from warehouse.tables.routing import (
    ANSWERS,
    ATTEMPTS,
    DEAD_LETTERS,
    DECISIONS,
    GRADES,
    QUERIES,
    TRAJECTORIES,
)

if TYPE_CHECKING:
    import pyarrow as pa

SCHEMA_VERSION = 4
"""Raised whenever a column is added, removed or changes its type."""

SCHEMAS: Mapping[str, TableSchema] = MappingProxyType(
    {
        table.name: table
        for table in (
            QUERIES,
            DECISIONS,
            TRAJECTORIES,
            ATTEMPTS,
            ANSWERS,
            GRADES,
            DEAD_LETTERS,
            OUTCOMES,
            CLUSTERS,
            CLUSTER_STATS,
            CANARIES,
            CANARY_OUTCOMES,
            DRIFT,
            REFRESHES,
            RUNS,
            COMMITS,
        )
    }
)


def table_schema(table: str) -> TableSchema:
    """The declaration of a table.

    Raises:
        WarehouseError: there is no such table.
    """
    try:
        return SCHEMAS[table]
    except KeyError:
        raise WarehouseError(
            f"There is no table {table!r}; the tables are {', '.join(SCHEMAS)}."
        ) from None


@cache
def schema(table: str) -> pa.Schema:
    """The pyarrow schema of a table, descriptions in the fields' metadata.

    Raises:
        WarehouseError: there is no such table.
    """
    import pyarrow as pa

    return pa.schema([column.field() for column in table_schema(table).columns])


@cache
def schema_sha(table: str) -> str:
    """Fingerprint of a table's columns: names, types and which are required.

    Descriptions are left out, so that a better sentence is not a new schema.

    Raises:
        WarehouseError: there is no such table.
    """
    lines = (f"{c.name} {c.type} {c.required}" for c in table_schema(table).columns)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
