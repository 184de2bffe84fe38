"""The predictor: estimates every pair's score on a question from its text and embedding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from profiles.errors import ProfileError
from profiles.outcomes import OutcomeMatrices
from profiles.predictor.calibration import Platt, fit_platt
from profiles.predictor.familiarity import Familiarity, fit_familiarity, group_numbers
from profiles.predictor.features import FeatureMap, fit_features
from profiles.predictor.fill import additive_fill, estimated_fill
from profiles.predictor.guard import advantage_sd
from profiles.predictor.ridge import OutOfFold, Ridge, fit_ridge, fold_numbers, out_of_fold
from profiles.predictor.settings import PredictorSettings

Matrix = NDArray[np.float64]

_CHUNK = 1024
_FEW_MISSING = 0.01
"""Up to this share of missing cells, how they are filled does not matter."""


class Prediction(NamedTuple):
    """What a predictor says of n questions; NaN for a pair that was never scored."""

    scores: Matrix
    """(n, P) estimates, which routing compares; they may leave [0, 1] a little."""
    probability: Matrix
    """(n, P) calibrated probabilities, which people read."""
    leverage: Matrix
    """(n,) how far the question lies from what was fitted: variance per unit of noise."""
    familiar: NDArray[np.bool_]
    """(n,) whether the question passes for a member of a training dataset."""


@dataclass(frozen=True)
class Predictor:
    """A fitted predictor. Prediction needs numpy and scipy alone.

    Attributes:
        settings: how it was fitted.
        features: from question to numbers.
        familiarity: which training dataset a question resembles; the outputs are features too.
        ridge: from numbers to scores of every pair.
        calibration: from scores to probabilities.
        oof_scores: (n, P) out-of-fold estimates of the training rows, in their order.
        oof_leverage: (n,) out-of-fold leverage of the training rows.
        oof_familiar: (n,) bool, whether a training row would be familiar to the other folds.
        groups: (n,) dataset of every training row, small datasets together.
        advantage_sd: (P, P) standard error, at leverage 1, of pair p's advantage over pair b.
    """

    settings: PredictorSettings
    features: FeatureMap
    familiarity: Familiarity
    ridge: Ridge
    calibration: Platt
    oof_scores: Matrix
    oof_leverage: Matrix
    oof_familiar: NDArray[np.bool_]
    groups: NDArray[np.int64]
    advantage_sd: Matrix

    def predict(self, texts: Sequence[str], embeddings: NDArray[np.float32]) -> Prediction:
        """Estimate every pair's score on n questions.

        The same question gets the same estimates in any batch, to within rounding (1e-9).

        Args:
            texts: n texts; an empty one is routed by its embedding.
            embeddings: (n, D) float32 of the encoder the predictor was fitted with.

        Raises:
            ProfileError: if they disagree in number, or the embeddings have another width or are
                not finite.
        """
        scores = np.empty((len(texts), len(self.ridge.intercept)))
        leverage = np.empty(len(texts))
        familiar = np.empty(len(texts), np.bool_)
        # An empty batch is checked like any other.
        for start in range(0, max(len(texts), 1), _CHUNK):
            part = slice(start, start + _CHUNK)
            features = self.features.transform(texts[part], embeddings[part])
            membership = self.familiarity.membership(features)
            familiar[part] = self.familiarity.familiar(membership, self.features.counts(features))
            features = np.hstack([features, self.familiarity.block(membership)])
            scores[part] = self.ridge.estimate(features)
            leverage[part] = self.ridge.leverage(features)
        return Prediction(scores, self.calibration(scores), leverage, familiar)

    def to_parts(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """JSON-able words and arrays, from which `from_parts` makes the same predictor."""
        words, arrays = self.features.to_parts()
        more_words, more_arrays = self.familiarity.to_parts()
        words |= more_words
        arrays |= more_arrays
        arrays |= {
            "weights": self.ridge.weights,
            "intercept": self.ridge.intercept,
            "centre": self.ridge.centre,
            "root": self.ridge.root,
            "calibration": np.column_stack(self.calibration),
            "oof_scores": self.oof_scores,
            "oof_leverage": self.oof_leverage,
            "oof_familiar": self.oof_familiar,
            "groups": self.groups,
            "advantage_sd": self.advantage_sd,
        }
        words |= {"settings": asdict(self.settings), "rows": self.ridge.rows}
        return words, arrays

    @classmethod
    def from_parts(cls, words: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Predictor:
        """The predictor that `to_parts` took apart."""
        slope, offset = arrays["calibration"].T
        return cls(
            settings=PredictorSettings(**words["settings"]),
            features=FeatureMap.from_parts(words, arrays),
            familiarity=Familiarity.from_parts(words, arrays),
            ridge=Ridge(
                arrays["weights"],
                arrays["intercept"],
                arrays["centre"],
                arrays["root"],
                int(words["rows"]),
            ),
            calibration=Platt(np.ascontiguousarray(slope), np.ascontiguousarray(offset)),
            oof_scores=arrays["oof_scores"],
            oof_leverage=arrays["oof_leverage"],
            oof_familiar=arrays["oof_familiar"],
            groups=arrays["groups"],
            advantage_sd=arrays["advantage_sd"],
        )


def fit_predictor(
    *,
    texts: Sequence[str],
    embeddings: NDArray[np.float32],
    outcomes: OutcomeMatrices,
    datasets: Sequence[str | None],
    settings: PredictorSettings | None = None,
) -> Predictor | None:
    """Fit a predictor on n training questions; None where fewer than `min_rows` have a score.

    Features (vocabulary, projection, scales) are fitted on all training texts: they see no score.
    Everything that sees scores or datasets is cross-validated, with equal texts in one fold.

    Args:
        texts: n texts.
        embeddings: (n, D) float32.
        outcomes: (n, P) of what was observed; cells that were not run or not scored are filled (see
            `profiles.predictor.fill`), questions without any score are left out of the fit.
        datasets: n dataset names, None where unknown. They say what a familiar question is like
            (see `profiles.predictor.familiarity`); no question to be routed is told its own.
        settings: how to fit.

    Raises:
        ProfileError: if texts, embeddings and outcomes disagree, or an embedding is not finite.
    """
    settings = settings or PredictorSettings()
    _check_rows(texts, outcomes, datasets)
    observed = outcomes.scores
    usable = np.asarray(np.isfinite(observed).any(axis=1))
    folds = fold_numbers(texts, settings.folds, settings.seed)
    if usable.sum() < settings.min_rows or len(np.unique(folds[usable])) < 2:
        return None
    features, matrix = fit_features(texts, embeddings, settings)
    groups = group_numbers(datasets)
    familiarity, told = fit_familiarity(
        matrix,
        features.counts(matrix),
        groups,
        folds,
        settings.membership_ridge,
        settings.membership_weight,
    )
    matrix = np.hstack([matrix, familiarity.block(told.membership)])
    ridge, held = _fit_scores(matrix, observed, folds, settings)
    return Predictor(
        settings=settings,
        features=features,
        familiarity=familiarity,
        ridge=ridge,
        calibration=fit_platt(held.estimates, observed),
        oof_scores=held.estimates,
        oof_leverage=held.leverage,
        oof_familiar=told.familiar,
        groups=groups,
        advantage_sd=advantage_sd(held.estimates, observed),
    )


def _fit_scores(
    matrix: Matrix, observed: Matrix, folds: NDArray[np.int64], settings: PredictorSettings
) -> tuple[Ridge, OutOfFold]:
    """The ridge from (n, D) features to (n, P) scores, and what it says out of fold.

    Unknown cells are filled; questions and pairs without any score are in no fit, and such a pair's
    weights and estimates are NaN.
    """
    scored = np.isfinite(observed)
    usable, seen = np.asarray(scored.any(axis=1)), np.asarray(scored.any(axis=0))
    known = observed[np.ix_(usable, seen)]
    targets = np.full((len(observed), int(seen.sum())), np.nan)
    targets[usable] = additive_fill(known)
    held = out_of_fold(matrix, targets, folds, settings.ridge)
    if np.isnan(known).mean() > _FEW_MISSING:
        for _ in range(settings.fill_rounds):
            targets[usable] = estimated_fill(known, held.estimates[usable])
            held = out_of_fold(matrix, targets, folds, settings.ridge)
    fitted = fit_ridge(matrix[usable], targets[usable], settings.ridge)
    ridge = Ridge(
        _spread(fitted.weights, seen),
        _spread(fitted.intercept[None], seen)[0],
        fitted.centre,
        fitted.root.astype(np.float32),
        fitted.rows,
    )
    return ridge, OutOfFold(_spread(held.estimates, seen), held.leverage)


def _spread(values: Matrix, seen: NDArray[np.bool_]) -> Matrix:
    """(r, P) with the columns that were seen filled, NaN in the others."""
    spread = np.full((len(values), len(seen)), np.nan)
    spread[:, seen] = values
    return spread


def _check_rows(
    texts: Sequence[str], outcomes: OutcomeMatrices, datasets: Sequence[str | None]
) -> None:
    if not len(texts) == len(outcomes.scores) == len(datasets):
        msg = (
            f"{len(texts)} texts, {len(outcomes.scores)} rows of outcomes and {len(datasets)}"
            " dataset names; every training question needs one of each"
        )
        raise ProfileError(msg)
