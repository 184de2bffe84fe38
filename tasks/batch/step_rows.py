"""What is written of multi-step rows: a row of `trajectories` a step, a decision a call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from profiles.policies.step_down import decided_by

if TYPE_CHECKING:
    from tasks.batch.item import ItemResult
    from tasks.batch.rows import RowContext

Row = dict[str, Any]


def trajectories(results: Sequence[ItemResult], context: RowContext) -> list[Row]:
    """Rows of `trajectories`: one for every step of every multi-step row."""
    rows = []
    for result in results:
        plan = result.item.plan
        if plan is None:
            continue
        strategy, _ = decided_by(plan.navigator.guide, away=plan.away)
        for number, step in enumerate(result.steps):
            rows.append(
                {
                    "run_id": context.run_id,
                    "chunk_id": context.chunk_id,
                    "query_id": result.item.query.query_id,
                    "step": number,
                    "pair_id": _pair(step.pair, context),
                    "answer_key": step.answer_key,
                    "confidence": step.confidence,
                    "none_probability": step.none_probability,
                    "supporters": step.supporters,
                    "strategy": strategy,
                    "price": plan.navigator.guide.price,
                    "decided_at": context.now,
                }
            )
    return rows


def step_decisions(
    result: ItemResult, decision: Mapping[str, Any], context: RowContext
) -> list[Row]:
    """Rows of `decisions`: one for every call of a multi-step row; answering chooses no pair."""
    plan = result.item.plan
    assert plan is not None
    _, aside = decided_by(plan.navigator.guide, away=plan.away)
    rows = []
    for number, step in enumerate(result.steps):
        if step.pair is None:
            continue
        cost = None if step.cost_usd is None else Decimal(f"{step.cost_usd:.9f}")
        why = "nothing was asked yet"
        if number:
            why = (
                f"the leading answer had {step.supporters} supporters and probability "
                f"{step.confidence:.3f}"
            )
        rows.append(
            {
                "run_id": context.run_id,
                "chunk_id": context.chunk_id,
                "query_id": result.item.query.query_id,
                **decision,
                "step": number,
                "rank": 0,
                "pair_id": _pair(step.pair, context),
                "expected_score": step.prior,
                "expected_cost_usd": cost,
                "reason": f"step {number}: {why}" + (f"; {aside}" if aside else ""),
                "decided_at": context.now,
            }
        )
    return rows


def _pair(index: int | None, context: RowContext) -> str | None:
    return None if index is None else context.pool.pairs[index].pair_id
