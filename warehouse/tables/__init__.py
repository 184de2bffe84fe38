"""The warehouse's tables: declared schemas, and rows turned into them.

The declarations live in `routing` (what a batch run writes), `knowledge` (what a profiling run
writes) and `records` (runs and commits); `docs/tables.md` is generated from them. Every write goes
through `to_arrow` and every read passes `schema`, so that a column whose values are all null keeps
its type. pyarrow is imported by the first schema or row that is asked for, not before.
"""

from typing import TYPE_CHECKING, Any

from warehouse.tables.catalogue import ColumnDescription, describe, markdown
from warehouse.tables.columns import Column, TableSchema
from warehouse.tables.schemas import SCHEMA_VERSION, SCHEMAS, schema, schema_sha, table_schema

if TYPE_CHECKING:
    from warehouse.tables.conversion import to_arrow

__all__ = [
    "SCHEMAS",
    "SCHEMA_VERSION",
    "Column",
    "ColumnDescription",
    "TableSchema",
    "describe",
    "markdown",
    "schema",
    "schema_sha",
    "table_schema",
    "to_arrow",
]


def __getattr__(name: str) -> Any:  # noqa: ANN401
    if name == "to_arrow":
        from warehouse.tables.conversion import to_arrow

        return to_arrow
    raise AttributeError(f"module 'warehouse.tables' has no attribute {name!r}")
