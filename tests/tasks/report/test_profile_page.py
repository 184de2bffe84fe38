"""The page of a profile tells all of it, whole or in parts, and nothing on it can act."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import numpy as np
import polars as pl
import pytest

from profiles.pool import Pair
from tasks.profiling.diff import PairMove, diff_profiles
from tasks.report.comparison import Interval
from tasks.report.out_of_fold import front_of, mean_interval, sweep_of
from tasks.report.profile_changes import _pair, changes_from
from tasks.report.profile_page import draw_profile_page, page_pictures
from tasks.report.profile_page_data import intervals_of, profile_page_of
from tasks.report.profile_page_facts import Change, Changes
from tasks.report.profile_page_sources import nights_from, refreshes_from
from tests.tasks.report.made_pages import ATTACK, PAIRS, Reader, learnt, made_nights, made_refreshes


@pytest.fixture(scope="module")
def profile():
    return learnt()


@pytest.fixture(scope="module")
def shown(profile):
    return profile_page_of(
        profile,
        title="example pool",
        source="labelled.parquet",
        spent_usd=Decimal("3.2048"),
        examples={0: ("What is 17 % of 3,400?",), 2: ("Reverse a list.",)},
        nights=made_nights(["small + none", "large + none"], alarm="small + none"),
        refreshes=made_refreshes(),
        parameters={"seed": "0"},
        next_commands=("atlas plan BACKLOG",),
    )


def test_the_page_tells_all_of_it(shown, profile):
    text = Reader(draw_profile_page(shown)).text

    for words in (
        "example pool", profile.profile_id, "2026-11-20 09:30 UTC", "$3.20", "large + none",
        "What is 17 % of 3,400?", "out of fold", "calibration error", "not separated",
        "Drift was found in 1 of 4 series: small + none (accuracy).", "labelled.parquet",
        "640 of 640 (100%)", "atlas plan BACKLOG", "This is the first version",
    ):  # fmt: skip
        assert words.lower() in text.lower(), words


def test_the_page_needs_nothing_but_itself_and_stays_light(shown):
    page = draw_profile_page(shown)

    reader = Reader(page)
    assert not {"script", "link", "iframe", "object", "form", "img"} & set(reader.tags)
    loaded = [v for _, name, v in reader.attributes if name in {"src", "href"}]
    assert loaded
    assert all(value.startswith("#") for value in loaded)
    assert "url(" not in page
    assert "@import" not in page
    assert len(page.encode()) < 300_000


def test_every_place_of_the_navigation_is_there_once(shown):
    reader = Reader(draw_profile_page(shown))

    ids = [value for _, name, value in reader.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    assert {value.removeprefix("#") for value in reader.values("a", "href")} <= set(ids)
    assert set(reader.values("section", "aria-labelledby")) <= set(ids)


def test_pictures_can_be_read_without_seeing_and_boxes_without_a_mouse(shown):
    reader = Reader(draw_profile_page(shown))

    assert reader.tags.count("svg") == len(
        [label for label in reader.values("svg", "aria-label") if len(label) > 20]
    )
    scrolling = [v for v in reader.values("div", "class") if v in {"wide", "grid", "grid tall"}]
    assert len(scrolling) == len(reader.values("div", "tabindex"))
    assert reader.tags.count("th") == len(reader.values("th", "scope"))


def test_text_of_pools_questions_and_notes_cannot_act(shown, profile):
    pairs = (Pair(ATTACK.replace("\ud800", ""), "none"), *PAIRS[1:])
    attacked = replace(profile, pairs=pairs, top_terms=((ATTACK,),) * profile.k)
    nights = [night._replace(pair=ATTACK, metric=ATTACK) for night in made_nights(["a"], 4)]
    page = draw_profile_page(
        profile_page_of(
            attacked,
            title=ATTACK,
            source=ATTACK,
            examples={0: (ATTACK,)},
            changes=Changes(ATTACK, None, (Change(ATTACK, ATTACK, ATTACK, ATTACK, matters=True),)),
            nights=nights,
            refreshes=[one._replace(gate=ATTACK) for one in made_refreshes(2)],
            parameters={ATTACK: ATTACK},
            next_commands=(ATTACK,),
        )
    )

    reader = Reader(page)
    assert not {"script", "img"} & set(reader.tags)
    assert not [name for _, name, _ in reader.attributes if name.startswith("on")]
    assert "<script>alert(1)</script>" in reader.text
    page.encode("utf-8")


def test_a_profile_with_nothing_beside_it_has_a_sentence_for_everything_that_is_missing():
    bare = learnt(24, keep_train=False, k=1)

    text = Reader(draw_profile_page(profile_page_of(bare, title="bare"))).text

    for words in (
        "This is the first version", "Routers were not measured out of fold",
        "Routers were not compared", "nothing to compare estimates with", "no map to draw",
        "There is no history yet", "There are no example questions",
    ):  # fmt: skip
        assert words in text
    assert "nan" not in text.lower().split()


def test_a_pool_without_prices_has_no_front_and_says_why():
    unpriced = learnt(90, prices=(float("nan"),) * 4)

    page = profile_page_of(unpriced, title="unpriced")

    assert [0.0] == list(page.front.chosen)
    assert "No pair has a known cost" in Reader(draw_profile_page(page)).text


def test_a_single_pair_has_a_page():
    single = learnt(60, pairs=PAIRS[:1])

    text = Reader(draw_profile_page(profile_page_of(single, title="one"))).text

    assert "1 pairs, 3 clusters" in text


def test_the_front_measures_pairs_on_what_was_seen(profile):
    front = front_of(profile, profile.selection)

    for point, pair in zip(front.pairs, range(4), strict=True):
        scores = profile.train.scores[:, pair]
        assert point.accuracy.value == pytest.approx(scores.mean(), abs=1e-6)
        assert point.cost_usd == pytest.approx(profile.train.costs_usd[:, pair].mean(), rel=1e-5)
    assert {"cluster", "best-single"} <= set(front.paths)
    dear = front.paths["cluster"][0]
    cheap = front.paths["cluster"][-1]
    assert dear.accuracy.value > max(point.accuracy.value for point in front.pairs)
    assert cheap.cost_usd < dear.cost_usd
    assert cheap.cost_usd == pytest.approx(min(point.cost_usd for point in front.pairs), rel=1e-5)
    assert 1.0 == pytest.approx(sum(share for _, share in dear.mix))


def test_routers_on_the_front_are_measured_out_of_fold():
    """Pure noise: in sample a router would seem to gain, out of fold it cannot."""
    noise = learnt(300, pairs=tuple(Pair(f"m{i:02d}", "none") for i in range(12)), noise=True)
    labels, _ = noise.clusters.assign(noise.train.embeddings)
    best = [noise.train.scores[labels == c].mean(axis=0).max() for c in range(noise.k)]
    in_sample = float(np.bincount(labels) @ np.array(best) / len(labels))

    chosen = front_of(noise, noise.selection).paths["cluster"][0].accuracy

    assert in_sample > 0.56
    assert chosen.value < in_sample - 0.03
    assert chosen.low < 0.5 < chosen.high


def test_intervals_of_means_hold_their_promise():
    rng = np.random.default_rng(0)
    inside = 0
    for _ in range(400):
        span = mean_interval((rng.random(80) < 0.7).astype(float))
        inside += span.low <= 0.7 <= span.high

    assert 0.91 <= inside / 400 <= 0.98
    assert (0.0, 1.0) == mean_interval(np.array([1.0]))[1:]


def test_the_sweep_is_of_every_number_tried(profile):
    points = sweep_of(profile.selection)

    assert {trial.k for trial in profile.selection.trials} == {point.k for point in points}
    assert all(isinstance(point.value, Interval) for point in points)


def test_unknown_pairs_of_the_map_stay_unknown(profile):
    scores = profile.train.scores.copy()
    scores[:, 1] = np.nan
    from profiles.outcomes import OutcomeMatrices
    from profiles.statistics import cluster_statistics

    blank = np.full(scores.shape, np.nan)
    outcomes = OutcomeMatrices(
        scores, blank, blank, blank, blank, np.isfinite(scores), np.zeros(scores.shape, bool)
    )
    labels, _ = profile.clusters.assign(profile.train.embeddings)
    statistics = cluster_statistics(labels, profile.k, outcomes)
    table = intervals_of(replace(profile, statistics=statistics))

    assert np.isnan(table.value[:, 1]).all()
    assert 1 not in {winner.pair for winner in table.winners}


def test_what_changed_is_told_with_its_interval_and_chance_is_not_news(profile, tmp_path):
    same = changes_from(diff_profiles(profile, profile, tmp_path), profile, profile)
    assert not [row for row in same.rows if row.matters]
    assert "nothing moved" in same.summary

    other = learnt(pairs=(*PAIRS[:3], Pair("new", "search")), prices=(0.008, 0.006, 0.0004, 0.0006))
    changes = changes_from(diff_profiles(profile, other, tmp_path), profile, other)

    rows = {row.what: row for row in changes.rows}
    assert rows["pair new + search"].matters
    assert rows["pair small + python"].after == "gone"
    dearer = rows["$ per 1,000 of large + none"]
    assert dearer.matters
    assert dearer.move.startswith(("3.9", "4.0"))
    assert "0.0004" not in rows
    assert changes.since == profile.profile_id
    text = Reader(draw_profile_page(profile_page_of(other, title="t", changes=changes))).text
    assert "pair new + search" in text
    assert f"Since {profile.profile_id}" in text


def test_moves_within_their_interval_are_no_news():
    sure, unsure = Interval(0.05, 0.01, 0.09), Interval(0.05, -0.01, 0.11)
    rows = {
        name: change
        for name, span in (("sure", sure), ("unsure", unsure))
        for change in _pair(PairMove(f"{name}@@none", 90, 0, 0, 0.5, 0.55, span, None))
    }

    assert [True, False] == [rows["sure"].matters, rows["unsure"].matters]
    assert ("50.0", "55.0", "+5.0 [+1.0, +9.0]") == rows["sure"][1:4]


def test_frames_of_history_become_nights_and_refreshes():
    at = datetime(2026, 11, 20, 3, tzinfo=UTC)
    nights = pl.DataFrame(
        {
            "measured_at": [at], "pair_id": ["m@@none"], "metric": ["accuracy"], "value": [0.5],
            "low": [None], "high": [0.6], "e_value": [3.0], "alarm": [True],
        }
    )  # fmt: skip
    refreshes = pl.DataFrame(
        {
            "started_at": [at], "profile_id": [None], "cells_run": [3], "calls": [4],
            "cost_usd": [None], "gate": ["pass"], "reason": ["not worse"], "published": [False],
        }
    )  # fmt: skip

    (night,) = nights_from(nights)
    (refresh,) = refreshes_from(refreshes)

    assert ("m + none", 0.5, 0.6, True) == (night.pair, night.value, night.high, night.alarm)
    assert np.isnan(night.low)
    assert (3, 4, None, "not worse", False) == refresh[2:]


def test_every_picture_is_a_file_of_its_own(shown):
    files = dict(page_pictures(shown))

    assert {"front", "reliability", "clusters", "refreshes"} <= set(files)
    for drawn in files.values():
        assert drawn.startswith('<?xml version="1.0"')
        assert "xmlns" in drawn
