"""The heat-map of a profile as a table: every pair in every cluster, with intervals.

A table, not a picture: it can be read aloud, selected, searched and scrolled with its heads in
place, and holds 60 pairs × 32 clusters.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from tasks.report import formats as f
from tasks.report.markup import Markup, element
from tasks.report.style import HEAT_STEPS

if TYPE_CHECKING:
    from tasks.report.profile_page_facts import IntervalMap, Winner

MOST_ROWS = 26
"""Pairs up to which the table is shown in its full height."""
ROOMY = 14
"""Clusters up to which every cell shows its interval; beyond, only on pointing at it."""


def interval_map(
    table: IntervalMap, pairs: Sequence[str], terms: Sequence[Sequence[str]], sizes: Sequence[int]
) -> Markup:
    """The table with its key.

    Pairs stand in falling order of their overall score, unscored ones last.

    Args:
        table: figures of K clusters and overall.
        pairs: P names as people read them.
        terms: per cluster, words that set it apart.
        sizes: per cluster, its training questions.
    """
    k = len(table.value) - 1
    dense = k > ROOMY
    low, high = shade_range(table)
    order = np.argsort(-np.nan_to_num(table.value[-1], nan=-1.0), kind="stable")
    columns = [k, *range(k)]
    body = []
    for pair in order:
        name = pairs[pair]
        cells = [
            _cell(table, row, int(pair), name, (low, high), dense=dense and row != k)
            for row in columns
        ]
        cells.insert(1, Markup('<td class="gap"></td>'))
        body.append(element("tr", element("th", name, scope="row"), Markup("".join(cells))))
    whole = element(
        "table",
        element("caption", _caption(table, pairs), class_="soft left"),
        element("thead", element("tr", *_heads(terms, sizes, max(map(len, pairs)), dense=dense))),
        element("tbody", Markup("\n".join(body))),
        element("tfoot", element("tr", *_foot(table, columns, pairs, dense=dense))),
        class_="map dense" if dense else "map",
    )
    # A long table scrolls inside its own box, so that its head stays in sight.
    shape = "grid tall" if len(pairs) > MOST_ROWS else "grid"
    scrolled = element(
        "div", whole, class_=shape, tabindex="0", role="region", aria_label="Scores by cluster"
    )
    return Markup(_key(low, high) + "\n" + scrolled)


def shade_range(table: IntervalMap) -> tuple[float, float]:
    """Ends of the shades: the scores there are, rounded outwards to a twentieth."""
    known = table.value[np.isfinite(table.value)]
    if not len(known):
        return 0.0, 1.0
    low = math.floor(round(20 * float(known.min()), 6)) / 20
    high = math.ceil(round(20 * float(known.max()), 6)) / 20
    return (low, high) if high > low else (max(low - 0.05, 0.0), min(low + 0.05, 1.0))


def _caption(table: IntervalMap, pairs: Sequence[str]) -> str:
    decided = [winner for winner in table.winners[:-1] if winner.pair is not None]
    sure = sum(winner.separated for winner in decided)
    return (
        f"{table.estimate.capitalize()} in points of 100 of {len(pairs)} pairs in "
        f"{len(table.winners) - 1} clusters, with 95 % intervals. The best pair is separated from "
        f"the next in {sure} of {len(decided)} clusters."
    )


def _heads(
    terms: Sequence[Sequence[str]], sizes: Sequence[int], longest: int, *, dense: bool
) -> Iterator[Markup]:
    # Without a width of its own the column would be as narrow as the longest word.
    yield element("th", "pair", scope="col", style=f"min-width:{1.3 * min(longest, 30):.0f}ch")
    yield element("th", element("b", "all"), f"n {f.compact(sum(sizes))}", scope="col")
    yield Markup('<td class="gap"></td>')
    for number, (own, size) in enumerate(zip(terms, sizes, strict=True)):
        words = ", ".join(map(f.clean, own))
        about = f"Cluster {number}, {f.count(size)} questions: {words}"
        shown = [element("b", str(number))]
        if not dense:
            shown += [element("span", " ".join(_short(word) for word in own[:2]))]
            shown += [Markup("<br>"), element("span", f"n {f.compact(size)}")]
        yield element("th", *shown, scope="col", title=about)


def _short(word: str) -> str:
    word = f.clean(word)
    return word if len(word) <= 12 else word[:11] + "…"


def _cell(
    table: IntervalMap, row: int, pair: int, name: str, ends: tuple[float, float], *, dense: bool
) -> Markup:
    value, n = float(table.value[row, pair]), int(table.n[row, pair])
    where = "overall" if row == len(table.value) - 1 else f"in cluster {row}"
    if not math.isfinite(value):
        return element("td", f.DASH, class_="none", title=f"{name} {where}: no scored outcome")
    winner = table.winners[row]
    leads = winner.pair == pair
    kind = f"h{_shade(value, ends)}"
    kind += "" if not leads else " win" if winner.separated else " tie"
    span = _span(table.low[row, pair], table.high[row, pair])
    said = f"{name} {where}: {100 * value:.1f}, 95 % interval {span}, n {f.count(n)}"
    said += f"; {_standing(winner)}" if leads else ""
    inner = [f"{100 * value:.0f}"] + ([] if dense else [element("small", span)])
    return element("td", *inner, class_=kind, title=said)


def _span(low: float, high: float) -> str:
    if not (math.isfinite(low) and math.isfinite(high)):
        return f.UNKNOWN
    return f"{100 * low:.0f}–{100 * high:.0f}"


def _standing(winner: Winner) -> str:
    likely = "" if winner.probability is None else f", best with {f.percent(winner.probability)}"
    verdict = "separated" if winner.separated else "not separated"
    return f"best here, {verdict} from the next{likely}"


def _shade(value: float, ends: tuple[float, float]) -> int:
    share = (value - ends[0]) / (ends[1] - ends[0])
    return round(min(max(share, 0.0), 1.0) * (HEAT_STEPS - 1))


def _foot(
    table: IntervalMap, columns: Sequence[int], pairs: Sequence[str], *, dense: bool
) -> Iterator[Markup]:
    yield element("th", "best pair separated?", scope="row")
    for place, row in enumerate(columns):
        winner = table.winners[row]
        if winner.pair is None:
            yield element("td", f.DASH, title="nobody has a score here")
        else:
            other = "" if winner.runner_up is None else f" from {pairs[winner.runner_up]}"
            sign = "✓" if winner.separated else "≈"
            verdict = ("separated" if winner.separated else "not separated") + other
            shown = sign if dense and place else verdict.removesuffix(other)
            if winner.probability is not None and not dense:
                shown += f" {f.percent(winner.probability)}"
            yield element("td", shown, title=f"{pairs[winner.pair]}: {verdict}")
        if place == 0:
            yield Markup('<td class="gap"></td>')


def _key(low: float, high: float) -> Markup:
    shades = Markup("".join(f'<i class="h{number}"></i>' for number in range(HEAT_STEPS)))
    return element(
        "ul",
        element(
            "li", f"{100 * low:.0f}", element("span", shades, class_="ramp"), f"{100 * high:.0f}"
        ),
        element("li", Markup('<i class="won"></i>'), "best of its cluster, separated"),
        element("li", Markup('<i class="tied"></i>'), "best, but not separated from the next"),
        class_="key",
    )
