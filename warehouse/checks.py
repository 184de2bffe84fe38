"""Checks that a chunk must pass before its files are committed.

Pure functions over the chunk's arrow tables: unique keys, accepted enum values, every row of the
same run, every query answered for, and every cent of every attempt found again in the answers.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from warehouse.errors import WarehouseError

if TYPE_CHECKING:
    import pyarrow as pa

_SHOWN = 5
_HALF_NANO = Decimal("0.0000000005")
_ADVICE = "Nothing was committed; the same command works this chunk again."


class CheckFailed(WarehouseError):  # noqa: N818 - names what happened, not the class
    """A chunk whose rows contradict themselves or each other.

    Attributes:
        table: the table at fault.
        ids: the rows at fault, by their keys.
    """

    def __init__(self, table: str, fault: str, ids: Sequence[str]) -> None:
        shown = ", ".join(ids[:_SHOWN]) + (", ..." if len(ids) > _SHOWN else "")
        where = f" Rows: {shown}." if ids else ""
        super().__init__(f"Table {table!r}: {fault}.{where} {_ADVICE}")
        self.table = table
        self.ids = tuple(ids)


def check_chunk(tables: Mapping[str, pa.Table]) -> None:
    """Check the tables of one chunk, each by itself and against each other.

    Args:
        tables: by name, in the declared schemas. A table that is not there is not checked: the
            money and the row count are compared only where both sides are given.

    Raises:
        CheckFailed: names the table, the rows and what to do.
        WarehouseError: there is no table of such a name.
    """
    for name, data in tables.items():
        check_required(name, data)
        check_values(name, data)
        check_unique(name, data)
    check_one_run(tables)
    if "queries" in tables and "answers" in tables:
        check_every_query_answered_for(tables["queries"], tables["answers"])
    if "attempts" in tables and "answers" in tables:
        check_money(tables["attempts"], tables["answers"])


def check_required(name: str, data: pa.Table) -> None:
    """Every required column has a value in every row.

    Raises:
        CheckFailed: a null where none may be.
    """
    from warehouse.tables import table_schema

    declared = table_schema(name)
    present = set(data.column_names)
    for column in declared.columns:
        if column.name not in present:
            raise CheckFailed(name, f"column {column.name!r} is missing", ())
        values = data[column.name]
        if column.required and values.null_count:
            missing = [number for number, one in enumerate(values) if not one.is_valid]
            raise CheckFailed(
                name, f"column {column.name!r} is null", _ids(data, declared.key, missing)
            )


def check_values(name: str, data: pa.Table) -> None:
    """Every enum column holds accepted values only; null is accepted where it is not required.

    Raises:
        CheckFailed: a value that is not accepted.
    """
    from warehouse.tables import table_schema

    declared = table_schema(name)
    for column in declared.columns:
        if not column.values:
            continue
        found = set(data[column.name].unique().to_pylist()) - {None, *column.values}
        if found:
            values = data[column.name].to_pylist()
            wrong = [number for number, value in enumerate(values) if value in found]
            fault = (
                f"column {column.name!r} holds {', '.join(sorted(map(repr, found)))}; "
                f"accepted are {', '.join(column.values)}"
            )
            raise CheckFailed(name, fault, _ids(data, declared.key, wrong))


def check_unique(name: str, data: pa.Table) -> None:
    """No two rows share the table's key.

    Raises:
        CheckFailed: some do.
    """
    from warehouse.tables import table_schema

    key = table_schema(name).key
    counted = Counter(_keys(data, key))
    twice = [_shown(key, values) for values, times in counted.items() if times > 1]
    if twice:
        raise CheckFailed(name, f"several rows have the same ({', '.join(key)})", twice)


def check_one_run(tables: Mapping[str, pa.Table]) -> None:
    """All rows belong to one run and one chunk.

    Raises:
        CheckFailed: rows of several runs or chunks are mixed.
    """
    for column in ("run_id", "chunk_id"):
        seen: dict[Any, str] = {}
        for name, data in tables.items():
            if column in data.column_names:
                for value in data[column].drop_null().unique().to_pylist():
                    seen.setdefault(value, name)
        if len(seen) > 1:
            found = [f"{column} {value!r} in {name!r}" for value, name in seen.items()]
            raise CheckFailed(next(iter(seen.values())), f"rows of several {column}s", found)


def check_every_query_answered_for(queries: pa.Table, answers: pa.Table) -> None:
    """Rows in = answered + failed + skipped + in doubt: each custom_id of one is in the other.

    Raises:
        CheckFailed: a query without an answer row, or an answer to no query.
    """
    asked = queries["custom_id"].to_pylist()
    told = answers["custom_id"].to_pylist()
    lost = _minus(asked, told)
    if lost:
        fault = f"{len(lost)} of {len(asked)} queries have no row that says what became of them"
        raise CheckFailed("answers", fault, [f"custom_id {one!r}" for one in lost])
    strange = _minus(told, asked)
    if strange:
        fault = f"{len(strange)} rows answer no query of this chunk"
        raise CheckFailed("answers", fault, [f"custom_id {one!r}" for one in strange])


def check_money(attempts: pa.Table, answers: pa.Table) -> None:
    """`cost_usd + doubt_usd` of a query's answers = the sum of its attempts' `cost_usd`.

    An unknown price on one side must be unknown on the other. Each amount was rounded to nine
    decimals, so sums may differ by half a billionth of a dollar for every amount in them.

    Raises:
        CheckFailed: money was lost or invented.
    """
    charged = _sums(attempts["query_id"].to_pylist(), attempts["cost_usd"].to_pylist())
    ids = answers["query_id"].to_pylist()
    told = _sums(ids + ids, answers["cost_usd"].to_pylist() + answers["doubt_usd"].to_pylist())
    wrong = []
    for query_id in dict.fromkeys([*told, *charged]):
        expected, amounts = charged.get(query_id, (Decimal(0), 0))
        actual, parts = told.get(query_id, (Decimal(0), 0))
        if not _agree(expected, actual, amounts + parts) or (amounts and not parts):
            wrong.append(
                f"query_id {query_id!r} (answers {_money(actual)}, attempts {_money(expected)})"
            )
    if wrong:
        fault = "cost_usd + doubt_usd is not what the attempts were charged with"
        raise CheckFailed("answers", fault, wrong)


def _sums(
    ids: Iterable[str], amounts: Iterable[Decimal | None]
) -> dict[str, tuple[Decimal | None, int]]:
    """Sum and number of amounts by id; None as soon as one of them is unknown."""
    sums: dict[str, tuple[Decimal | None, int]] = defaultdict(lambda: (Decimal(0), 0))
    for one, amount in zip(ids, amounts, strict=True):
        total, number = sums[one]
        sums[one] = (None if total is None or amount is None else total + amount, number + 1)
    return dict(sums)


def _agree(expected: Decimal | None, actual: Decimal | None, amounts: int) -> bool:
    if expected is None or actual is None:
        return expected is actual
    return abs(expected - actual) <= _HALF_NANO * amounts


def _money(amount: Decimal | None) -> str:
    return "an unknown price" if amount is None else f"${amount}"


def _minus(left: Iterable[str], right: Iterable[str]) -> list[str]:
    return list((Counter(left) - Counter(right)).elements())


def _keys(data: pa.Table, key: Sequence[str]) -> list[tuple[Any, ...]]:
    return list(zip(*(data[column].to_pylist() for column in key), strict=True))


def _ids(data: pa.Table, key: Sequence[str], numbers: Sequence[int]) -> list[str]:
    values = _keys(data.take(numbers), key)
    return [
        f"row {number} ({_shown(key, one)})" for number, one in zip(numbers, values, strict=True)
    ]


def _shown(key: Sequence[str], values: Sequence[Any]) -> str:
    named = zip(key, values, strict=True)
    return ", ".join(
        f"{name} {value!r}" for name, value in named if name != "run_id" or len(key) == 1
    )
