"""Cost and drift over time: refreshes as bars, canary figures as small lines with their alarms."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from tasks.report import formats as f
from tasks.report import svg
from tasks.report.markup import element

if TYPE_CHECKING:
    from tasks.report.markup import Markup
    from tasks.report.profile_page_facts import Night, Refresh

MOST_SPARKS = 12
"""Small figures shown; series with an alarm come first."""
SPARK = (250.0, 104.0)
"""Width and height of a small figure, in pixels."""
_READING = 66.0
"""Room at the right of a small figure for its last value."""


class Series(NamedTuple):
    """The nights of one figure of one pair, by time."""

    pair: str
    metric: str
    nights: tuple[Night, ...]

    @property
    def alarms(self) -> int:
        """Nights on which the test said that it had drifted."""
        return sum(night.alarm for night in self.nights)

    @property
    def evidence(self) -> float:
        """The largest e-value: 20 is what a test at 5 % asks for."""
        known = [night.e_value for night in self.nights if math.isfinite(night.e_value)]
        return max(known, default=math.nan)


def night_series(nights: Sequence[Night]) -> list[Series]:
    """Nights by pair and metric: those with alarms first, then by falling evidence."""
    kinds = dict.fromkeys((night.pair, night.metric) for night in nights)
    series = [
        Series(
            pair,
            metric,
            tuple(
                sorted(
                    (n for n in nights if (n.pair, n.metric) == (pair, metric)),
                    key=lambda night: night.at,
                )
            ),
        )
        for pair, metric in kinds
    ]
    return sorted(
        series,
        key=lambda one: (-one.alarms, -one.evidence if math.isfinite(one.evidence) else math.inf),
    )


def refresh_costs(refreshes: Sequence[Refresh], width: float) -> Markup:
    """Dollars of every refresh: filled where its profile was published, hollow where it was not.

    Raises:
        ValueError: there was no refresh.
    """
    if not refreshes:
        raise ValueError("There was no refresh to draw.")
    done = sorted(refreshes, key=lambda refresh: refresh.at)
    left, right, top, bottom = 62.0, width - 10.0, 40.0, 190.0
    most = max((float(r.cost_usd or 0) for r in done), default=0.0)
    y = svg.Scale(0.0, 1.08 * most or 1.0, bottom, top)
    parts = []
    for value in y.ticks(4):
        at = y(value)
        parts.append(svg.line(left, at, right, at, "gridline"))
        parts.append(svg.words(left - 7, at + 4, f"${value:g}", anchor="end", cls="tick"))
    slot = (right - left) / len(done)
    wide = min(0.72 * slot, 44.0)
    for number, refresh in enumerate(done):
        x = left + (number + 0.5) * slot
        kind = "bar" if refresh.published else "bar held"
        high = bottom - y(float(refresh.cost_usd or 0))
        parts.append(svg.bar(x - wide / 2, bottom - high, wide, high, kind, _said(refresh)))
        if refresh.cost_usd is None:
            parts.append(svg.words(x, bottom - 5, "?", anchor="middle", cls="tick"))
        elif not refresh.cells:
            # A refresh without anything to do costs nothing; it is still a night that was seen.
            parts.append(svg.dot(x, bottom - 5, 3, "pair", _said(refresh)))
    parts.append(svg.line(left, bottom, right, bottom, "frame"))
    parts += _dates([r.at for r in done], left, slot, bottom + 17, 70.0)
    parts.append(svg.words(4, 14, "dollars by refresh", cls="axis"))
    key = "filled: published · hollow: held back · dot: nothing to do"
    parts.append(svg.words(4, 30, svg.shortened(key, width - 8, 11.5), cls="tick"))
    return svg.picture(width, bottom + 30, parts, describe_refreshes(done))


def describe_refreshes(refreshes: Sequence[Refresh]) -> str:
    """The bars in words."""
    total = [r.cost_usd for r in refreshes if r.cost_usd is not None]
    published = sum(r.published for r in refreshes)
    return (
        f"{len(refreshes)} refreshes, {published} published, "
        f"{f.dollars(sum(total) if total else None)} in all; the last one: {_said(refreshes[-1])}."
    )


def _said(refresh: Refresh) -> str:
    fate = "published" if refresh.published else "held back"
    return (
        f"{refresh.at:%Y-%m-%d %H:%M} {refresh.profile_id or 'no profile'}: "
        f"{f.dollars(refresh.cost_usd)}, {f.count(refresh.cells)} cells, "
        f"{f.count(refresh.calls)} calls, {fate}" + (f" ({refresh.gate})" if refresh.gate else "")
    )


def _dates(
    moments: Sequence[datetime], left: float, slot: float, y: float, room: float
) -> list[Markup]:
    """Days under every so many bars, so that they do not touch."""
    every = max(1, math.ceil(room / slot))
    return [
        svg.words(left + (i + 0.5) * slot, y, f"{at:%b %d}", anchor="middle", cls="tick")
        for i, at in enumerate(moments)
        if i % every == 0 and (i + 1) * slot + left <= left + slot * len(moments)
    ]


def drift_sparks(series: Sequence[Series]) -> Markup:
    """Small figures of the first series, side by side."""
    drawn = [
        element(
            "figure",
            spark(one),
            element("figcaption", element("strong", one.pair), f" · {_reading(one)}"),
        )
        for one in series[:MOST_SPARKS]
    ]
    return element("div", *drawn, class_="sparks")


def spark(series: Series) -> Markup:
    """One figure over the nights, with its interval and a mark on every alarm."""
    width, height = SPARK
    nights = [night for night in series.nights if math.isfinite(night.value)]
    ends = [v for n in nights for v in (n.value, n.low, n.high) if math.isfinite(v)]
    low, high = svg.spread(ends, room=0.12)
    x = svg.Scale(0.0, max(len(nights) - 1.0, 1.0), 8.0, width - _READING)
    y = svg.Scale(low, high, height - 22.0, 10.0)
    parts = [svg.line(8, height - 20, width - _READING, height - 20, "gridline")]
    parts.append(svg.words(8, height - 5, f"{series.nights[0].at:%b %d}", cls="tick small"))
    if len(series.nights) > 1:
        last_day = f"{series.nights[-1].at:%b %d}"
        end = width - _READING
        parts.append(svg.words(end, height - 5, last_day, anchor="end", cls="tick small"))
    upper = [(x(i), y(n.high)) for i, n in enumerate(nights) if math.isfinite(n.high)]
    lower = [(x(i), y(n.low)) for i, n in enumerate(nights) if math.isfinite(n.low)]
    if len(upper) > 1 and len(lower) > 1:
        d = "M" + "L".join(
            f"{svg.number(a)},{svg.number(b)}" for a, b in [*upper, *reversed(lower)]
        )
        parts.append(element("path", d=d + "Z", class_="band", style=f"fill:{svg.colour(0)}"))
    if nights:
        line = [(x(i), y(n.value)) for i, n in enumerate(nights)]
        parts.append(svg.path(line, "curve", tint=svg.colour(0)))
        last = nights[-1]
        said = figure(series.metric, last.value)
        parts.append(svg.words(width - _READING + 7, line[-1][1] + 4, said))
    for number, night in enumerate(nights):
        said = f"{night.at:%Y-%m-%d}: {figure(series.metric, night.value)}"
        if math.isfinite(night.low) and math.isfinite(night.high):
            ends_said = (figure(series.metric, night.low), figure(series.metric, night.high))
            said += f", {ends_said[0]}–{ends_said[1]}"
        if math.isfinite(night.e_value):
            said += f", e-value {night.e_value:.3g}"
        kind, radius = ("alarm", 5.0) if night.alarm else ("invisible", 6.0)
        said += ", alarm" if night.alarm else ""
        parts.append(svg.dot(x(number), y(night.value), radius, kind, said))
    return svg.picture(width, height, parts, f"{series.pair}: {_reading(series)}")


def _reading(series: Series) -> str:
    last = series.nights[-1]
    said = f"{series.metric.replace('_', ' ')} {figure(series.metric, last.value)}"
    if series.alarms:
        said += f" · {series.alarms} alarm{'s' * (series.alarms > 1)}"
    return said


def figure(metric: str, value: float) -> str:
    """A canary's figure as people read it: dollars, seconds, tokens, or a share in points."""
    if not math.isfinite(value):
        return f.DASH
    if any(word in metric for word in ("cost", "price", "usd")):
        return f.dollars(value)
    if any(word in metric for word in ("duration", "latency")) or metric.endswith("_s"):
        return f.duration(value)
    if any(word in metric for word in ("length", "token")):
        return f.compact(value)
    return f"{100 * value:.0f}"
