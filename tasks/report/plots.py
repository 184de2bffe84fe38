"""Figures: what routers cost and bring, where rows and money went."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from tasks.report import formats as f
from tasks.report.canvas import (
    BLUE,
    GREEN,
    GREY,
    INK,
    VERMILION,
    blank_figure,
    foreign_glyphs_allowed,
    literal,
)
from tasks.report.heatmap import accuracy_heatmap

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from tasks.report.comparison import Interval
    from tasks.report.facts import PairUse, RouteFacts, RouterFacts

__all__ = [
    "accuracy_against_cost",
    "accuracy_heatmap",
    "pair_shares",
    "router_intervals",
    "spend_over_time",
]

_MOST_BARS = 24


def accuracy_against_cost(routers: Sequence[RouterFacts]) -> Figure:
    """Micro accuracy against cost per 1,000 questions, with 95 % bars and the Pareto front.

    The front runs over routers that are told nothing they may not know; others are drawn hollow.

    Raises:
        ValueError: no router has a known cost; `router_intervals` needs none.
    """
    priced = [router for router in routers if router.cost_usd is not None]
    if not priced:
        raise ValueError("No router has a known cost: there is no cost axis to draw.")
    figure, axes = blank_figure(8.2, 4.8)
    cost = [1000 * float(router.cost_usd or 0) for router in priced]
    _cost_axis(axes, cost)
    front = _pareto(priced, cost)
    if len(front) > 1:
        x, y = [cost[i] for i in front], [100 * priced[i].score.micro.value for i in front]
        axes.plot(x, y, drawstyle="steps-post", color=GREEN, linewidth=1.4, alpha=0.7, zorder=1)
    for number, (router, x_at) in enumerate(zip(priced, cost, strict=True)):
        value, bars = _bars(router.score.micro)
        color = GREEN if number in front else GREY if router.told else BLUE
        axes.errorbar(
            x_at, value, bars, fmt="o", color=color, markersize=6.5,
            markerfacecolor="white" if router.told else color, capsize=3, elinewidth=1.2, zorder=2,
        )  # fmt: skip
    points = [(x, 100 * router.score.micro.value) for x, router in zip(cost, priced, strict=True)]
    _label_points(axes, points, [literal(router.router) for router in priced])
    axes.set_xlabel("$ per 1,000 questions")
    axes.set_ylabel("accuracy, micro, points")
    axes.set_title(
        f"{literal(routers[0].split)}, n = {f.count(routers[0].score.n)}; bars: 95 % intervals; "
        "line: Pareto front; hollow: is told more than a router may know",
        fontsize=8, loc="left", color=GREY,
    )  # fmt: skip
    return figure


def _bars(interval: Interval) -> tuple[float, list[list[float]]]:
    """Value and lengths of its bars, in points; rounding must not make a length negative."""
    value, low, high = (100 * part for part in interval)
    return value, [[max(value - low, 0.0)], [max(high - value, 0.0)]]


def _cost_axis(axes: Axes, cost: Sequence[float]) -> None:
    axes.grid(color="#e6e6e6", linewidth=0.8)
    axes.set_axisbelow(True)
    positive = [value for value in cost if value > 0]
    if len(positive) == len(cost) and max(cost) > 10 * min(cost):
        axes.set_xscale("log")
        axes.set_xlim(min(cost) / 1.4, max(cost) * 1.9)
    else:
        span = max(cost) - min(min(cost), 0) or 1.0
        axes.set_xlim(min(0.0, min(cost)) - 0.03 * span, max(cost) + 0.22 * span)
    axes.xaxis.set_major_formatter(lambda value, _position: f"{value:g}")


def _pareto(routers: Sequence[RouterFacts], cost: Sequence[float]) -> list[int]:
    """Numbers of the honest routers that no cheaper-or-equal one beats, by rising cost."""
    honest = [i for i, router in enumerate(routers) if not router.told]
    honest.sort(key=lambda i: (cost[i], -routers[i].score.micro.value))
    front: list[int] = []
    for i in honest:
        if not front or routers[i].score.micro.value > routers[front[-1]].score.micro.value:
            front.append(i)
    return front


def _label_points(axes: Axes, points: Sequence[tuple[float, float]], names: Sequence[str]) -> None:
    """Names beside their points, pushed apart from below so that none covers another."""
    from matplotlib.patheffects import withStroke

    figure = axes.get_figure(root=True)
    assert figure is not None
    with foreign_glyphs_allowed():
        figure.draw_without_rendering()
    pixels = axes.transData.transform(points)
    taken: list[tuple[float, float, float]] = []
    point = figure.dpi / 72
    for number in np.argsort(pixels[:, 1], kind="stable"):
        x, y = pixels[number]
        width = 6.2 * len(names[number]) * point
        while any(
            abs(y - b) < 11.5 * point and x < right and left < x + width for left, b, right in taken
        ):
            y += 3 * point
        taken.append((x, y, x + width))
        axes.annotate(
            names[number], points[number], xytext=(7, 7 + (y - pixels[number][1]) / point),
            textcoords="offset points", va="center", fontsize=8.5, color=INK,
            path_effects=[withStroke(linewidth=2.5, foreground="white")],
        )  # fmt: skip


def router_intervals(routers: Sequence[RouterFacts]) -> Figure:
    """Micro (filled) and macro (hollow) accuracy of every router with 95 % intervals."""
    figure, axes = blank_figure(8.2, 1.2 + 0.42 * len(routers))
    order = sorted(routers, key=lambda router: router.score.micro.value)
    for row, router in enumerate(order):
        color = GREY if router.told else BLUE
        for shift, interval, fill in ((0.13, router.score.micro, color),
                                      (-0.13, router.score.macro, "white")):  # fmt: skip
            value, bars = _bars(interval)
            axes.errorbar(
                value, row + shift, xerr=bars, fmt="o", color=color,
                markerfacecolor=fill, markersize=5.5, capsize=2.5, elinewidth=1.2,
            )  # fmt: skip
    axes.set_yticks(range(len(order)), [literal(router.router) for router in order])
    axes.set_ylim(-0.6, len(order) - 0.4)
    axes.grid(axis="x", color="#e6e6e6", linewidth=0.8)
    axes.set_xlabel("accuracy in points with 95 % intervals; filled micro, hollow macro")
    return figure


def pair_shares(facts: RouteFacts) -> Figure:
    """Rows answered by each pair, the busiest on top, with accuracy where graded."""
    used = sorted(facts.pairs, key=lambda pair: (-pair.rows, pair.pair_id))
    shown, rest = used[:_MOST_BARS], used[_MOST_BARS:]
    names = [literal(f.pair_label(pair.pair_id)) for pair in shown]
    rows = [pair.rows for pair in shown]
    notes = [_share_note(pair, facts.answered) for pair in shown]
    if rest:
        names.append(f"{len(rest)} more pairs")
        rows.append(sum(pair.rows for pair in rest))
        notes.append(f.percent(rows[-1] / max(facts.answered, 1)))
    figure, axes = blank_figure(8.2, 1.0 + 0.34 * max(len(rows), 1))
    axes.barh(range(len(rows)), rows, color=BLUE, height=0.68)
    for number, note in enumerate(notes):
        axes.annotate(
            note, (rows[number], number), xytext=(5, 0), textcoords="offset points",
            va="center", fontsize=8, color=INK,
        )  # fmt: skip
    axes.set_yticks(range(len(rows)), names, fontsize=8.5)
    axes.invert_yaxis()
    axes.set_xlim(0, 1.6 * max(rows, default=1))
    axes.xaxis.set_major_formatter(lambda value, _position: f"{value:,.0f}")
    axes.set_xlabel("rows answered")
    return figure


def _share_note(pair: PairUse, answered: int) -> str:
    text = f.percent(pair.rows / max(answered, 1))
    if pair.accuracy is not None:
        text += f" · accuracy {f.score(pair.accuracy)}, n {f.count(pair.graded)}"
    return text


def spend_over_time(facts: RouteFacts) -> Figure:
    """Dollars spent as the run went on, with the budget where there is one."""
    figure, axes = blank_figure(8.2, 3.2)
    last = facts.spend[-1].elapsed_s if facts.spend else 0.0
    size, unit = next(
        ((s, u) for s, u in ((3600.0, "hours"), (60.0, "minutes")) if last > 3 * s),
        (1.0, "seconds"),
    )
    x = [point.elapsed_s / size for point in facts.spend]
    y = [float(point.spent_usd) for point in facts.spend]
    axes.plot(x, y, drawstyle="steps-post", color=BLUE, linewidth=1.8)
    axes.fill_between(x, y, step="post", color=BLUE, alpha=0.12)
    if facts.max_cost_usd is not None:
        budget = float(facts.max_cost_usd)
        axes.axhline(budget, color=VERMILION, linestyle="--", linewidth=1.3)
        axes.annotate(
            f"budget {f.dollars(facts.max_cost_usd)}", (0, budget), xytext=(4, -11),
            textcoords="offset points", color=VERMILION, fontsize=8.5,
        )  # fmt: skip
    axes.set_ylim(bottom=0)
    axes.set_xlim(left=0)
    axes.yaxis.set_major_formatter(lambda value, _position: f"${value:g}")
    axes.grid(color="#e6e6e6", linewidth=0.8)
    axes.set_xlabel(f"{unit} since the run began")
    return figure
