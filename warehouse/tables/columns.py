"""How a column is declared: one function a kind, so that a kind has one type everywhere.

Enums are plain strings with their accepted values in the metadata, not dictionary types: Parquet
encodes both the same on disk, while polars reads a dictionary as Categorical, which neither joins
with strings nor concatenates freely.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from warehouse.tables.kinds import (
    FLAG,
    MOMENT,
    MONEY,
    NUMBER,
    SMALL,
    TEXT,
    WHOLE,
    Kind,
    arrow_type,
)

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Column:
    """One declared column.

    Attributes:
        name: snake_case; times end in `_at`, durations in `_s`, money in `_usd`.
        type: what its values are.
        description: one sentence for people.
        required: whether every row must have a value.
        unit: of numbers that have one.
        otel: the OpenTelemetry GenAI attribute it carries, where there is one.
        values: the accepted values of an enum.
        free_text: text that people or models wrote: never quoted in an error, and a lone surrogate
            (which UTF-8 cannot hold) is replaced by U+FFFD even where the column is required.
    """

    name: str
    type: Kind
    description: str
    required: bool = False
    unit: str | None = None
    otel: str | None = None
    values: tuple[str, ...] = ()
    free_text: bool = False

    def field(self) -> pa.Field:
        """The column as a pyarrow field whose metadata carries what the type cannot."""
        metadata = {"description": self.description}
        if self.unit is not None:
            metadata["unit"] = self.unit
        if self.otel is not None:
            metadata["otel"] = self.otel
        if self.values:
            metadata["values"] = "|".join(self.values)
        import pyarrow as pa

        kind = arrow_type(self.type)
        return pa.field(self.name, kind, nullable=not self.required, metadata=metadata)


@dataclass(frozen=True, slots=True)
class TableSchema:
    """One declared table.

    Attributes:
        name: of the table and of its folder.
        description: one sentence for people.
        grain: what one row is.
        key: columns that together name one row inside a chunk.
        columns: in file order.
    """

    name: str
    description: str
    grain: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]


def ident(
    name: str, description: str, *, required: bool = False, otel: str | None = None
) -> Column:
    """An id, a name or a hash: kept verbatim."""
    return Column(name, TEXT, description, required=required, otel=otel)


def text(name: str, description: str, *, required: bool = False) -> Column:
    """Words of people or models."""
    return Column(name, TEXT, description, required=required, free_text=True)


def enum(
    name: str,
    values: tuple[str, ...],
    description: str,
    *,
    required: bool = False,
    otel: str | None = None,
) -> Column:
    """One of a few accepted strings."""
    return Column(name, TEXT, description, required=required, otel=otel, values=values)


def money(name: str, description: str) -> Column:
    """Dollars with nine decimals; null is an unknown price, 0 is free."""
    return Column(name, MONEY, description, unit="USD")


def seconds(name: str, description: str, *, otel: str | None = None) -> Column:
    """A duration in seconds."""
    return Column(name, NUMBER, description, unit="s", otel=otel)


def moment(name: str, description: str, *, required: bool = False) -> Column:
    """A moment in UTC, to the microsecond."""
    return Column(name, MOMENT, description, required=required)


def number(name: str, description: str, *, unit: str | None = None) -> Column:
    """A float; NaN is written as null, which means unknown."""
    return Column(name, NUMBER, description, unit=unit)


def count(
    name: str,
    description: str,
    *,
    required: bool = False,
    unit: str | None = None,
    otel: str | None = None,
    bits: Literal[32, 64] = 64,
) -> Column:
    """A whole number."""
    return Column(
        name,
        SMALL if bits == 32 else WHOLE,
        description,
        required=required,
        unit=unit,
        otel=otel,
    )


def small(name: str, description: str, *, required: bool = False) -> Column:
    """A whole number that never grows large: a position, a step, a code."""
    return count(name, description, required=required, bits=32)


def flag(name: str, description: str) -> Column:
    """True, false, or null where it does not apply."""
    return Column(name, FLAG, description)


def tokens(name: str, description: str, *, otel: str | None = None) -> Column:
    """A number of tokens; null is unknown."""
    return count(name, description, unit="token", otel=otel)


def identity(*, chunk_required: bool = True) -> tuple[Column, ...]:
    """The first columns of every table that a run writes."""
    return (
        ident("run_id", "The batch run or profiling run that wrote the row.", required=True),
        ident("chunk_id", "The chunk of the run, the unit of commit.", required=chunk_required),
    )


def version() -> Column:
    """The last column of every table."""
    return small(
        "schema_version", "Version of this schema when the row was written.", required=True
    )
