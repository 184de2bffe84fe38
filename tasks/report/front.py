"""The picture of accuracy against cost: pairs, routers along alpha, and the point that is taken."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from tasks.report import formats as f
from tasks.report import svg
from tasks.report.labels import Box, place_labels

if TYPE_CHECKING:
    from tasks.report.markup import Markup
    from tasks.report.profile_page_facts import Front, FrontPoint

_FREE = 34.0
"""Width of the strip at the left where what costs nothing stands on a logarithmic axis."""

_CLOSE = 11.0
"""A name farther from its point than this is tied to it by a line."""


def pareto(points: Sequence[FrontPoint]) -> list[int]:
    """Numbers of the points that no cheaper-or-equal one beats, by rising cost."""
    known = [i for i, p in enumerate(points) if math.isfinite(p.cost_usd)]
    known = [i for i in known if math.isfinite(points[i].accuracy.value)]
    known.sort(key=lambda i: (points[i].cost_usd, -points[i].accuracy.value))
    front: list[int] = []
    for i in known:
        if not front or points[i].accuracy.value > points[front[-1]].accuracy.value:
            front.append(i)
    return front


def accuracy_cost_front(front: Front, width: float) -> Markup:
    """The picture at a width in pixels.

    Points of unknown cost or accuracy are left out; `unplaced` names them.

    Raises:
        ValueError: no point has a known cost and accuracy.
    """
    plane = _Plane(front, width)
    best = pareto(front.pairs)
    parts = [*plane.axes(), *_pair_marks(front, plane, best), *_router_marks(front, plane)]
    parts += _names(front, plane, best)
    parts += _legend(front, plane)
    return svg.picture(width, plane.height, parts, describe_front(front))


def unplaced(front: Front) -> list[str]:
    """Names of the pairs that the plane cannot show."""
    return [p.name for p in front.pairs if not _placed(p)]


def drawable(front: Front) -> bool:
    """Whether anything has both a known cost and a known accuracy."""
    return any(map(_placed, (*front.pairs, *(p for path in front.paths.values() for p in path))))


def describe_front(front: Front) -> str:
    """The picture in words."""
    best = ", ".join(front.pairs[i].name for i in pareto(front.pairs))
    lines = [f"Accuracy against cost of {len(front.pairs)} pairs. Pareto front of pairs: {best}."]
    for name, path in front.paths.items():
        figures = ", ".join(
            f"alpha {p.alpha:g} {f.points(p.accuracy.value)} points" for p in path if _placed(p)
        )
        lines.append(f"Router {name}: {figures}.")
    return " ".join(lines)


def point_title(point: FrontPoint) -> str:
    """What a point says when it is pointed at."""
    where = point.name if point.alpha is None else f"{point.name} at alpha {point.alpha:g}"
    mix = "".join(f"\n{f.percent(share)} {pair}" for pair, share in point.mix[:5])
    return (
        f"{where}: accuracy {f.points_range(point.accuracy)}, "
        f"{f.dollars(1000 * point.cost_usd)} per 1,000 questions, n {f.count(point.n)}{mix}"
    )


def _placed(point: FrontPoint) -> bool:
    return math.isfinite(point.cost_usd) and math.isfinite(point.accuracy.value)


def _taken(front: Front, point: FrontPoint) -> bool:
    """Whether this router is the one that is used at this alpha."""
    return point.alpha is not None and front.chosen.get(point.alpha) == point.name


class _Plane:
    """Axes and scales."""

    def __init__(self, front: Front, width: float) -> None:
        points = [*front.pairs, *(p for path in front.paths.values() for p in path)]
        points = [p for p in points if _placed(p)]
        if not points:
            raise ValueError("No pair has a known cost and accuracy: there is nothing to draw.")
        self.narrow = width < 600
        self.left, self.right = 46.0, width - 14.0
        self.legend_rows = -(-len(front.paths) // (1 if self.narrow else 4)) + 1
        self.top = 14.0 + 19.0 * self.legend_rows
        self.bottom = self.top + (300.0 if self.narrow else 380.0)
        self.height = self.bottom + 46.0
        costs = [1000 * p.cost_usd for p in points]
        positive = [cost for cost in costs if cost > 0]
        self.log = bool(positive) and max(positive) > 8 * min(positive)
        self.free = self.log and len(positive) < len(costs)
        start = self.left + (_FREE if self.free else 0.0)
        if self.log:
            low, high = min(positive) / 1.35, max(positive) * 1.35
        else:
            low, high = 0.0, 1.12 * max(costs, default=0.0) or 1.0
        self.x = svg.Scale(low, high, start, self.right, log=self.log)
        on_front = [front.pairs[i] for i in pareto(front.pairs)]
        spans = [
            p.accuracy for p in (*on_front, *(p for path in front.paths.values() for p in path))
        ]
        values = [100 * v for span in spans for v in span]
        values += [100 * p.accuracy.value for p in points]
        low, high = svg.spread(values)
        self.y = svg.Scale(max(low, -2.0), min(high, 102.0), self.bottom, self.top)

    def at(self, point: FrontPoint) -> tuple[float, float]:
        cost = 1000 * point.cost_usd
        x = self.left + _FREE / 2 if self.free and cost <= 0 else self.x(cost)
        return x, self.y(100 * point.accuracy.value)

    @property
    def bounds(self) -> Box:
        return Box(self.left + 2, self.top - 4, self.right + 8, self.bottom - 2)

    def axes(self) -> list[Markup]:
        parts = []
        for value in self.y.ticks(6):
            y = self.y(value)
            parts += [svg.line(self.left, y, self.right, y, "gridline")]
            parts += [svg.words(self.left - 7, y + 4, f"{value:g}", anchor="end", cls="tick")]
        for value in self.x.ticks(4 if self.narrow else 8):
            x = self.x(value)
            parts += [svg.line(x, self.top, x, self.bottom, "gridline")]
            parts += [svg.words(x, self.bottom + 17, _money(value), anchor="middle", cls="tick")]
        if self.free:
            x = self.left + _FREE / 2
            parts += [
                svg.line(self.left + _FREE, self.top, self.left + _FREE, self.bottom, "ideal")
            ]
            parts += [svg.words(x, self.bottom + 17, "$0", anchor="middle", cls="tick")]
        parts += [svg.line(self.left, self.bottom, self.right, self.bottom, "frame")]
        scale = ", logarithmic" if self.log else ""
        label = f"$ per 1,000 questions{scale}"
        middle = (self.left + self.right) / 2
        parts += [svg.words(middle, self.bottom + 38, label, anchor="middle", cls="axis")]
        parts += [svg.words(4, 14, "accuracy, points of 100", cls="axis")]
        return parts


def _money(value: float) -> str:
    return f"${value:,.0f}" if value >= 1000 else f"${value:g}"


def _pair_marks(front: Front, plane: _Plane, best: Sequence[int]) -> list[Markup]:
    parts = []
    if len(best) > 1:
        parts.append(svg.path([plane.at(front.pairs[i]) for i in best], "front", steps=True))
    for number, point in enumerate(front.pairs):
        if not _placed(point):
            continue
        x, y = plane.at(point)
        if number in best:
            low, high = plane.y(100 * point.accuracy.low), plane.y(100 * point.accuracy.high)
            parts.append(svg.line(x, low, x, high, "whisker"))
        kind = "pair best point" if number in best else "pair point"
        parts.append(svg.dot(x, y, 5.5 if number in best else 4.5, kind, point_title(point)))
    return parts


def _router_marks(front: Front, plane: _Plane) -> list[Markup]:
    parts = []
    for number, path in enumerate(front.paths.values()):
        tint = svg.colour(number)
        placed = [p for p in path if _placed(p)]
        parts.append(svg.path([plane.at(p) for p in placed], "curve", tint=tint))
        for point in placed:
            x, y = plane.at(point)
            taken = _taken(front, point)
            if taken:
                low, high = plane.y(100 * point.accuracy.low), plane.y(100 * point.accuracy.high)
                parts.append(svg.line(x, low, x, high, "whisker", tint=tint))
                parts.append(svg.dot(x, y, 9, "chosen"))
            title = point_title(point) + ("\nchosen at this alpha" if taken else "")
            parts.append(svg.dot(x, y, 5.5, "point", title, style=f"fill:{tint}"))
    return parts


def _names(front: Front, plane: _Plane, best: Sequence[int]) -> list[Markup]:
    """Alphas of chosen points, pairs of the front, then other pairs that there is room for."""
    marks = [p for p in front.pairs if _placed(p)]
    marks += [p for path in front.paths.values() for p in path if _placed(p)]
    taken = [_around(*plane.at(p), 9.0 if _taken(front, p) else 6.0) for p in marks]
    taken += [box for path in front.paths.values() for box in _along(_spots(path, plane))]
    taken += _along(_stairs([plane.at(front.pairs[i]) for i in best]))
    points, names, kinds = [], [], []
    for at, name in _alpha_names(front, plane):
        points.append(at)
        names.append(name)
        kinds.append("small strong halo")
    limit = 150.0 if plane.narrow else 260.0
    others = [i for i in range(len(front.pairs)) if i not in best and _placed(front.pairs[i])]
    # Too many names make none of them readable; every point names itself when pointed at.
    shown = [*best, *(others if len(front.pairs) <= 24 and not plane.narrow else [])]
    for number in shown:
        points.append(plane.at(front.pairs[number]))
        names.append(svg.shortened(front.pairs[number].name, limit, 11))
        kinds.append("small halo" if number in best else "small quiet halo")
    places = place_labels(points, names, bounds=plane.bounds, size=11, taken=taken)
    parts = []
    for (x, y), label, name, kind in zip(points, places, names, kinds, strict=True):
        if label is None:
            continue
        near = (
            min(max(x, label.box.left), label.box.right),
            min(max(y, label.box.top), label.box.bottom),
        )
        if math.dist(near, (x, y)) > _CLOSE:
            parts.append(svg.line(x, y, *near, "leader"))
        parts.append(svg.words(label.x, label.y, name, cls=kind))
    return parts


def _alpha_names(front: Front, plane: _Plane) -> Iterator[tuple[tuple[float, float], str]]:
    """Alphas beside the points that are taken; where several share a point, once for all."""
    for path in front.paths.values():
        shown = [p for p in path if _placed(p) and (_taken(front, p) or not front.chosen)]
        for _, same in itertools.groupby(shown, key=lambda p: tuple(map(round, plane.at(p)))):
            together = list(same)
            ends = dict.fromkeys(f"{p.alpha:g}" for p in (together[0], together[-1]))
            yield plane.at(together[0]), "α " + "–".join(ends)


def _around(x: float, y: float, radius: float) -> Box:
    return Box(x - radius, y - radius, x + radius, y + radius)


def _spots(path: Sequence[FrontPoint], plane: _Plane) -> list[tuple[float, float]]:
    return [plane.at(point) for point in path if _placed(point)]


def _stairs(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Corners of the line of the front, which goes level and then up."""
    corners = [points[0]] if points else []
    for (_, before), (x, y) in itertools.pairwise(points):
        corners += [(x, before), (x, y)]
    return corners


def _along(points: Sequence[tuple[float, float]]) -> list[Box]:
    """Small boxes along a line, which names keep clear of."""
    boxes = []
    for (x1, y1), (x2, y2) in itertools.pairwise(points):
        steps = max(int(math.hypot(x2 - x1, y2 - y1) / 7), 1)
        for step in range(steps):
            share = step / steps
            boxes.append(_around(x1 + share * (x2 - x1), y1 + share * (y2 - y1), 2.0))
    return boxes


def _legend(front: Front, plane: _Plane) -> list[Markup]:
    parts = []
    across = 1 if plane.narrow else 4
    step = (plane.right - plane.left) / across
    for number, name in enumerate(front.paths):
        x = plane.left + (number % across) * step
        y = 34.0 + 19.0 * (number // across)
        parts.append(svg.dot(x + 6, y - 4, 5.5, "point", style=f"fill:{svg.colour(number)}"))
        parts.append(svg.words(x + 17, y, svg.shortened(f"router {name}", step - 24, 12)))
    x, y = plane.right, 14.0
    parts.append(svg.words(x, y, "○ ring: chosen", anchor="end", cls="tick"))
    return parts
