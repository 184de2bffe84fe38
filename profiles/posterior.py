"""Empirical-Bayes posterior of every pair's accuracy in every cluster, from few or uneven cells.

A model of three lines, fitted in closed form. For pair p and question q of cluster k

    score_qp = θ_kp + s_kp·(√ρ·u_q + √(1−ρ)·e_qp),   s²_kp = φ·θ(1−θ)
    θ_kp     ~ N(μ_kp, s²_kp / m)
    μ_kp     = grand mean + pair effect + cluster effect

u_q is how easy the question is for every pair, so that pairs that answered the same questions are
compared on them (ρ = 0 is the textbook (successes + m·μ) / (n + m)). μ is a ridge fit on the
observed cells (`profiles.additive_prior`), m, ρ and φ are estimated by moments. Where ρ > 0 the
cluster effect is estimated together with the accuracies: pairs on the same questions share their
luck, and it would pass for the cluster's. Means of unequal counts are never compared
raw: a pair seen once and right does not win a cluster.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from profiles.additive_prior import PRIOR_RANGE, fit_prior
from profiles.errors import ProfileError

_CORRELATION_LIMIT = 0.8
_DRAWS = 4000

Matrix = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class PosteriorSettings:
    """How the posterior is fitted.

    Attributes:
        strength: m, what the prior is worth in observations; None estimates it.
        ridge: pull of pair and cluster effects towards 0, in observations.
        paired: estimate ρ and compare pairs on shared questions; False is ρ = 0.
    """

    strength: float | None = None
    ridge: float = 2.0
    paired: bool = True


class Cells(NamedTuple):
    """Joint normal posterior of K clusters by P pairs, before anything is derived from it."""

    mean: Matrix
    """(K, P) posterior means."""
    covariance: Matrix
    """(K, P, P), of a cluster's P accuracies."""
    prior: Matrix
    """(K, P) prior means μ."""
    prior_effects: Matrix
    """(P + K + 1, P + K + 1) covariance of pair effects, cluster effects and grand mean in μ."""
    n: Matrix
    """(K, P) scored outcomes, or the sum of their weights."""
    strength: float
    correlation: float

    def draws(self, count: int, rng: np.random.Generator) -> Matrix:
        """(count, K, P) draws of the accuracies."""
        root = np.linalg.cholesky(self.covariance)
        noise = rng.standard_normal((count, *self.mean.shape))
        drawn: Matrix = self.mean + np.einsum("kpj,dkj->dkp", root, noise)
        return drawn


class Posterior(NamedTuple):
    """What is published of it: every array is (K + 1, P), the last row overall; NaN is unknown."""

    mean: Matrix
    low: Matrix
    """Lower end of the central 95 % credible interval."""
    high: Matrix
    best: Matrix
    """Probability that the pair is the best one of the row."""
    strength: float
    correlation: float


def fit_cells(
    scores: Matrix,
    labels: NDArray[np.int64],
    k: int,
    *,
    settings: PosteriorSettings | None = None,
    weights: Matrix | None = None,
    datasets: NDArray[np.int64] | None = None,
) -> Cells:
    """Fit the model of this module to (n, P) scores, NaN where not observed.

    Args:
        scores: in [0, 1].
        labels: (n,) cluster of each question.
        k: number of clusters.
        settings: how.
        weights: (n, P) in [0, 1], what an outcome is worth against a fresh one; None is 1.
        datasets: (n,) number of each question's dataset, from 0. What a pair is better or worse
            at on a dataset then moves μ in clusters that hold its questions. None, the default,
            leaves that level out: it did not pay, see docs/profiling.md.

    Raises:
        ProfileError: if the strength is not a number of 0 or more.
    """
    settings = settings or PosteriorSettings()
    _check_strength(settings.strength)
    scored = np.isfinite(scores)
    seen = scored.any(axis=1)
    particular = None if datasets is None else _by_dataset(scores, weights, labels, datasets, k)
    if weights is None and not seen.all():
        # Questions without outcomes say nothing; most of them have none under a small budget.
        scores, labels, scored = scores[seen], labels[seen], scored[seen]
    worth = scored.astype(np.float64) if weights is None else np.where(scored, weights, 0.0)
    values = np.where(scored, scores, 0.0)
    rows = _by_cluster(labels, k)
    n, sums, squares = (
        np.stack([(worth[r] * values[r] ** power).sum(axis=0) for r in rows]) for power in range(3)
    )
    fitted = fit_prior(
        n, sums, squares, ridge=settings.ridge, strength=settings.strength, shift=particular
    )
    prior, strength = fitted.mean, fitted.strength
    centre = (sums + strength * prior) / np.maximum(n + strength, 1e-12)
    centre = np.clip(centre, *PRIOR_RANGE)
    variance = fitted.scale * centre * (1.0 - centre)
    deviation = np.sqrt(variance)
    correlation = 0.0
    if settings.paired and scores.shape[1] > 1:
        correlation = _correlation(values, scored, labels, centre, deviation)
    # Pairs that share questions share their luck: how hard the cluster is has to be estimated
    # together with the accuracies, not from means that are taken to be independent.
    together = correlation > 0
    means, covariances = [], []
    for cluster, row in enumerate(rows):
        mean, covariance = _updated(
            _evidence(values[row], worth[row], prior[cluster], deviation[cluster], correlation),
            prior[cluster],
            variance[cluster],
            strength,
            fitted.common_variance if together else 0.0,
            float(fitted.ease[cluster]),
        )
        means.append(mean)
        covariances.append(covariance)
    effects = fitted.pairs_alone if together else fitted.effects
    return Cells(np.array(means), np.array(covariances), prior, effects, n, strength, correlation)


