"""The page of a refresh: what changed, why, and how sure; as text and as JSON facts."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from flows.refresh_outcome import RefreshOutcome
    from tasks.freshness.drift_state import PairDrift

_WIDTH = 90
_INDENT = 10


def refresh_text(outcome: RefreshOutcome) -> str:
    """The page as plain text."""
    lines = [f"refresh {outcome.run_id}", ""]
    rows = [
        ("state", outcome.status),
        ("night", outcome.night),
        ("cells", f"{outcome.cells_run:,} run · {outcome.cells_known:,} known"),
        ("canaries", f"{outcome.canaries_run:,} asked"),
        ("calls", f"{outcome.spent.calls:,}"),
        ("cost", _money(outcome)),
    ]
    lines += [f"{name:<9} {value}" for name, value in rows]
    if outcome.status == "complete":
        lines += ["", *_knowledge(outcome), "", *_drift(outcome), "", *_questions(outcome)]
        if outcome.policy is not None:
            lines += ["", f"policy    {outcome.policy.sentence}"]
    return "\n".join(part for line in lines for part in _wrapped(line)) + "\n"


def _wrapped(line: str) -> list[str]:
    """A line and what does not fit into it, under its own words."""
    return textwrap.wrap(line, _WIDTH, subsequent_indent=" " * _INDENT) or [""]


def refresh_facts(outcome: RefreshOutcome) -> dict[str, Any]:
    """The page as plain values, for `--json` and for other pages."""
    gate, queries = outcome.gate, outcome.queries
    return {
        "run_id": outcome.run_id,
        "night": outcome.night,
        "status": outcome.status,
        "resumed": outcome.resumed,
        "nothing_to_do": outcome.nothing_to_do,
        "cells_run": outcome.cells_run,
        "cells_known": outcome.cells_known,
        "canaries_run": outcome.canaries_run,
        "calls": outcome.spent.calls,
        "cost_usd": outcome.spent.cost_usd,
        "max_cost_usd": outcome.max_cost_usd,
        "old_profile_id": outcome.old_profile_id,
        "profile_id": outcome.profile_id,
        "published": outcome.published,
        "gate": None if gate is None else gate.as_json(),
        "alarms": [
            {"pair_id": one.pair_id, "metric": one.metric, "why": one.sentence, "rerun": one.stale}
            for one in outcome.alarms
        ],
        "pairs_rerun": list(outcome.stale_pairs),
        "drift": [_reading_facts(one) for one in outcome.drift],
        "queries": None if queries is None else queries.as_json(),
        "policy": None if outcome.policy is None else outcome.policy.as_json(),
        "pending": outcome.pending,
    }


def _money(outcome: RefreshOutcome) -> str:
    spent = f"${outcome.spent.cost_usd:.4f}"
    return spent if outcome.max_cost_usd is None else f"{spent} of ${outcome.max_cost_usd}"


def _knowledge(outcome: RefreshOutcome) -> list[str]:
    """What is in use from here on, why, and how sure its winners are."""
    gate, profile = outcome.gate, outcome.profile
    assert gate is not None
    assert profile is not None
    if outcome.gate_was_idle:
        lines = [f"knowledge {profile.profile_id}, as before"]
    elif outcome.published:
        lines = [f"knowledge {profile.profile_id} is in use now"]
    else:
        lines = [f"knowledge {profile.profile_id} was fitted, and is not in use"]
    lines.append(f"why       {gate.sentence}")
    from profiles.allocation.separation import separated

    *clusters, overall = separated(profile.statistics)
    sure = sum(one.separated for one in clusters)
    lines.append(
        f"how sure  winner separated from its runner-up in {sure} of {len(clusters)} clusters"
    )
    if overall.winner >= 0:
        best = profile.pairs[overall.winner].pair_id
        lines.append(
            f"best pair {best}: {100 * overall.score:.1f} "
            f"[{100 * overall.low:.1f}, {100 * overall.high:.1f}] on {overall.n:,} outcomes"
        )
    if not outcome.gate_was_idle and outcome.old_profile_id is not None:
        lines.append(f"in detail atlas profile diff {outcome.old_profile_id} {profile.profile_id}")
    return lines


def _drift(outcome: RefreshOutcome) -> list[str]:
    lines = [f"drift     {one.pair_id}: {one.sentence}" for one in outcome.alarms]
    if outcome.stale_pairs:
        lines.append(f"run again {', '.join(outcome.stale_pairs)}")
    watched = len(outcome.drift)
    if lines:
        return lines
    if not watched:
        return ["drift     no canaries were due"]
    runs = 1 + min((r.nights for one in outcome.drift for r in one.readings), default=0)
    power = "a drop of 10 points shows in about 3 nights once a record has 10 runs"
    return [f"drift     none in {watched} pairs (shortest record {runs} runs; {power})"]


def _questions(outcome: RefreshOutcome) -> list[str]:
    if outcome.queries is None:
        return ["questions no backlog was routed yet"]
    return [f"questions {outcome.queries.sentence()}"]


def _reading_facts(found: PairDrift) -> dict[str, Any]:
    def plain(value: float) -> float | None:
        return float(value) if np.isfinite(value) else None

    return {
        "pair_id": found.canaries.pair_id,
        "set_id": found.canaries.set_id,
        "metrics": [
            {
                "metric": one.metric,
                "direction": one.direction,
                "value": plain(one.value),
                "low": plain(one.low),
                "high": plain(one.high),
                "n": one.n,
                "baseline": plain(one.baseline),
                "nights": one.nights,
                "p_value": plain(one.evidence.p_value),
                "e_value": plain(one.evidence.e_value),
                "alarm": one.alarm,
            }
            for one in found.readings
        ],
    }
