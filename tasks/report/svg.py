"""Pictures as SVG inside a page: sharp at every size, coloured by the reader's light or dark.

Everything is text, made with `tasks.report.markup.element`, so nothing shown can act. Colours are
the custom properties of `tasks.report.style`; a picture that leaves its page is given them by
`standalone`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from tasks.report.markup import Markup, element
from tasks.report.style import COLOURS, FIGURE

WIDE, NARROW = 1080.0, 380.0
"""Widths a figure is drawn for, in CSS pixels: beside text on a screen, and on a phone."""

COLOURS_OF_GROUPS = 10
"""Colours that groups are told apart by; beyond it they repeat, so groups carry labels too."""

_LETTER = 0.6
"""Mean width of a letter of a sans-serif face, in font sizes."""


def text_width(words: str, size: float) -> float:
    """About how wide a text is, in pixels: there is no font to ask."""
    return sum(0.32 if letter in " .,:;il|'()[]" else _LETTER for letter in words) * size


def shortened(words: str, width: float, size: float) -> str:
    """The text, cut with an ellipsis to about `width` pixels."""
    if text_width(words, size) <= width:
        return words
    kept = words
    while kept and text_width(kept + "…", size) > width:
        kept = kept[:-1]
    return kept.rstrip() + "…"


def number(value: float) -> str:
    """A coordinate with one decimal at most."""
    return f"{value:.1f}".removesuffix(".0")


def colour(group: int) -> str:
    """The colour of a group, by its number."""
    return f"var(--c{group % COLOURS_OF_GROUPS})"


def words(
    x: float, y: float, content: str, *, anchor: str = "start", cls: str = "", title: str = ""
) -> Markup:
    """A text at a point of its base line."""
    inner = [element("title", title)] if title else []
    # Extra attributes are left out where they say nothing: a page holds thousands of marks.
    more = ({"class": cls} if cls else {}) | ({"text-anchor": anchor} if anchor != "start" else {})
    return element("text", *inner, content, x=number(x), y=number(y), **more)


def line(x1: float, y1: float, x2: float, y2: float, cls: str = "", *, tint: str = "") -> Markup:
    """A straight line."""
    more = ({"class": cls} if cls else {}) | ({"style": f"stroke:{tint}"} if tint else {})
    return element("line", x1=number(x1), y1=number(y1), x2=number(x2), y2=number(y2), **more)


def path(
    points: Sequence[tuple[float, float]], cls: str = "", *, steps: bool = False, tint: str = ""
) -> Markup:
    """A line through points; with `steps`, level until the next point and then up or down."""
    more = ({"class": cls} if cls else {}) | ({"style": f"stroke:{tint}"} if tint else {})
    parts = [f"M{number(points[0][0])},{number(points[0][1])}"] if points else []
    for x, y in points[1:]:
        parts.append(f"H{number(x)}V{number(y)}" if steps else f"L{number(x)},{number(y)}")
    return element("path", d="".join(parts), **more)


def dot(x: float, y: float, radius: float, cls: str, title: str = "", **style: str) -> Markup:
    """A circle that names itself when pointed at."""
    inner = [element("title", title)] if title else []
    at = {"cx": number(x), "cy": number(y), "r": number(radius)}
    return element("circle", *inner, class_=cls, **at, **style)


def bar(x: float, y: float, width: float, height: float, cls: str, title: str = "") -> Markup:
    """A rectangle that names itself when pointed at."""
    inner = [element("title", title)] if title else []
    size = {"width": number(max(width, 0.0)), "height": number(max(height, 0.0))}
    return element("rect", *inner, class_=cls, x=number(x), y=number(y), **size)


def group(parts: Iterable[Markup], cls: str = "") -> Markup:
    """Marks that belong together."""
    return element("g", Markup("".join(parts)), **({"class": cls} if cls else {}))


def picture(width: float, height: float, parts: Iterable[Markup], description: str) -> Markup:
    """A whole picture; `description` is for those who cannot see it."""
    return element(
        "svg",
        Markup("".join(parts)),
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {number(width)} {number(height)}",
        width=number(width),
        height=number(height),
        role="img",
        aria_label=description,
        class_="picture",
    )


def responsive(
    draw: Callable[[float], Markup], caption: str, *, beside: bool = False, more: str = ""
) -> Markup:
    """A figure drawn twice, for wide and for narrow screens: shrunk letters cannot be read.

    Args:
        draw: makes the picture at a width in pixels.
        caption: what the picture shows and how to read it.
        beside: put the caption beside a picture that leaves room there.
        more: what follows the caption, such as a table.
    """
    drawn = element(
        "div",
        element("div", draw(WIDE), class_="when-wide"),
        element("div", draw(NARROW), class_="when-narrow"),
    )
    shape = {"class": "beside"} if beside else {}
    return element("figure", drawn, element("figcaption", caption, more), **shape)


def standalone(drawn: Markup) -> str:
    """A picture as a file of its own, with the colours and lines it has inside a page."""
    style = f"<style>{COLOURS}{FIGURE} svg {{ background: var(--page); }}</style>"
    head, close, rest = drawn.partition(">")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{head}{close}{style}{rest}\n'


@dataclass(frozen=True, slots=True)
class Scale:
    """Maps values to pixels.

    Attributes:
        low, high: the values at the ends; low < high.
        start, end: their pixels; `end` may be the smaller one.
        log: equal steps are equal factors; low must be above 0.
    """

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        """The pixel of a value, kept inside the ends."""
        share = (self._of(value) - self._of(self.low)) / (self._of(self.high) - self._of(self.low))
        return self.start + min(max(share, 0.0), 1.0) * (self.end - self.start)

    def _of(self, value: float) -> float:
        return math.log10(max(value, 1e-300)) if self.log else value

    def ticks(self, wanted: int = 5) -> list[float]:
        """Round values to label, about as many as wanted."""
        return self._powers(wanted) if self.log else _round_steps(self.low, self.high, wanted)

    def _powers(self, wanted: int) -> list[float]:
        first, last = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
        for digits in ((1, 2, 5), (1, 3), (1,)):
            found = [d * 10.0**e for e in range(first, last + 1) for d in digits]
            found = [v for v in found if self.low * 0.999 <= v <= self.high * 1.001]
            if len(found) <= wanted + 1:
                break
        else:
            found = found[:: math.ceil(len(found) / (wanted + 1))]
        # Less than a factor of two lies between the ends: there, logarithms are nearly straight.
        return found if len(found) >= 2 else _round_steps(self.low, self.high, wanted)


def _round_steps(low: float, high: float, wanted: int) -> list[float]:
    rough = (high - low) / max(wanted, 1)
    size = 10.0 ** math.floor(math.log10(rough))
    step = next(size * factor for factor in (1, 2, 2.5, 5, 10) if size * factor >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    # Multiplying, not adding up, keeps 0.3 from becoming 0.30000000000000004.
    return [round(i * step, 12) for i in range(first, last + 1)]


def spread(values: Iterable[float], *, room: float = 0.06) -> tuple[float, float]:
    """Ends of an axis around finite values, with some room; (0, 1) where there is none."""
    known = [value for value in values if math.isfinite(value)]
    if not known:
        return 0.0, 1.0
    low, high = min(known), max(known)
    more = room * (high - low) or max(abs(high) * 0.1, 1e-9)
    return low - more, high + more
