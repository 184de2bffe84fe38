"""The gate on whole profiles: what it compares on, and what becomes of the answer."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest

from profiles.build_profile import build_profile
from profiles.clusters import ClusterSettings
from profiles.pool import Pair
from profiles.profile import ProfileSettings
from tasks.freshness.gate import judge_version, out_of_fold_choices, save_decision
from tasks.grade.base import Reference
from tasks.query import Query

PAIRS = (Pair("a", "none"), Pair("b", "none"))
NOW = datetime(2026, 11, 20, tzinfo=UTC)
TRAIN, TEST = 160, 120


def embeddings(topics, seed):
    rng = np.random.default_rng(seed)
    points = np.eye(4)[topics] + rng.normal(0, 0.05, (len(topics), 4))
    return (points / np.linalg.norm(points, axis=1, keepdims=True)).astype(np.float32)


class World:
    """Two topics; pair a is right on the first, pair b on the second, in nine of ten questions."""

    def __init__(self, seed=0):
        rng = np.random.default_rng(seed)
        n = TRAIN + TEST
        self.topics = np.arange(n) % 2
        right = self.topics[:, None] == np.arange(2)[None]
        self.scores = (rng.random((n, 2)) < np.where(right, 0.9, 0.3)).astype(float)
        self.vectors = dict(
            zip((f"text {row}" for row in range(n)), embeddings(self.topics, seed), strict=True)
        )
        self.queries = [
            Query(f"q{row}", f"c{row}", f"text {row}", dataset="d",
                  split="train" if row < TRAIN else "test", reference=Reference("1", "exact"))
            for row in range(n)
        ]  # fmt: skip

    def embed(self, texts):
        return np.stack([self.vectors[text] for text in texts])

    def outcomes(self, scores=None):
        scores = self.scores if scores is None else scores
        return pl.DataFrame(
            [
                {"query_id": f"q{row}", "pair_id": pair.pair_id, "model": pair.model,
                 "tool": pair.tool, "score": scores[row, column], "cost_usd": 0.001 * (column + 1)}
                for row in range(len(scores))
                for column, pair in enumerate(PAIRS)
            ]
        )  # fmt: skip

    def profile(self, scores=None, pool="pool"):
        rows = [q for q in self.queries if q.split == "train"]
        return build_profile(
            queries=pl.DataFrame(
                {
                    "query_id": [q.query_id for q in rows],
                    "text": [q.prompt for q in rows],
                    "dataset": ["d"] * len(rows),
                    "split": ["train"] * len(rows),
                }
            ),
            outcomes=self.outcomes(scores),
            embeddings=self.embed([q.prompt for q in rows]),
            pairs=PAIRS,
            pool_fingerprint=pool,
            encoder_fingerprint="e",
            created_at=NOW,
            settings=ProfileSettings(clusters=ClusterSettings(2), predictor=False),
        )

    def judge(self, old, new, *, test=TEST, **settings):
        return judge_version(
            old,
            new,
            queries=self.queries[: TRAIN + test],
            outcomes=self.outcomes(),
            embed=self.embed,
            **settings,
        )


@pytest.fixture(scope="module")
def world():
    return World()


@pytest.fixture(scope="module")
def good(world):
    return world.profile()


@pytest.fixture(scope="module")
def fooled(world):
    """A version that was told the opposite."""
    return world.profile(1 - world.scores)


def test_a_version_that_learnt_the_opposite_is_refused(world, good, fooled):
    decision = world.judge(good, fooled)

    assert (False, "refuse", "test") == (decision.publish, decision.verdict, decision.rows_from)
    assert decision.comparison.difference < -0.4
    assert decision.comparison.high < 0
    assert good.profile_id in decision.sentence


def test_a_better_version_passes(world, good, fooled):
    decision = world.judge(fooled, good)

    assert (True, "pass") == (decision.publish, decision.verdict)
    assert decision.comparison.difference > 0.4


def test_without_enough_held_out_questions_training_ones_are_compared_out_of_fold(
    world, good, fooled
):
    decision = world.judge(good, fooled, test=20)

    assert "train, out of fold" == decision.rows_from
    assert TRAIN == decision.comparison.rows
    assert "refuse" == decision.verdict
    assert "pass" == world.judge(fooled, good, test=20).verdict


def test_with_hardly_any_question_it_says_too_little_and_how_to_go_on(world, good, fooled):
    decision = judge_version(
        good,
        fooled,
        queries=world.queries[:30],
        outcomes=world.outcomes()[:60],
        embed=world.embed,
    )

    assert (False, "too little data") == (decision.publish, decision.verdict)
    assert f"atlas profile publish {fooled.profile_id}" in decision.sentence


def test_the_first_version_and_the_same_knowledge_pass_without_a_comparison(world, good):
    assert (True, None) == world.judge(None, good)[2:4]
    assert (True, None) == world.judge(good, good)[2:4]


def test_a_version_for_another_pool_replaces_one_that_cannot_route_it(world, good):
    fooled_elsewhere = world.profile(1 - world.scores, pool="other")
    decision = world.judge(good, fooled_elsewhere)

    assert decision.publish
    assert "refuse" == decision.verdict
    assert "cannot route the pool" in decision.sentence


def test_cost_counts_where_alpha_says_so(world, good, fooled):
    dear = world.judge(good, fooled, alpha=0.0).comparison
    cheap = world.judge(good, fooled, alpha=1.0).comparison

    assert dear.difference != cheap.difference
    assert 0.0 == cheap.difference


def test_out_of_fold_choices_know_every_training_question(good):
    chosen = out_of_fold_choices(good, 0.0)

    assert TRAIN == len(chosen)
    assert {"a@@none", "b@@none"} == set(chosen.values())


def test_a_decision_is_kept_with_its_figures(world, good, fooled, tmp_path):
    decision = world.judge(good, fooled)
    path = save_decision(tmp_path, decision, now=NOW)
    kept = json.loads(path.read_text())

    assert tmp_path / "profiles" / "gates" == path.parent
    assert ("refuse", False) == (kept["verdict"], kept["publish"])
    assert decision.comparison.rows == kept["comparison"]["rows"]
