"""What every number of clusters is worth on questions left out of the fit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tasks.report import formats as f
from tasks.report import svg

if TYPE_CHECKING:
    from tasks.report.markup import Markup
    from tasks.report.profile_page_facts import SweepPoint


def cluster_sweep(points: Sequence[SweepPoint], chosen: int, width: float) -> Markup:
    """Held-out routing value by number of clusters, with intervals and the number taken.

    Raises:
        ValueError: no number was tried.
    """
    if not points:
        raise ValueError("No number of clusters was tried.")
    tried = sorted(points)
    left, right, top, bottom = 50.0, min(width, 560.0) - 12.0, 36.0, 226.0
    low, high = svg.spread(100 * v for p in tried for v in p.value)
    y = svg.Scale(low, high, bottom, top)
    # Numbers of clusters are doubled, not counted up: steps of equal width.
    slot = (right - left) / len(tried)
    parts = [svg.words(4, 14, "held-out accuracy of routing, points", cls="axis")]
    for value in y.ticks(5):
        parts.append(svg.line(left, y(value), right, y(value), "gridline"))
        parts.append(svg.words(left - 7, y(value) + 4, f"{value:g}", anchor="end", cls="tick"))
    at = [(left + (i + 0.5) * slot, y(100 * p.value.value)) for i, p in enumerate(tried)]
    parts.append(svg.path(at, "curve", tint=svg.colour(0)))
    for (x, middle), point in zip(at, tried, strict=True):
        span = [y(100 * end) for end in (point.value.low, point.value.high)]
        parts.append(svg.line(x, span[0], x, span[1], "whisker", tint=svg.colour(0)))
        taken = point.k == chosen
        said = f"{point.k} clusters: {f.points_range(point.value)}" + (", taken" if taken else "")
        if taken:
            parts.append(svg.dot(x, middle, 10, "chosen"))
        parts.append(svg.dot(x, middle, 5.5, "point", said, style=f"fill:{svg.colour(0)}"))
        kind = "strong" if taken else "tick"
        parts.append(svg.words(x, bottom + 18, str(point.k), anchor="middle", cls=kind))
    label = "clusters; ring: the number taken"
    parts.append(svg.words((left + right) / 2, bottom + 38, label, anchor="middle", cls="axis"))
    said = "; ".join(f"{p.k} clusters {f.points_range(p.value)}" for p in tried)
    return svg.picture(right + 12, bottom + 48, parts, f"Held-out accuracy: {said}.")
