"""What a routed run did, from its committed rows, and what other routers would have made of it.

Every share and accuracy has its n and a 95 % interval. Accuracies are over questions that were
asked and scored: duplicates carry a copied score and would only feign certainty, an unscored
answer is counted apart and never as wrong. Intervals of accuracies are Wilson's.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.report.against import (
    DEFAULT_AGAINST,
    Against,
    answered_rows,
    compare_run,
    cost_drift,
)
from tasks.report.other_routers import tables_of
from tasks.report.run_data import RunReportData
from tasks.report.run_rows import RunRows, calls_of, read_rows, spend_points
from tasks.report.run_scores import (
    calibration,
    error_kinds,
    groups,
    pair_groups,
    whole,
)
from tasks.report.run_steps import steps_of

if TYPE_CHECKING:
    from profiles.profile import Profile
    from tasks.report.comparison import Interval
    from warehouse.ledger import LedgerReader, RunRecord


def report_run(
    root: Path,
    run_id: str,
    *,
    against: Sequence[str] = DEFAULT_AGAINST,
    profile: Profile | None = None,
) -> RunReportData:
    """What a routed run did so far, from committed rows only.

    Args:
        root: the warehouse's root.
        run_id: the run.
        against: routers to compare with, see `tasks.report.other_routers.NAMES`.
        profile: what comparisons are estimated from; by default the profile the run was routed
            by, or, for a run that needed none, the latest one of the same pool.

    Raises:
        WarehouseError: no such routed run, or a committed file that is missing or damaged.
        AgainstError: a router that cannot be compared with.
        RouterError: the profile does not know the pair of a `fixed:…`.
    """
    from warehouse.ledger import open_ledger

    ledger = open_ledger(root, read_only=True)
    try:
        run = _routed(ledger, run_id)
        rows = read_rows(root, ledger, run_id)
        notes: list[str] = []
        if profile is None:
            profile, problem = _profile_of(root, run)
            notes += [problem] if problem else []
        compared, drift = _compared(rows, run, profile, against)
        data = _gather(root, ledger, run, rows, profile)
        notes += _notes(data, drift)
        return replace(data, against=compared, cost_drift=drift, notes=tuple(notes))
    finally:
        ledger.close()


def _routed(ledger: LedgerReader, run_id: str) -> RunRecord:
    from warehouse.errors import WarehouseError

    run = ledger.run(run_id)
    if run is None:
        raise WarehouseError(
            f"There is no run {run_id!r}; `atlas runs list` shows those there are."
        )
    if run.kind != "route":
        raise WarehouseError(
            f"Run {run_id!r} profiled a pool and routed nothing; `atlas profile show` shows what "
            "came of it."
        )
    return run


def _profile_of(root: Path, run: RunRecord) -> tuple[Profile | None, str]:
    """The profile to estimate from, or None and why there is none."""
    from profiles.errors import ProfileError
    from tasks.profiling.store import ProfileNotFoundError, find_profile

    try:
        profile = find_profile(root, run.profile_id or "latest")
    except (ProfileNotFoundError, ProfileError) as error:
        return None, f"nothing is compared with other routers: {error}"
    if run.profile_id or profile.pool_fingerprint == json.loads(run.config_json).get("pool"):
        return profile, ""
    return None, (
        "nothing is compared with other routers: the run used no profile, and the latest one is "
        "of another pool"
    )


def _compared(
    rows: RunRows, run: RunRecord, profile: Profile | None, against: Sequence[str]
) -> tuple[tuple[Against, ...], Interval | None]:
    """Other routers on the answered questions, and how the run's cost compares with the profile."""
    answered = rows.answered
    if profile is None or answered.is_empty():
        return (), None
    mine = answered_rows(answered, profile, clustered=profile.profile_id == run.profile_id)
    tables = tables_of(profile)
    return compare_run(mine, tables, against), cost_drift(mine, tables)


