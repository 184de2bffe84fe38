"""The page of a profile: what every pair can do, what it costs, how sure we are, what changed."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from tasks.report import formats as f
from tasks.report import svg
from tasks.report.cluster_map import cluster_map
from tasks.report.freshness_plots import refresh_costs
from tasks.report.front import accuracy_cost_front, drawable
from tasks.report.interval_map import interval_map
from tasks.report.layout import Column, Table
from tasks.report.markup import Markup, block, closed, element, empty, join, page
from tasks.report.profile_page_clusters import cluster_details
from tasks.report.profile_page_history import change_section, freshness_section
from tasks.report.profile_page_routers import front_section, router_section, trust_section
from tasks.report.reliability import reliability_curve
from tasks.report.style import FIGURE, MAP, heat_style
from tasks.report.sweep_plot import cluster_sweep

if TYPE_CHECKING:
    from tasks.report.profile_page_facts import Front, ProfilePage

_MADE_BY = (
    "Made by ATLAS. Every figure carries its n and a 95 % interval; unknown is never zero, and an "
    "unscored answer is never a wrong one. This page needs nothing but itself."
)

Section = tuple[str, str, str, list[Markup]]
"""Id, word in the navigation, heading and contents of a part of the page."""


BEST_SINGLE = "best-single"


def draw_profile_page(shown: ProfilePage) -> str:
    """The whole page. What is not known has a sentence saying so, never an empty picture."""
    profile = shown.profile
    sections: list[Section] = [
        ("changes", "Changes", "What changed", change_section(shown.changes)),
        ("pairs", "Pairs", "What every pair can do", _pair_section(shown)),
        ("front", "Cost", "What accuracy costs", front_section(shown.front)),
        ("routers", "Routers", "Which router decides", router_section(shown)),
        ("trust", "Calibration", "How far the estimates hold", trust_section(shown)),
        ("clusters", "Clusters", "Kinds of question", _cluster_section(shown)),
        ("freshness", "History", "Cost and drift over time", freshness_section(shown)),
        ("coverage", "Coverage", "What it rests on", _coverage_section(shown)),
    ]
    parts = [_tiles(shown), _findings(shown)]
    for name, _, title, contents in sections:
        heading = element("h2", title, id=f"{name}-title")
        body = join([heading, *contents])
        parts.append(element("section", body, id=name, aria_labelledby=f"{name}-title"))
    if shown.next_commands:
        parts.append(element("h2", "Next"))
        parts.append(element("pre", element("code", "\n".join(shown.next_commands)), tabindex="0"))
    made = f"{profile.created_at:%Y-%m-%d %H:%M} UTC"
    count = f"{len(profile.pairs)} pairs, {profile.k} clusters"
    return page(
        f"Profile {profile.profile_id}",
        f"{profile.profile_id} · made {made} · {count}",
        parts,
        _MADE_BY,
        kicker="ATLAS profile",
        heading=f.clean(shown.title),
        navigation=[(name, word) for name, word, _, _ in sections],
        style=FIGURE + MAP + heat_style(),
    )


def page_pictures(shown: ProfilePage) -> Iterator[tuple[str, str]]:
    """Every picture of the page as an SVG file of its own: (name, text)."""
    front, mapped = shown.front, shown.clusters
    if front is not None and drawable(front):
        yield "front", svg.standalone(accuracy_cost_front(front, svg.WIDE))
    if shown.calibrations:
        yield "reliability", svg.standalone(reliability_curve(shown.calibrations, svg.WIDE))
    if mapped is not None:
        sizes = [int(size) for size in shown.profile.clusters.sizes]
        drawn = cluster_map(mapped, shown.profile.top_terms, sizes, svg.WIDE)
        yield "clusters", svg.standalone(drawn)
    if shown.sweep:
        yield "sweep", svg.standalone(cluster_sweep(shown.sweep, shown.profile.k, svg.WIDE))
    if shown.refreshes:
        yield "refreshes", svg.standalone(refresh_costs(shown.refreshes, svg.WIDE))


def _names(shown: ProfilePage) -> list[str]:
    return [f.pair_label(pair.pair_id) for pair in shown.profile.pairs]


def _tiles(shown: ProfilePage) -> Markup:
    table, names = shown.intervals, _names(shown)
    statistics = shown.profile.statistics
    winner = table.winners[-1]
    tiles = []
    if winner.pair is not None:
        value, low, high = (float(a[-1, winner.pair]) for a in (table.value, table.low, table.high))
        span = f"{100 * low:.0f}–{100 * high:.0f}"
        tiles.append(
            (f"{100 * value:.1f}", f"points [{span}]: best pair overall, {names[winner.pair]}")
        )
    decided = [one for one in table.winners[:-1] if one.pair is not None]
    sure = sum(one.separated for one in decided)
    tiles.append((f"{sure} of {len(decided)}", "clusters whose best pair is separated"))
    questions = int(shown.profile.clusters.sizes.sum())
    cells = questions * len(names)
    known = int(statistics.n[-1].sum())
    share = f.percent(known / cells) if cells else f.DASH
    tiles.append((share, f"of {f.count(cells)} cells known ({f.count(questions)} questions)"))
    if shown.spent_usd is not None:
        tiles.append((f.dollars(shown.spent_usd), "spent on the cells of this version"))
    else:
        scored = int(statistics.n_scored[-1].sum())
        tiles.append((f.count(scored), "scored outcomes"))
    made = [element("li", element("strong", big), small) for big, small in tiles]
    return element("ul", *made, class_="tiles")


def _findings(shown: ProfilePage) -> Markup:
    """The page in a few sentences."""
    lines = list(_sentences(shown))
    return element("ul", *(element("li", line) for line in lines), class_="findings")


def _sentences(shown: ProfilePage) -> Iterator[str]:
    names, table = _names(shown), shown.intervals
    best = table.winners[-1]
    if best.pair is not None and best.runner_up is not None:
        verdict = "ahead of" if best.separated else "not separated from"
        yield f"Overall {names[best.pair]} is best, {verdict} {names[best.runner_up]}."
    leaders = {one.pair for one in table.winners[:-1] if one.pair is not None}
    if len(leaders) > 1:
        yield (
            f"{len(leaders)} different pairs lead the {len(table.winners) - 1} clusters: which "
            "pair is best depends on the question."
        )
    if shown.front is not None:
        yield from _savings(shown.front)
    if shown.router_note:
        yield f"Router by default: {shown.router_note}."
    if shown.changes is not None and shown.changes.summary:
        yield f"Since {shown.changes.since}: {shown.changes.summary}."
    yield from (f"{note[:1].upper()}{note[1:]}." for note in map(_unstopped, shown.notes))


def _savings(front: Front) -> Iterator[str]:
    """What routing brings at alpha 0, beside the best single pair."""
    name = front.chosen.get(0.0, BEST_SINGLE)
    if name == BEST_SINGLE:
        return
    routed = next(point for point in front.paths[name] if point.alpha == 0.0)
    single = next(point for point in front.paths[BEST_SINGLE] if point.alpha == 0.0)
    money = [f.dollars(1000 * point.cost_usd) for point in (routed, single)]
    yield (
        f"Routed by {name}, training questions left out of the fit score "
        f"{f.points(routed.accuracy.value)} points [{f.points(routed.accuracy.low)}, "
        f"{f.points(routed.accuracy.high)}] for {money[0]} per 1,000; the best single pair, "
        f"{single.mix[0][0]}, {f.points(single.accuracy.value)} for {money[1]}."
    )


def _unstopped(sentence: str) -> str:
    return f.clean(sentence).rstrip(".")


def _pair_section(shown: ProfilePage) -> list[Markup]:
    profile = shown.profile
    drawn = interval_map(
        shown.intervals,
        _names(shown),
        profile.top_terms,
        [int(size) for size in profile.clusters.sizes],
    )
    return [drawn, closed("Every pair over all questions", block(_pair_table(shown)))]


def _pair_table(shown: ProfilePage) -> Table:
    table, statistics = shown.intervals, shown.profile.statistics
    order = np.argsort(-np.nan_to_num(table.value[-1], nan=-1.0), kind="stable")
    rows = []
    for pair, name in ((int(p), _names(shown)[p]) for p in order):
        value, low, high = (float(a[-1, pair]) for a in (table.value, table.low, table.high))
        known = math.isfinite(value)
        rows.append(
            (
                name,
                f.count(int(statistics.n_scored[-1, pair])),
                f"{100 * value:.1f}" if known else f.DASH,
                f"{100 * low:.1f}–{100 * high:.1f}" if known else f.DASH,
                f.plain_dollars(float(1000 * statistics.cost_mean_usd[-1, pair])),
                _plain(float(statistics.output_tokens_mean[-1, pair])),
                _seconds(float(statistics.duration_p50_s[-1, pair])),
                _seconds(float(statistics.duration_p95_s[-1, pair])),
                _percent(float(statistics.error_rate[-1, pair])),
            )
        )
    heads = ("pair", "n", "score", "95 %", "$/1k", "tokens out", "p50", "p95", "failed")
    return Table([Column(h, "left" if h == "pair" else "right") for h in heads], rows)


def _plain(value: float) -> str:
    return f.compact(value) if math.isfinite(value) else f.DASH


def _seconds(value: float) -> str:
    return f.duration(value) if math.isfinite(value) else f.DASH


def _percent(value: float) -> str:
    return f.percent(value) if math.isfinite(value) else f.DASH


def _cluster_section(shown: ProfilePage) -> list[Markup]:
    profile = shown.profile
    sizes = [int(size) for size in profile.clusters.sizes]
    parts = []
    mapped = shown.clusters
    if mapped is None:
        parts.append(empty("The profile kept no training rows: there is no map to draw."))
    else:
        some = len(mapped.points) < mapped.shown_of
        shown_words = f"{f.count(len(mapped.points))} of " if some else ""
        caption = (
            f"{shown_words}{f.count(mapped.shown_of)} training questions by their meaning, on the "
            f"plane that sets clusters farthest apart (it keeps {f.percent(mapped.kept)} of the "
            "distances between them). Numbers stand at the means of clusters."
        )
        drawn = svg.responsive(
            lambda width: cluster_map(mapped, profile.top_terms, sizes, width), caption
        )
        parts.append(drawn)
    parts += cluster_details(shown)
    return parts


def _coverage_section(shown: ProfilePage) -> list[Markup]:
    statistics, profile = shown.profile.statistics, shown.profile
    questions = int(profile.clusters.sizes.sum())
    n, scored = int(statistics.n[-1].sum()), int(statistics.n_scored[-1].sum())
    cells = questions * len(profile.pairs)
    facts = [
        ("training questions", f.count(questions)),
        (
            "cells known",
            f"{f.count(n)} of {f.count(cells)} ({f.percent(n / cells)})" if cells else f.DASH,
        ),
        ("unscored", f"{f.count(n - scored)} ({f.percent((n - scored) / n)})" if n else f.DASH),
        ("datasets", ", ".join(profile.datasets.names)),
        ("encoder", profile.encoder_fingerprint),
        ("pool", profile.pool_fingerprint),
    ]
    if shown.source:
        facts.insert(0, ("questions from", shown.source))
    terms = (element("dt", name) + element("dd", value) for name, value in facts)
    parts = [element("dl", Markup("".join(terms)))]
    uneven = int(statistics.n[-1].max()) > 1.05 * int(statistics.n[-1].min())
    if uneven:
        heads = ("pair", "cells known", "share", "unscored", "failed")
        names = _names(shown)
        rows = [
            (
                names[pair],
                f.count(int(statistics.n[-1, pair])),
                f.percent(float(statistics.n[-1, pair]) / max(questions, 1)),
                f.count(int(statistics.n[-1, pair] - statistics.n_scored[-1, pair])),
                _percent(float(statistics.error_rate[-1, pair])),
            )
            for pair in range(len(names))
        ]
        columns = [Column(h, "left" if h == "pair" else "right") for h in heads]
        parts.append(closed("Cells known of every pair", block(Table(columns, rows))))
    if shown.parameters:
        rows_of = sorted(shown.parameters.items())
        settings = (element("dt", key) + element("dd", value) for key, value in rows_of)
        parts.append(closed("Settings", element("dl", Markup("".join(settings)))))
    return parts
