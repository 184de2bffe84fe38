"""Is a new version worse than the old one? Paired, on questions neither was fitted on.

Both versions choose a pair for every question. Where they choose alike the difference is nought,
whether the cell was run or not. Where they differ, it is the difference of what the two cells
earned, known only where both were scored; unknown ones are taken to be like the known:

    difference = share of differing choices × mean difference of the known ones

The verdict rests on two figures, the estimate and the lower end of its one-sided `CONFIDENCE`
interval, a bootstrap over questions:

* `pass`: the estimate is not negative, or harm beyond the margin is ruled out (lower ≥ −margin);
* `refuse`: neither;
* `too little data`: fewer than `LEAST_ROWS` questions, or fewer than `LEAST_KNOWN` known ones
  among choices that differ in more than `margin` of the questions. (Choices that differ in fewer
  cannot cost more than the margin, whatever the cells say: that is a pass.)
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Verdict = Literal["pass", "refuse", "too little data"]
NOT_WORSE: Verdict = "pass"
REFUSE: Verdict = "refuse"
TOO_LITTLE: Verdict = "too little data"

MARGIN = 0.02
"""Two points of utility: less harm is not worth holding new knowledge back for."""
CONFIDENCE = 0.8
LEAST_ROWS = 50
LEAST_KNOWN = 10
DRAWS = 4_000


@dataclass(frozen=True, slots=True)
class Comparison:
    """New minus old, in utility per question; scores count in [0, 1].

    Attributes:
        rows: questions compared.
        differing: of these, with another choice.
        known: of the differing, with both cells scored.
        old, new: mean utility over the questions where it is known for both; NaN without any.
        difference: the estimate; NaN where nothing is known.
        low, high: 95 % interval.
        lower: lower end of the one-sided interval that the verdict uses.
        p_worse: share of the bootstrap draws below nought.
        margin: harm that is let pass.
    """

    rows: int
    differing: int
    known: int
    old: float
    new: float
    difference: float
    low: float
    high: float
    lower: float
    p_worse: float
    margin: float
    verdict: Verdict

    def as_json(self) -> dict[str, Any]:
        """Plain values; null is unknown."""
        return {
            name: None if isinstance(value, float) and not np.isfinite(value) else value
            for name, value in asdict(self).items()
        }


def compare(
    old: NDArray[np.float64],
    new: NDArray[np.float64],
    same: NDArray[np.bool_],
    *,
    margin: float = MARGIN,
    seed: int = 0,
) -> Comparison:
    """Compare two versions on n questions.

    Args:
        old: (n,) utility of the old version's choice; NaN unknown.
        new: (n,) of the new one's.
        same: (n,) whether both chose the same pair.
        margin: harm in utility that is let pass.
        seed: of the bootstrap.
    """
    rows, differing = len(same), int((~same).sum())
    known = ~same & np.isfinite(old) & np.isfinite(new)
    gains = np.where(known, new - old, 0.0)
    count = int(known.sum())
    both = np.isfinite(old) & np.isfinite(new)
    of_old, of_new = (
        float(side[both].mean()) if both.any() else float("nan") for side in (old, new)
    )
    low, lower, high, p_worse = (float("nan"),) * 4
    estimate = _estimate(differing, gains.sum(), count, rows)
    if differing == 0 and rows:
        low = lower = high = p_worse = 0.0
    elif count:
        drawn = _bootstrap(~same, known, gains, seed)
        low, lower, high = (
            float(end) for end in np.quantile(drawn, [0.025, 1 - CONFIDENCE, 0.975])
        )
        p_worse = float((drawn < 0).mean())
    verdict = _verdict(rows, differing, count, estimate, lower, margin)
    return Comparison(
        rows=rows,
        differing=differing,
        known=count,
        old=of_old,
        new=of_new,
        difference=estimate,
        low=low,
        high=high,
        lower=lower,
        p_worse=p_worse,
        margin=margin,
        verdict=verdict,
    )


def _estimate(differing: int, total: float, known: int, rows: int) -> float:
    if differing == 0 and rows:
        return 0.0
    return differing / rows * total / known if known else float("nan")


def _bootstrap(
    differs: NDArray[np.bool_], known: NDArray[np.bool_], gains: NDArray[np.float64], seed: int
) -> NDArray[np.float64]:
    """Estimates on questions drawn anew; the few draws without a known difference are left out."""
    rng = np.random.default_rng(seed)
    n = len(differs)
    # A question is in one of three classes, so drawing counts is drawing questions.
    found, of_known = int(differs.sum()), int(known.sum())
    counts = rng.multinomial(n, [of_known / n, (found - of_known) / n, 1 - found / n], DRAWS)
    values, times = np.unique(gains[known], return_counts=True)
    totals = rng.multinomial(counts[:, 0], times / of_known) @ values
    usable = counts[:, 0] > 0
    share = (counts[usable, 0] + counts[usable, 1]) / n
    drawn: NDArray[np.float64] = share * totals[usable] / counts[usable, 0]
    return drawn if len(drawn) else np.zeros(1)


def _verdict(
    rows: int, differing: int, known: int, estimate: float, lower: float, margin: float
) -> Verdict:
    if rows < LEAST_ROWS:
        return TOO_LITTLE
    if differing <= margin * rows:
        return NOT_WORSE
    if known < LEAST_KNOWN:
        return TOO_LITTLE
    return NOT_WORSE if estimate >= 0 or lower >= -margin else REFUSE
