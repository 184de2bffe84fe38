"""What changed since an earlier version, and how cost and drift went over time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.report import formats as f
from tasks.report import svg
from tasks.report.freshness_plots import (
    MOST_SPARKS,
    Series,
    drift_sparks,
    figure,
    night_series,
    refresh_costs,
)
from tasks.report.layout import Column, Table
from tasks.report.markup import Markup, block, closed, element, empty

if TYPE_CHECKING:
    from tasks.report.profile_page_facts import Change, Changes, ProfilePage

_LATEST_REFRESHES = 20


def change_section(changes: Changes | None) -> list[Markup]:
    """What moved between two versions; moves within chance are folded away."""
    if changes is None:
        return [empty("This is the first version of the pool's knowledge: nothing came before.")]
    when = "" if changes.since_at is None else f", made {changes.since_at:%Y-%m-%d %H:%M} UTC"
    parts = [element("p", f"Since {changes.since}{when}.", class_="soft")]
    parts += [element("p", f"{note[:1].upper()}{note[1:]}.") for note in changes.notes]
    loud = [row for row in changes.rows if row.matters]
    quiet = [row for row in changes.rows if not row.matters]
    if loud:
        parts.append(block(_change_table(loud)))
    else:
        parts.append(empty("Nothing moved beyond what chance explains."))
    if quiet:
        title = f"{len(quiet)} moves within their intervals"
        parts.append(closed(title, block(_change_table(quiet))))
    return parts


def _change_table(rows: list[Change]) -> Table:
    heads = ("what", "before", "now", "change, 95 %")
    return Table(
        [Column(h, "left" if h == "what" else "right") for h in heads],
        [(row.what, row.before, row.after, row.move or f.DASH) for row in rows],
    )


def freshness_section(shown: ProfilePage) -> list[Markup]:
    """Refreshes by their cost, canaries by their figures and alarms."""
    parts = []
    if shown.refreshes:
        refreshes = shown.refreshes
        caption = "What every refresh of the pool's knowledge cost. Point at a bar for its figures."
        parts.append(svg.responsive(lambda width: refresh_costs(refreshes, width), caption))
        parts.append(closed("The latest refreshes", _refreshes(shown)))
    if shown.nights:
        series = night_series(shown.nights)
        alarmed = [one for one in series if one.alarms]
        parts.append(element("h3", "Canary questions, night by night"))
        parts.append(element("p", _verdict(series, alarmed)))
        parts.append(drift_sparks(series))
        title = "Every series and its evidence"
        parts.append(closed(title, block(_series_table(series))))
    if not parts:
        parts.append(
            empty(
                "There is no history yet. `atlas refresh` asks canary questions every night and "
                "shows here what they cost and whether a pair has drifted."
            )
        )
    return parts


def _verdict(series: list[Series], alarmed: list[Series]) -> str:
    if not alarmed:
        said = f"No alarm in {len(series)} series."
    else:
        names = ", ".join(f"{one.pair} ({one.metric.replace('_', ' ')})" for one in alarmed[:4])
        more = f" and {len(alarmed) - 4} more" if len(alarmed) > 4 else ""
        said = f"Drift was found in {len(alarmed)} of {len(series)} series: {names}{more}."
    if len(series) > MOST_SPARKS:
        said += f" The {MOST_SPARKS} with the most evidence are drawn."
    return (
        said + " Red dots are nights on which the test raised an alarm; the band is the interval."
    )


def _refreshes(shown: ProfilePage) -> Markup:
    latest = sorted(shown.refreshes, key=lambda r: r.at, reverse=True)[:_LATEST_REFRESHES]
    rows = [
        (
            f"{r.at:%Y-%m-%d %H:%M}",
            r.profile_id or f.DASH,
            f.count(r.cells),
            f.count(r.calls),
            f.dollars(r.cost_usd),
            "yes" if r.published else "no",
            r.gate or f.DASH,
        )
        for r in latest
    ]
    heads = ("when", "profile", "cells", "calls", "cost", "published", "gate")
    left = {"when", "profile", "gate"}
    return block(Table([Column(h, "left" if h in left else "right") for h in heads], rows))


def _series_table(series: list[Series]) -> Table:
    rows = []
    for one in series:
        last = one.nights[-1]
        ends = f"{figure(one.metric, last.low)}–{figure(one.metric, last.high)}"
        rows.append(
            (
                one.pair,
                one.metric.replace("_", " "),
                str(len(one.nights)),
                figure(one.metric, last.value),
                ends if ends != f"{f.DASH}–{f.DASH}" else f.DASH,
                f"{one.evidence:.3g}" if one.evidence == one.evidence else f.DASH,
                str(one.alarms) if one.alarms else f.DASH,
            )
        )
    heads = ("pair", "figure", "nights", "last", "95 %", "largest e-value", "alarms")
    left = {"pair", "figure"}
    return Table([Column(h, "left" if h in left else "right") for h in heads], rows)
