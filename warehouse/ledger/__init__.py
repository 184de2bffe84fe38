"""The ledger: the durable SQL record of runs, chunks, paid requests and commits.

A request moves through these states, each step one durable transaction::

    (none) ──claim──▶ claimed ──settle──▶ settled      charged: cost
                        │ ├───refuse──▶ refused        charged: nothing; may be claimed again
                        │ ├───fail────▶ failed         charged: nothing; final
                        │ └───doubt───▶ in_doubt       charged: its reservation
                        └──owner died─▶ in_doubt       may be claimed (sent) once more
                                        (refused, if the log of sent requests lacks it)

`in_doubt` is where honesty lives: the provider may have answered and charged, we cannot know. The
reservation stays charged; when the request is sent again its second charge is recorded beside it.

Looking at a ledger that is a file goes without SQLAlchemy; whatever needs it is imported when it is
asked for.
"""

import importlib
from typing import TYPE_CHECKING, Any

from warehouse.ledger.address import keep_ledger_beside
from warehouse.ledger.entries import Claim, Doubt, Entry, Failure, Refusal, Settlement
from warehouse.ledger.invalidations import Invalidation
from warehouse.ledger.opening import open_ledger
from warehouse.ledger.reading import LedgerReader
from warehouse.ledger.runs import ChunkCounts, RunRecord
from warehouse.ledger.sent_log import SentLog, sent_log_path, sent_requests
from warehouse.ledger.stored import StoredRequest

if TYPE_CHECKING:
    from warehouse.ledger.ledger import Ledger
    from warehouse.ledger.writer import LedgerWriter

__all__ = [
    "ChunkCounts",
    "Claim",
    "Doubt",
    "Entry",
    "Failure",
    "Invalidation",
    "Ledger",
    "LedgerReader",
    "LedgerWriter",
    "Refusal",
    "RunRecord",
    "SentLog",
    "Settlement",
    "StoredRequest",
    "keep_ledger_beside",
    "open_ledger",
    "sent_log_path",
    "sent_requests",
]

_WITH_SQLALCHEMY = {
    "Ledger": "warehouse.ledger.ledger",
    "LedgerWriter": "warehouse.ledger.writer",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401
    if name in _WITH_SQLALCHEMY:
        return getattr(importlib.import_module(_WITH_SQLALCHEMY[name]), name)
    raise AttributeError(f"module 'warehouse.ledger' has no attribute {name!r}")
