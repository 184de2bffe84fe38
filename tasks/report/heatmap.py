"""The heat-map of a profile: every pair in every cluster."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tasks.report import formats as f
from tasks.report.canvas import GREY, INK, VERMILION, blank_figure, literal

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from profiles.profile import Profile

_MOST_TEXT = 400
"""Cells beyond which a heat-map is only coloured: text would be too small to read."""


def accuracy_heatmap(profile: Profile) -> Figure:
    """Accuracy of every pair in every cluster, with n and the half-width of its interval.

    Pairs are sorted by their overall accuracy, the best on top; the best pair of every cluster
    is framed. Cells without a score are blank with a cross.
    """
    statistics, k = profile.statistics, profile.k
    order = np.argsort(-np.nan_to_num(statistics.score_mean[-1], nan=-1.0), kind="stable")
    values = 100 * statistics.score_mean[:, order].T
    pairs = len(order)
    figure, axes = blank_figure(2.9 + 0.82 * (min(k, 40) + 1), 1.6 + 0.4 * min(pairs, 60))
    columns = np.r_[np.arange(k), k + 0.35]
    _draw_cells(axes, values, columns)
    if values.size <= _MOST_TEXT:
        low, high = statistics.score_low[:, order].T, statistics.score_high[:, order].T
        n = statistics.n_scored[:, order].T
        for row, column in np.ndindex(values.shape):
            half = 50 * float(high[row, column] - low[row, column])
            cell = (float(columns[column]), row, float(values[row, column]))
            _write_cell(axes, cell, int(n[row, column]), half)
    _frame_best(axes, values, columns)
    sizes = [f"n {f.compact(int(size))}" for size in profile.clusters.sizes]
    words = [_two_words(terms) for terms in profile.top_terms]
    names = [f"{c}\n{words[c]}\n{sizes[c]}" if k <= 16 else str(c) for c in range(k)]
    axes.set_xticks(columns, [*names, "all"], fontsize=7)
    axes.xaxis.tick_top()
    labels = [literal(f.pair_label(profile.pairs[pair].pair_id)) for pair in order]
    axes.set_yticks(range(pairs), labels, fontsize=8)
    axes.tick_params(length=0)
    axes.set_xlim(-0.5, k + 0.85)
    axes.set_ylim(pairs - 0.5, -0.5)
    for spine in axes.spines.values():
        spine.set_visible(False)
    caption = (
        "accuracy in points; small: n scored ± half the 95 % interval; framed: best of cluster"
    )
    axes.set_xlabel(caption if values.size <= _MOST_TEXT else "accuracy in points", fontsize=8)
    return figure


def _draw_cells(axes: Axes, values: np.ndarray[Any, Any], columns: np.ndarray[Any, Any]) -> None:
    rows = np.arange(len(values) + 1) - 0.5
    # The column of all questions stands apart, so it is a mesh of its own.
    for part in (slice(None, -1), slice(-1, None)):
        edges = np.r_[columns[part] - 0.5, columns[part][-1] + 0.5]
        axes.pcolormesh(
            edges, rows, np.ma.masked_invalid(values[:, part] / 100), cmap=_colormap(),
            vmin=0, vmax=1, edgecolors="white", linewidth=1,
        )  # fmt: skip
    y, x = np.nonzero(~np.isfinite(values))
    axes.plot(columns[x], y, linestyle="", marker="x", color=GREY, markersize=5)


def _write_cell(axes: Axes, cell: tuple[float, float, float], n: int, half: float) -> None:
    x, y, value = cell
    if not np.isfinite(value):
        return
    color = "white" if _luminance(_colormap()(value / 100)) < 0.2 else INK
    small = f"{f.compact(n)} ±{half:.0f}"
    for shift, text, size in ((-0.14, f"{value:.0f}", 9.0), (0.27, small, 6.5)):
        written = axes.text(
            x, y + shift, text, ha="center", va="center", color=color, fontsize=size
        )
        # A text inside its cell cannot stick out, and measuring hundreds of them takes seconds.
        written.set_in_layout(False)


def _luminance(color: Sequence[float]) -> float:
    """Relative luminance of an sRGB colour (WCAG 2.1)."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in color[:3]]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _frame_best(axes: Axes, values: np.ndarray[Any, Any], columns: np.ndarray[Any, Any]) -> None:
    from matplotlib.patches import Rectangle

    for column, x in enumerate(columns):
        if np.isfinite(values[:, column]).any():
            row = int(np.nanargmax(values[:, column]))
            frame = Rectangle((x - 0.44, row - 0.44), 0.88, 0.88, fill=False)
            frame.set(edgecolor=VERMILION, linewidth=1.8)
            axes.add_patch(frame)


def _two_words(terms: Sequence[str]) -> str:
    words = [term if len(term) <= 11 else term[:10] + "…" for term in map(f.clean, terms[:2])]
    words = [literal(word) for word in words]
    return "\n".join([*words, "", ""][:2])


def _colormap() -> Any:  # noqa: ANN401
    # From light yellow to dark blue: readable in grey, and text stands out at both ends.
    from matplotlib import colormaps

    return colormaps["YlGnBu"]
