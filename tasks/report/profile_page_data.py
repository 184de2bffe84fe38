"""Gathers what the page of a profile shows; whatever cannot be had is left out with a reason."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING

import numpy as np

from tasks.report.cluster_map import project_clusters
from tasks.report.out_of_fold import calibrations_of, front_of, sweep_of
from tasks.report.profile_page_facts import (
    Changes,
    ClusterMap,
    IntervalMap,
    Night,
    ProfilePage,
    Refresh,
    Winner,
)

if TYPE_CHECKING:
    from profiles.profile import Profile

_NO_EXAMPLES = "There are no example questions: only held-out ones are shown, and none is at hand."


def profile_page_of(
    profile: Profile,
    *,
    title: str,
    source: str = "",
    spent_usd: Decimal | None = None,
    examples: Mapping[int, tuple[str, ...]] | None = None,
    changes: Changes | None = None,
    nights: Sequence[Night] = (),
    refreshes: Sequence[Refresh] = (),
    parameters: Mapping[str, str] | None = None,
    next_commands: Sequence[str] = (),
) -> ProfilePage:
    """What the page shows of a profile, computed from the profile alone, with what else is given.

    Args:
        profile: the version.
        title: the pool's name.
        source: where its questions came from.
        spent_usd: what its cells cost.
        examples: per cluster, held-out texts that fall into it.
        changes: what differs from an earlier version.
        nights: figures of canaries.
        refreshes: refreshes so far.
        parameters: how it was made.
        next_commands: what to type next.
    """
    selection = profile.selection
    front = None if selection is None else front_of(profile, selection)
    return ProfilePage(
        profile=profile,
        title=title,
        intervals=intervals_of(profile),
        source=source,
        spent_usd=spent_usd,
        front=front,
        calibrations=() if selection is None else tuple(calibrations_of(profile, selection)),
        clusters=_map_of(profile),
        sweep=() if selection is None else sweep_of(selection),
        examples=examples,
        examples_note="" if examples else _NO_EXAMPLES,
        changes=changes,
        nights=tuple(nights),
        refreshes=tuple(refreshes),
        parameters=parameters,
        router_note=front.why[0.0] if front is not None and 0.0 in front.why else "",
        next_commands=tuple(next_commands),
        notes=profile.clusters.notes,
    )


def intervals_of(profile: Profile) -> IntervalMap:
    """Scores of every pair in every cluster: posterior means where there are any, else means."""
    from profiles.allocation.separation import separated

    statistics = profile.statistics
    winners = tuple(
        Winner(
            pair=one.winner if one.winner >= 0 else None,
            runner_up=one.runner_up if one.runner_up >= 0 else None,
            separated=one.separated,
            probability=None if np.isnan(one.probability_best) else one.probability_best,
        )
        for one in separated(statistics)
    )
    if np.isfinite(statistics.score_posterior_low).any():
        value = statistics.score_shrunk
        low, high = statistics.score_posterior_low, statistics.score_posterior_high
        return IntervalMap(value, low, high, statistics.n_scored, winners, "posterior mean score")
    value = np.where(statistics.n_scored > 0, statistics.score_shrunk, np.nan)
    low = np.where(statistics.n_scored > 0, statistics.score_low, np.nan)
    high = np.where(statistics.n_scored > 0, statistics.score_high, np.nan)
    return IntervalMap(value, low, high, statistics.n_scored, winners, "shrunk mean score")


def _map_of(profile: Profile) -> ClusterMap | None:
    train = profile.train
    if train is None or not len(train.query_ids):
        return None
    labels, _ = profile.clusters.assign(train.embeddings)
    return project_clusters(train.embeddings, labels)
