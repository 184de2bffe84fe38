"""What the ledger holds of one request, as it is read back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from warehouse.money import dollars, from_nano


@dataclass(frozen=True, slots=True)
class StoredRequest:
    """What the ledger knows of one request."""

    request_id: str
    chunk_id: str
    query_id: str
    pair_id: str
    call_index: int
    state: str
    sends: int
    doubts: int
    cost_usd: Decimal | None
    doubt_usd: Decimal
    reserved_usd: Decimal
    doubt_reason: str | None
    payload: str | None


def stored_request(row: Mapping[str, Any]) -> StoredRequest:
    """A row of the table `requests`, its money in dollars."""
    return StoredRequest(
        request_id=row["request_id"],
        chunk_id=row["chunk_id"],
        query_id=row["query_id"],
        pair_id=row["pair_id"],
        call_index=row["call_index"],
        state=row["state"],
        sends=row["sends"],
        doubts=row["doubts"],
        cost_usd=from_nano(row["cost_nano"]),
        doubt_usd=dollars(row["doubt_nano"]),
        reserved_usd=dollars(row["reserved_nano"]),
        doubt_reason=row["doubt_reason"],
        payload=row["payload"],
    )
