"""What a log can tell of a target at all: its support, and how many draws the answer rests on.

Both counts are of the design, not of the luck of the draw: the chances p are known, so what the
weights w = π/p would be on average is known too. A heavy weight that happened not to be drawn
leaves a realised sample that looks fine and an estimate that is wrong.

    effective sample size   (Σ E w)² / Σ E w²     with E w² = Σ_a π²/p    (Kong, 1992)
    of the variance         (Σ E w²)² / Σ E w⁴    with E w⁴ = Σ_a π⁴/p³   (Owen, 2013, ch. 9.3)

The second says on how many draws the *interval* rests: where the target mostly takes what was
logged and seldom a pair of chance 1/60, the first may be hundreds and the second two.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

LEAST_ESS = 50.0
"""Effective sample size below which an estimate is refused."""
LEAST_VARIANCE_ESS = 20.0
"""The same for the effective sample size of the variance."""
_MASS = 1e-9
"""Mass that rounding may leave where the log has no support."""

Matrix = NDArray[np.float64]


class Support(NamedTuple):
    """How far a log supports a target.

    Attributes:
        n: questions.
        share: of the target's mass on pairs that the log could draw.
        ess: effective sample size by the design; `realised` by the draws that were made.
        variance_ess: effective sample size of the variance, by the design.
        heaviest: largest importance weight that was drawn.
        shortfall: by how much, as a share, squared weights fell short of what the design leads to
            expect; 0 where they did not. Errors are those of the log only if luck was average.
    """

    n: int
    share: float
    ess: float
    realised: float
    variance_ess: float
    heaviest: float
    shortfall: float

    @property
    def problem(self) -> str:
        """Why weighting alone cannot value the target, in a sentence; empty where it can."""
        if self.share < 1.0 - _MASS:
            return (
                f"{1.0 - self.share:.1%} of its choices are pairs that the log never draws for"
                " those questions"
            )
        return self.scarcity

    @property
    def scarcity(self) -> str:
        """Why the supported mass has too few draws, in a sentence; empty where it has enough."""
        return _too_few(min(self.ess, self.realised), self.variance_ess, self.n)


def support_of(chances: Matrix, target: Matrix, weights: Matrix) -> Support:
    """How far chances (n, P) support a target (n, P); `weights` (n,) are those of the draws."""
    n = len(weights)
    reached = chances > 0
    mass = np.where(reached, target, 0.0)
    safe = np.where(reached, chances, 1.0)
    squares = (mass**2 / safe).sum()
    fourth = (mass**4 / safe**3).sum()
    made = float((weights**2).sum())
    return Support(
        n=n,
        share=float(mass.sum() / target.sum()) if n else 0.0,
        ess=float(mass.sum() ** 2 / squares) if squares > 0 else 0.0,
        realised=float(weights.sum() ** 2 / made) if made > 0 else 0.0,
        variance_ess=float(squares**2 / fourth) if fourth > 0 else 0.0,
        heaviest=float(weights.max()) if n else 0.0,
        shortfall=max(0.0, float(squares) / made - 1.0) if made > 0 else 0.0,
    )


def _too_few(ess: float, variance_ess: float, n: int) -> str:
    if ess < LEAST_ESS:
        return (
            f"its effective sample size is {ess:.0f} of {n:,} questions, and at least"
            f" {LEAST_ESS:.0f} are needed"
        )
    if variance_ess < LEAST_VARIANCE_ESS:
        return (
            f"the few heavy weights that decide it rest on {variance_ess:.0f} draws, and at least"
            f" {LEAST_VARIANCE_ESS:.0f} are needed for an interval"
        )
    return ""
