"""Statements compiled once and handed to the driver as text, for what is written at every request.

SQLAlchemy compiles an INSERT with ON CONFLICT anew each time, and even a cached statement costs
several times what the database itself does for a handful of rows. The thread that writes shares
the interpreter with the one that calls models, so each request would wait for that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Dialect
from sqlalchemy.sql.dml import UpdateBase


class PreparedStatement:
    """An INSERT or UPDATE in the words of one database.

    Args:
        statement: what to do; its bound parameters are the keys of each row.
        dialect: of the connections it will be executed on.
        columns: columns that an INSERT names; an UPDATE names its own.
    """

    def __init__(
        self, statement: UpdateBase, dialect: Dialect, columns: Sequence[str] | None = None
    ) -> None:
        compiled = statement.compile(dialect=dialect, column_keys=columns)
        binds = {name: compiled.binds[name] for name in compiled.params}
        self._text = str(compiled)
        self._order: Sequence[str] | None = compiled.positiontup
        self._fixed = {name: bind.value for name, bind in binds.items() if not bind.required}
        self._conversions = _conversions(binds, dialect)

    def execute(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
        """Execute it once for every row, in order.

        Raises:
            SQLAlchemyError: as the database says.
        """
        connection.exec_driver_sql(self._text, [self._parameters(row) for row in rows])

    def _parameters(self, row: Mapping[str, Any]) -> Any:  # noqa: ANN401
        values = {**self._fixed, **row}
        for name, convert in self._conversions.items():
            values[name] = convert(values[name])
        return values if self._order is None else tuple(values[name] for name in self._order)


def _conversions(binds: Mapping[str, Any], dialect: Dialect) -> dict[str, Callable[[Any], Any]]:
    """What the columns' types do to a value before a driver sees it."""
    found = {
        name: bind.type.dialect_impl(dialect).bind_processor(dialect)
        for name, bind in binds.items()
    }
    return {name: convert for name, convert in found.items() if convert is not None}
