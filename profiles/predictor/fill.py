"""Scores of cells that were not run: what question and pair alone would make of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]

_ROUNDS = 50
_CLOSE = 1e-10


def additive_fill(scores: Matrix, *, strength: float = 2.0) -> Matrix:
    """The same (n, P) scores with unknown cells replaced by question effect + pair effect.

    Effects are fitted on the known cells by alternating means; a question's effect is drawn to 0
    as if `strength` cells without effect had been seen, so one lucky cell does not lift a whole
    row. A filled cell is clipped to [0, 1] and says nothing about which pair suits which question:
    a missing cell is neither right nor wrong. A pair without any known cell stays NaN.
    """
    known = np.isfinite(scores)
    if known.all() or not known.any():
        return scores.copy()
    values = np.where(known, scores, 0.0)
    by_pair, by_row = known.sum(axis=0), known.sum(axis=1)
    pair = values.sum(axis=0) / np.maximum(by_pair, 1)
    row = np.zeros(len(scores))
    for _ in range(_ROUNDS):
        before = pair
        row = (np.where(known, values - pair, 0.0)).sum(axis=1) / (by_row + strength)
        pair = np.where(known, values - row[:, None], 0.0).sum(axis=0) / np.maximum(by_pair, 1)
        if float(np.abs(pair - before).max()) < _CLOSE:
            break
    filled = np.where(known, scores, np.clip(row[:, None] + pair, 0.0, 1.0))
    filled[:, by_pair == 0] = np.nan
    return filled


def estimated_fill(scores: Matrix, estimates: Matrix, *, strength: float = 2.0) -> Matrix:
    """The same (n, P) scores with unknown cells replaced by estimate + question effect.

    The question's effect is the mean error of its estimates on its known cells, drawn to 0 as in
    `additive_fill`. Filling and fitting in turn is expectation-maximisation: unlike the additive
    fill it does not tell the fit that all questions suit all pairs alike.

    Args:
        scores: (n, P), NaN unknown.
        estimates: (n, P) by a fit that did not see the question.
        strength: cells without error that every question counts as seen beside its own.
    """
    known = np.isfinite(scores)
    error = np.where(known, scores - estimates, 0.0)
    row = error.sum(axis=1, keepdims=True) / (known.sum(axis=1, keepdims=True) + strength)
    return np.where(known, scores, np.clip(estimates + row, 0.0, 1.0))
