"""Every cluster on the page of a profile: its words, its best pairs, questions in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tasks.report import formats as f
from tasks.report import svg
from tasks.report.layout import Column, Table
from tasks.report.markup import Markup, block, element

if TYPE_CHECKING:
    from tasks.report.profile_page_facts import ProfilePage, Winner

BEST = 5
"""Pairs shown for a cluster; the map above has all of them."""
EXAMPLE_LENGTH = 600


def cluster_details(shown: ProfilePage) -> list[Markup]:
    """One box a cluster, closed, with its best pair in the line that opens it."""
    parts = [element("h3", "Every cluster and its best pairs")]
    if not shown.examples and shown.examples_note:
        parts.append(element("p", shown.examples_note, class_="soft"))
    return [*parts, *(_cluster(shown, row) for row in range(shown.profile.k))]


def _cluster(shown: ProfilePage, row: int) -> Markup:
    profile, winner = shown.profile, shown.intervals.winners[row]
    words = ", ".join(f.clean(word) for word in profile.top_terms[row][:6])
    size = f.count(int(profile.clusters.sizes[row]))
    best = "no score" if winner.pair is None else f.pair_label(profile.pairs[winner.pair].pair_id)
    chip = element("span", str(row), class_="chip", style=f"background:{svg.colour(row)}")
    about = f" {words or 'nothing in common'} · {size} questions · "
    summary = element("summary", chip, about, element("strong", best), " ", separation_tag(winner))
    examples = (shown.examples or {}).get(row, ())
    texts = [element("blockquote", _shortened(text)) for text in examples]
    head = [element("p", "Held-out questions that fall into it:", class_="soft")] if texts else []
    return element("details", summary, block(_best_pairs(shown, row)), *head, *texts)


def separation_tag(winner: Winner) -> Markup:
    """Whether the best pair is separated from the next, as a small label."""
    if winner.pair is None or winner.runner_up is None:
        return Markup("")
    likely = "" if winner.probability is None else f", best with {f.percent(winner.probability)}"
    if winner.separated:
        return element("span", f"separated{likely}", class_="tag sure")
    return element("span", f"not separated{likely}", class_="tag")


def _best_pairs(shown: ProfilePage, row: int) -> Table:
    table, statistics = shown.intervals, shown.profile.statistics
    order = np.argsort(-np.nan_to_num(table.value[row], nan=-1.0), kind="stable")
    rows = [
        (
            f.pair_label(shown.profile.pairs[pair].pair_id),
            f"{100 * float(table.value[row, pair]):.1f}",
            f"{100 * float(table.low[row, pair]):.1f}–{100 * float(table.high[row, pair]):.1f}",
            f.count(int(table.n[row, pair])),
            f.plain_dollars(float(1000 * statistics.cost_mean_usd[row, pair])),
        )
        for pair in map(int, order[:BEST])
        if np.isfinite(table.value[row, pair])
    ]
    heads = ("pair", "score", "95 %", "n", "$/1k")
    return Table([Column(h, "left" if h == "pair" else "right") for h in heads], rows)


def _shortened(text: str) -> str:
    return text if len(text) <= EXAMPLE_LENGTH else text[: EXAMPLE_LENGTH - 1] + "…"
