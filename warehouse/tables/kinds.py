"""What a column can hold, in our own words and spelt as Arrow spells it.

Declaring a table, describing it and reading it with polars go without pyarrow, which takes a tenth
of a second to import; writing it does not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Kind:
    """One type of values.

    Attributes:
        spelling: its name in Arrow.
        item: of a list, what it holds.
        members: of a struct, what it is made of, by name.
    """

    spelling: str
    item: Kind | None = None
    members: tuple[tuple[str, Kind], ...] = ()

    def __str__(self) -> str:
        return self.spelling

    @property
    def nested(self) -> bool:
        """Whether a value is made of others."""
        return self.item is not None or bool(self.members)


TEXT = Kind("string")
WHOLE, SMALL = Kind("int64"), Kind("int32")
NUMBER, SINGLE = Kind("double"), Kind("float")
FLAG = Kind("bool")
MONEY = Kind("decimal128(18, 9)")
"""Dollars with nine decimals."""
MONEY_DIGITS, MONEY_DECIMALS = 18, 9
MOMENT = Kind("timestamp[us, tz=UTC]")


def list_of(item: Kind) -> Kind:
    """Any number of values of one kind."""
    return Kind(f"list<item: {item}>", item=item)


def struct_of(members: Mapping[str, Kind]) -> Kind:
    """One value of each kind, by name."""
    spelt = ", ".join(f"{name}: {kind}" for name, kind in members.items())
    return Kind(f"struct<{spelt}>", members=tuple(members.items()))


@cache
def arrow_type(kind: Kind) -> pa.DataType:
    """The kind as a type of pyarrow."""
    import pyarrow as pa

    if kind.item is not None:
        return pa.list_(arrow_type(kind.item))
    if kind.members:
        return pa.struct([pa.field(name, arrow_type(one)) for name, one in kind.members])
    if kind == MONEY:
        return pa.decimal128(MONEY_DIGITS, MONEY_DECIMALS)
    if kind == MOMENT:
        return pa.timestamp("us", tz="UTC")
    return pa.type_for_alias(kind.spelling)
