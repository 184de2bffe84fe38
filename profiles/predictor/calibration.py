"""From an estimate to a probability, and how far probabilities can be believed."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from profiles.statistics import wilson

Matrix = NDArray[np.float64]

_STEPS = 100
_CLOSE = 1e-10
_SURE = 1e-9


class Platt(NamedTuple):
    """Logistic calibration per pair: probability = 1 / (1 + exp(−(slope·estimate + offset)))."""

    slope: Matrix
    """(P,)."""
    offset: Matrix
    """(P,)."""

    def __call__(self, estimates: Matrix) -> Matrix:
        """(n, P) probabilities of (n, P) estimates; NaN stays NaN."""
        probability: Matrix = _sigmoid(estimates * self.slope + self.offset)
        return probability


class ChosenCurve(NamedTuple):
    """What the probability of a *chosen* pair comes to: logit = slope·logit(probability) + offset.

    A chosen pair is the best of several estimates, and so flattered on average.
    """

    slope: float
    offset: float

    def __call__(self, probability: Matrix) -> Matrix:
        """(n,) probabilities; NaN stays NaN."""
        curve: Matrix = _sigmoid(self.slope * _logit(probability) + self.offset)
        return curve


class ReliabilityCurve(NamedTuple):
    """Predicted against observed, in bins of equally many predictions; arrays are (bins,)."""

    low: Matrix
    """Smallest prediction of the bin."""
    high: Matrix
    """Largest prediction of the bin."""
    predicted_mean: Matrix
    score_mean: Matrix
    n: NDArray[np.int64]
    interval: Matrix
    """(bins, 2), 95 % interval of the observed mean (Wilson)."""


def fit_platt(estimates: Matrix, scores: Matrix, *, strength: float = 4.0) -> Platt:
    """Fit one logistic curve per pair on (n, P) out-of-fold estimates and scores in [0, 1].

    A score of 0.3 counts 0.3 as right and 0.7 as wrong. All pairs together make the curve that a
    single pair is drawn to, as if `strength` questions had shown it; so a pair that is always right
    keeps a finite curve, and a pair that was never scored has the common one.
    """
    known = np.isfinite(estimates) & np.isfinite(scores)
    pairs = estimates.shape[1]
    common = _logistic(estimates[known], scores[known], np.array([4.0, -2.0]), 1.0)
    curves = [
        _logistic(estimates[known[:, p], p], scores[known[:, p], p], common, strength)
        for p in range(pairs)
    ]
    fitted = np.array(curves).reshape(pairs, 2)
    return Platt(fitted[:, 0].copy(), fitted[:, 1].copy())


def fit_chosen_curve(probability: Matrix, scores: Matrix, *, strength: float = 4.0) -> ChosenCurve:
    """Fit the curve on (n,) out-of-fold probabilities of the pairs chosen out of fold.

    It is drawn to "as predicted" (slope 1, offset 0) as if `strength` questions had shown that;
    unknown scores are left out.
    """
    known = np.isfinite(probability) & np.isfinite(scores)
    x = _logit(probability[known])
    slope, offset = _logistic(x, scores[known], np.array([1.0, 0.0]), strength)
    return ChosenCurve(float(slope), float(offset))


def _sigmoid(logits: Matrix) -> Matrix:
    share: Matrix = 0.5 * (1.0 + np.tanh(0.5 * logits))
    return share


def _logit(probability: Matrix) -> Matrix:
    inside = np.clip(probability, _SURE, 1.0 - _SURE)
    logits: Matrix = np.log(inside) - np.log1p(-inside)
    return logits


def _logistic(x: Matrix, y: Matrix, prior: Matrix, strength: float) -> Matrix:
    """(2,) slope and offset by Newton's method, with a Gaussian prior around `prior`."""
    design = np.column_stack([x, np.ones(len(x))])
    beta = prior.copy()
    precision = strength * np.diag([0.05, 0.25])
    for _ in range(_STEPS):
        p = _sigmoid(design @ beta)
        gradient = design.T @ (p - y) + precision @ (beta - prior)
        hessian = (design * (p * (1 - p))[:, None]).T @ design + precision
        step = np.linalg.solve(hessian, gradient)
        # A full Newton step may overshoot where the curve is flat.
        step *= min(1.0, 4.0 / max(float(np.abs(step).max()), 1e-300))
        beta = beta - step
        if float(np.abs(step).max()) < _CLOSE:
            break
    return beta


def reliability(predicted: Matrix, score: Matrix, bins: int = 10) -> ReliabilityCurve:
    """Compare (n,) predicted probabilities with (n,) scores, in `bins` bins of equal mass.

    Rows where either is unknown are left out; with fewer rows than bins every row is a bin.
    """
    known = np.isfinite(predicted) & np.isfinite(score)
    order = np.argsort(predicted[known], kind="stable")
    p, y = predicted[known][order], score[known][order]
    parts = [part for part in np.array_split(np.arange(len(p)), max(bins, 1)) if len(part)]
    n = np.array([len(part) for part in parts], np.int64)
    mean = np.array([y[part].mean() for part in parts])
    return ReliabilityCurve(
        low=np.array([p[part[0]] for part in parts]),
        high=np.array([p[part[-1]] for part in parts]),
        predicted_mean=np.array([p[part].mean() for part in parts]),
        score_mean=mean,
        n=n,
        interval=np.column_stack(wilson(mean * n, n)),
    )


def expected_calibration_error(predicted: Matrix, score: Matrix, bins: int = 10) -> float:
    """Mean over questions of |predicted − observed| of their bin, in [0, 1]; NaN without rows."""
    curve = reliability(predicted, score, bins)
    if not len(curve.n):
        return float("nan")
    return float(np.abs(curve.predicted_mean - curve.score_mean) @ curve.n / curve.n.sum())