def _check_strength(strength: float | None) -> None:
    if strength is not None and not (np.isfinite(strength) and strength >= 0):
        msg = f"the prior strength must be 0 or more, not {strength}"
        raise ProfileError(msg)


def _updated(
    evidence: tuple[Matrix, Matrix],
    prior: Matrix,
    variance: Matrix,
    strength: float,
    common: float,
    ease: float,
) -> tuple[Matrix, Matrix]:
    """(P,) means and (P, P) covariance of one cluster's accuracies.

    Args:
        evidence: precision matrix and vector of its outcomes, from `_evidence`.
        prior: (P,).
        variance: (P,) of a single outcome.
        strength: outcomes that the prior is worth.
        common: variance of the cluster's own effect; 0 takes its estimate as certain.
        ease: first estimate of that effect.
    """
    precision, vector = evidence
    # A strength of 0 would leave unseen cells without any precision.
    before = np.diag(max(strength, 1e-6) / variance)
    if common > 0:
        each = np.diag(before)
        before = before - np.outer(each, each) / (1.0 / common + each.sum())
        # The prior of the cluster's own effect is 0; the values are around its first estimate.
        vector = vector - before.sum(axis=1) * ease
    covariance = np.linalg.inv(precision + before)
    return prior + covariance @ vector, (covariance + covariance.T) / 2.0


def publish(cells: Cells, sizes: NDArray[np.int64], *, seed: int = 0) -> Posterior:
    """Means, intervals and probabilities of being best, per cluster and overall.

    The overall accuracy of a pair is the mean over clusters weighted by their sizes, whatever
    share of each was observed. A pair without any outcome is unknown everywhere.

    Args:
        cells: from `fit_cells`.
        sizes: (K,) training questions per cluster, observed or not.
        seed: of the draws behind `best`.
    """
    k, pairs = cells.mean.shape
    share = sizes / max(int(sizes.sum()), 1) if sizes.sum() else np.full(k, 1.0 / k)
    pull = cells.strength / np.maximum(cells.n + cells.strength, 1e-12)
    covariance = cells.covariance.copy()
    diagonal = np.arange(pairs)
    overall = np.einsum("k,kpj->pj", share**2, covariance)
    for pair in diagonal:
        # What is not known of μ is passed on where the prior still decides.
        along = np.zeros((k, pairs + k + 1))
        along[:, pair] = along[:, -1] = 1.0
        along[np.arange(k), pairs + np.arange(k)] = 1.0
        along *= pull[:, pair, None]
        covariance[:, pair, pair] += np.einsum("ki,ij,kj->k", along, cells.prior_effects, along)
        together = share @ along
        overall[pair, pair] += together @ cells.prior_effects @ together
    mean = np.vstack([cells.mean, share @ cells.mean])
    both = np.concatenate([covariance, overall[None]])
    variance = np.einsum("kpp->kp", both)
    known = cells.n.sum(axis=0) > 0
    low, high = beta_interval(mean, variance)
    best = probability_best(mean, both, known, seed=seed)
    unknown = np.broadcast_to(~known, mean.shape)
    shown = np.clip(mean, 0.0, 1.0)
    for array in (shown, low, high, best):
        array[unknown] = np.nan
    return Posterior(shown, low, high, best, cells.strength, cells.correlation)


