"""Clusters on a plane: training questions as dots, cluster numbers with their words.

The plane is the one on which the clusters' means lie farthest apart (principal components of the
means, weighted by cluster sizes), filled up with principal components of the questions where there
are fewer than three clusters. No randomness: the same profile always gives the same picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tasks.report import formats as f
from tasks.report import svg
from tasks.report.labels import Box, place_labels
from tasks.report.markup import element
from tasks.report.profile_page_facts import ClusterMap

if TYPE_CHECKING:
    from tasks.report.markup import Markup

MOST_POINTS = 2400
"""Questions shown: more would only cover each other, and weigh on the page."""

_BOLD = 14.5
"""Bold letters of 12.5 pixels are as wide as lighter ones of this size."""

Matrix = NDArray[np.float64]


def project_clusters(embeddings: NDArray[np.float32], labels: NDArray[np.int64]) -> ClusterMap:
    """Questions and cluster means on the plane that sets clusters farthest apart.

    Args:
        embeddings: (n, D) of the training questions, n ≥ 1.
        labels: (n,) their clusters, 0 … K − 1.
    """
    k = int(labels.max()) + 1
    sizes = np.bincount(labels, minlength=k).astype(np.float64)
    mean = embeddings.mean(axis=0, dtype=np.float64)
    sums = np.zeros((k, embeddings.shape[1]))
    np.add.at(sums, labels, embeddings)
    centred = sums / np.maximum(sizes, 1)[:, None] - mean
    weighted = np.sqrt(sizes)[:, None] * centred
    plane, kept = _directions(weighted)
    shown = _evenly(len(embeddings), MOST_POINTS)
    rows = embeddings[shown].astype(np.float64) - mean
    if len(plane) < 2:
        rest = rows - rows @ plane.T @ plane if len(plane) else rows
        more, _ = _directions(rest)
        plane = np.vstack([plane, more])[:2]
    plane = np.vstack([plane, np.zeros((2 - len(plane), embeddings.shape[1]))])
    return ClusterMap(rows @ plane.T, labels[shown], centred @ plane.T, kept, len(embeddings))


def _directions(rows: Matrix) -> tuple[Matrix, float]:
    """The first two principal directions of rows that are centred already, and the share kept."""
    _, strength, directions = np.linalg.svd(rows, full_matrices=False)
    usable = int((strength[:2] > 1e-9 * max(float(strength[0]), 1e-30)).sum())
    usable = usable if strength[0] > 1e-12 else 0
    chosen = directions[:usable].copy()
    for direction in chosen:
        # A direction has no sign of its own: the largest component is made positive.
        direction *= np.sign(direction[np.argmax(np.abs(direction))])
    total = float((strength**2).sum())
    return chosen, float((strength[:2] ** 2).sum()) / total if total > 0 else 1.0


def _evenly(n: int, most: int) -> NDArray[np.int64]:
    if n <= most:
        return np.arange(n, dtype=np.int64)
    # Every n/most-th: rows come in file order, so that datasets are shown in proportion.
    shown: NDArray[np.int64] = np.floor(np.arange(most) * (n / most)).astype(np.int64)
    return shown


def cluster_map(
    mapped: ClusterMap, terms: Sequence[Sequence[str]], sizes: Sequence[int], width: float
) -> Markup:
    """The picture at a width in pixels.

    Args:
        mapped: questions on the plane.
        terms: per cluster, words that set it apart.
        sizes: per cluster, its training questions.
        width: in pixels.
    """
    narrow = width < 600
    height = width * (0.95 if narrow else 0.54)
    x, y = _scales(mapped, width, height)
    k = len(mapped.centres)
    size = 6.0 if len(mapped.points) < 600 else 4.2 if len(mapped.points) < 1500 else 3.2
    parts = _regions(mapped, x, y)
    for number in range(k):
        own = mapped.points[mapped.labels == number]
        # One path of dots a cluster: a circle for every question would weigh ten times as much.
        d = "".join(f"M{svg.number(x(a))},{svg.number(y(b))}h0" for a, b in own)
        style = f"stroke:{svg.colour(number)};stroke-width:{size}"
        parts.append(element("path", d=d, class_="cloud", style=style))
    parts += _cluster_names(mapped, terms, sizes, x, y, Box(4, 4, width - 4, height - 4))
    return svg.picture(width, height, parts, describe_map(mapped, terms, sizes))


def describe_map(mapped: ClusterMap, terms: Sequence[Sequence[str]], sizes: Sequence[int]) -> str:
    """The picture in words."""
    clusters = "; ".join(
        f"cluster {number}, {f.count(size)} questions: {', '.join(map(f.clean, own[:4]))}"
        for number, (own, size) in enumerate(zip(terms, sizes, strict=True))
    )
    return f"{f.count(len(mapped.points))} questions in {len(terms)} clusters. {clusters}."


def _scales(mapped: ClusterMap, width: float, height: float) -> tuple[svg.Scale, svg.Scale]:
    """Ends at the 0.5th and 99.5th percentile: single strays would press the rest together."""
    room = 26.0
    scales = []
    for axis, (start, end) in enumerate(((room, width - room), (height - room, room))):
        both = np.concatenate([mapped.points[:, axis], mapped.centres[:, axis]])
        low, high = np.quantile(both, [0.005, 0.995])
        low, high = (
            min(low, mapped.centres[:, axis].min()),
            max(high, mapped.centres[:, axis].max()),
        )
        low, high = svg.spread([float(low), float(high)], room=0.04)
        scales.append(svg.Scale(low, high, start, end))
    return scales[0], scales[1]


def _regions(mapped: ClusterMap, x: svg.Scale, y: svg.Scale) -> list[Markup]:
    """Where most of a cluster's questions lie: the ellipse of 1.6 standard deviations."""
    parts = []
    for number in range(len(mapped.centres)):
        own = mapped.points[mapped.labels == number]
        if len(own) < 3:
            continue
        pixels = np.array([[x(float(a)), y(float(b))] for a, b in own])
        middle = pixels.mean(axis=0)
        spread, axes = np.linalg.eigh(np.cov(pixels.T))
        radii = 1.6 * np.sqrt(np.maximum(spread, 1.0))
        turn = np.degrees(np.arctan2(axes[1, 1], axes[0, 1]))
        at = f"translate({middle[0]:.1f} {middle[1]:.1f}) rotate({turn:.1f})"
        size = {"rx": svg.number(radii[1]), "ry": svg.number(radii[0])}
        style = f"fill:{svg.colour(number)}"
        parts.append(element("ellipse", class_="region", transform=at, style=style, **size))
    return parts


