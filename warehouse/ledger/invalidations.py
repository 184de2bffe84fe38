"""Outcomes declared stale: a pair, a moment, and why."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


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