def _gather(
    root: Path, ledger: LedgerReader, run: RunRecord, rows: RunRows, profile: Profile | None
) -> RunReportData:
    """Everything but comparisons and notes."""
    counts = rows.counts()
    clustered = rows.asked.get_column("cluster_id").count() > 0
    own = profile if profile is not None and profile.profile_id == run.profile_id else None
    words = {} if own is None else dict(enumerate(own.top_terms))
    p50, p95 = rows.durations()
    return RunReportData(
        run_id=run.run_id,
        state=run.state,
        source=run.input_path,
        destination=str(root / "answers" / f"run_id={run.run_id}"),
        router=_router_line(run),
        profile_id=run.profile_id,
        started_at=run.started_at,
        ended_at=run.ended_at,
        rows=run.rows,
        unique=run.unique_rows,
        bad=run.bad_rows,
        answered=counts.answered,
        failed=counts.failed,
        in_doubt=counts.in_doubt,
        pending=run.rows - counts.answered - counts.failed - counts.in_doubt,
        duplicates=counts.duplicates,
        questions=whole(rows.asked),
        calls=calls_of(rows.attempts),
        ledger_usd=ledger.spend(run.run_id).total_usd,
        max_cost_usd=run.max_cost_usd,
        doubts=len(ledger.requests(run.run_id, in_doubt=True)),
        wall_s=(run.ended_at - run.started_at).total_seconds() if run.ended_at else None,
        row_p50_s=p50,
        row_p95_s=p95,
        fallbacks=int(rows.asked.get_column("fallback").sum()),
        out_of_distribution=int(rows.asked.get_column("is_out_of_distribution").sum())
        if clustered
        else None,
        pairs=pair_groups(rows.asked, rows.answers),
        datasets=groups(rows.asked, "dataset"),
        clusters=groups(rows.asked, "cluster_id", words),
        errors=error_kinds(rows.answers),
        calibration=calibration(rows.asked),
        cost_drift=None,
        against=(),
        spend=spend_points(rows.attempts, run.started_at),
        steps=steps_of(root, ledger, run.run_id),
        sandbox_tier=run.sandbox_tier,
    )


def _notes(data: RunReportData, drift: Interval | None) -> Iterator[str]:
    if not data.questions.scored:
        yield (
            "no answer carries a score: give the backlog references to measure accuracy; "
            "accuracies of routers are the profile's expectations"
        )
        if data.steps is not None:
            yield (
                "these know what each pair is worth alone, not what agreement between pairs adds: "
                "the run's own accuracy is expected too low"
            )
    if data.calls.unpriced:
        yield f"{data.calls.unpriced:,} calls of unknown price are in no sum"
    missing = data.ledger_usd - data.calls.settled_usd - data.calls.doubt_usd
    if missing:
        yield (
            f"${missing:f} of the ledger's ${data.ledger_usd:f} belong to calls that are not "
            "committed yet"
        )
    gap = data.calibration.gap if data.calibration else None
    if gap is not None and (gap.low > 0 or gap.high < 0):
        yield (
            f"the router's choices scored {100 * gap.value:+.1f} points [{100 * gap.low:+.1f}, "
            f"{100 * gap.high:+.1f}] from what it expected: what is said of other routers leans "
            "on the same expectations"
        )
    if drift is not None and (drift.low > 1 or drift.high < 1):
        yield (
            f"questions cost {drift.value:.2f} times [{drift.low:.2f}, {drift.high:.2f}] what the "
            "profile says of the same choices: other routers' costs lean on the profile too"
        )


def _router_line(run: RunRecord) -> str:
    config = json.loads(run.config_json)
    parts = [str(config.get("router", run.kind))]
    if config.get("policy"):
        name = config.get("policy_name")
        parts.append(f"{name} ({config['policy']})" if name else config["policy"])
        parts += [f"price {config['price']:.4g}"] if config.get("price") else []
        parts += [run.profile_id] if run.profile_id else []
    elif run.profile_id:
        parts += [f"alpha {config['alpha']:g}"] if "alpha" in config else []
        parts.append(run.profile_id)
    return " · ".join(parts)
