"""What a cluster is about, in words people can read."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from itertools import islice

import numpy as np
from numpy.typing import NDArray

TERMS = 8
EXAMPLES = 3
_MOST_WORDS = 400
_WORD = re.compile(r"[^\W\d_]{3,24}")


def top_terms(
    texts: Sequence[str], labels: NDArray[np.int64], k: int, most: int = TERMS
) -> tuple[tuple[str, ...], ...]:
    """Words that set each cluster apart, most telling first.

    Weight of term t in cluster c: tf(t, c) · log(1 + A / f(t)), with A the mean number of words
    of a cluster and f(t) the term's count over all clusters (class-based TF-IDF). A word counts
    once per text, and only the first 400 words of a text are read.
    """
    counts: list[Counter[str]] = [Counter() for _ in range(k)]
    for text, label in zip(texts, labels.tolist(), strict=True):
        words = (match.group() for match in _WORD.finditer(text[: 20 * _MOST_WORDS]))
        counts[label].update({word.lower() for word in islice(words, _MOST_WORDS)})
    total: Counter[str] = Counter()
    for count in counts:
        total.update(count)
    average = total.total() / max(k, 1)
    chosen = []
    for count in counts:
        weights = {t: n * math.log1p(average / total[t]) for t, n in count.items()}
        ranked = sorted(weights, key=lambda term: (-weights[term], term))
        chosen.append(tuple(ranked[:most]))
    return tuple(chosen)


def nearest_examples(
    query_ids: Sequence[str],
    labels: NDArray[np.int64],
    distances: NDArray[np.float64],
    k: int,
    most: int = EXAMPLES,
) -> tuple[tuple[str, ...], ...]:
    """Ids of the questions nearest to each centroid, nearest first, ties by row."""
    examples: list[list[str]] = [[] for _ in range(k)]
    for row in np.argsort(distances, kind="stable").tolist():
        found = examples[int(labels[row])]
        if len(found) < most:
            found.append(query_ids[row])
    return tuple(tuple(ids) for ids in examples)
