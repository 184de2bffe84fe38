"""What a terminal shows at the end of a command: panels and tables as documents.

Every function returns a `Document`: `.plain()` where there is no terminal, `.rich()` where there
is one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING

from tasks.report import formats as f
from tasks.report.layout import Block, Column, Commands, Document, Labelled, Note, Style, Table

if TYPE_CHECKING:
    from tasks.report.comparison import RouterScore
    from tasks.report.facts import (
        EvaluationFacts,
        PairUse,
        PlanFacts,
        Range,
        RouteFacts,
        RouterFacts,
    )

_STATES: dict[str, tuple[str, Style]] = {
    "complete": ("complete", "green"),
    "paused_budget": ("stopped at the budget, resumable", "yellow"),
    "cancelled": ("stopped by hand, resumable", "yellow"),
    "running": ("unfinished, resumable", "yellow"),
    "failed": ("stopped by an error, resumable", "red"),
}
_DOT = " · "


def route_panel(facts: RouteFacts) -> Document:
    """The final panel of a batch run: rows, money, tokens, time, pairs, and what to type next."""
    state, style = _STATES.get(facts.state, (facts.state, ""))
    rows: list[tuple[str, str, Style]] = [
        ("state", state, style),
        ("from", facts.source, ""),
        ("to", facts.destination, ""),
        ("router", facts.router, ""),
        ("rows", _route_rows(facts), ""),
        ("", _route_extra_rows(facts), ""),
        ("calls", _route_calls(facts), ""),
        ("cost", _route_cost(facts), ""),
        ("tokens", _route_tokens(facts), ""),
        ("time", _route_time(facts), ""),
    ]
    if facts.sandbox_tier:
        rows.append(("sandbox", facts.sandbox_tier, ""))
    blocks: list[Block] = [Labelled([row for row in rows if row[1]])]
    if facts.pairs:
        blocks.append(_pair_table(facts.pairs, facts.answered))
    if facts.versus is not None:
        blocks.append(Note(_versus(facts)))
    if facts.errors:
        kinds = sorted(facts.errors.items(), key=lambda item: (-item[1], item[0]))
        named = ", ".join(f"{name} {f.count(number)}" for name, number in kinds)
        blocks.append(Note(f"failed rows by error: {named}", "yellow"))
    if facts.next_commands:
        blocks.append(Commands(facts.next_commands))
    return Document(f"route {facts.run_id}", blocks)


def _route_rows(facts: RouteFacts) -> str:
    words = ("answered", "failed", "pending", "in_doubt")
    counted = (f"{f.count(getattr(facts, word))} {word.replace('_', ' ')}" for word in words)
    return _DOT.join([f"{f.count(facts.rows)} queries", *counted])


def _route_extra_rows(facts: RouteFacts) -> str:
    parts = []
    if facts.cached:
        parts.append(f"{f.count(facts.cached)} cached")
    if facts.resumed:
        parts.append(f"{f.count(facts.resumed)} resumed")
    if facts.bad_rows:
        where = f", listed in {facts.dead_letter}" if facts.dead_letter else ""
        parts.append(f"{f.count(facts.bad_rows)} unreadable{where}")
    return _DOT.join(parts)


def _route_calls(facts: RouteFacts) -> str:
    """Calls a question, how many questions took how many, and how sure the answers are."""
    steps = facts.steps
    if steps is None:
        return ""
    shares = ", ".join(f"{f.percent(one.share)} took {one.calls}" for one in steps.shares)
    parts = [f"{steps.calls:.2f} a question", shares]
    if steps.confidence is not None:
        parts.append(f"mean confidence {f.score(steps.confidence)}")
    return _DOT.join(parts)


def _route_cost(facts: RouteFacts) -> str:
    text = f.dollars(facts.spent_usd)
    if facts.max_cost_usd is not None:
        text += f" of {f.dollars(facts.max_cost_usd)}"
    if facts.planned_usd is not None:
        low, high = facts.planned_usd
        text += f"{_DOT}plan said {f.dollars(low)}–{f.dollars(high)}"
    if facts.doubt_usd:
        text += f"{_DOT}{f.dollars(facts.doubt_usd)} of it kept for requests in doubt"
    if facts.unpriced:
        text += f"{_DOT}{f.count(facts.unpriced)} calls of unknown price not counted"
    return text


def _route_tokens(facts: RouteFacts) -> str:
    if facts.input_tokens is None and facts.output_tokens is None:
        return ""
    parts = [f"in {f.compact(facts.input_tokens)}"]
    if facts.cached_tokens:
        parts.append(f"of it cached {f.compact(facts.cached_tokens)}")
    parts.append(f"out {f.compact(facts.output_tokens)}")
    return _DOT.join(parts)


def _route_time(facts: RouteFacts) -> str:
    text = f.duration(facts.elapsed_s)
    if facts.session_rows:
        text += f"{_DOT}{f.rate(facts.session_rows, facts.elapsed_s)}"
    if facts.resumed:
        text += " in this session"
    return text


def _pair_table(pairs: Sequence[PairUse], answered: int) -> Table:
    used = sorted(pairs, key=lambda pair: (-pair.rows, pair.pair_id))
    return Table(
        columns=(
            Column("pair", "left", shrinks=True),
            Column("rows"),
            Column("share"),
            Column("graded"),
            Column("accuracy"),
            Column("95 %"),
            Column("$/1k"),
        ),
        rows=[
            (
                f.pair_label(pair.pair_id),
                f.count(pair.rows),
                f.percent(pair.rows / answered) if answered else f.DASH,
                f.count(pair.graded),
                f.score(pair.accuracy),
                _score_range(pair.accuracy_low, pair.accuracy_high),
                f.plain_dollars(f.per_thousand(pair.cost_usd, pair.rows)),
            )
            for pair in used
        ],
    )


def _score_range(low: float | None, high: float | None) -> str:
    if low is None or high is None:
        return f.DASH
    return f"{f.score(low)}…{f.score(high)}"


def _versus(facts: RouteFacts) -> str:
    versus = facts.versus
    assert versus is not None
    parts = []
    if versus.cost_change is not None:
        parts.append(f"{f.change(versus.cost_change)} cost")
    if versus.accuracy is not None:
        gain, low, high = (f.signed(100 * figure) for figure in versus.accuracy)
        parts.append(f"{gain} points of accuracy [{low}, {high}]")
    return f"against {versus.name}: {', '.join(parts) or 'nothing to compare yet'}"


def routers_table(facts: EvaluationFacts) -> Document:
    """Routers on every split: n, macro, micro and gain with intervals, cost, calls, speed."""
    blocks: list[Block] = []
    splits = list(dict.fromkeys(router.split for router in facts.routers))
    for split in splits:
        routers = [router for router in facts.routers if router.split == split]
        blocks += _split_blocks(split, routers, facts.baseline)
    return Document(facts.title, blocks)


def _split_blocks(
    split: str, routers: Sequence[RouterFacts], baseline: str | None
) -> Iterator[Block]:
    yield Note(_split_caption(split, [router.score for router in routers]))
    yield Table(
        columns=(
            Column("router", "left", shrinks=True),
            Column("macro 95 %"),
            Column("micro 95 %"),
            Column("micro gain"),
            Column("$/1k"),
            Column("calls"),
        ),
        rows=[_router_row(router) for router in routers],
        emphasised=frozenset(
            number for number, router in enumerate(routers) if router.router == baseline
        ),
    )
    notes = [f"{router.router}: {router.told}" for router in routers if router.told]
    if notes:
        yield Note(f"* is told what a router may not know ({'; '.join(notes)})", "dim")
    if baseline is not None:
        yield Note(f"gain: minus {baseline}, on the same questions", "dim")
    speeds = [
        f"{router.router} {f.compact(router.decisions_per_s)}"
        for router in routers
        if router.decisions_per_s is not None
    ]
    if speeds:
        yield Note(f"decisions per second: {_DOT.join(speeds)}", "dim")


def _split_caption(split: str, scores: Sequence[RouterScore]) -> str:
    datasets = len(scores[0].by_dataset)
    text = (
        f"{split}: n = {f.count(scores[0].n)} questions of {f.count(datasets)} "
        f"dataset{'' if datasets == 1 else 's'}; scores in points with 95 % intervals"
    )
    unscored = max(score.unscored for score in scores)
    return text + (f"; up to {f.count(unscored)} unscored count 0" if unscored else "")


def _router_row(router: RouterFacts) -> tuple[str, ...]:
    cost = None if router.cost_usd is None else router.cost_usd * 1000
    return (
        router.router + ("*" if router.told else ""),
        f.points_range(router.score.macro),
        f.points_range(router.score.micro),
        f.gain_range(router.score.micro_gain),
        f.plain_dollars(cost),
        f.DASH if router.calls is None else f"{router.calls:.2f}",
    )


def plan_table(facts: PlanFacts) -> Document:
    """What a backlog would cost: low, expected and high, in all and by pair."""
    rows: list[tuple[str, str, Style]] = [
        ("from", facts.source, ""),
        ("router", facts.router, ""),
        ("rows", _plan_rows(facts), ""),
    ]
    if facts.calls_per_question is not None:
        rows.append(("calls", f"{facts.calls_per_question:.2f} a question expected", ""))
    if facts.max_cost_usd is not None:
        rows.append(_plan_budget(facts.max_cost_usd, facts.cost_usd))
    blocks: list[Block] = [Labelled(rows), _plan_totals(facts)]
    if facts.pairs:
        blocks.append(_plan_pairs(facts))
    if facts.unpriced:
        named = ", ".join(f.pair_label(pair) for pair in facts.unpriced)
        blocks.append(Note(f"price unknown, counted in no sum: {named}", "yellow"))
    if facts.next_commands:
        blocks.append(Commands(facts.next_commands))
    return Document("plan (nothing was spent)", blocks)


def _plan_rows(facts: PlanFacts) -> str:
    parts = [f"{f.count(facts.rows)} queries", f"{f.count(facts.unique_rows)} distinct"]
    if facts.bad_rows:
        parts.append(f"{f.count(facts.bad_rows)} unreadable")
    if facts.out_of_distribution:
        parts.append(f"{f.count(facts.out_of_distribution)} unlike anything profiled")
    return _DOT.join(parts)


def _plan_budget(max_cost_usd: Decimal, cost: Range) -> tuple[str, str, Style]:
    text = f"{f.dollars(max_cost_usd)}: "
    if cost.high is not None and cost.high <= max_cost_usd:
        return "budget", text + "enough even if it comes high", "green"
    if cost.expected is None:
        return "budget", text + "the cost is unknown", "yellow"
    if cost.expected <= max_cost_usd:
        return "budget", text + "enough as expected, not if it comes high", "yellow"
    return "budget", text + "not enough; the run would stop on reaching it, resumable", "red"


def _plan_totals(facts: PlanFacts) -> Table:
    return Table(
        columns=(Column("", "left"), Column("low"), Column("expected"), Column("high")),
        rows=[
            ("cost", *(f.dollars(figure) for figure in facts.cost_usd)),
            ("tokens in", *(f.compact(figure) for figure in facts.input_tokens)),
            ("tokens out", *(f.compact(figure) for figure in facts.output_tokens)),
            ("time", *(f.duration(figure) for figure in facts.time_s)),
        ],
        emphasised=frozenset({0}),
    )


def _plan_pairs(facts: PlanFacts) -> Table:
    pairs = sorted(facts.pairs, key=lambda pair: (-pair.rows, pair.pair_id))
    return Table(
        columns=(
            Column("pair", "left", shrinks=True),
            Column("rows"),
            Column("share"),
            Column("$ low"),
            Column("expected"),
            Column("high"),
        ),
        rows=[
            (
                f.pair_label(pair.pair_id),
                f.count(pair.rows),
                f.percent(pair.rows / facts.unique_rows) if facts.unique_rows else f.DASH,
                *(f.plain_dollars(figure) for figure in pair.cost_usd),
            )
            for pair in pairs
        ],
    )
