"""What a policy's rows take: the first call is decided, how many follow depends on the answers.

The first call of every row is the policy's own decision. What follows is expected from the
policy's price point: the mean cost μ and the mean number of calls c that its guarded choice came
to on training questions left out of its fit. For n planned questions T = n·μ, with variance

    V = (n·μ·CV)²·(1/n + 1/m),   CV² = cv² + (M − μ)(μ − b)/μ²

and the interval of `tasks.plan.estimates`: m training questions, cv the spread of single calls,
and the largest variance that a mean of μ between b (one call of the cheapest candidate) and M (the
dearest candidates, as many as may be called) allows (Bhatia & Davis, 2000). Tokens and time are
those of the first calls, c times.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING

import numpy as np

from profiles.policies.guide import Seen, advise
from profiles.policies.price_choice import expected_usd
from profiles.policies.strategies import ANSWER
from tasks.plan.estimates import Term, sum_of
from tasks.plan.result import UNKNOWN
from tasks.plan.worst_case import bounds
from tasks.report.facts import Range

if TYPE_CHECKING:
    from profiles.policies.guide import Guide
    from tasks.batch.item import Item
    from tasks.plan.backlog import Tally
    from tasks.plan.estimates import Estimates
    from tasks.plan.result import Plan
    from tasks.route import Prepared
    from tasks.route_policy import PolicyChoice

NANO = Decimal("0.000000001")


def with_first_pairs(items: Sequence[Item], guide: Guide) -> list[Item]:
    """The items, each with the pair that its policy calls first as its only candidate."""
    plans = [item.plan for item in items if item.plan is not None]
    if not plans:
        return []
    priors = np.stack([plan.priors for plan in plans])
    nothing = np.zeros(priors.shape, np.bool_)
    advice = advise(
        guide,
        Seen(
            called=nothing,
            keys=np.full(priors.shape, -1, np.int64),
            allowed=~nothing,
            priors=priors,
            components=np.stack([plan.components for plan in plans]),
            away=np.array([plan.away for plan in plans]),
        ),
    )
    first = np.where(advice.action == ANSWER, priors.argmax(axis=1), advice.action)
    return [
        replace(item, candidates=(plan.pairs[column],))
        for item, plan, column in zip(items, plans, first.tolist(), strict=True)
    ]


def with_further_calls(
    plan: Plan, prepared: Prepared, counted: Tally, known: Estimates | None
) -> Plan:
    """The plan of a policy's first calls, with what is expected to follow them."""
    choice = prepared.policy
    assert choice is not None
    point = choice.point
    every = [bounds(prepared.pool.pairs[p], prepared.pool, t) for p, t in counted.every.items()]
    reservations = [one.reservation_usd for one in every if one.reservation_usd is not None]
    totals = sorted((one.total_usd or Decimal(0) for one in every), reverse=True)
    unknown = any(one.total_usd is None for one in every)
    made = replace(
        plan,
        reservation_usd=max(reservations, default=None),
        worst_case_usd=None if unknown else sum(totals[: choice.policy.max_calls], Decimal(0)),
        expected_score=None if point is None else point.score,
        calls_per_question=None if point is None else point.calls,
        cost_usd=_cost(choice, counted, known),
        input_tokens=UNKNOWN,
        output_tokens=UNKNOWN,
        time_s=UNKNOWN,
        notes=(_note(choice), *plan.notes),
    )
    if point is None:
        return made
    return replace(
        made,
        input_tokens=_times(plan.input_tokens, point.calls, whole=True),
        output_tokens=_times(plan.output_tokens, point.calls, whole=True),
        time_s=_times(plan.time_s, point.calls, whole=False),
    )


def _cost(choice: PolicyChoice, counted: Tally, known: Estimates | None) -> Range:
    """Dollars of the planned rows; unknown where the policy or the profile knows none."""
    if not counted.rows:
        return Range(*[Decimal(0)] * 3)
    usd = None if choice.point is None else expected_usd(choice.policy, choice.point)
    if usd is None or known is None:
        return UNKNOWN
    if usd <= 0:
        return Range(*[Decimal(0)] * 3)
    costs = np.sort(choice.guide.costs_usd)
    least, most = float(costs[0]), float(costs[-choice.policy.max_calls :].sum())
    cv2 = _call_cv2(counted, known) + max(0.0, (most - usd) * (usd - least)) / usd**2
    total = sum_of([Term(counted.rows, usd, math.sqrt(cv2), max(1, int(known.outcomes.max())))])
    return Range(*(Decimal(repr(figure)).quantize(NANO) for figure in total))


def _call_cv2(counted: Tally, known: Estimates) -> float:
    """Squared coefficient of variation of single calls, the mean over the first calls."""
    total = rows = 0.0
    for cell, n in counted.cells.items():
        row = known.cost.row(known.k if cell.cluster is None else cell.cluster, cell.pair)
        if row is not None and math.isfinite(known.cost.cv[row, cell.pair]):
            total += n * float(known.cost.cv[row, cell.pair]) ** 2
            rows += n
    return total / rows if rows else 0.0


def _times(figures: Range, calls: float, *, whole: bool) -> Range:
    if None in figures:
        return UNKNOWN
    scaled = [float(figure) * calls for figure in figures if figure is not None]
    return Range(*(round(figure) if whole else figure for figure in scaled))


def _note(choice: PolicyChoice) -> str:
    most = choice.policy.max_calls
    if choice.point is None:
        return (
            f"the policy keeps what its guarded choice came to at price {choice.price:g}, not what "
            f"its strategy {choice.name!r} did: up to {most} calls a question, and what they cost "
            "is unknown; pairs, rows and dollars by pair are those of first calls"
        )
    return (
        f"a question is expected to take {choice.point.calls:.2f} calls, at most {most}: as on the "
        "policy's training questions, left out of its fit. Rows and dollars by pair are those of "
        "first calls; what is called next depends on the answers"
    )
