"""Outcomes declared stale: a pair, a moment, and why."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime

from sqlalchemy import Connection, inspect, select

from warehouse.errors import WarehouseError
from warehouse.ledger.apply import insert_into
from warehouse.ledger.schema import invalidations
from warehouse.ledger.times import aware, naive


@dataclass(frozen=True, slots=True)
class Invalidation:
    """One statement that outcomes no longer count.

    Attributes:
        pair_id: the pair, `model@@tool`.
        before: outcomes of attempts made before this moment are stale; UTC.
        reason: a sentence for people, such as "the provider changed the model".
        run_id: the run that found it out; None where a person said it.
        created_at: when it was said; UTC.
    """

    pair_id: str
    before: datetime
    reason: str
    run_id: str | None
    created_at: datetime


def insert_invalidation(connection: Connection, said: Invalidation) -> None:
    """Write one; the same pair and moment once more changes nothing.

    Raises:
        WarehouseError: the moment has no time zone.
    """
    if said.before.tzinfo is None:
        raise WarehouseError(
            f"The invalidation of pair {said.pair_id!r} names {said.before.isoformat()} without a "
            "time zone; give the moment in UTC."
        )
    statement = insert_into(connection.dialect.name, invalidations).on_conflict_do_nothing(
        index_elements=[invalidations.c.pair_id, invalidations.c.before]
    )
    connection.execute(statement, naive(asdict(said)))


def read_invalidations(connection: Connection) -> list[Invalidation]:
    """All of them, oldest first; none where the ledger is older than they are."""
    if not inspect(connection).has_table(invalidations.name):
        # Only a ledger opened for reading can be this old.
        return []
    ordered = select(invalidations).order_by(
        invalidations.c.created_at, invalidations.c.pair_id, invalidations.c.before
    )
    rows = connection.execute(ordered).mappings()
    return [Invalidation(**aware(dict(row))) for row in rows]
