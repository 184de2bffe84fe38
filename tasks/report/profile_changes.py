"""What differs between two versions of a pool's knowledge, and whether it is beyond chance."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from tasks.report import formats as f
from tasks.report.profile_page_data import intervals_of
from tasks.report.profile_page_facts import Change, Changes

if TYPE_CHECKING:
    from profiles.profile import Profile
    from tasks.report.profile_page_facts import IntervalMap

_DEARER = 0.05
"""A mean cost that moves by less than a twentieth is the same cost on other questions."""


def changes_between(old: Profile, new: Profile) -> Changes:
    """What moved from one version to the next.

    Accuracies move by new minus old with √(h² + h'²) around it, h the half-widths of the two
    intervals: too wide where both versions rest on the same cells, never too narrow.

    Args:
        old: the earlier version.
        new: the later one.
    """
    before, after = intervals_of(old), intervals_of(new)
    rows = [
        *_pairs_changed(old, new),
        *_best_overall(old, new, before, after),
        *_winners(old, new, before, after),
        *_accuracies(old, new, before, after),
        *_costs(old, new),
    ]
    loud = sum(row.matters for row in rows)
    summary = f"{loud} thing{'s' * (loud != 1)} changed beyond chance" if loud else (
        "nothing moved beyond what chance explains"
    )  # fmt: skip
    return Changes(old.profile_id, old.created_at, tuple(rows), summary)


def _label(profile: Profile, pair: int | None) -> str:
    return f.DASH if pair is None else f.pair_label(profile.pairs[pair].pair_id)


def _pairs_changed(old: Profile, new: Profile) -> Iterator[Change]:
    had, has = set(old.index()), set(new.index())
    for name in sorted(has - had):
        yield Change(f"pair {f.pair_label(name)}", f.DASH, "new", matters=True)
    for name in sorted(had - has):
        yield Change(f"pair {f.pair_label(name)}", "there", "gone", matters=True)
    questions = [int(profile.clusters.sizes.sum()) for profile in (old, new)]
    if questions[0] != questions[1]:
        move = f"{questions[1] - questions[0]:+,}".replace("-", f.MINUS)
        was, now = map(f.count, questions)
        yield Change("training questions", was, now, move, matters=True)
    if old.k != new.k:
        yield Change("clusters", str(old.k), str(new.k), matters=True)


def _best_overall(
    old: Profile, new: Profile, before: IntervalMap, after: IntervalMap
) -> Iterator[Change]:
    first, now = _label(old, before.winners[-1].pair), _label(new, after.winners[-1].pair)
    if first != now:
        sure = after.winners[-1].separated
        yield Change("best pair overall", first, now, "" if sure else "not separated", matters=sure)


def _winners(
    old: Profile, new: Profile, before: IntervalMap, after: IntervalMap
) -> Iterator[Change]:
    """Best pairs of clusters that are the same cluster: each the other's nearest."""
    if old.encoder_fingerprint != new.encoder_fingerprint:
        return
    gaps = np.linalg.norm(old.clusters.centroids[:, None] - new.clusters.centroids[None], axis=2)
    for place, partner in enumerate(gaps.argmin(axis=0)):
        if int(gaps[partner].argmin()) != place:
            continue
        first = _label(old, before.winners[partner].pair)
        winner = after.winners[place]
        if first != _label(new, winner.pair):
            words = ", ".join(f.clean(word) for word in new.top_terms[place][:2])
            move = "" if winner.separated else "not separated"
            what = f"best pair of cluster {place} ({words})"
            yield Change(what, first, _label(new, winner.pair), move, matters=winner.separated)


def _accuracies(
    old: Profile, new: Profile, before: IntervalMap, after: IntervalMap
) -> Iterator[Change]:
    known = old.index()
    for number, pair in enumerate(new.pairs):
        if pair.pair_id not in known:
            continue
        was = tuple(
            float(a[-1, known[pair.pair_id]]) for a in (before.value, before.low, before.high)
        )
        now = tuple(float(a[-1, number]) for a in (after.value, after.low, after.high))
        if not all(map(math.isfinite, (*was, *now))) or was == now:
            continue
        move = now[0] - was[0]
        half = math.hypot((was[2] - was[1]) / 2, (now[2] - now[1]) / 2)
        yield Change(
            f"accuracy of {f.pair_label(pair.pair_id)}",
            f.points(was[0]),
            f.points(now[0]),
            f"{f.signed(100 * move)} [{f.signed(100 * (move - half))}, "
            f"{f.signed(100 * (move + half))}]",
            matters=abs(move) > half,
        )


def _costs(old: Profile, new: Profile) -> Iterator[Change]:
    known = old.index()
    for number, pair in enumerate(new.pairs):
        if pair.pair_id not in known:
            continue
        was = float(1000 * old.statistics.cost_mean_usd[-1, known[pair.pair_id]])
        now = float(1000 * new.statistics.cost_mean_usd[-1, number])
        if was == now or (math.isnan(was) and math.isnan(now)):
            continue
        both = math.isfinite(was) and math.isfinite(now) and was > 0
        share = now / was - 1 if both else math.nan
        yield Change(
            f"$ per 1,000 of {f.pair_label(pair.pair_id)}",
            f.plain_dollars(was),
            f.plain_dollars(now),
            f.change(share) if both else "",
            matters=not both or abs(share) > _DEARER,
        )
