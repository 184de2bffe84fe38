"""How long a backlog would take: the tightest of the limits it runs under.

    t = max( Σ d / concurrency,                         the run's own limit
             Σ_m d / concurrency_m,                     each model's limit
             60·calls_m / requests per minute_m,
             60·tokens_m / tokens per minute_m,
             one row )

with d the duration of a row in its cell. Low, expected and high put the profiled median, mean and
95th percentile for every d: how fast a provider is today, not a sampling error, is what is
unsure. A pair without a tool makes one call a row; with one, two are counted (question, and
answer after the tool).
"""

from __future__ import annotations

import math
from collections import defaultdict
from typing import TYPE_CHECKING

from tasks.plan.estimates import Estimates
from tasks.plan.worst_case import PLAIN_KINDS
from tasks.report.facts import Range

if TYPE_CHECKING:
    from tasks.plan.backlog import Tally
    from tasks.route import Prepared

UNKNOWN = Range(None, None, None)


def time_range(prepared: Prepared, counted: Tally, known: Estimates | None) -> Range:
    """Seconds for the planned rows; unknown where a planned pair's durations are."""
    if not counted.rows:
        return Range(0.0, 0.0, 0.0)
    if known is None:
        return UNKNOWN
    figures = [_seconds(prepared, counted, known, which) for which in range(3)]
    return Range(*figures) if all(map(math.isfinite, figures)) else UNKNOWN


def _seconds(prepared: Prepared, counted: Tally, known: Estimates, which: int) -> float:
    """One figure: `which` is 0 for the median, 1 the mean, 2 the 95th percentile."""
    pool = prepared.pool
    work: defaultdict[str, float] = defaultdict(float)
    calls: defaultdict[str, int] = defaultdict(int)
    tokens: defaultdict[str, float] = defaultdict(float)
    longest = 0.0
    for cell, rows in counted.cells.items():
        pair = pool.pairs[cell.pair]
        place = known.k if cell.cluster is None else cell.cluster
        seconds = float(known.duration_s[which, place, cell.pair])
        longest = max(longest, seconds) if math.isfinite(seconds) else math.nan
        work[pair.model] += rows * seconds
        calls[pair.model] += rows * (1 if pool.tools[pair.tool].kind in PLAIN_KINDS else 2)
        tokens[pair.model] += rows * _tokens(known, place, cell.pair)
    limits = [longest, sum(work.values()) / prepared.job.concurrency]
    for model, seconds in work.items():
        allowed = pool.models[model].limits
        limits.append(seconds / allowed.concurrency)
        if allowed.requests_per_minute:
            limits.append(60 * calls[model] / allowed.requests_per_minute)
        if allowed.tokens_per_minute and math.isfinite(tokens[model]):
            limits.append(60 * tokens[model] / allowed.tokens_per_minute)
    return math.nan if any(map(math.isnan, limits)) else max(limits)


def _tokens(known: Estimates, place: int, pair: int) -> float:
    total = 0.0
    for quantity in (known.input_tokens, known.output_tokens):
        row = quantity.row(place, pair)
        total += math.nan if row is None else float(quantity.mean[row, pair])
    return total
