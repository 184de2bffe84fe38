"""Rewards of a trajectory, each a pure function with its equation.

All take and give arrays of any one shape, one entry a trajectory.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


class Selection(StrEnum):
    """Which of a trajectory's calls R_sel looks at, where the paper is silent on several calls.

    `any_call`: 0 if the optimal model was called at all. `last_call`: 0 if it was called last.
    `every_call`: 0 if nothing else was called.
    """

    ANY_CALL = "any_call"
    LAST_CALL = "last_call"
    EVERY_CALL = "every_call"


@dataclass(frozen=True, slots=True)
class AtlasReward:
    """Weights and open rules of r = R_fmt + γ·R_out + ξ·R_sel (ATLAS, Eq. 7-9).

    Attributes:
        outcome_weight: γ; the paper has 1.
        selection_weight: ξ; the paper has 1.
        selection_penalty: R_sel where another than the optimal model was selected.
        malformed_earns: whether a correct answer in a malformed trajectory earns R_out. The paper
            does not say; the code it descends from gives nothing, and so does this default.
        selection: which calls R_sel looks at.
    """

    outcome_weight: float = 1.0
    selection_weight: float = 1.0
    selection_penalty: float = -0.15
    malformed_earns: bool = False
    selection: Selection = Selection.ANY_CALL


def format_reward(well_formed: NDArray[np.bool_]) -> Array:
    """R_fmt: 0 for a well-formed trajectory, else -1 (ATLAS, Eq. 7)."""
    return np.where(well_formed, 0.0, -1.0)


def selection_reward(
    called: NDArray[np.bool_],
    last: NDArray[np.int64],
    optimal: NDArray[np.bool_],
    rule: AtlasReward | None = None,
) -> Array:
    """R_sel: 0 where the optimal model was selected, else the penalty (ATLAS, Eq. 9).

    Args:
        called: (..., P) pairs that were called.
        last: (...) the pair called last; -1 where none was.
        optimal: (..., P) pairs whose model is optimal for the question; several where tied. A
            question that no pair solves has none, and costs nothing: nothing was better.
        rule: which calls count, and the penalty.
    """
    rule = rule or AtlasReward()
    if rule.selection is Selection.ANY_CALL:
        right = (called & optimal).any(axis=-1)
    elif rule.selection is Selection.EVERY_CALL:
        right = called.any(axis=-1) & ~(called & ~optimal).any(axis=-1)
    else:
        at = np.maximum(last, 0)[..., None]
        right = (last >= 0) & np.take_along_axis(optimal, at, axis=-1)[..., 0]
    return np.where(right | ~optimal.any(axis=-1), 0.0, rule.selection_penalty)


def atlas_reward(
    well_formed: NDArray[np.bool_],
    correct: Array,
    selection: Array,
    rule: AtlasReward | None = None,
) -> Array:
    """The sum r = R_fmt + γ·R_out + ξ·R_sel (ATLAS, Eq. 6 and 7-9, γ = ξ = 1).

    Args:
        well_formed: whether the trajectory keeps the format.
        correct: R_out, in [0, 1].
        selection: R_sel, see `selection_reward`.
        rule: weights, and whether a malformed trajectory earns R_out.
    """
    rule = rule or AtlasReward()
    earned = correct if rule.malformed_earns else np.where(well_formed, correct, 0.0)
    total: Array = (
        format_reward(well_formed)
        + rule.outcome_weight * earned
        + rule.selection_weight * selection
    )
    return total


def priced_utility(correct: Array, cost: Array, price: Array | float) -> Array:
    """What an answer is worth once its calls are paid: correct − price × cost.

    Args:
        correct: in [0, 1].
        cost: of all calls of the trajectory, in the unit that `price` is per.
        price: points of accuracy that one unit of cost is worth.
    """
    utility: Array = correct - price * cost
    return utility


def preference_reward(measures: Array, preference: Array, correct: NDArray[np.bool_]) -> Array:
    """R(τ) = M_norm · P if correct, else 0 (ToolOrchestra, Eq. 2).

    Every measure is scaled to [0, 1] over the rollouts of the same question; a measure that is
    the same in all of them becomes 0.

    Args:
        measures: (G, F): per rollout of one question, number of calls of each tool, outcome,
            −dollars, −seconds. More is better everywhere.
        preference: (F,) weights in [0, 1].
        correct: (G,).
    """
    low = measures.min(axis=0)
    span = measures.max(axis=0) - low
    scaled = np.divide(measures - low, span, out=np.zeros_like(measures), where=span > 0)
    return np.where(correct, scaled @ preference, 0.0)
