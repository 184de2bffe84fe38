"""Plans and differences of profiles as tables for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tasks.report import formats as f
from tasks.report.layout import Block, Column, Commands, Document, Labelled, Note, Style, Table

if TYPE_CHECKING:
    from tasks.profiling.diff import PairMove, ProfileDiff
    from tasks.profiling.pricing import ProfilePlan
    from tasks.report.comparison import Interval


def plan_document(plan: ProfilePlan, commands: Sequence[str] = ()) -> Document:
    """What a profiling run would do, and what it would take."""
    # Differences of two versions are shown by this module too, and need nothing of cells.
    from tasks.profiling.cells import REASONS

    rows: list[tuple[str, str, Style]] = [
        ("from", plan.source, ""),
        ("cells", _cells(plan), ""),
    ]
    rows += [
        ("", f"{f.count(cells)}: {REASONS[reason]}", "")
        for reason, cells in sorted(plan.reasons.items(), key=lambda one: -one[1])
    ]
    if plan.budget is not None:
        rows.append(("budget", _budget(plan), ""))
    blocks: list[Block] = [Labelled(rows)]
    if plan.nothing:
        every = "every cell is known, " if plan.budget is None else ""
        blocks.append(Note(f"nothing to do: {every}no call would be made", "green"))
    else:
        blocks += [_totals(plan), _pairs(plan)]
    if plan.unpriced:
        named = ", ".join(f.pair_label(pair) for pair in plan.unpriced)
        blocks.append(Note(f"price unknown, counted in no sum: {named}", "yellow"))
    blocks += [Note(note, "dim") for note in plan.notes]
    if commands:
        blocks.append(Commands(commands))
    return Document("profile plan (nothing was spent)", blocks)


def _cells(plan: ProfilePlan) -> str:
    parts = [f"{f.count(plan.questions)} questions × {plan.pairs_total} pairs"]
    parts.append(f"{f.count(plan.known)} known")
    parts.append(f"{f.count(plan.cells)} to run")
    if plan.regraded:
        parts.append(f"{f.count(plan.regraded)} to grade again")
    return " · ".join(parts)


def _budget(plan: ProfilePlan) -> str:
    assert plan.allowance is not None
    if plan.budget is not None and plan.budget.strip().endswith("%"):
        return f"{plan.budget}: up to {f.count(round(plan.allowance))} of these cells"
    return f"{f.dollars(plan.allowance)}: spent where it decides most, chosen round by round"


def _totals(plan: ProfilePlan) -> Table:
    return Table(
        columns=(Column("", "left"), Column("low"), Column("expected"), Column("high")),
        rows=[
            ("cost", *(f.dollars(figure) for figure in plan.cost_usd)),
            ("calls", *(f.compact(figure) for figure in plan.calls)),
            ("tokens in", *(f.compact(figure) for figure in plan.input_tokens)),
            ("tokens out", *(f.compact(figure) for figure in plan.output_tokens)),
            ("time", *(f.duration(figure) for figure in plan.time_s)),
        ],
        emphasised=frozenset({0}),
    )


_BASIS = {"profile": "its own outcomes", "borrowed": "other models", "worst_case": "bounds"}


def _pairs(plan: ProfilePlan) -> Table:
    planned = [pair for pair in plan.pairs if pair.cells or pair.regraded]
    return Table(
        columns=(
            Column("pair", "left", shrinks=True),
            Column("cells"),
            Column("$ low"),
            Column("expected"),
            Column("high"),
            Column("priced by", "left"),
        ),
        rows=[
            (
                f.pair_label(pair.pair_id),
                f.count(pair.cells),
                *(f.plain_dollars(figure) for figure in pair.cost_usd),
                _BASIS[pair.basis] if pair.cells else "graded again",
            )
            for pair in sorted(planned, key=lambda one: (-one.cells, one.pair_id))
        ],
    )


def diff_document(diff: ProfileDiff) -> Document:
    """Two versions side by side."""
    title = f"{diff.a} → {diff.b}"
    if diff.same:
        return Document(title, [Note("one and the same version: nothing differs", "green")])
    blocks: list[Block] = [Labelled(_head(diff))]
    if diff.winners:
        blocks += [Note("where another pair is chosen most often:"), _winners(diff)]
    if diff.pairs:
        blocks += [Note("pairs of both, on the cells of both:"), _moves(diff.pairs)]
    blocks.append(
        Note(
            "accuracy in points with 95 % intervals; gains are valued by the later version itself",
            "dim",
        )
    )
    blocks += [Note(note, "yellow") for note in diff.notes]
    return Document(title, blocks)


def _head(diff: ProfileDiff) -> list[tuple[str, str, Style]]:
    questions = f"{f.count(diff.questions)} shared"
    questions += f", {f.count(diff.questions_added)} added, {f.count(diff.questions_dropped)} gone"
    rows: list[tuple[str, str, Style]] = [("questions", questions, "")]
    shared, added = sum(p.cells for p in diff.pairs), sum(p.added for p in diff.pairs)
    gone = sum(pair.dropped for pair in diff.pairs)
    cells = f"{f.count(shared)} shared, {f.count(added)} added, {f.count(gone)} gone"
    rows.append(("cells", cells, ""))
    for label, pairs in (("new pairs", diff.pairs_added), ("pairs gone", diff.pairs_dropped)):
        if pairs:
            rows.append((label, ", ".join(map(f.pair_label, pairs)), ""))
    if diff.moved is not None and diff.questions:
        share = f.percent(diff.moved / diff.questions)
        rows.append(("decisions", f"{f.count(diff.moved)} questions ({share}) move", ""))
        rows.append(("gain", f"{_points(diff.gain)} points of accuracy", "bold"))
        rows.append(("cost", _dollars(diff.cost_change_usd), ""))
    if diff.prices is None:
        rows.append(("prices", "were not kept for one of the versions", "dim"))
    for price in diff.prices or ():
        was, now = (f.plain_dollars(one) for one in price[1:])
        rows.append(("price", f"{price.what}: {was} → {now}", ""))
    return rows


def _winners(diff: ProfileDiff) -> Table:
    return Table(
        columns=(
            Column("where", "left", shrinks=True),
            Column("n"),
            Column("before", "left", shrinks=True),
            Column("after", "left", shrinks=True),
            Column("gain 95 %"),
        ),
        rows=[
            (
                change.place,
                f.count(change.questions),
                f.pair_label(change.before),
                f.pair_label(change.after),
                _points(change.gain),
            )
            for change in diff.winners
        ],
    )


def _moves(pairs: Sequence[PairMove]) -> Table:
    return Table(
        columns=(
            Column("pair", "left", shrinks=True),
            Column("n"),
            Column("acc. before"),
            Column("now"),
            Column("move 95 %"),
            Column("$/1k move"),
        ),
        rows=[
            (
                f.pair_label(pair.pair_id),
                f.count(pair.cells),
                f.score(pair.accuracy_a),
                f.score(pair.accuracy_b),
                _points(pair.accuracy),
                f.DASH if pair.cost_usd is None else f"{1000 * pair.cost_usd.value:+.4f}",
            )
            for pair in pairs
        ],
    )


def _points(interval: Interval | None) -> str:
    if interval is None:
        return f.DASH
    value, low, high = (f.signed(100 * figure) for figure in interval)
    return f"{value} [{low}, {high}]"


def _dollars(interval: Interval | None) -> str:
    if interval is None:
        return "unknown"
    return "{:+.6f} [{:+.6f}, {:+.6f}] dollars a question".format(*interval)
