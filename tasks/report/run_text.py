"""A run's report as people read it on a terminal: the run's own panel, then what is behind it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tasks.report import formats as f
from tasks.report.layout import Block, Column, Document, Note, Table
from tasks.report.terminal import route_panel

if TYPE_CHECKING:
    from tasks.report.against import Against
    from tasks.report.comparison import Interval
    from tasks.report.run_data import RunReportData
    from tasks.report.run_scores import Calibration, Group

MOST_GROUPS = 20
_DOT = " · "
_SCORED = "scored questions of the run"
_EXPECTED = "answered questions, the run's own accuracy expected too"


def report_document(data: RunReportData, next_commands: Sequence[str] = ()) -> Document:
    """The whole report: panel, datasets, clusters, calibration, other routers, notes."""
    panel = route_panel(data.facts(next_commands))
    commands = [panel.blocks[-1]] if next_commands else []
    blocks: list[Block] = list(panel.blocks[: len(panel.blocks) - len(commands)])
    blocks.append(Note(_behind(data)))
    for title, groups in (("dataset", data.datasets), ("cluster", data.clusters)):
        if groups:
            blocks += _groups(title, groups)
    if data.calibration is not None:
        blocks += _calibration(data.calibration)
    if data.against:
        blocks += _against(data.against)
    blocks += [Note(f"note: {note}", "yellow") for note in data.notes]
    return Document(f"report {data.run_id}", [*blocks, *commands])


def _behind(data: RunReportData) -> str:
    questions = data.questions
    parts = [
        f"{f.count(questions.asked)} questions asked",
        f"{f.count(questions.scored)} scored",
        f"{f.count(questions.unscored)} unscored",
    ]
    if questions.accuracy is not None:
        low, high = f.score(questions.accuracy.low), f.score(questions.accuracy.high)
        parts.append(f"accuracy {f.score(questions.accuracy.value)} [{low}, {high}]")
    parts.append(f"{_share(data.fallbacks, questions.asked)} needed more than one pair")
    if data.out_of_distribution is not None:
        parts.append(f"{_share(data.out_of_distribution, questions.asked)} out of distribution")
    parts.append(f"{f.count(data.doubts)} requests on the in-doubt list")
    if data.row_p50_s is not None:
        p95 = f.duration(data.row_p95_s)
        parts.append(f"a question took {f.duration(data.row_p50_s)} (95 % under {p95})")
    return _DOT.join(parts)


def _share(part: int, whole: int) -> str:
    return f"{f.percent(part / whole) if whole else f.DASH} ({f.count(part)})"


def _groups(title: str, groups: Sequence[Group]) -> list[Block]:
    shown = groups[:MOST_GROUPS]
    table = Table(
        columns=(
            Column(title, "left", shrinks=True),
            Column("asked"),
            Column("failed"),
            Column("scored"),
            Column("accuracy 95 %"),
            Column("expected"),
            Column("$/1k"),
        ),
        rows=[
            (
                _name(group),
                f.count(group.asked),
                f.count(group.failed),
                f.count(group.scored),
                _interval(group.accuracy),
                f.score(group.expected),
                f.plain_dollars(group.usd_per_1k),
            )
            for group in shown
        ],
    )
    rest = len(groups) - len(shown)
    return [table, Note(f"and {f.count(rest)} more in --json", "dim")] if rest else [table]


def _name(group: Group) -> str:
    return f"{group.name} {', '.join(group.words)}".strip()


def _interval(interval: Interval | None) -> str:
    if interval is None:
        return f.DASH
    return f"{f.score(interval.value)} {f.score(interval.low)}…{f.score(interval.high)}"


def _calibration(found: Calibration) -> list[Block]:
    table = Table(
        columns=(Column("expected score"), Column("n"), Column("mean"), Column("realised 95 %")),
        rows=[
            (
                f"{one.low:.1f}…{one.high:.1f}",
                f.count(one.n),
                f.score(one.expected),
                _interval(one.realised),
            )
            for one in found.bins
        ],
    )
    gap, low, high = (f.signed(100 * figure) for figure in found.gap)
    text = (
        f"calibration: realised minus expected {gap} points [{low}, {high}] over n = "
        f"{f.count(found.n)} scored first choices; mean distance of the bins "
        f"{f.points(found.error)} points"
    )
    return [table, Note(text)]


def _against(others: Sequence[Against]) -> list[Block]:
    known = [other for other in others if not other.problem]
    blocks: list[Block] = []
    if known:
        blocks.append(
            Table(
                columns=(
                    Column("against", "left", shrinks=True),
                    Column("its accuracy"),
                    Column("run minus it"),
                    Column("its $"),
                    Column("run's cost"),
                ),
                rows=[_against_row(other) for other in known],
            )
        )
        blocks.append(Note(_DOT.join(f"{other.name}: {other.label}" for other in known)))
        first = known[0]
        blocks.append(
            Note(
                "estimated from the profile, accuracy in points, 95 % intervals; over n = "
                f"{f.count(first.n)} {_SCORED if first.graded else _EXPECTED}, costs over n = "
                f"{f.count(first.cost_n)} of known cost"
                + ("; * is told every score" if any(other.told for other in known) else ""),
                "dim",
            )
        )
    blocks += [
        Note(f"against {other.label}: {other.problem}", "yellow")
        for other in others
        if other.problem
    ]
    return blocks


def _against_row(other: Against) -> tuple[str, ...]:
    change = other.cost_change
    return (
        f.clean(other.name) + ("*" if other.told else ""),
        f.DASH if other.accuracy is None else f.points_range(other.accuracy),
        f.gain_range(other.accuracy_change),
        f.DASH if other.cost_usd is None else f.plain_dollars(other.cost_usd.value),
        f.DASH
        if change is None
        else f"{f.change(change.value)} {f.signed(100 * change.low, 0)}…"
        f"{f.signed(100 * change.high, 0)}",
    )
