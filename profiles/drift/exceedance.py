"""The exact test behind every drift alarm: are the last runs of each canary like its earlier ones?

A canary is a question that one pair is asked again every night. Under "nothing changed" its runs
are exchangeable: which of them exceeded a bound (a wrong answer, a refusal, a length above the
canary's own median) is a matter of chance. Given that canary i exceeded in f of its N runs, the
number a of these that fall into the last w runs is hypergeometric, whatever the canary's own rate
is; and canaries are independent of one another. So any sum of scores s_i(a) has a known law, and
its tail is an exact p-value: nothing is estimated, nothing is assumed of the pair's noise. This is
Fisher's exact test stratified by canary (Mehta, Patel and Gray, 1985), with two choices of s:

* `ALL`, s(a) = a: every canary a little worse. Most powerful where the odds of exceeding rise by
  one factor for all canaries.
* `SOME`, s(a) = ln[(1 − π) + π · p₁(a)/p₀(a)]: a share π of the canaries broke for good, the rest
  as before; p₀ is the hypergeometric law, p₁ the same law with the odds raised ψ-fold (Fisher's
  noncentral hypergeometric). One canary that failed in each of its last three runs and never
  before says more than three canaries that failed once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import lru_cache
from math import comb
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

Alternative = Literal["all", "some"]
ALL: Alternative = "all"
SOME: Alternative = "some"

BROKEN_SHARE = 0.15
"""π: share of the canaries that breaks, under the alternative `SOME`."""
BROKEN_ODDS = 100.0
"""ψ: how many times likelier a broken canary exceeds than before, in odds."""
STEP = 0.1
"""Scores of `SOME` are rounded to whole steps of so many nats: their law is then found exactly."""


class Stratum(NamedTuple):
    """One canary: how often it exceeded in all its runs, how often in the recent ones."""

    runs: int
    exceeded: int
    recent_runs: int
    recent_exceeded: int


def strata(
    runs: NDArray[np.int64],
    exceeded: NDArray[np.int64],
    recent_runs: NDArray[np.int64],
    recent_exceeded: NDArray[np.int64],
) -> list[Stratum]:
    """The canaries that can say something: run lately and before, and not always the same."""
    tells = (recent_runs > 0) & (recent_runs < runs) & (exceeded > 0) & (exceeded < runs)
    columns = (runs, exceeded, recent_runs, recent_exceeded)
    rows = zip(*(column[tells].tolist() for column in columns), strict=True)
    return [Stratum(*row) for row in rows]


def tail_probability(canaries: Sequence[Stratum], alternative: Alternative) -> float:
    """P(Σ s_i ≥ what was observed) when nothing changed, exactly; 1 without canaries.

    Args:
        canaries: as `strata` gives them.
        alternative: which scores are summed.
    """
    observed, base = 0, 0
    law = np.ones(1)
    kinds = Counter(one[:3] for one in canaries)
    for (runs, exceeded, recent), times in sorted(kinds.items()):
        _, shifted, lowest = _scores(runs, exceeded, recent, alternative)
        for _ in range(times):
            law = np.convolve(law, shifted)
        base += times * lowest
    for one in canaries:
        low, _, _ = _law(one.runs, one.exceeded, one.recent_runs)
        scores, _, _ = _scores(one.runs, one.exceeded, one.recent_runs, alternative)
        observed += int(scores[one.recent_exceeded - low])
    # Only positive numbers were added and multiplied: small tails keep their relative accuracy.
    return float(min(1.0, law[observed - base :].sum()))


def likelihood_ratio(canaries: Iterable[Stratum]) -> float:
    """Π_i [(1 − π) + π p₁/p₀]: how much likelier the recent runs are if some canaries broke.

    Its mean is exactly 1 when nothing changed: an e-value. Overflow gives infinity.
    """
    total = 0.0
    for one in canaries:
        low, null, broken = _law(one.runs, one.exceeded, one.recent_runs)
        at = one.recent_exceeded - low
        total += float(np.log1p(BROKEN_SHARE * (broken[at] / null[at] - 1.0)))
    return float(np.exp(total)) if total < 700 else float("inf")


def excess(canaries: Sequence[Stratum]) -> float:
    """Standard deviations by which the recent exceedances lie above what was to be expected.

    E a = w f/N, Var a = w (f/N)(1 − f/N)(N − w)/(N − 1), summed over canaries.
    """
    mean = variance = observed = 0.0
    for runs, exceeded, recent, seen in canaries:
        share = exceeded / runs
        mean += recent * share
        variance += recent * share * (1 - share) * (runs - recent) / (runs - 1)
        observed += seen
    return (observed - mean) / variance**0.5 if variance > 0 else 0.0


@lru_cache(maxsize=131_072)
def _law(
    runs: int, exceeded: int, recent: int
) -> tuple[int, NDArray[np.float64], NDArray[np.float64]]:
    """Lowest possible a, and the laws p₀ and p₁ of a from there on."""
    low, high = max(0, recent - (runs - exceeded)), min(exceeded, recent)
    ways = [comb(exceeded, a) * comb(runs - exceeded, recent - a) for a in range(low, high + 1)]
    total = comb(runs, recent)
    null = np.array([one / total for one in ways])
    broken = null * np.power(BROKEN_ODDS, np.arange(high - low + 1))
    return low, null, broken / broken.sum()


@lru_cache(maxsize=131_072)
def _scores(
    runs: int, exceeded: int, recent: int, alternative: Alternative
) -> tuple[NDArray[np.int64], NDArray[np.float64], int]:
    """Whole scores s(a) by a − lowest a; their law from the lowest score on; the lowest score."""
    low, null, broken = _law(runs, exceeded, recent)
    if alternative == ALL:
        scores = np.arange(low, low + len(null))
    else:
        ratio = np.log1p(BROKEN_SHARE * (broken / null - 1.0))
        scores = np.rint(ratio / STEP).astype(np.int64)
    lowest = int(scores.min())
    law = np.zeros(int(scores.max()) - lowest + 1)
    np.add.at(law, scores - lowest, null)
    return scores, law, lowest
