"""Figures show what the facts say, at sizes a person can read."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest

from tasks.report import plots
from tasks.report.canvas import DPI, png
from tasks.report.facts import PairUse


def texts(figure):
    return [text.get_text() for text in figure.axes[0].texts]


def inches(figure):
    width, height = figure.get_size_inches()
    return float(width), float(height)


def on(split, evaluation_facts):
    return [router for router in evaluation_facts.routers if router.split == split]


def test_the_heat_map_of_20_pairs_and_8_clusters_is_readable(profile_facts):
    figure = plots.accuracy_heatmap(profile_facts.profile)

    width, height = inches(figure)
    assert width <= 11
    assert height <= 11
    assert 2 * 20 * 9 == len(texts(figure))
    statistics = profile_facts.profile.statistics
    best = np.argmax(statistics.score_mean[-1])
    assert f"{100 * statistics.score_mean[0, best]:.0f}" == texts(figure)[0]


def test_a_large_heat_map_drops_its_text_and_stays_within_bounds(profile_facts):
    profile = profile_facts.profile
    k, repeats = 64, 5
    statistics = profile.statistics
    wide = {
        name: np.tile(values[:1], (k + 1, repeats)) for name, values in statistics.arrays().items()
    }
    large = replace(
        profile,
        pairs=profile.pairs * repeats,
        clusters=replace(
            profile.clusters,
            centroids=np.zeros((k, 4), np.float32),
            sizes=np.full(k, 10),
        ),
        statistics=replace(statistics, **wide),
        top_terms=(("a", "b"),) * k,
    )

    figure = plots.accuracy_heatmap(large)

    assert [] == texts(figure)
    assert max(inches(figure)) <= 40


def test_cells_without_a_score_are_crossed_and_not_written_as_zero(profile_facts):
    profile = profile_facts.profile
    means = profile.statistics.score_mean.copy()
    means[3] = np.nan
    figure = plots.accuracy_heatmap(
        replace(profile, statistics=replace(profile.statistics, score_mean=means))
    )

    assert [3.0] * 20 == list(figure.axes[0].lines[0].get_xdata())
    assert 2 * 20 * 8 == len(texts(figure))


def test_routers_are_named_beside_their_points_and_the_front_is_drawn(evaluation_facts):
    routers = on("test", evaluation_facts)

    figure = plots.accuracy_against_cost(routers)

    assert sorted(router.router for router in routers) == sorted(texts(figure))
    front = figure.axes[0].lines[0]
    assert 4 == len(front.get_xdata())
    assert sorted(front.get_ydata()) == list(front.get_ydata())


def test_without_any_cost_there_is_no_cost_axis(evaluation_facts):
    with pytest.raises(ValueError, match="no cost axis"):
        plots.accuracy_against_cost(on("ood", evaluation_facts))


def test_free_routers_and_dear_ones_share_an_axis(evaluation_facts):
    routers = on("test", evaluation_facts)
    free = [replace(routers[0], cost_usd=Decimal(0)), *routers[1:]]
    dear = [replace(routers[0], cost_usd=Decimal(9)), *routers[1:]]

    assert "linear" == plots.accuracy_against_cost(free).axes[0].get_xscale()
    assert "log" == plots.accuracy_against_cost(dear).axes[0].get_xscale()


def test_one_router_alone_can_be_drawn(evaluation_facts):
    router = on("test", evaluation_facts)[:1]
    free = [replace(router[0], cost_usd=Decimal(0))]

    for figure in (plots.accuracy_against_cost(free), plots.router_intervals(router)):
        assert png(figure).startswith(b"\x89PNG")


def test_rounding_never_makes_an_interval_negative(evaluation_facts):
    router = on("test", evaluation_facts)[0]
    value = router.score.micro.value
    exact = router.score.micro._replace(low=value + 1e-12, high=value - 1e-12)
    odd = [replace(router, score=router.score._replace(micro=exact))]

    assert 1 == len(plots.router_intervals(odd).axes)
    assert 1 == len(plots.accuracy_against_cost(odd).axes)


def test_many_pairs_are_summed_beyond_the_busiest(route_facts):
    pairs = tuple(PairUse(f"m{number}@@none", 100 - number) for number in range(40))

    figure = plots.pair_shares(replace(route_facts, pairs=pairs))

    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert "16 more pairs" == labels[-1]
    assert inches(figure)[1] < 10


def test_spending_ends_where_the_run_does_and_shows_the_budget(route_facts):
    figure = plots.spend_over_time(route_facts)

    spent = figure.axes[0].lines[0].get_ydata()
    assert float(route_facts.spend[-1].spent_usd) == spent[-1]
    assert ["budget $20.00"] == texts(figure)


def test_names_are_never_read_as_formulas_and_foreign_ones_warn_nobody(route_facts):
    pairs = (PairUse("$x$_{1}@@none", 3), PairUse("模型@@none", 2))

    figure = plots.pair_shares(replace(route_facts, pairs=pairs, spend=()))

    image = png(figure)
    assert image.startswith(b"\x89PNG")
    width, height = (int.from_bytes(image[16 + 4 * i : 20 + 4 * i], "big") for i in (0, 1))
    assert tuple(round(DPI * side) for side in inches(figure)) == (width, height)


def test_a_run_without_spending_has_an_empty_figure(route_facts):
    figure = plots.spend_over_time(replace(route_facts, spend=(), max_cost_usd=None))

    assert png(figure).startswith(b"\x89PNG")
