"""Writing a batch of entries inside one transaction, in the order they happened."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from importlib import import_module
from itertools import groupby
from typing import Any

from sqlalchemy import Connection, Dialect, Table, Update, and_, bindparam

from warehouse.ledger.entries import Claim, Doubt, Entry, Failure, Refusal, Settlement
from warehouse.ledger.prepared import PreparedStatement
from warehouse.ledger.schema import invalidations, requests


def apply_entries(connection: Connection, entries: Sequence[Entry]) -> None:
    """Write entries; those of one kind become one statement with many parameter sets.

    Entries of different requests commute. One request's entries keep their order: where a request
    stands in the batch twice, only neighbours are put together.
    """
    batch = list(entries)
    if len({entry.request_id for entry in batch}) == len(batch):
        batch.sort(key=lambda entry: _KINDS.index(type(entry)))
    for kind, group in groupby(batch, key=type):
        rows: list[Any] = list(group)
        _prepared(kind, connection.dialect).execute(connection, _PARAMETERS[kind](rows))


_KINDS: tuple[type, ...] = (Claim, Settlement, Refusal, Doubt, Failure)

_OF_ONE = requests.c.request_id == bindparam("id_")
_SETTLE = (
    requests.update()
    .where(_OF_ONE)
    .values(
        state="settled",
        reserved_nano=0,
        cost_nano=bindparam("cost_"),
        payload=bindparam("payload_"),
        settled_at=bindparam("at_"),
    )
)
_DOUBT = (
    requests.update()
    .where(_OF_ONE)
    .values(
        state="in_doubt",
        doubts=requests.c.doubts + 1,
        doubt_nano=requests.c.doubt_nano + requests.c.reserved_nano,
        reserved_nano=0,
        doubt_reason=bindparam("reason_"),
        payload=bindparam("payload_"),
    )
)


def _ending(state: str) -> Update:
    return (
        requests.update()
        .where(_OF_ONE)
        .values(
            state=state,
            reserved_nano=0,
            payload=bindparam("payload_"),
            settled_at=bindparam("at_"),
        )
    )


_UPDATES = {
    Settlement: _SETTLE,
    Doubt: _DOUBT,
    Refusal: _ending("refused"),
    Failure: _ending("failed"),
}
_CLAIM_COLUMNS = (
    "request_id", "run_id", "chunk_id", "query_id", "pair_id", "call_index", "request_key",
    "state", "sends", "reserved_nano", "doubt_nano", "doubts", "claimed_at",
)  # fmt: skip


def _insert_into(dialect_name: str, table: Table) -> Any:  # noqa: ANN401
    """An INSERT of the dialect, which knows ON CONFLICT."""
    # The dialect in use is there already; importing the other one costs every command 40 ms.
    return import_module(f"sqlalchemy.dialects.{dialect_name}").insert(table)


def invalidation_insert(dialect_name: str) -> Any:  # noqa: ANN401
    """An INSERT of an invalidation that leaves the same pair and moment as they are."""
    key = [invalidations.c.pair_id, invalidations.c.before]
    return _insert_into(dialect_name, invalidations).on_conflict_do_nothing(index_elements=key)


@lru_cache(maxsize=64)
def _prepared(kind: type, dialect: Dialect) -> PreparedStatement:
    if kind is Claim:
        return PreparedStatement(_claim_statement(dialect.name), dialect, _CLAIM_COLUMNS)
    return PreparedStatement(_UPDATES[kind], dialect)


def _claim_statement(dialect_name: str) -> Any:  # noqa: ANN401
    insert = _insert_into(dialect_name, requests)
    return insert.on_conflict_do_update(
        index_elements=[requests.c.request_id],
        set_={
            "state": "claimed",
            "sends": requests.c.sends + 1,
            "reserved_nano": insert.excluded.reserved_nano,
            "request_key": insert.excluded.request_key,
            "claimed_at": insert.excluded.claimed_at,
        },
        # A settled request is never claimed again, whatever the caller believes.
        where=and_(requests.c.state != "settled", requests.c.state != "failed"),
    )


def _claims(batch: Sequence[Claim]) -> list[dict[str, Any]]:
    return [
        {
            "request_id": claim.request_id,
            "run_id": claim.run_id,
            "chunk_id": claim.chunk_id,
            "query_id": claim.query_id,
            "pair_id": claim.pair_id,
            "call_index": claim.call_index,
            "request_key": claim.request_key,
            "state": "claimed",
            "sends": 1,
            "reserved_nano": claim.reserved_nano,
            "doubt_nano": 0,
            "doubts": 0,
            "claimed_at": claim.at.replace(tzinfo=None),
        }
        for claim in batch
    ]


def _settlements(batch: Sequence[Settlement]) -> list[dict[str, Any]]:
    return [
        {
            "id_": entry.request_id,
            "cost_": entry.cost_nano,
            "payload_": entry.payload,
            "at_": entry.at.replace(tzinfo=None),
        }
        for entry in batch
    ]


def _doubts(batch: Sequence[Doubt]) -> list[dict[str, Any]]:
    return [
        {"id_": entry.request_id, "reason_": entry.reason, "payload_": entry.payload}
        for entry in batch
    ]


def _endings(batch: Sequence[Refusal | Failure]) -> list[dict[str, Any]]:
    return [
        {"id_": entry.request_id, "payload_": entry.payload, "at_": entry.at.replace(tzinfo=None)}
        for entry in batch
    ]


_PARAMETERS: dict[type, Callable[[Sequence[Any]], list[dict[str, Any]]]] = {
    Claim: _claims,
    Settlement: _settlements,
    Doubt: _doubts,
    Refusal: _endings,
    Failure: _endings,
}
