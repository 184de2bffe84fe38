"""What can happen to a request: five small values, written in batches."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Claim:
    """Written before a request is sent. Claiming a refused or doubtful request sends it again."""

    request_id: str
    run_id: str
    chunk_id: str
    query_id: str
    pair_id: str
    call_index: int
    request_key: str
    reserved_nano: int
    """Worst-case charge in billionths of a dollar; 0 where the price is unknown or zero."""
    at: datetime


@dataclass(frozen=True, slots=True)
class Settlement:
    """The provider answered; `payload` replays the answer without paying again."""

    request_id: str
    cost_nano: int | None
    payload: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Refusal:
    """Never sent, or refused without a charge; may be claimed again."""

    request_id: str
    payload: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Doubt:
    """Sent, fate unknown: the reservation becomes a charge that stays."""

    request_id: str
    reason: str
    payload: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Failure:
    """Given up without a further charge; final for this round."""

    request_id: str
    payload: str
    at: datetime


Entry = Claim | Settlement | Refusal | Doubt | Failure
