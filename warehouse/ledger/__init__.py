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
"""

from warehouse.ledger.address import keep_ledger_beside
from warehouse.ledger.entries import Claim, Doubt, Entry, Failure, Refusal, Settlement
from warehouse.ledger.invalidations import Invalidation
from warehouse.ledger.ledger import Ledger, open_ledger
from warehouse.ledger.runs import ChunkCounts, RunRecord
from warehouse.ledger.sent_log import SentLog, sent_log_path, sent_requests
from warehouse.ledger.stored import StoredRequest
from warehouse.ledger.writer import LedgerWriter

__all__ = [
    "ChunkCounts",
    "Claim",
    "Doubt",
    "Entry",
    "Failure",
    "Invalidation",
    "Ledger",
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
