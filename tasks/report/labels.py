"""Names beside points, so that no name covers another or a point."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from tasks.report.svg import text_width


class Box(NamedTuple):
    """A rectangle in pixels; y grows downwards."""

    left: float
    top: float
    right: float
    bottom: float

    def meets(self, other: Box) -> bool:
        """Whether the two share a point."""
        return (
            self.left < other.right
            and other.left < self.right
            and self.top < other.bottom
            and other.top < self.bottom
        )


class Label(NamedTuple):
    """Where a name starts, on its base line, and the box it fills."""

    x: float
    y: float
    box: Box


def place_labels(
    points: Sequence[tuple[float, float]],
    names: Sequence[str],
    *,
    bounds: Box,
    size: float = 12.5,
    taken: Sequence[Box] = (),
) -> list[Label | None]:
    """A place for every name near its point; None where all of them are taken.

    Names are placed in the order given, so the important ones come first. Tried are places to the
    right, left, above and below, each farther out than the last.

    Args:
        points: in pixels.
        names: what stands beside them; an empty name gets no place and takes none.
        bounds: the rectangle that names stay in.
        size: of the letters, in pixels.
        taken: rectangles to keep free, such as other points.
    """
    filled = list(taken)
    placed: list[Label | None] = []
    for (x, y), name in zip(points, names, strict=True):
        found = _free_place(x, y, text_width(name, size), size, bounds, filled) if name else None
        if found is not None:
            filled.append(found.box)
        placed.append(found)
    return placed


def _free_place(
    x: float, y: float, width: float, size: float, bounds: Box, filled: Sequence[Box]
) -> Label | None:
    middle = 0.35 * size
    for out in (8.0, 15.0, 24.0, 36.0, 52.0):
        for left, base in (
            (x + out, y + middle),
            (x + 0.8 * out, y - 0.8 * out),
            (x + 0.8 * out, y + 0.8 * out + 2 * middle),
            (x - out - width, y + middle),
            (x - 0.8 * out - width, y - 0.8 * out),
            (x - 0.8 * out - width, y + 0.8 * out + 2 * middle),
            (x - width / 2, y - out),
            (x - width / 2, y + out + 2 * middle),
        ):
            box = Box(left - 2, base - 0.85 * size, left + width + 2, base + 0.3 * size)
            inside = bounds.left <= box.left and box.right <= bounds.right
            inside = inside and bounds.top <= box.top and box.bottom <= bounds.bottom
            if inside and not any(box.meets(other) for other in filled):
                return Label(left, base, box)
    return None
