"""The guard: which of several strategies is trusted, by what they did on training questions.

From the cautious to the bold: a bolder strategy must show its gain, a more cautious one need not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tasks.learn.rollout import Played

Matrix = np.ndarray[tuple[int, ...], np.dtype[np.float64]]

CLEARLY = 1.0
"""Standard errors that a bolder strategy must gain over a more cautious one."""
_LEAST_MEMBERS = 30
"""Of a dataset that says itself how much its questions scatter."""


def guard_along(
    table: Sequence[Mapping[str, Played]],
    prices: NDArray[np.float64],
    groups: NDArray[np.int64] | None = None,
) -> list[str]:
    """The guarded choice at every price of a grid.

    A bolder strategy takes over at the prices where it does better than what is held so far, if
    its gain there, the mean over these prices, is clear. One price alone is too noisy to judge
    by: a gain that is real at many prices would be refused at each. Nor does it take over where
    it clearly loses in the mean over datasets: what gains by the largest dataset alone did harm
    on kinds of question that training had not.

    Args:
        table: per price what each strategy did on the same n questions, the most cautious first.
        prices: of a unit of cost.
        groups: (n,) dataset of every question; None knows no datasets.
    """
    rates = prices[:, None]
    utility = {
        name: np.stack([played[name].score for played in table])
        - rates * np.stack([played[name].cost for played in table])
        for name in table[0]
    }
    first, *bolder = utility
    held = utility[first].copy()
    names = [first] * len(prices)
    for challenger in bolder:
        gain = utility[challenger] - held
        better = gain.mean(axis=1) > 0
        if groups is not None:
            better &= np.array([not _loses(one, groups) for one in gain])
        if not better.any():
            continue
        there = gain[better].mean(axis=0)
        if there.mean() > CLEARLY * float(there.std()) / np.sqrt(len(there)):
            held[better] = utility[challenger][better]
            names = [challenger if on else name for on, name in zip(better, names, strict=True)]
    return names


def _loses(gain: Matrix, groups: NDArray[np.int64]) -> bool:
    """Whether a gain is clearly negative in the mean over datasets.

    A few questions do not tell how much they scatter; of a small dataset that of all is taken.
    """
    parts = [gain[groups == group] for group in np.unique(groups)]
    mean = float(np.mean([part.mean() for part in parts]))
    spread = [(part if len(part) >= _LEAST_MEMBERS else gain).var() / len(part) for part in parts]
    return mean < -CLEARLY * float(np.sqrt(sum(spread))) / len(parts)


def guard(played: list[tuple[str, Played]], price: float) -> tuple[str, Played]:
    """The boldest strategy that is clearly better than every more cautious one chosen before.

    Args:
        played: strategies from the most cautious on, over the same questions.
        price: of a unit of cost.
    """
    name, best = played[0]
    for challenger, other in played[1:]:
        gain = (other.score - price * other.cost) - (best.score - price * best.cost)
        error = float(gain.std()) / np.sqrt(len(gain))
        if gain.mean() > CLEARLY * error:
            name, best = challenger, other
    return name, best
