"""Questions of two kinds, on each of which another pair is good, and a predictor of them."""

import numpy as np

from profiles.outcomes import OutcomeMatrices
from profiles.predictor import Predictor, PredictorSettings, fit_predictor

SMALL = PredictorSettings(components=16, word_features=500, character_features=500, ridge=10.0)

SUMS = "Add {a} and {b}, then multiply the sum by {c}. What is the result?"
POEMS = "who wrote the {a}th poem of the long winter cycle, and in which city did she live"


def matrices(scores: np.ndarray, costs: np.ndarray | None = None) -> OutcomeMatrices:
    nothing = np.full(scores.shape, np.nan)
    return OutcomeMatrices(
        scores=scores,
        costs_usd=nothing if costs is None else costs,
        input_tokens=nothing,
        output_tokens=nothing,
        durations_s=nothing,
        observed=np.isfinite(scores),
        failed=np.zeros(scores.shape, bool),
    )


class Questions:
    """n questions: kind 0 asks for sums, kind 1 for poems; embeddings say little of the kind."""

    def __init__(self, n: int = 300, pairs: int = 3, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.kind = rng.permutation(np.arange(n) % 2)
        self.texts = [
            (POEMS if kind else SUMS).format(a=row, b=row % 7 + 20, c=row % 5 + 3)
            for row, kind in enumerate(self.kind)
        ]
        vectors = rng.normal(size=(n, 6)) + 0.3 * self.kind[:, None]
        self.embeddings = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype("f4")
        self.datasets = [("sums", "poems")[kind] for kind in self.kind]
        good = np.full((2, pairs), 0.3)
        good[0, 0] = 0.9
        good[1, 1 % pairs] = 0.8
        self.scores = (rng.random((n, pairs)) < good[self.kind]).astype(float)

    def fit(
        self, scores: np.ndarray | None = None, settings: PredictorSettings = SMALL
    ) -> Predictor | None:
        return fit_predictor(
            texts=self.texts,
            embeddings=self.embeddings,
            outcomes=matrices(self.scores if scores is None else scores),
            datasets=self.datasets,
            settings=settings,
        )
