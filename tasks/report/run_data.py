"""Everything a report on one routed run shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import TYPE_CHECKING, Any

from tasks.report.facts import PairUse, RouteFacts, SpendPoint, Steps, Versus
from tasks.report.other_routers import BEST_SINGLE

if TYPE_CHECKING:
    from datetime import datetime
    from decimal import Decimal

    from tasks.report.against import Against
    from tasks.report.comparison import Interval
    from tasks.report.run_rows import Calls
    from tasks.report.run_scores import Calibration, ErrorKind, Group


@dataclass(frozen=True, slots=True)
class RunReportData:
    """Everything a report on one run shows; money in dollars, None is unknown.

    Attributes:
        state: running | paused_budget | failed | cancelled | complete.
        router: router, alpha and profile in one line.
        rows: readable rows of the backlog = `answered` + `failed` + `in_doubt` + `pending`.
        duplicates: answered rows that repeat another one and cost nothing.
        questions: all questions asked so far, duplicates left out, as one group.
        calls: sums over committed attempts.
        ledger_usd: everything the ledger counts against the budget, committed or not.
        doubts: requests on the in-doubt list.
        wall_s: from the run's begin to its end, pauses included; None while it runs.
        row_p50_s, row_p95_s: seconds one question took.
        fallbacks: asked questions for which more than one pair was tried.
        out_of_distribution: asked questions unlike anything profiled; None without clusters.
        pairs, datasets, clusters: the questions in parts, where there are such.
        calibration: None where no scored question has an expected score.
        cost_drift: what the questions cost relative to the profile's figures for the same choices.
        against: other routers on the answered questions, estimated from the profile.
        spend: money over time.
        steps: what the questions of a policy's run took; None for one-step runs.
        notes: sentences on what is missing, and why.
    """

    run_id: str
    state: str
    source: str
    destination: str
    router: str
    profile_id: str | None
    started_at: datetime
    ended_at: datetime | None
    rows: int
    unique: int
    bad: int
    answered: int
    failed: int
    in_doubt: int
    pending: int
    duplicates: int
    questions: Group
    calls: Calls
    ledger_usd: Decimal
    max_cost_usd: Decimal | None
    doubts: int
    wall_s: float | None
    row_p50_s: float | None
    row_p95_s: float | None
    fallbacks: int
    out_of_distribution: int | None
    pairs: tuple[Group, ...]
    datasets: tuple[Group, ...]
    clusters: tuple[Group, ...]
    errors: tuple[ErrorKind, ...]
    calibration: Calibration | None
    cost_drift: Interval | None
    against: tuple[Against, ...]
    spend: tuple[SpendPoint, ...] = ()
    steps: Steps | None = None
    sandbox_tier: str | None = None
    notes: tuple[str, ...] = ()

    def versus(self, name: str = BEST_SINGLE) -> Versus | None:
        """The run against one router in a line; None where there are no figures."""
        for other in self.against:
            if other.name == name and not other.problem:
                cost = other.cost_change
                return Versus(
                    f"{other.label}, estimated from the profile",
                    None if cost is None else cost.value,
                    other.accuracy_change,
                )
        return None

    def facts(self, next_commands: Sequence[str] = ()) -> RouteFacts:
        """What `tasks.report.terminal.route_panel`, the pages and the plots are made from."""
        return RouteFacts(
            run_id=self.run_id,
            state=self.state,
            source=self.source,
            destination=self.destination,
            router=self.router,
            rows=self.rows,
            answered=self.answered,
            failed=self.failed,
            pending=self.pending,
            in_doubt=self.in_doubt,
            cached=self.duplicates,
            bad_rows=self.bad,
            spent_usd=self.ledger_usd,
            doubt_usd=self.calls.doubt_usd,
            max_cost_usd=self.max_cost_usd,
            unpriced=self.calls.unpriced,
            input_tokens=self.calls.input_tokens,
            cached_tokens=self.calls.cached_tokens,
            output_tokens=self.calls.output_tokens,
            elapsed_s=self.wall_s or 0.0,
            session_rows=self.questions.answered + self.questions.failed,
            sandbox_tier=self.sandbox_tier,
            pairs=tuple(_pair_use(group) for group in self.pairs if group.answered),
            versus=self.versus(),
            errors={kind.error_type: kind.rows for kind in self.errors if kind.status == "failed"}
            or None,
            spend=self.spend,
            steps=self.steps,
            next_commands=tuple(next_commands),
        )

    def as_json(self) -> dict[str, Any]:
        """Plain values; money stays `Decimal`, intervals are `{value, low, high}`."""
        plain: dict[str, Any] = {name: plain_value(getattr(self, name)) for name in self.__slots__}
        return plain


def _pair_use(group: Group) -> PairUse:
    score = group.accuracy
    return PairUse(
        pair_id=group.name,
        rows=group.answered + group.duplicates,
        graded=group.scored,
        accuracy=None if score is None else score.value,
        accuracy_low=None if score is None else score.low,
        accuracy_high=None if score is None else score.high,
        cost_usd=group.cost_usd,
    )


def plain_value(value: Any) -> Any:  # noqa: ANN401
    """Dataclasses and named tuples as dicts, tuples as lists; the rest as it is."""
    if hasattr(value, "_asdict"):
        return {name: plain_value(part) for name, part in value._asdict().items()}
    if is_dataclass(value):
        return {f.name: plain_value(getattr(value, f.name)) for f in fields(value)}
    return [plain_value(part) for part in value] if isinstance(value, tuple) else value
