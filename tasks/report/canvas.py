"""An empty figure, its colours, and how it becomes a PNG.

Colours are Okabe and Ito's: they can be told apart without seeing red or green. Figures are made
without pyplot, so nothing global is touched and threads do not meet.
"""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, GREEN, VERMILION, GREY, INK = "#0072B2", "#009E73", "#D55E00", "#767676", "#1b1f24"
DPI = 150


def blank_figure(width: float, height: float) -> tuple[Figure, Axes]:
    """An empty figure in inches, laid out so that labels fit."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.tick_params(colors=INK, labelsize=8.5)
    return figure, axes


def literal(text: str) -> str:
    """The text, safe from being read as a formula: two dollar signs would start one."""
    return text.replace("$", r"\$")


@contextlib.contextmanager
def foreign_glyphs_allowed() -> Iterator[None]:
    """Draw a box for a character the font lacks, without a warning for each of them."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        yield


def png(figure: Figure) -> bytes:
    """The figure as a PNG."""
    buffer = io.BytesIO()
    with foreign_glyphs_allowed():
        figure.savefig(buffer, format="png", dpi=DPI)
    return buffer.getvalue()
