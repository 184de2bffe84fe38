"""A chunk's rows as tables, in two parts: most of them while its last rows are still in flight.

Building the tables of a chunk takes a while, in which nobody is answered where no chunk follows.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile
from typing import TYPE_CHECKING, NamedTuple

from tasks.batch.rows import RowContext, Tables, chunk_tables
from warehouse.tables import to_arrow

if TYPE_CHECKING:
    import asyncio

    import pyarrow as pa

    from tasks.batch.item import ItemResult


class Draft(NamedTuple):
    """Tables of the first rows of a chunk, or of all.

    Attributes:
        size: how many of the chunk's rows are in it, counted from the first.
        rows: by table, as `tasks.batch.rows` makes them.
        data: the same in the declared schemas.
    """

    size: int
    rows: Tables
    data: dict[str, pa.Table]


def drafted(results: Sequence[ItemResult], earlier: Tables, context: RowContext) -> Draft:
    """Build the tables of these rows; `earlier` is an earlier generation's, see `chunk_tables`.

    Raises:
        WarehouseError: a value fits no column.
    """
    rows = chunk_tables(results, earlier, context)
    return Draft(len(results), rows, {name: to_arrow(name, rows[name]) for name in rows})


def whole_chunk(
    draft: Draft | None, results: Sequence[ItemResult], earlier: Tables, context: RowContext
) -> Draft:
    """The tables of all rows: those of a draft, if there is one, and of the rows after it.

    Rows stay in the order of the chunk. A draft holds no row of an earlier generation, so a chunk
    that has one is built at once.

    Raises:
        WarehouseError: a value fits no column.
    """
    if draft is None:
        return drafted(results, earlier, context)
    import pyarrow as pa

    rest = drafted(results[draft.size :], earlier, context)
    return Draft(
        len(results),
        {name: draft.rows[name] + rest.rows[name] for name in rest.rows},
        {
            name: pa.concat_tables([draft.data[name], rest.data[name]]).combine_chunks()
            for name in rest.data
        },
    )


def ended(tasks: Sequence[asyncio.Task[ItemResult]]) -> list[ItemResult]:
    """Results of the first rows of a chunk, up to the first one that is still in flight."""
    return [task.result() for task in takewhile(_has_result, tasks)]


def _has_result(task: asyncio.Task[ItemResult]) -> bool:
    return task.done() and not task.cancelled() and task.exception() is None
