"""Reads pages as a browser would, and makes the facts of one imagined profile."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from html.parser import HTMLParser

import numpy as np
import polars as pl

from profiles.build_profile import build_profile
from profiles.clusters import ClusterSettings
from profiles.pool import Pair
from profiles.profile import ProfileSettings
from tasks.report.comparison import Interval
from tasks.report.profile_page_facts import (
    Front,
    FrontPoint,
    IntervalMap,
    Night,
    Refresh,
    Winner,
)

PAIRS = tuple(Pair(m, t) for m in ("large", "small") for t in ("none", "python"))
DOLLARS = (0.004, 0.006, 0.0004, 0.0006)


def learnt(
    n=160, *, pairs=PAIRS, seed=0, prices=DOLLARS, k=3, keep_train=True, noise=False, predictor=True
):
    """A profile of questions of three kinds; every pair is good at another one."""
    rng = np.random.default_rng(seed)
    kinds = np.arange(n) % 3
    embeddings = (np.eye(3, 8)[kinds] + 0.1 * rng.normal(size=(n, 8))).astype(np.float32)
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    words = ("sum apples", "capital river", "reverse list")
    queries = pl.DataFrame(
        {
            "query_id": [f"q{i}" for i in range(n)],
            "text": [f"{words[kind]} number {i}" for i, kind in enumerate(kinds)],
            "dataset": [f"set{kind}" for kind in kinds],
            "split": ["train"] * n,
        }
    )
    skill = np.array([[0.9, 0.6, 0.5], [0.6, 0.95, 0.55], [0.5, 0.4, 0.9], [0.3, 0.5, 0.4]])
    skill = np.full_like(skill, 0.5) if noise else skill
    rows = [
        {
            "query_id": f"q{i}", "model": pair.model, "tool": pair.tool,
            "score": float(rng.random() < skill[p % 4, kinds[i]]),
            "cost_usd": prices[p % 4] * float(rng.uniform(0.8, 1.2)),
            "input_tokens": 100, "output_tokens": 30, "duration_s": 1.5, "error_type": None,
        }
        for i in range(n)
        for p, pair in enumerate(pairs)
    ]  # fmt: skip
    return build_profile(
        queries=queries,
        outcomes=pl.DataFrame(rows, infer_schema_length=None),
        embeddings=embeddings,
        pairs=pairs,
        pool_fingerprint="pool-1",
        encoder_fingerprint="encoder/1",
        created_at=datetime(2026, 11, 20, 9, 30, tzinfo=UTC),
        settings=ProfileSettings(
            clusters=ClusterSettings(k=k), keep_train=keep_train, predictor=predictor
        ),
    )


VOID = {"meta", "img", "br"}
ATTACK = '</blockquote><script>alert(1)</script><img src=x onerror="alert(2)">\x00\ud800'


class Reader(HTMLParser):
    """Collects tags, attributes and text, and checks that elements are closed in order."""

    def __init__(self, page):
        super().__init__()
        self.open, self.tags, self.attributes, self.words = [], [], [], []
        self.feed(page)
        self.close()
        assert [] == self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert tag == self.open.pop()

    def handle_data(self, data):
        self.words.append(data)

    @property
    def text(self):
        return " ".join(self.words)

    def values(self, tag, attribute):
        return [value for t, a, value in self.attributes if (t, a) == (tag, attribute)]


def boxes_of_texts(drawn):
    """About the rectangle that every text of a picture fills, with the text."""
    from tasks.report.svg import text_width

    found = []

    class Texts(HTMLParser):
        at = None

        def handle_starttag(self, tag, attrs):
            if tag == "text":
                self.at = dict(attrs)

        def handle_data(self, data):
            if self.at is not None and self.get_starttag_text().startswith("<text"):
                x, y = float(self.at["x"]), float(self.at["y"])
                size = 11.0 if "small" in self.at.get("class", "") else 12.0
                width = text_width(data, size)
                anchor = self.at.get("text-anchor", "start")
                left = x - {"start": 0, "middle": width / 2, "end": width}[anchor]
                found.append(((left, y - 0.75 * size, left + width, y), data))

        def handle_endtag(self, tag):
            if tag == "text":
                self.at = None

    Texts().feed(drawn)
    return found


def made_map(pairs: int, k: int, seed: int = 0) -> IntervalMap:
    """Seeded scores with intervals of ± 5 points; row k is overall."""
    rng = np.random.default_rng(seed)
    value = np.round(rng.uniform(0.2, 0.9, (k + 1, pairs)), 3)
    winners = tuple(
        Winner(
            int(np.argmax(row)),
            int(np.argsort(-row)[1]) if pairs > 1 else None,
            number % 2 == 0,
            0.9 if number % 2 == 0 else 0.55,
        )
        for number, row in enumerate(value)
    )
    n = np.full((k + 1, pairs), 40, np.int64)
    return IntervalMap(value, value - 0.05, value + 0.05, n, winners)


def point(name: str, accuracy: float, cost: float, alpha: float | None = None) -> FrontPoint:
    """A point with an interval of ± 4 points, $ a 1,000 questions."""
    span = Interval(accuracy, accuracy - 0.04, accuracy + 0.04)
    return FrontPoint(name, span, cost / 1000, 500, alpha, (("small + none", 0.75),) * bool(alpha))


def made_front(pairs: Sequence[FrontPoint], *, alphas=(0.0, 0.5, 1.0)) -> Front:
    """A router from dear and good to cheap and bad."""
    path = tuple(point("cluster", 0.8 - 0.2 * a, 2.0 - 1.5 * a, a) for a in alphas)
    return Front(
        pairs=tuple(pairs),
        paths={"cluster": path},
        chosen=dict.fromkeys(alphas, "cluster"),
        measured="Out of fold: measured on 500 training questions.",
        why={a: f"cluster: better at {a:g}" for a in alphas},
        gains={a: {"cluster (K = 8)": Interval(0.05, 0.02, 0.08)} for a in alphas},
    )


def made_nights(pairs: Sequence[str], nights: int = 20, alarm: str = "") -> list[Night]:
    """Accuracy and cost of canaries; `alarm` names the pair that drops on the last five nights."""
    start = datetime(2026, 11, 1, 3, tzinfo=UTC)
    rng = np.random.default_rng(4)
    found = []
    for pair in pairs:
        for night in range(nights):
            bad = pair == alarm and night >= nights - 5
            value = (0.55 if bad else 0.8) + 0.03 * float(rng.normal())
            price = 0.002 + 0.0001 * float(rng.normal())
            at = start + timedelta(days=night)
            found.append(
                Night(
                    at,
                    pair,
                    "accuracy",
                    value,
                    value - 0.1,
                    value + 0.1,
                    400.0 if bad else 1.2,
                    bad,
                )
            )
            found.append(
                Night(at, pair, "price", price, price - 0.0002, price + 0.0002, 1.0, False)
            )
    return found


def made_refreshes(n: int = 12) -> list[Refresh]:
    """Refreshes of falling cost; every fourth is held back, every third has nothing to do."""
    start = datetime(2026, 11, 1, 2, tzinfo=UTC)
    return [
        Refresh(
            start + timedelta(days=i),
            f"profile-{i:016x}",
            0 if i % 3 == 2 else 900 - 20 * i,
            0 if i % 3 == 2 else 950 - 20 * i,
            Decimal(0) if i % 3 == 2 else Decimal(80 - 2 * i + 9 * (i % 4)) / 100,
            "worse by 0.4 points" if i % 4 == 3 else "not worse",
            i % 4 != 3,
        )
        for i in range(n)
    ]
