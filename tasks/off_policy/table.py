"""Values of routers on a log, as a table for people."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from tasks.off_policy.evaluate import OUTCOMES
from tasks.report import formats as f
from tasks.report.layout import Block, Column, Document, Note, Table

if TYPE_CHECKING:
    from tasks.off_policy.bootstrap import Interval
    from tasks.off_policy.evaluate import OffPolicyEvaluation, Target
    from tasks.off_policy.support import Support


def off_policy_table(found: OffPolicyEvaluation) -> Document:
    """Per target its value by every estimator, what the log supports, and what was logged."""
    blocks: list[Block] = [Note(_caption(found)), _logged(found)]
    for target in found.targets:
        blocks += _target_blocks(target, found)
    if found.log.left_out:
        named = ", ".join(f"{count:,} {why}" for why, count in found.log.left_out.items())
        blocks.append(Note(f"labelled rows left out: {named}", "dim"))
    missing = [kind for kind in OUTCOMES if kind not in found.logged]
    if missing:
        blocks.append(
            Note("some rows' cost is unknown, so nothing is said of cost or utility", "yellow")
        )
    return Document(f"off policy: {found.runs.name} · alpha {found.alpha:g}", blocks)


def _caption(found: OffPolicyEvaluation) -> str:
    n = len(found.log.query_ids)
    return (
        f"{f.count(n)} labelled questions, {f.count(found.log.explored)} of them left to chance;"
        f" routers decide by {found.profile_id}; 95 % intervals"
    )


def _logged(found: OffPolicyEvaluation) -> Table:
    return Table(_columns(found), [("as logged", *_cells(found.logged, found))], frozenset({0}))


def _columns(found: OffPolicyEvaluation) -> tuple[Column, ...]:
    columns = [Column("estimator", "left", shrinks=True), Column("score")]
    if "cost_usd" in found.logged:
        columns.append(Column("$/1k"))
    if _has_utility(found):
        columns.append(Column("utility"))
    return tuple(columns)


def _has_utility(found: OffPolicyEvaluation) -> bool:
    return found.alpha > 0 and "utility" in found.logged


def _cells(intervals: dict[str, Interval], found: OffPolicyEvaluation) -> tuple[str, ...]:
    shown = [_points(intervals.get("score"))]
    if "cost_usd" in found.logged:
        shown.append(_dollars(intervals.get("cost_usd")))
    if _has_utility(found):
        shown.append(_points(intervals.get("utility")))
    return tuple(shown)


def _target_blocks(target: Target, found: OffPolicyEvaluation) -> Iterator[Block]:
    if target.support is None:
        yield Note(f"{target.router}: {target.refused}", "yellow")
        return
    yield Note(f"{target.router}: {_support(target, target.support)}")
    rows: list[tuple[str, ...]] = []
    refused: dict[str, list[str]] = {}
    for place, estimate in enumerate(target.values["score"].estimates):
        if estimate.interval is None:
            refused.setdefault(estimate.refused, []).append(estimate.name)
            continue
        intervals = {
            kind: interval
            for kind, value in target.values.items()
            if (interval := value.estimates[place].interval) is not None
        }
        rows.append((estimate.name, *_cells(intervals, found)))
    if rows:
        yield Table(_columns(found), rows)
    for why, names in refused.items():
        yield Note(f"{', '.join(names)}: no value, because {why}", "yellow")
    switched = target.values["score"].by("switch-dr")
    if switched.modelled > 0 and switched.interval is not None:
        yield Note(
            f"switch-dr left {switched.modelled:.1%} of the choices to the model; its interval"
            " holds what may be wrong with it",
            "dim",
        )


def _support(target: Target, support: Support) -> str:
    return (
        f"agrees with {target.agreement:.0%} of the choices, {support.share:.1%} of its own had a"
        f" chance, effective sample {min(support.ess, support.realised):,.0f}"
    )


def _points(interval: Interval | None) -> str:
    if interval is None:
        return f.DASH
    value, low, high = (100 * part for part in interval)
    return f"{value:.1f} [{low:.1f}, {high:.1f}]"


def _dollars(interval: Interval | None) -> str:
    if interval is None:
        return f.DASH
    value, low, high = (1000 * part for part in interval)
    return f"{value:.4g} [{low:.4g}, {high:.4g}]"
