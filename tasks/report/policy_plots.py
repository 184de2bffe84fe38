"""Figures of a policy: accuracy against cost on held-out questions, and its confidence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tasks.report.canvas import BLUE, GREEN, GREY, INK, VERMILION, blank_figure, literal

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Card = Mapping[str, Any]

_LOOKS: Mapping[str, tuple[str, str]] = {
    "best-single": (GREY, "s"),
    "cluster": (INK, "^"),
    "predictor": ("#CC79A7", "v"),
    "cascade": ("#E69F00", "D"),
    "policy": (BLUE, "o"),
    "hybrid": (GREEN, "*"),
}


def held_out_front(card: Card) -> Figure:
    """Accuracy against cost of every router, one point a price, with 95 % bars.

    Raises:
        ValueError: there is no held-out row.
    """
    rows = card["held_out"]["rows"]
    if not rows:
        raise ValueError("there are no held-out questions to draw")
    figure, axes = blank_figure(8.2, 4.8)
    dollars = all(row["cost_usd"] is not None for row in rows)
    for router in dict.fromkeys(row["router"] for row in rows):
        mine = [row for row in rows if row["router"] == router]
        cost = [1000 * row["cost_usd"] if dollars else row["calls"] for row in mine]
        value = [100 * row["accuracy"][0] for row in mine]
        below = [max(100 * (row["accuracy"][0] - row["accuracy"][1]), 0.0) for row in mine]
        above = [max(100 * (row["accuracy"][2] - row["accuracy"][0]), 0.0) for row in mine]
        color, marker = _LOOKS.get(router, (VERMILION, "x"))
        axes.errorbar(
            cost, value, [below, above], color=color, marker=marker, markersize=6.5, linewidth=1.2,
            elinewidth=0.7, capsize=2, alpha=0.9, label=literal(router),
        )  # fmt: skip
    axes.grid(color="#e6e6e6", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.set_xlabel("$ per 1,000 questions" if dollars else "calls a question")
    axes.set_ylabel("accuracy, points")
    axes.legend(fontsize=8, frameon=False)
    axes.set_title(
        f"held-out questions, n = {card['held_out']['questions']:,}; a point a price; "
        "bars: 95 % intervals",
        fontsize=8, loc="left", color=GREY,
    )  # fmt: skip
    return figure


def reliability_figure(card: Card) -> Figure:
    """Accuracy of the leading answer against the aggregator's confidence in it, out of fold.

    Raises:
        ValueError: no called set had an answer.
    """
    found = card["reliability"]
    if not found["bins"]:
        raise ValueError("no called set had an answer")
    figure, axes = blank_figure(4.8, 4.6)
    most = max(one["n"] for one in found["bins"])
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle="--")
    axes.plot(
        [one["confidence"] for one in found["bins"]],
        [one["accuracy"] for one in found["bins"]],
        color=BLUE, linewidth=1.2,
    )  # fmt: skip
    axes.scatter(
        [one["confidence"] for one in found["bins"]],
        [one["accuracy"] for one in found["bins"]],
        s=[12 + 90 * one["n"] / most for one in found["bins"]],
        color=BLUE, zorder=2,
    )  # fmt: skip
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.grid(color="#e6e6e6", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.set_xlabel("confidence in the leading answer")
    axes.set_ylabel("share of them that is right")
    axes.set_title(
        f"out of fold; mean distance from the diagonal {100 * found['error']:.1f} points; "
        "size: called sets",
        fontsize=8, loc="left", color=GREY,
    )  # fmt: skip
    return figure
