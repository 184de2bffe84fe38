"""The features of a question: embedding, words, characters, counts, each block on one scale."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from profiles.clusters import check_rows
from profiles.errors import ProfileError
from profiles.predictor.count_block import count_features
from profiles.predictor.settings import PredictorSettings
from profiles.predictor.text_block import TextBlock, fit_text_block

Matrix = NDArray[np.float64]

_CLIP = 4.0
_CONSTANT = 1e-9


@dataclass(frozen=True)
class Scaling:
    """Centre and scale of one block: (x − centre)·scale, with mean squared norm weight² in train.

    Attributes:
        centre: (D,) float32 training means.
        scale: one number.
    """

    centre: NDArray[np.float32]
    scale: float

    def __call__(self, block: NDArray[np.floating[Any]]) -> Matrix:
        """Scale (n, D)."""
        scaled: Matrix = (block.astype(np.float64) - self.centre) * self.scale
        return scaled


@dataclass(frozen=True)
class FeatureMap:
    """Maps texts and embeddings to (n, D) features; fitted on training texts, labels unseen.

    Attributes:
        width: of the embeddings.
        words: word 1–2-grams.
        characters: character 1–4-grams.
        count_mean: (15,) training means of the counts.
        count_sd: (15,) their standard deviations; 0 drops a constant count.
        scalings: of embedding, words, characters and counts, in that order.
        max_characters: a text is read up to here.
    """

    width: int
    words: TextBlock
    characters: TextBlock
    count_mean: Matrix
    count_sd: Matrix
    scalings: tuple[Scaling, Scaling, Scaling, Scaling]
    max_characters: int

    def transform(self, texts: Sequence[str], embeddings: NDArray[np.float32]) -> Matrix:
        """(n, D) float64 features.

        Raises:
            ProfileError: if there are not as many embeddings as texts, or they have another width
                or are not finite.
        """
        matrix = _checked(texts, embeddings, self.width)
        read = [text[: self.max_characters] for text in texts]
        blocks = (matrix, *_text_blocks(read, self))
        return np.hstack([s(b) for s, b in zip(self.scalings, blocks, strict=True)])

    def counts(self, features: Matrix) -> Matrix:
        """(n, C) the count block of (n, D) features."""
        varied = len(self.scalings[-1].centre)
        return features[:, features.shape[1] - varied :]

    def to_parts(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """JSON-able words and arrays, from which `from_parts` makes the same map."""
        arrays: dict[str, NDArray[Any]] = {
            "count_mean": self.count_mean,
            "count_sd": self.count_sd,
        }
        for block in (self.words, self.characters):
            arrays[f"{block.kind}_slots"] = block.slots
            arrays[f"{block.kind}_idf"] = block.idf
            arrays[f"{block.kind}_components"] = block.components
        for name, scaling in zip(_BLOCKS, self.scalings, strict=True):
            arrays[f"{name}_centre"] = scaling.centre
        words = {
            "width": self.width,
            "max_characters": self.max_characters,
            "scales": [scaling.scale for scaling in self.scalings],
        }
        return words, arrays

    @classmethod
    def from_parts(cls, words: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> FeatureMap:
        """The map that `to_parts` took apart."""

        def block(kind: str) -> TextBlock:
            names = (f"{kind}_slots", f"{kind}_idf", f"{kind}_components")
            slots, idf, components = (arrays[name] for name in names)
            return TextBlock(kind, slots, idf, components)

        scales = words["scales"]
        embedding, word, character, count = (
            Scaling(arrays[f"{name}_centre"], float(scale))
            for name, scale in zip(_BLOCKS, scales, strict=True)
        )
        return cls(
            width=int(words["width"]),
            words=block("words"),
            characters=block("characters"),
            count_mean=arrays["count_mean"],
            count_sd=arrays["count_sd"],
            scalings=(embedding, word, character, count),
            max_characters=int(words["max_characters"]),
        )


_BLOCKS = ("embedding", "words", "characters", "counts")


def fit_features(
    texts: Sequence[str], embeddings: NDArray[np.float32], settings: PredictorSettings
) -> tuple[FeatureMap, Matrix]:
    """Fit the map on n training questions, and their (n, D) features.

    Raises:
        ProfileError: if texts and embeddings disagree, or an embedding is not finite.
    """
    matrix = _checked(texts, embeddings, None)
    read = [text[: settings.max_characters] for text in texts]

    def block(kind: str, max_features: int, min_df: int, seed: int) -> TextBlock:
        return fit_text_block(
            kind,
            read,
            max_features=max_features,
            min_df=min_df,
            components=settings.components,
            seed=seed,
        )

    counts = count_features(read)
    sd = counts.std(axis=0)
    none = Scaling(np.zeros(0, np.float32), 1.0)
    draft = FeatureMap(
        width=matrix.shape[1],
        words=block("words", settings.word_features, settings.word_min_df, settings.seed),
        characters=block(
            "characters", settings.character_features, settings.character_min_df, settings.seed + 1
        ),
        count_mean=counts.mean(axis=0),
        count_sd=np.where(sd > _CONSTANT, sd, 0.0),
        scalings=(none, none, none, none),
        max_characters=settings.max_characters,
    )
    blocks = (matrix, *_text_blocks(read, draft))
    weights = (1.0, *[settings.side_weight] * 3)
    embedding, words, characters, counted = (
        _scaling(b, w) for b, w in zip(blocks, weights, strict=True)
    )
    fitted = FeatureMap(
        width=draft.width,
        words=draft.words,
        characters=draft.characters,
        count_mean=draft.count_mean,
        count_sd=draft.count_sd,
        scalings=(embedding, words, characters, counted),
        max_characters=draft.max_characters,
    )
    return fitted, np.hstack([s(b) for s, b in zip(fitted.scalings, blocks, strict=True)])


def _text_blocks(read: Sequence[str], features: FeatureMap) -> Iterator[NDArray[Any]]:
    yield features.words.transform(read)
    yield features.characters.transform(read)
    varied = features.count_sd > 0
    counts = count_features(read)[:, varied]
    scores = (counts - features.count_mean[varied]) / features.count_sd[varied]
    yield np.clip(scores, -_CLIP, _CLIP)


def _scaling(block: NDArray[Any], weight: float) -> Scaling:
    centre = block.mean(axis=0, dtype=np.float64).astype(np.float32)
    spread = float(((block.astype(np.float64) - centre) ** 2).sum(axis=1).mean())
    # A block that says the same of every question has nothing to scale.
    return Scaling(centre, weight / np.sqrt(spread) if spread > _CONSTANT**2 else 0.0)


def _checked(
    texts: Sequence[str], embeddings: NDArray[np.float32], width: int | None
) -> NDArray[np.float32]:
    matrix = np.asarray(embeddings, np.float32)
    if matrix.ndim != 2 or len(matrix) != len(texts):
        msg = f"{len(texts)} texts need as many rows of embeddings, not shape {matrix.shape}"
        raise ProfileError(msg)
    check_rows(matrix, width, "predictor's")
    return matrix
