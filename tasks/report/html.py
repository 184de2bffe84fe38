"""Reports as one self-contained HTML page each: nothing is fetched, no script runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from tasks.report import formats as f
from tasks.report import plots
from tasks.report.canvas import png
from tasks.report.interval_map import interval_map
from tasks.report.layout import Block, Commands, Table
from tasks.report.markup import Markup, block, element, join, page, picture
from tasks.report.profile_page_data import intervals_of
from tasks.report.profile_table import profile_table, ranked
from tasks.report.style import MAP, heat_style
from tasks.report.terminal import route_panel, routers_table

if TYPE_CHECKING:
    from tasks.report.facts import EvaluationFacts, ProfileFacts, RouteFacts, RouterFacts

_EXAMPLE_LENGTH = 600
_MADE_BY = "Made by ATLAS. Scores carry their n and 95 % intervals; unknown is never zero."


def route_page(
    facts: RouteFacts,
    *,
    evaluation: EvaluationFacts | None = None,
    profile: ProfileFacts | None = None,
) -> str:
    """The page of a routed run.

    Args:
        facts: how the run stands.
        evaluation: routers compared on held-out questions, shown with it.
        profile: the profile it was routed by: heat-map and examples of every cluster.
    """
    blocks = route_panel(facts).blocks
    parts = [_tiles(_route_tiles(facts)), _section("The run", _but(blocks, Table, Commands))]
    parts.append(_section("Pairs", [part for part in blocks if isinstance(part, Table)]))
    if facts.pairs:
        words = ", ".join(
            f"{f.pair_label(pair.pair_id)} {f.count(pair.rows)}" for pair in facts.pairs
        )
        figure = plots.pair_shares(facts)
        parts.append(picture(png(figure), f"Bars of rows by pair: {words}.", "Rows by pair."))
    if facts.spend:
        described = f"Spending rises to {f.dollars(facts.spend[-1].spent_usd)}."
        parts.append(_heading("Money over time"))
        parts.append(picture(png(plots.spend_over_time(facts)), described, "Dollars spent so far."))
    if evaluation is not None:
        parts += _evaluation_parts(evaluation)
    if profile is not None:
        parts += _profile_parts(profile)
    parts.append(_section("Next", [part for part in blocks if isinstance(part, Commands)]))
    return page(
        f"Routed run {facts.run_id}",
        facts.source,
        filter(None, parts),
        _MADE_BY,
        kicker="ATLAS run",
        style=MAP + heat_style(),
    )


def _route_tiles(facts: RouteFacts) -> Iterator[tuple[str, str]]:
    done = facts.answered / facts.rows if facts.rows else 0.0
    yield f"{f.count(facts.answered)}", f"answered of {f.count(facts.rows)} ({f.percent(done)})"
    limit = f" of {f.dollars(facts.max_cost_usd)}" if facts.max_cost_usd is not None else ""
    yield f.dollars(facts.spent_usd), f"spent{limit}"
    graded = sum(pair.graded for pair in facts.pairs if pair.accuracy is not None)
    if graded:
        right = sum(
            pair.graded * pair.accuracy for pair in facts.pairs if pair.accuracy is not None
        )
        yield f.score(right / graded), f"accuracy, n = {f.count(graded)}"
    open_rows = facts.failed + facts.pending + facts.in_doubt
    yield f.count(open_rows), "failed, pending or in doubt"


def _tiles(tiles: Iterator[tuple[str, str]]) -> Markup:
    return element(
        "ul",
        *(element("li", element("strong", figure), label) for figure, label in tiles),
        class_="tiles",
    )


def _heading(title: str) -> Markup:
    return element("h2", title)


def _section(title: str, blocks: Sequence[Block]) -> Markup:
    """A heading with its blocks, or nothing at all."""
    return join([_heading(title), *map(block, blocks)]) if blocks else Markup("")


def _but(blocks: Sequence[Block], *kinds: type) -> list[Block]:
    return [part for part in blocks if not isinstance(part, kinds)]


def _profile_parts(facts: ProfileFacts) -> list[Markup]:
    profile = facts.profile
    best = [
        f.pair_label(profile.pairs[ranked(profile, row)[0]].pair_id) for row in range(profile.k)
    ]
    names = [f.pair_label(pair.pair_id) for pair in profile.pairs]
    sizes = [int(size) for size in profile.clusters.sizes]
    overall = [part for part in profile_table(facts).blocks if isinstance(part, Table)]
    return [
        _heading("What each pair can do"),
        interval_map(intervals_of(profile), names, profile.top_terms, sizes),
        _section("Every pair over all questions", overall[:1]),
        _heading("Kinds of question"),
        element("p", "One entry a cluster; the pairs in it are sorted by their accuracy."),
        *(_cluster(facts, row, best[row]) for row in range(profile.k)),
    ]


def _cluster(facts: ProfileFacts, row: int, best: str) -> Markup:
    words = ", ".join(facts.profile.top_terms[row][:6])
    size = f.count(int(facts.profile.clusters.sizes[row]))
    summary = element(
        "summary", element("strong", f"Cluster {row}"), f" · {words} · {size} questions · {best}"
    )
    examples = (facts.examples or {}).get(row, ())
    texts = [element("blockquote", _shortened(text)) for text in examples]
    tables = [
        block(part) for part in profile_table(facts, cluster=row).blocks if isinstance(part, Table)
    ]
    head = [element("p", "Held-out questions that fall into it:", class_="soft")] if texts else []
    return element("details", summary, join([*head, *texts, *tables]))


def _shortened(text: str) -> str:
    return text if len(text) <= _EXAMPLE_LENGTH else text[: _EXAMPLE_LENGTH - 1] + "…"


def _evaluation_parts(facts: EvaluationFacts) -> list[Markup]:
    parts = [_heading("Routers compared")]
    for split in dict.fromkeys(router.split for router in facts.routers):
        routers = tuple(router for router in facts.routers if router.split == split)
        parts += map(block, routers_table(replace(facts, routers=routers)).blocks)
        parts += _router_figures(split, routers)
    return parts


def _router_figures(split: str, routers: Sequence[RouterFacts]) -> Iterator[Markup]:
    described = "; ".join(
        f"{router.router} {f.points(router.score.micro.value)} points at "
        f"{f.dollars(None if router.cost_usd is None else 1000 * router.cost_usd)} per 1,000"
        for router in routers
    )
    intervals = png(plots.router_intervals(routers))
    yield picture(intervals, f"Accuracy on {split}: {described}.", f"Accuracy on {split}.")
    if any(router.cost_usd is not None for router in routers):
        pareto = png(plots.accuracy_against_cost(routers))
        caption = f"Accuracy against cost on {split}, with the Pareto front."
        yield picture(pareto, f"Accuracy against cost on {split}: {described}.", caption)