def _cluster_names(
    mapped: ClusterMap,
    terms: Sequence[Sequence[str]],
    sizes: Sequence[int],
    x: svg.Scale,
    y: svg.Scale,
    bounds: Box,
) -> list[Markup]:
    k = len(mapped.centres)
    centres = [(x(float(a)), y(float(b))) for a, b in mapped.centres]
    names = [", ".join(f.clean(word) for word in own[:2]) if k <= 16 else "" for own in terms]
    names = [svg.shortened(name, 0.4 * (bounds.right - bounds.left), 12.5) for name in names]
    badges = [Box(a - 13, b - 13, a + 13, b + 13) for a, b in centres]
    order = sorted(range(k), key=lambda number: -sizes[number])
    places = place_labels(
        [centres[i] for i in order],
        [names[i] for i in order],
        bounds=bounds,
        size=_BOLD,
        taken=badges,
    )
    parts = []
    for number, label in zip(order, places, strict=True):
        if label is not None:
            parts.append(svg.words(label.x, label.y, names[number], cls="strong halo"))
    for number in reversed(order):
        a, b = centres[number]
        about = f"Cluster {number}, {f.count(sizes[number])} questions: " + ", ".join(
            map(f.clean, terms[number])
        )
        parts.append(svg.dot(a, b, 11, "point", about, style=f"fill:{svg.colour(number)}"))
        parts.append(svg.words(a, b + 4, str(number), anchor="middle", cls="strong badge"))
    return parts
