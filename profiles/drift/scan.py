"""The sequential test: every night, the last runs against all earlier ones, at several widths.

A window-limited scan of the CUSUM family (Lai, 1995) with exact tails. Each night and each width
w of `WINDOWS` asks whether the last w nights exceed more often than the nights before them, by
both alternatives of `profiles.drift.exceedance`. The level of a night is fixed in advance and split
over widths and alternatives, so that, as long as nothing changes,

    P(false alarm on night t) ≤ level     and so     P(any false alarm in T nights) ≤ T · level

for every T at once and whatever the pair's noise: no variance is estimated, no threshold is tuned
and there is no phase in which the test is not yet valid. What grows with the nights is its power.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from profiles.drift.exceedance import (
    ALL,
    SOME,
    Stratum,
    excess,
    likelihood_ratio,
    strata,
    tail_probability,
)

Exceedances = NDArray[np.float64]
"""(T, m): 1 exceeded, 0 did not, NaN was not run or not scored; oldest night first."""

WINDOWS: Mapping[int, float] = MappingProxyType(
    {1: 0.10, 2: 0.20, 3: 0.40, 5: 0.12, 8: 0.09, 13: 0.05, 21: 0.04}
)
"""Widths in nights, and the share of the level that each may spend; the shares sum to 1."""
HISTORY = 90
"""Nights looked back on; older ones are left out."""
WORTH_TESTING = 3.5
"""A window whose exceedances lie fewer standard deviations above expectation, and whose likelihood
ratio is below e to this power, is passed over. Leaving a test out can lose an alarm, never add
one; at the levels used here it loses none that matters and saves nearly all of the time."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the last night says of one metric in one direction.

    Attributes:
        p_value: of the scan: the smallest tail, each divided by its share of the level.
        level: an alarm is raised at or below it.
        window: width in nights of the strongest evidence; 0 if no window stood out.
        e_value: Σ_w share_w · likelihood ratio of window w; its mean is 1 where nothing changed.
    """

    p_value: float
    level: float
    window: int
    e_value: float

    @property
    def alarm(self) -> bool:
        """Whether the metric drifted."""
        return self.p_value <= self.level


def scan(
    exceedances: Exceedances, level: float, windows: Mapping[int, float] = WINDOWS
) -> Evidence:
    """Test the last night of a history.

    Args:
        exceedances: the nights since the last alarm, oldest first; at most `HISTORY` are used.
        level: false-alarm probability of this night.
        windows: widths in nights with their shares of the level.
    """
    nights = exceedances[-HISTORY:]
    seen = np.isfinite(nights)
    hits = np.where(seen, nights, 0.0).astype(np.int64).cumsum(axis=0)
    runs = seen.astype(np.int64).cumsum(axis=0)
    best, at, evidence = 1.0, 0, 0.0
    for width, share in windows.items():
        if width >= len(nights):
            # The share of a width that cannot be tested yet is bet on nothing.
            evidence += share
            continue
        canaries = strata(
            runs[-1], hits[-1], runs[-1] - runs[-1 - width], hits[-1] - hits[-1 - width]
        )
        ratio = likelihood_ratio(canaries)
        evidence += share * ratio
        p_value = window_p_value(canaries, ratio) / share
        if p_value < best:
            best, at = p_value, width
    return Evidence(best, level, at, evidence)


def window_p_value(canaries: list[Stratum], ratio: float) -> float:
    """Exact p-value of one window: the better alternative, paid for by a factor of two.

    Args:
        canaries: of the window.
        ratio: their likelihood ratio.
    """
    best = 1.0
    if excess(canaries) >= WORTH_TESTING:
        best = tail_probability(canaries, ALL)
    if ratio >= np.exp(WORTH_TESTING):
        best = min(best, tail_probability(canaries, SOME))
    return min(1.0, 2.0 * best)
