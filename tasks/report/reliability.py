"""The reliability curve: what was expected of answers against what came."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tasks.report import formats as f
from tasks.report import svg
from tasks.report.labels import Box

if TYPE_CHECKING:
    from tasks.report.markup import Markup
    from tasks.report.run_scores import Calibration, CalibrationBin

_BARS = 54.0
"""Height of the strip that shows how many estimates lie in each bin."""


def reliability_curve(curves: Sequence[tuple[str, Calibration]], width: float) -> Markup:
    """Expected against realised scores, one curve an estimate, bins below.

    The bars below are those of the first estimate.

    Args:
        curves: (name, calibration); calibrations have at least one bin.
        width: in pixels.

    Raises:
        ValueError: there is no curve.
    """
    if not curves:
        raise ValueError("There is no calibration to draw.")
    side = min(width - 64.0, 420.0)
    left, top = 50.0, 22.0 + 19.0 * len(curves)
    box = Box(left, top, left + side, top + side)
    x = svg.Scale(0.0, 1.0, box.left, box.right)
    y = svg.Scale(0.0, 1.0, box.bottom, box.top)
    parts = [*_axes(x, y, box)]
    for number, (name, calibration) in enumerate(curves):
        parts += _curve(name, calibration, number, x, y)
        parts.append(svg.dot(left + 6, 28.0 + 19.0 * number, 5.5, "point", style=_fill(number)))
        said = f"{name}: {_error(calibration)}"
        parts.append(svg.words(left + 17, 32.0 + 19.0 * number, svg.shortened(said, side, 12.5)))
    parts += _counts(curves[0][1], x, box)
    height = box.bottom + 26 + _BARS + 40
    return svg.picture(box.right + 14, height, parts, describe_reliability(curves))


def describe_reliability(curves: Sequence[tuple[str, Calibration]]) -> str:
    """The picture in words."""
    parts = []
    for name, calibration in curves:
        bins = "; ".join(
            f"{_range(b)} expected {f.points(b.expected)}, came {f.points(b.realised.value)}"
            for b in calibration.bins
        )
        parts.append(f"{name}, {_error(calibration)}: {bins}.")
    return "Reliability. " + " ".join(parts)


def _error(calibration: Calibration) -> str:
    return f"calibration error {100 * calibration.error:.1f} points, n {f.compact(calibration.n)}"


def _range(one: CalibrationBin) -> str:
    return f"{100 * one.low:.0f}–{100 * one.high:.0f}"


def _fill(number: int) -> str:
    return f"fill:{svg.colour(number)}"


def _axes(x: svg.Scale, y: svg.Scale, box: Box) -> list[Markup]:
    parts = []
    for share in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0):
        label = f"{100 * share:.0f}"
        parts += [
            svg.line(box.left, y(share), box.right, y(share), "gridline"),
            svg.line(x(share), box.top, x(share), box.bottom, "gridline"),
            svg.words(box.left - 7, y(share) + 4, label, anchor="end", cls="tick"),
            svg.words(x(share), box.bottom + 17, label, anchor="middle", cls="tick"),
        ]
    parts.append(svg.line(box.left, box.bottom, box.right, box.top, "ideal"))
    parts.append(svg.words(4, 12, "score that came, points", cls="axis"))
    return parts


def _curve(
    name: str, calibration: Calibration, number: int, x: svg.Scale, y: svg.Scale
) -> list[Markup]:
    tint = svg.colour(number)
    points = [(x(b.expected), y(b.realised.value)) for b in calibration.bins]
    parts = [svg.path(points, "curve", tint=tint)]
    most = max((b.n for b in calibration.bins), default=1)
    for one, (at, high) in zip(calibration.bins, points, strict=True):
        span = one.realised
        parts.append(svg.line(at, y(span.low), at, y(span.high), "whisker", tint=tint))
        said = (
            f"{name}, expected {_range(one)}: mean {f.points(one.expected)}, "
            f"came {f.points_range(span)}, n {f.count(one.n)}"
        )
        radius = 3.0 + 3.0 * math.sqrt(one.n / most)
        parts.append(svg.dot(at, high, radius, "point", said, style=f"fill:{tint}"))
    return parts


def _counts(calibration: Calibration, x: svg.Scale, box: Box) -> list[Markup]:
    """Bars as wide as their bins, whose areas are in proportion to the estimates in them."""
    base = box.bottom + 26 + _BARS
    widths = [max(one.high - one.low, 0.01) for one in calibration.bins]
    dense = [one.n / wide for one, wide in zip(calibration.bins, widths, strict=True)]
    most = max(dense, default=1.0)
    parts = []
    for one, wide, density in zip(calibration.bins, widths, dense, strict=True):
        height = max(_BARS * density / most, 1.0)
        left = x((one.low + one.high - wide) / 2)
        right = x((one.low + one.high + wide) / 2)
        said = f"{f.count(one.n)} estimates of {_range(one)} points"
        parts.append(svg.bar(left, base - height, right - left - 1, height, "bar grey", said))
    parts.append(svg.line(box.left, base, box.right, base, "frame"))
    middle = (box.left + box.right) / 2
    label = "expected score, points; below: where estimates lie"
    parts.append(svg.words(middle, base + 20, label, anchor="middle", cls="axis"))
    return parts
