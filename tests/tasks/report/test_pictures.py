"""Pictures say what the facts say, at the sizes they are drawn for, and nothing in them can act."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from tasks.report import svg
from tasks.report.cluster_map import MOST_POINTS, cluster_map, project_clusters
from tasks.report.comparison import Interval
from tasks.report.freshness_plots import drift_sparks, figure, night_series, refresh_costs, spark
from tasks.report.front import accuracy_cost_front, describe_front, drawable, pareto, unplaced
from tasks.report.interval_map import interval_map, shade_range
from tasks.report.labels import Box, place_labels
from tasks.report.out_of_fold import calibration_of
from tasks.report.profile_page_facts import SweepPoint, Winner
from tasks.report.reliability import reliability_curve
from tasks.report.style import _RAMP_DARK, _RAMP_LIGHT, HEAT_STEPS, _between, _luminance
from tasks.report.sweep_plot import cluster_sweep
from tests.tasks.report.made_pages import (
    ATTACK,
    Reader,
    boxes_of_texts,
    made_front,
    made_map,
    made_nights,
    made_refreshes,
    point,
)

WIDTHS = [svg.WIDE, svg.NARROW]
PAIRS = [
    point("small + none", 0.5, 0.1),
    point("large + python", 0.75, 3.0),
    point("middle + none", 0.6, 0.5),
    point("dear + none", 0.55, 4.0),
]


def inside(drawn, width):
    """The texts of a picture that stick out of it."""
    return [
        words
        for (left, top, right, _), words in boxes_of_texts(drawn)
        if left < -1 or top < -3 or right > width + 1
    ]


def overlapping(drawn):
    """Pairs of texts that cover each other."""
    boxes = boxes_of_texts(drawn)
    return [
        (a, b)
        for i, ((l1, t1, r1, b1), a) in enumerate(boxes)
        for (l2, t2, r2, b2), b in boxes[i + 1 :]
        if l1 < r2 and l2 < r1 and t1 < b2 and t2 < b1
    ]


def test_scales_keep_values_inside_and_label_round_numbers():
    scale = svg.Scale(0.0, 9.7, 100.0, 200.0)

    assert [100.0, 200.0, 200.0] == [scale(0.0), scale(9.7), scale(50.0)]
    assert [0.0, 2.0, 4.0, 6.0, 8.0] == scale.ticks(5)
    assert [0.01, 0.1, 1.0, 10.0] == svg.Scale(0.008, 30.0, 0.0, 1.0, log=True).ticks(5)
    assert 0.5 == pytest.approx(svg.Scale(1.0, 100.0, 0.0, 1.0, log=True)(10.0))
    assert 2 <= len(svg.Scale(2.0, 2.9, 0.0, 1.0, log=True).ticks(5))


@pytest.mark.parametrize("values", [[], [math.nan], [3.0], [0.0, 0.0]])
def test_an_axis_has_length_whatever_it_shows(values):
    low, high = svg.spread(values)

    assert low < high


def test_the_front_of_pairs_holds_what_nothing_cheaper_beats():
    assert [0, 2, 1] == pareto(PAIRS)
    assert [] == pareto([point("free", math.nan, 1.0), point("unpriced", 0.9, math.nan)])


@pytest.mark.parametrize("width", WIDTHS)
def test_the_front_tells_every_point_and_rings_the_chosen_ones(width):
    drawn = accuracy_cost_front(made_front(PAIRS), width)

    reader = Reader(drawn)
    for said in (
        "small + none: accuracy 50.0 46.0…54.0, $0.10 per 1,000 questions, n 500",
        "cluster at alpha 0.5: accuracy 70.0 66.0…74.0",
        "75% small + none",
    ):
        assert said in reader.text
    assert 3 == reader.values("circle", "class").count("chosen")
    assert [] == inside(drawn, width)
    assert [] == overlapping(drawn)


def test_a_pair_of_unknown_cost_is_named_and_not_placed():
    front = made_front([*PAIRS, point("secret + none", 0.7, math.nan)])

    assert ["secret + none"] == unplaced(front)
    assert "secret + none:" not in accuracy_cost_front(front, svg.WIDE)


def test_what_costs_nothing_stands_beside_a_logarithmic_axis():
    front = made_front([*PAIRS, point("local + none", 0.4, 0.0)])

    drawn = accuracy_cost_front(front, svg.WIDE)

    assert "local + none: accuracy 40.0 36.0…44.0, $0 per 1,000" in Reader(drawn).text
    assert "$0" in [words for _, words in boxes_of_texts(drawn)]


@pytest.mark.parametrize("pairs", [1, 60])
@pytest.mark.parametrize("width", WIDTHS)
def test_the_front_of_one_and_of_sixty_pairs_is_legible(pairs, width):
    rng = np.random.default_rng(3)
    made = [
        point(f"model-{i:02d}-instruct + calculator", float(a), 0.01 * 1000 ** float(c))
        for i, (a, c) in enumerate(rng.random((pairs, 2)))
    ]

    drawn = accuracy_cost_front(made_front(made), width)

    assert [] == overlapping(drawn)
    assert [] == inside(drawn, width)
    assert len(drawn) < 60_000


def test_a_front_without_costs_is_refused_by_the_picture_and_known_beforehand():
    front = replace(made_front([point("a", 0.5, math.nan)]), paths={})

    assert not drawable(front)
    with pytest.raises(ValueError, match="known cost"):
        accuracy_cost_front(front, svg.WIDE)


def test_names_cannot_act_in_any_picture():
    front = made_front([point(ATTACK, 0.5, 1.0), *PAIRS])
    table = made_map(2, 1)
    mapped = project_clusters(np.eye(4, 8, dtype=np.float32), np.zeros(4, np.int64))
    pictures = [
        accuracy_cost_front(front, svg.WIDE),
        interval_map(table, [ATTACK, "b"], [[ATTACK]], [3]),
        cluster_map(mapped, [[ATTACK]], [4], svg.WIDE),
        refresh_costs([made_refreshes(1)[0]._replace(gate=ATTACK, profile_id=ATTACK)], svg.WIDE),
        drift_sparks(night_series([n._replace(pair=ATTACK) for n in made_nights(["a"], 3)])),
    ]

    for drawn in pictures:
        reader = Reader(drawn)
        assert not {"script", "img"} & set(reader.tags)
        assert not [name for _, name, _ in reader.attributes if name.startswith("on")]
        assert "\x00" not in drawn
        drawn.encode("utf-8")


def test_every_cell_of_the_map_tells_score_interval_and_n():
    table = made_map(3, 4)

    drawn = interval_map(table, ["a", "b", "c"], [["x", "y"]] * 4, [10, 20, 30, 40])

    reader = Reader(drawn)
    titles = reader.values("td", "title")
    for row in range(5):
        where = "overall" if row == 4 else f"in cluster {row}"
        for pair, name in enumerate("abc"):
            value, low, high = (
                100 * array[row, pair] for array in (table.value, table.low, table.high)
            )
            said = f"{name} {where}: {value:.1f}, 95 % interval {low:.0f}–{high:.0f}, n 40"
            assert [title for title in titles if title.startswith(said)]
    classes = reader.values("td", "class")
    assert [3, 2] == [sum(kind.endswith(end) for kind in classes) for end in (" win", " tie")]
    assert "best here, not separated from the next, best with 55%" in " ".join(titles)


def test_pairs_stand_in_falling_order_and_unknown_ones_last():
    table = made_map(3, 2)
    value = table.value.copy()
    value[-1] = [0.4, np.nan, 0.8]
    drawn = interval_map(replace(table, value=value), ["a", "b", "c"], [["x"]] * 2, [1, 1])

    order = [drawn.index(f'<th scope="row">{name}</th>') for name in "cab"]
    assert sorted(order) == order
    assert "b overall: no scored outcome" in drawn


def test_a_map_without_any_score_and_one_of_a_single_cell_are_drawn():
    nothing = made_map(2, 1)
    blank = np.full((2, 2), np.nan)
    empty = replace(
        nothing, value=blank, low=blank, high=blank, winners=(Winner(None, None, False),) * 2
    )

    assert "nobody has a score here" in interval_map(empty, ["a", "b"], [[]], [0])
    assert "100.0" not in Reader(interval_map(empty, ["a", "b"], [[]], [0])).text
    single = interval_map(made_map(1, 1), ["only"], [["x"]], [5])
    assert "1 pairs in 1 clusters" in single


def test_a_map_of_sixty_pairs_and_thirty_two_clusters_stays_light_and_scrolls():
    pairs = [f"model-{i:02d} + python" for i in range(60)]

    drawn = interval_map(made_map(60, 32), pairs, [["x", "y"]] * 32, [9] * 32)

    assert len(drawn) < 400_000
    assert 60 * 33 == sum("95 % interval" in (t or "") for t in Reader(drawn).values("td", "title"))
    assert "grid tall" in Reader(drawn).values("div", "class")


def test_shades_span_the_scores_there_are():
    table = made_map(2, 1)
    value = np.array([[0.52, 0.61], [0.55, np.nan]])

    assert (0.5, 0.65) == shade_range(replace(table, value=value))
    assert (0.0, 1.0) == shade_range(replace(table, value=value * np.nan))
    low, high = shade_range(replace(table, value=np.full((2, 2), 1.0)))
    assert low < high <= 1.0


@pytest.mark.parametrize("ramp", [_RAMP_LIGHT, _RAMP_DARK])
def test_letters_on_every_shade_have_the_contrast_that_wcag_asks_for(ramp):
    dark_ink = _luminance(0x14, 0x18, 0x1D)
    for number in range(HEAT_STEPS):
        shade = _luminance(*_between(ramp, number / (HEAT_STEPS - 1)))
        ink = 1.0 if shade < 0.23 else dark_ink
        high, low = max(shade, ink), min(shade, ink)

        assert (high + 0.05) / (low + 0.05) >= 4.5 - 0.75


def test_labels_keep_clear_of_each_other_and_of_points():
    points = [(50.0, 50.0), (52.0, 51.0), (54.0, 50.0)]
    bounds = Box(0, 0, 300, 200)

    places = place_labels(points, ["first", "second", "third"], bounds=bounds)

    assert all(place is not None for place in places)
    boxes = [place.box for place in places]
    assert not any(a.meets(b) for i, a in enumerate(boxes) for b in boxes[i + 1 :])
    crowded = [Box(0, 0, 300, 200)]
    assert [None] == place_labels([(50.0, 50.0)], ["x"], bounds=bounds, taken=crowded)


def test_calibration_of_good_estimates_is_small_and_of_bad_ones_is_their_bias():
    rng = np.random.default_rng(0)
    skill = rng.uniform(0, 1, (4000, 3))
    scores = (rng.random((4000, 3)) < skill).astype(float)
    scores[:10] = np.nan

    good = calibration_of(skill, scores)
    bad = calibration_of(np.clip(skill * 0.5, 0, 1), scores)

    assert 3990 * 3 == good.n
    assert good.error < 0.02
    assert good.gap.low < 0 < good.gap.high
    assert bad.gap.value == pytest.approx(0.25, abs=0.02)
    assert bad.error > 0.2
    assert calibration_of(skill * np.nan, scores) is None


def test_intervals_of_calibration_count_questions_not_cells():
    """Twenty copies of a pair tell no more than one of them."""
    rng = np.random.default_rng(1)
    scores = (rng.random((300, 1)) < 0.6).astype(float)
    once = calibration_of(np.full((300, 1), 0.6), scores, bins=1)
    copied = calibration_of(np.full((300, 20), 0.6), np.tile(scores, 20), bins=1)

    widths = [c.bins[0].realised.high - c.bins[0].realised.low for c in (once, copied)]
    assert widths[0] == pytest.approx(widths[1])


@pytest.mark.parametrize("width", WIDTHS)
def test_the_reliability_curve_tells_its_error_and_bins(width):
    rng = np.random.default_rng(0)
    skill = rng.uniform(0, 1, (400, 2))
    found = calibration_of(skill, (rng.random((400, 2)) < skill).astype(float))

    drawn = reliability_curve([("predictor", found), ("clusters", found)], width)

    text = Reader(drawn).text
    assert f"calibration error {100 * found.error:.1f} points, n 800" in text
    assert f"n {found.bins[3].n}" in text
    assert [] == inside(drawn, width)
    assert [] == overlapping(drawn)
    with pytest.raises(ValueError, match="no calibration"):
        reliability_curve([], width)


def made_points(n, k, seed=0):
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(k, 24))
    labels = np.arange(n) % k
    return (centres[labels] + 0.1 * rng.normal(size=(n, 24))).astype(np.float32), labels


@pytest.mark.parametrize(("n", "k"), [(1, 1), (5, 1), (6, 2), (40, 3), (5000, 32)])
def test_any_number_of_clusters_has_a_map(n, k):
    embeddings, labels = made_points(n, k)

    mapped = project_clusters(embeddings, labels)

    assert (min(n, MOST_POINTS), 2) == mapped.points.shape
    assert (k, 2) == mapped.centres.shape
    assert np.isfinite(mapped.points).all()
    assert 0 <= mapped.kept <= 1 + 1e-9
    drawn = cluster_map(mapped, [[f"word{i}", "other"] for i in range(k)], [n // k] * k, svg.WIDE)
    assert k == Reader(drawn).values("text", "class").count("strong badge")
    assert [] == inside(drawn, svg.WIDE)
    assert len(drawn) < 120_000


def test_the_map_is_the_same_every_time_and_keeps_clusters_apart():
    embeddings, labels = made_points(300, 3)

    mapped, again = (project_clusters(embeddings, labels) for _ in range(2))

    assert np.array_equal(mapped.points, again.points)
    spread = max(mapped.points[labels == c].std(axis=0).max() for c in range(3))
    gaps = np.linalg.norm(mapped.centres[:, None] - mapped.centres[None], axis=2)
    assert gaps[~np.eye(3, dtype=bool)].min() > 5 * spread
    assert mapped.kept == pytest.approx(1.0)
    means = np.array([mapped.points[labels == c].mean(axis=0) for c in range(3)])
    assert np.allclose(means, mapped.centres, atol=1e-5)


def test_equal_questions_have_a_map_too():
    mapped = project_clusters(np.ones((4, 8), np.float32), np.zeros(4, np.int64))

    drawn = cluster_map(mapped, [[]], [4], svg.NARROW)

    assert "nan" not in drawn


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("n", [1, 12, 90])
def test_refreshes_are_bars_that_tell_their_fate(n, width):
    refreshes = made_refreshes(n)

    drawn = refresh_costs(refreshes, width)

    kinds = Reader(drawn).values("rect", "class")
    held = sum(not refresh.published for refresh in refreshes)
    assert [n - held, held] == [kinds.count("bar"), kinds.count("bar held")]
    assert "2026-11-01 02:00 profile-0000000000000000: $0.80, 900 cells, 950 calls" in drawn
    assert [] == inside(drawn, width)
    assert [] == overlapping(drawn)
    with pytest.raises(ValueError, match="no refresh"):
        refresh_costs([], width)


def test_a_refresh_of_unknown_cost_is_no_free_one():
    drawn = refresh_costs([made_refreshes(1)[0]._replace(cost_usd=None)], svg.WIDE)

    assert "unknown" in drawn
    assert "?" in [words for _, words in boxes_of_texts(drawn)]


def test_series_with_alarms_come_first_and_mark_the_nights():
    series = night_series(made_nights(["calm", "sick"], alarm="sick"))

    assert ("sick", "accuracy", 5, 400.0) == (
        series[0].pair, series[0].metric, series[0].alarms, series[0].evidence
    )  # fmt: skip
    drawn = spark(series[0])
    assert 5 == Reader(drawn).values("circle", "class").count("alarm")
    assert "e-value 400, alarm" in drawn
    assert 0 == Reader(spark(series[-1])).values("circle", "class").count("alarm")


def test_nights_that_were_not_measured_leave_a_gap_and_no_nan():
    nights = made_nights(["a"], 4)
    broken = [n._replace(value=math.nan, low=math.nan, high=math.nan) for n in nights[:2]]

    drawn = spark(night_series(broken + nights[2:])[0])

    assert "nan" not in drawn


@pytest.mark.parametrize(
    ("metric", "value", "said"),
    [
        ("accuracy", 0.815, "82"), ("refusal", 0.02, "2"), ("price", 0.0021, "$0.0021"),
        ("latency", 1.24, "1.2 s"), ("length", 1500.0, "1.5k"),
        ("accuracy", math.nan, "–"),
    ],
)  # fmt: skip
def test_figures_of_canaries_have_their_own_units(metric, value, said):
    assert said == figure(metric, value)


@pytest.mark.parametrize("width", WIDTHS)
def test_the_sweep_marks_the_number_that_is_taken(width):
    points = [SweepPoint(k, Interval(0.5 + k / 100, 0.45, 0.7)) for k in (16, 4, 8)]

    drawn = cluster_sweep(points, 8, width)

    assert "8 clusters: 58.0 45.0…70.0, taken" in Reader(drawn).text
    assert 1 == Reader(drawn).values("circle", "class").count("chosen")
    assert [] == overlapping(drawn)
    assert [] == inside(drawn, width)


def test_a_picture_of_its_own_brings_its_colours():
    drawn = svg.standalone(accuracy_cost_front(made_front(PAIRS), svg.WIDE))

    assert drawn.startswith("<?xml")
    assert "--c0: #0067a3" in drawn
    assert drawn.index("<style>") > drawn.index("<svg")


def test_the_front_can_be_heard():
    said = describe_front(made_front(PAIRS))

    assert "Pareto front of pairs: small + none, middle + none, large + python." in said
    assert "alpha 0.5 70.0 points" in said
