"""How a refresh stands after a session."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from flows.refresh_policy import PolicyNews
    from profiles.profile import Profile
    from tasks.freshness.drift_state import PairDrift
    from tasks.freshness.gate import GateDecision
    from tasks.freshness.night import Alarm
    from tasks.freshness.query_drift import QueryDrift
    from tasks.freshness.refresh_run import Spent


class RefreshOutcome(NamedTuple):
    """How a refresh stands after a session.

    Attributes:
        status: complete | paused_budget | cancelled | failed.
        cells_run: cells run by this refresh, earlier sessions included; canaries apart.
        pending: cells or canaries without a final answer.
        failed_share: share of the cells and canaries run that failed.
        old_profile_id: the version in use before.
        profile_id: the version fitted; None while cells are missing.
        published: whether `profile_id` is in use now.
        drift: what tonight's canaries say; empty where they were measured before.
        stale_pairs: pairs whose cells were run again because of drift.
        policy: what became of the policy; None where none was asked for.
    """

    run_id: str
    night: str
    status: str
    resumed: bool
    cells_run: int
    cells_known: int
    canaries_run: int
    pending: int
    failed_share: float
    fatal: dict[str, str]
    spent: Spent
    max_cost_usd: Decimal | None
    old_profile_id: str | None
    profile_id: str | None
    published: bool
    gate: GateDecision | None
    drift: tuple[PairDrift, ...]
    alarms: tuple[Alarm, ...]
    stale_pairs: tuple[str, ...]
    queries: QueryDrift | None
    profile: Profile | None
    policy: PolicyNews | None

    @property
    def nothing_to_do(self) -> bool:
        """Whether every cell was known, no pair drifted and the knowledge is that in use."""
        return self.status == "complete" and not self.cells_run and self.gate_was_idle

    @property
    def gate_was_idle(self) -> bool:
        """Whether the version fitted is the one that was in use."""
        return self.profile_id == self.old_profile_id