def beta_interval(mean: Matrix, variance: Matrix, level: float = 0.95) -> tuple[Matrix, Matrix]:
    """Central interval of the beta distribution with these means and variances, elementwise.

    Variances are cut where the two counts of the distribution would add up to less than 1: below,
    all its mass is at the ends.
    """
    from scipy.special import betaincinv

    centre = np.clip(mean, 0.002, 0.998)
    spread = np.clip(variance, 1e-12, 0.5 * centre * (1.0 - centre))
    weight = centre * (1.0 - centre) / spread - 1.0
    tail = (1.0 - level) / 2.0
    first, second = centre * weight, (1.0 - centre) * weight
    low = np.asarray(betaincinv(first, second, tail), dtype=np.float64)
    high = np.asarray(betaincinv(first, second, 1.0 - tail), dtype=np.float64)
    return np.minimum(low, centre), np.maximum(high, centre)


def probability_best(
    mean: Matrix, covariance: Matrix, known: NDArray[np.bool_], *, seed: int = 0
) -> Matrix:
    """(R, P) probability that each pair has the highest accuracy of its row, by drawing.

    Args:
        mean: (R, P).
        covariance: (R, P, P).
        known: (P,) pairs that take part.
        seed: of the draws; the same every time, so that a profile's contents do not change.
    """
    rng = np.random.default_rng(seed)
    result = np.zeros(mean.shape)
    for row, (centre, spread) in enumerate(zip(mean, covariance, strict=True)):
        root = np.linalg.cholesky(spread + 1e-12 * np.eye(len(centre)))
        drawn = centre + rng.standard_normal((_DRAWS, len(centre))) @ root.T
        drawn[:, ~known] = -np.inf
        result[row] = np.bincount(drawn.argmax(axis=1), minlength=len(centre)) / _DRAWS
    return result


def _by_cluster(labels: NDArray[np.int64], k: int) -> list[NDArray[np.int64]]:
    order = np.argsort(labels, kind="stable")
    bounds = np.searchsorted(labels[order], np.arange(k + 1))
    return [order[bounds[c] : bounds[c + 1]] for c in range(k)]


def _by_dataset(
    scores: Matrix,
    weights: Matrix | None,
    labels: NDArray[np.int64],
    datasets: NDArray[np.int64],
    k: int,
) -> Matrix:
    """(K, P) what each cluster's mix of datasets lets expect of a pair beyond additive effects.

    The same model one level up: datasets in the place of clusters, each pair's deviation from pair
    effect + dataset effect drawn towards 0, then averaged over the questions of a cluster.
    """
    groups = int(datasets.max()) + 1 if len(datasets) else 0
    cells = fit_cells(
        scores, datasets, groups, settings=PosteriorSettings(paired=False), weights=weights
    )
    mix = np.zeros((k, groups))
    np.add.at(mix, (labels, datasets), 1.0)
    mix /= np.maximum(mix.sum(axis=1, keepdims=True), 1.0)
    shift: Matrix = mix @ (cells.mean - cells.prior)
    return shift


def _correlation(
    values: Matrix,
    scored: NDArray[np.bool_],
    labels: NDArray[np.int64],
    centre: Matrix,
    deviation: Matrix,
) -> float:
    """ρ: mean product of two pairs' standardised residuals on one question."""
    residual = np.where(scored, (values - centre[labels]) / deviation[labels], 0.0)
    count = scored.sum(axis=1)
    products = float((residual.sum(axis=1) ** 2 - (residual**2).sum(axis=1)).sum())
    size = float((residual**2).sum()) / max(int(count.sum()), 1)
    chances = float((count * (count - 1)).sum())
    if chances <= 0 or size <= 0:
        return 0.0
    # A few shared questions say little: as if fifty uncorrelated products had been seen first.
    return float(np.clip(products / (chances + 50.0) / size, 0.0, _CORRELATION_LIMIT))


def _evidence(
    values: Matrix, worth: Matrix, prior: Matrix, deviation: Matrix, correlation: float
) -> tuple[Matrix, Matrix]:
    """Precision matrix (P, P) and vector (P,) that the outcomes of one cluster add to the prior.

    A question's noise has precision D − ρ·D11ᵀD / (1 + ρ·1ᵀD1), with D = diag(weights / (1 − ρ))
    (Sherman and Morrison).
    """
    each = worth / (1.0 - correlation)
    shared = correlation / (1.0 + correlation * each.sum(axis=1))
    standard = np.where(worth > 0, (values - prior) / deviation, 0.0)
    precision = np.diag(each.sum(axis=0)) - each.T @ (shared[:, None] * each)
    together = shared * (each * standard).sum(axis=1)
    vector = (each * standard).sum(axis=0) - each.T @ together
    return precision / np.outer(deviation, deviation), vector / deviation
