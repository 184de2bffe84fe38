"""Rows into arrow tables of the declared schema, with errors that name table, row and column."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

import pyarrow as pa

from warehouse.errors import WarehouseError
from warehouse.money import ONE_NANO
from warehouse.tables.columns import Column, TableSchema
from warehouse.tables.kinds import MOMENT, MONEY, NUMBER, SINGLE, SMALL, WHOLE, arrow_type
from warehouse.tables.schemas import SCHEMA_VERSION, schema, table_schema

Row = Mapping[str, Any]

_REFUSALS = (pa.ArrowException, OverflowError, TypeError, UnicodeError, ValueError)


def to_arrow(table: str, rows: Sequence[Row]) -> pa.Table:
    """Turn rows into a table of the declared schema.

    Columns a row does not name are null (`schema_version` is filled in); NaN in a float column is
    null, because both mean unknown; money is rounded to nine decimals, half to even, as the ledger
    does.

    Raises:
        WarehouseError: no such table; an unknown column; a null in a required column; a value that
            does not fit its column. The sentence names table, row and column.
    """
    declared = table_schema(table)
    _refuse_unknown_columns(declared, rows)
    arrays = [_array(declared, column, rows) for column in declared.columns]
    return pa.Table.from_arrays(arrays, schema=schema(table))


def _refuse_unknown_columns(declared: TableSchema, rows: Sequence[Row]) -> None:
    names = {column.name for column in declared.columns}
    for number, row in enumerate(rows):
        if not row.keys() <= names:
            unknown = ", ".join(repr(name) for name in sorted(row.keys() - names))
            raise WarehouseError(
                f"{_place(declared, rows, number)} has unknown columns: {unknown}. "
                "`atlas tables` lists the columns. Nothing was written."
            )


def _array(declared: TableSchema, column: Column, rows: Sequence[Row]) -> pa.Array:
    values = [row.get(column.name) for row in rows]
    if column.name == "schema_version":
        values = [SCHEMA_VERSION if value is None else value for value in values]
    _refuse_silent_changes(declared, column, rows, values)
    if column.type.nested:
        values = [_repaired(column, value) for value in values]
    try:
        array = _convert(column, values)
    except _REFUSALS:
        array = _converted_with_repairs(declared, column, rows, values)
    if column.required and array.null_count:
        number = array.is_null().index(True).as_py()
        raise WarehouseError(
            f"{_place(declared, rows, number)} has no {column.name!r}, which every row of "
            f"{declared.name!r} must have. Nothing was written."
        )
    return array


def _convert(column: Column, values: Sequence[Any]) -> pa.Array:
    # `from_pandas` is what makes NaN null.
    floats = column.type in (NUMBER, SINGLE)
    return pa.array(values, type=arrow_type(column.type), from_pandas=floats)


def _refuse_silent_changes(
    declared: TableSchema, column: Column, rows: Sequence[Row], values: Sequence[Any]
) -> None:
    # Arrow would take a naive time for UTC, a number for microseconds, and cut off a fraction.
    if column.type == MOMENT:
        wanted, fits = "a datetime with a time zone", _is_moment
    elif column.type in (WHOLE, SMALL):
        wanted, fits = "a whole number", _is_no_float
    else:
        return
    for number, value in enumerate(values):
        if value is not None and not fits(value):
            raise WarehouseError(
                f"{_place(declared, rows, number)}: {column.name!r} is {_shown(column, value)}; "
                f"it must be {wanted}. Nothing was written."
            )


def _is_moment(value: Any) -> bool:  # noqa: ANN401
    return isinstance(value, datetime) and value.tzinfo is not None


def _is_no_float(value: Any) -> bool:  # noqa: ANN401
    return not isinstance(value, (float, Decimal))


def _converted_with_repairs(
    declared: TableSchema, column: Column, rows: Sequence[Row], values: Sequence[Any]
) -> pa.Array:
    """Second try, off the fast path: repair what may be repaired, name what may not."""
    repaired = [_repaired(column, value) for value in values]
    try:
        return _convert(column, repaired)
    except _REFUSALS as error:
        for number, value in enumerate(repaired):
            try:
                _convert(column, [value])
            except _REFUSALS as reason:
                raise WarehouseError(
                    f"{_place(declared, rows, number)}: {column.name!r} cannot hold "
                    f"{_shown(column, value)}; it is of type {column.type}. Nothing was written."
                ) from reason
        raise WarehouseError(
            f"Table {declared.name!r}: column {column.name!r} of type {column.type} could not be "
            f"built: {error}. Nothing was written."
        ) from error


def _repaired(column: Column, value: Any) -> Any:  # noqa: ANN401
    if column.type == MONEY and isinstance(value, Decimal) and value.is_finite():
        return rounded(value)
    if isinstance(value, str) and (column.free_text or not column.required):
        # Providers can put anything into an optional id; only ids that rows are found by are
        # refused instead, because they must be kept verbatim.
        return whole_text(value)
    if isinstance(value, (list, tuple)):
        return [_repaired_struct(item) if isinstance(item, Mapping) else item for item in value]
    return value


def _repaired_struct(item: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _repaired_member(value) for key, value in item.items()}


def _repaired_member(value: Any) -> Any:  # noqa: ANN401
    if isinstance(value, Decimal) and value.is_finite():
        return rounded(value)
    return None if isinstance(value, float) and math.isnan(value) else value


def rounded(amount: Decimal) -> Decimal:
    """Dollars rounded to nine decimals, half to even."""
    exponent = amount.as_tuple().exponent
    if isinstance(exponent, int) and exponent >= -9:
        return amount
    return amount.quantize(ONE_NANO, rounding=ROUND_HALF_EVEN)


def whole_text(value: str) -> str:
    """The text with lone surrogates, which UTF-8 cannot hold, replaced by U+FFFD."""
    return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _place(declared: TableSchema, rows: Sequence[Row], number: int) -> str:
    row = rows[number]
    ids = [
        f"{name} {row[name]!r}"
        for name in dict.fromkeys((*declared.key, "custom_id", "query_id"))
        if row.get(name) is not None
    ]
    shown = f" ({', '.join(ids)})" if ids else ""
    return f"Table {declared.name!r}, row {number}{shown}"


def _shown(column: Column, value: Any) -> str:  # noqa: ANN401
    """A value for an error: its type, and itself unless it is words that may be private."""
    kind = type(value).__name__
    if isinstance(value, str) and column.free_text:
        return f"a {kind} of {len(value)} characters"
    text = repr(value)
    return f"{text if len(text) <= 60 else text[:57] + '...'} ({kind})"
