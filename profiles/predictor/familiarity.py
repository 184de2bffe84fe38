"""Which kind of training question a question resembles, and whether it resembles any.

What is learnt about one dataset says little about another: a router that leaves the best single
pair on questions unlike all it was fitted on does harm. So a question is *familiar* only if it
passes for a member of the training dataset it is nearest to, in two ways: a linear classifier gives
that dataset as much as it gives its own members, and the question's counts (length, digits,
options, code, scripts) lie as near to that dataset's as its own members' do. The counts, which tell
a new kind of question best, leave 1 training question in 20 outside, the classifier 1 in 100.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from profiles.predictor.ridge import fit_ridge, out_of_fold

Matrix = NDArray[np.float64]

_UNLIKE_MEMBERS = 0.01
_FAR_COUNTS = 0.05
_LEAST_MEMBERS = 30
"""A smaller dataset is put together with the other small ones."""
_LEAST_JUDGED = 20
"""Fewer training questions nearest to a dataset cannot set its limit; all of them do then."""
_NEIGHBOURS = 10
_KEPT = 2_000
"""Questions kept of one dataset to compare counts with."""
_CHUNK = 512
_ROUNDING = 1e-9
_SHARPNESS = tuple(2.0 ** (quarter / 4) for quarter in range(21))


@dataclass(frozen=True)
class Familiarity:
    """Membership in G training datasets, fitted without any score.

    Attributes:
        weights: (D, G) of the linear classifier.
        intercept: (G,).
        sharpness: factor of its outputs in the softmax, of least cross-entropy out of fold.
        centre: (G,) training means of its out-of-fold shares.
        scale: one number, to the weight of the block; 0 with one dataset.
        counts: (m, C) float32 counts of kept training questions.
        members: (m,) int32 dataset of each.
        least: (G,) smallest classifier output of a familiar question.
        farthest: (G,) largest distance of a familiar question.
    """

    weights: Matrix
    intercept: Matrix
    sharpness: float
    centre: Matrix
    scale: float
    counts: NDArray[np.float32]
    members: NDArray[np.int32]
    least: Matrix
    farthest: Matrix

    def membership(self, features: Matrix) -> Matrix:
        """(n, G) outputs of the classifier, about 1 for a member and 0 for others."""
        outputs: Matrix = features @ self.weights + self.intercept
        return outputs

    def block(self, membership: Matrix) -> Matrix:
        """(n, G) features: the share of every dataset, a softmax of the outputs, centred."""
        scaled: Matrix = (_shares(membership, self.sharpness) - self.centre) * self.scale
        return scaled

    def familiar(self, membership: Matrix, counts: Matrix) -> NDArray[np.bool_]:
        """(n,) whether a question passes for a member of the dataset it is nearest to.

        Args:
            membership: (n, G).
            counts: (n, C) count features.
        """
        nearest = membership.argmax(axis=1)
        distance = _distances(counts, nearest, self.counts, self.members)
        own = membership[np.arange(len(nearest)), nearest]
        passes: NDArray[np.bool_] = (own >= self.least[nearest] - _ROUNDING) & (
            distance <= self.farthest[nearest] + _ROUNDING
        )
        return passes

    def to_parts(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """JSON-able words and arrays, from which `from_parts` makes the same object."""
        names = ("weights", "intercept", "centre", "counts", "members", "least", "farthest")
        arrays = {f"familiar_{name}": getattr(self, name) for name in names}
        words = {"familiar_sharpness": self.sharpness, "familiar_scale": self.scale}
        return words, arrays

    @classmethod
    def from_parts(
        cls, words: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]
    ) -> Familiarity:
        """What `to_parts` took apart."""
        names = ("weights", "intercept", "centre", "counts", "members", "least", "farthest")
        fields: dict[str, Any] = {name: arrays[f"familiar_{name}"] for name in names}
        return cls(
            sharpness=float(words["familiar_sharpness"]),
            scale=float(words["familiar_scale"]),
            **fields,
        )


@dataclass(frozen=True)
class HeldOut:
    """What the training questions are told by classifiers that were not fitted on them."""

    membership: Matrix
    """(n, G)."""
    familiar: NDArray[np.bool_]
    """(n,)."""


def group_numbers(datasets: Sequence[str | None]) -> NDArray[np.int64]:
    """(n,) group of every question: its dataset, or one common group of the small ones."""
    sizes = Counter(datasets)
    large = sorted(str(name) for name, size in sizes.items() if name and size >= _LEAST_MEMBERS)
    numbers = {name: number for number, name in enumerate(large)}
    groups = np.array([numbers.get(str(name), len(large)) for name in datasets], np.int64)
    return np.unique(groups, return_inverse=True)[1].reshape(-1).astype(np.int64)


def fit_familiarity(
    features: Matrix,
    counts: Matrix,
    groups: NDArray[np.int64],
    folds: NDArray[np.int64],
    penalty: float,
    weight: float,
) -> tuple[Familiarity, HeldOut]:
    """Fit on n training questions, scores unseen.

    Args:
        features: (n, D).
        counts: (n, C) count features.
        groups: (n,) from `group_numbers`.
        folds: (n,) of the cross-validation.
        penalty: λ of the ridge classifier.
        weight: of the block; its training rows have mean squared norm weight².
    """
    indicator = np.eye(int(groups.max()) + 1)[groups]
    held = out_of_fold(features, indicator, folds, penalty).estimates
    fitted = fit_ridge(features, indicator, penalty)
    kept = _kept(groups)
    small, members = counts[kept].astype(np.float32), groups[kept].astype(np.int32)
    nearest = held.argmax(axis=1)
    rank = np.full(len(groups), -1, np.int64)
    rank[kept] = np.arange(len(kept))
    distance = _distances(counts, nearest, small, members, own=rank)
    own = held[np.arange(len(held)), nearest]
    sharpness = _sharpest(held, groups)
    shares = _shares(held, sharpness)
    centre = shares.mean(axis=0)
    spread = float(((shares - centre) ** 2).sum(axis=1).mean())
    familiarity = Familiarity(
        weights=fitted.weights,
        intercept=fitted.intercept,
        sharpness=sharpness,
        centre=centre,
        # With one dataset every share is 1: that says nothing of a question.
        scale=weight / float(np.sqrt(spread)) if spread > _ROUNDING else 0.0,
        counts=small,
        members=members,
        least=_limits(own, nearest, indicator.shape[1], _UNLIKE_MEMBERS),
        farthest=_limits(distance, nearest, indicator.shape[1], 1.0 - _FAR_COUNTS),
    )
    familiar = (own >= familiarity.least[nearest]) & (distance <= familiarity.farthest[nearest])
    return familiarity, HeldOut(held, familiar)


def _shares(outputs: Matrix, sharpness: float) -> Matrix:
    raised = np.exp(sharpness * (outputs - outputs.max(axis=1, keepdims=True)))
    shares: Matrix = raised / raised.sum(axis=1, keepdims=True)
    return shares


def _sharpest(outputs: Matrix, groups: NDArray[np.int64]) -> float:
    """Sharpness of the least cross-entropy between shares and true datasets."""
    own = np.arange(len(groups))

    def loss(sharpness: float) -> float:
        shares = _shares(outputs, sharpness)[own, groups]
        return float(-np.log(np.maximum(shares, 1e-12)).mean())

    best: float = min(_SHARPNESS, key=loss)
    return best


def _kept(groups: NDArray[np.int64]) -> NDArray[np.int64]:
    """Rows to compare with: at most `_KEPT` of a group, evenly spaced over the training rows."""
    kept = []
    for group in np.unique(groups):
        rows = np.flatnonzero(groups == group)
        places = np.linspace(0, len(rows) - 1, min(len(rows), _KEPT)).round().astype(np.int64)
        kept.append(rows[places])
    return np.sort(np.concatenate(kept))


def _limits(values: Matrix, nearest: NDArray[np.int64], groups: int, share: float) -> Matrix:
    common = np.quantile(values, share)
    limits = np.full(groups, common)
    for group in range(groups):
        own = values[nearest == group]
        if len(own) >= _LEAST_JUDGED:
            limits[group] = np.quantile(own, share)
    return limits


def _distances(
    counts: Matrix,
    nearest: NDArray[np.int64],
    kept: NDArray[np.float32],
    members: NDArray[np.int32],
    own: NDArray[np.int64] | None = None,
) -> Matrix:
    """(n,) mean distance to the 10 nearest kept questions of the group each is nearest to.

    Args:
        counts: (n, C).
        nearest: (n,) group.
        kept: (m, C) kept questions.
        members: (m,) their groups.
        own: (n,) place of the question itself among the kept ones, -1 for none: left out.
    """
    result = np.zeros(len(counts))
    for group in np.unique(nearest):
        places = np.flatnonzero(members == group)
        others = kept[places].astype(np.float64)
        lengths = np.einsum("mc,mc->m", others, others)
        rows = np.flatnonzero(nearest == group)
        for start in range(0, len(rows), _CHUNK):
            part = rows[start : start + _CHUNK]
            block = counts[part]
            squared = lengths - 2.0 * (block @ others.T)
            squared += np.einsum("nc,nc->n", block, block)[:, None]
            room = len(places)
            if own is not None:
                squared[own[part, None] == places] = np.inf
                room -= 1
            k = max(min(_NEIGHBOURS, room), 1)
            closest = np.partition(squared, k - 1, axis=1)[:, :k]
            finite = np.where(np.isfinite(closest), np.maximum(closest, 0.0), 0.0)
            result[part] = np.sqrt(finite).mean(axis=1)
    return result
