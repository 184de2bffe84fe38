"""Cost, routers and calibration on the page of a profile: all of it measured out of fold."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from tasks.report import formats as f
from tasks.report import svg
from tasks.report.front import accuracy_cost_front, drawable, unplaced
from tasks.report.layout import Column, Table
from tasks.report.markup import Markup, block, closed, element, empty
from tasks.report.reliability import reliability_curve
from tasks.report.sweep_plot import cluster_sweep

if TYPE_CHECKING:
    from tasks.report.profile_page_facts import Front, ProfilePage, SweepPoint


def front_section(front: Front | None) -> list[Markup]:
    """Accuracy against cost, and the point taken at each alpha."""
    if front is None:
        return [
            empty(
                "Routers were not measured out of fold: there were too few training questions, or "
                "the profile was made before that was done. Profile again to see the front."
            )
        ]
    table = [element("h3", "The point chosen at each alpha"), block(_alpha_table(front))]
    if not drawable(front):
        return [
            empty("No pair has a known cost: give prices in the pool to see the front."),
            *table,
        ]
    missing = unplaced(front)
    caption = (
        f"{front.measured} Grey dots are pairs, the dotted line the best of them at every cost; "
        "coloured lines are routers from alpha 0 (accuracy alone) to 1 (cost alone). Ringed: the "
        "router that is taken at that alpha. Bars: 95 % intervals. Point at a mark for its figures."
    )
    if missing:
        caption += f" Not shown, of unknown cost: {', '.join(missing)}."
    drawn = svg.responsive(lambda width: accuracy_cost_front(front, width), caption)
    return [drawn, *table]


def _alpha_table(front: Front) -> Table:
    rows = []
    for alpha, name in front.chosen.items():
        for point in front.paths.get(name, ()):
            if point.alpha == alpha:
                mix = ", ".join(f"{f.percent(share)} {pair}" for pair, share in point.mix[:3])
                rows.append(
                    (
                        f"{alpha:g}",
                        name,
                        f.points(point.accuracy.value),
                        f"{f.points(point.accuracy.low)}–{f.points(point.accuracy.high)}",
                        f.plain_dollars(1000 * point.cost_usd),
                        f.count(point.n),
                        mix,
                    )
                )
    heads = ("alpha", "router", "accuracy", "95 %", "$/1k", "n", "goes to")
    left = {"router", "goes to"}
    return Table([Column(h, "left" if h in left else "right") for h in heads], rows)


def router_section(shown: ProfilePage) -> list[Markup]:
    """What every router gains at each alpha, and what numbers of clusters are worth."""
    parts = []
    front = shown.front
    if front is not None and front.gains:
        parts.append(
            element(
                "p",
                "Points of utility, (1 − alpha) · accuracy − alpha · cost, over the best single "
                "pair on training questions left out of the fit, with 95 % intervals. A router is "
                "taken where its gain is beyond chance and clearly the largest.",
            )
        )
        parts.append(block(_gain_table(front)))
    if front is not None and front.why:
        terms = (
            element("dt", f"alpha {alpha:g}") + element("dd", f.clean(why))
            for alpha, why in front.why.items()
        )
        parts.append(closed("The reasons in words", element("dl", Markup("".join(terms)))))
    if shown.sweep:
        how = "Ringed: the number asked for."
        if shown.profile.settings.choose_k:
            how = "Ringed: the number chosen by this."
        caption = (
            "Accuracy of the cluster router at alpha 0 by number of clusters, on training "
            f"questions left out of the fit; no test question was looked at. {how}"
        )
        sweep, k = shown.sweep, shown.profile.k
        draw = functools.partial(_sweep_at, sweep, k)
        parts.append(svg.responsive(draw, caption, beside=True))
    if not parts:
        parts.append(empty("Routers were not compared: too few training questions were kept."))
    return parts


def _sweep_at(sweep: tuple[SweepPoint, ...], k: int, width: float) -> Markup:
    return cluster_sweep(sweep, k, width)


def _gain_table(front: Front) -> Table:
    names = list(dict.fromkeys(name for gains in front.gains.values() for name in gains))
    rows = [
        (
            f"{alpha:g}",
            front.chosen.get(alpha, f.DASH),
            *(f.gain_range(gains.get(name)) for name in names),
        )
        for alpha, gains in front.gains.items()
    ]
    columns = [Column("alpha"), Column("taken", "left"), *(Column(name) for name in names)]
    return Table(columns, rows)


def trust_section(shown: ProfilePage) -> list[Markup]:
    """The reliability curve with its figures."""
    if not shown.calibrations:
        return [
            empty(
                "There is nothing to compare estimates with: the profile kept no training rows, or "
                "too few."
            )
        ]
    curves = shown.calibrations
    caption = (
        "What was expected of a pair on a question that the estimate was not fitted on, against "
        "what came. On the dashed line, 70 expected points are 70 points. The calibration error is "
        "the mean distance from it. Bars: 95 % intervals over questions."
    )
    rows = [
        (name, f.count(one.n), f"{100 * one.error:.1f}", f.gain_range(one.gap))
        for name, one in curves
    ]
    heads = ("estimate", "n", "calibration error", "came minus expected")
    table = block(Table([Column(h, "left" if h == "estimate" else "right") for h in heads], rows))
    drawn = svg.responsive(
        lambda width: reliability_curve(curves, width), caption, beside=True, more=table
    )
    tables = []
    for name, calibration in curves:
        rows = [
            (
                f"{f.points(b.low)}–{f.points(b.high)}",
                f.count(b.n),
                f.points(b.expected),
                f.points_range(b.realised),
            )
            for b in calibration.bins
        ]
        names = ("expected between", "n", "mean expected", "came, 95 %")
        bins = block(Table([Column(h, "right") for h in names], rows))
        tables.append(element("div", element("h3", name), bins))
    figures = element("div", *tables, class_="columns")
    return [drawn, closed("The figures of the curve", figures)]
