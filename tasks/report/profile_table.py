"""A profile on the terminal: every pair overall, and in every cluster the pairs that do best."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tasks.report import formats as f
from tasks.report.layout import Block, Column, Commands, Document, Labelled, Note, Style, Table
from tasks.report.selection_table import selection_blocks

if TYPE_CHECKING:
    from profiles.profile import Profile
    from tasks.report.facts import ProfileFacts


def profile_table(facts: ProfileFacts, *, cluster: int | None = None) -> Document:
    """The `profile show` tables.

    Args:
        facts: the profile and what stands beside it.
        cluster: show every pair in this cluster instead of the overview.

    Raises:
        ValueError: the profile has no such cluster.
    """
    profile = facts.profile
    if cluster is not None and not 0 <= cluster < profile.k:
        raise ValueError(
            f"{profile.profile_id} has no cluster {cluster}: its clusters are 0 to {profile.k - 1}."
        )
    blocks: list[Block] = [Labelled(_head(facts))]
    if cluster is None:
        blocks += [Note("every pair, over all questions:"), _pairs(profile, profile.k)]
        blocks += [Note("every cluster, its best pair and the runner-up:"), _clusters(profile)]
        blocks += selection_blocks(profile)
    else:
        blocks += [Note(_cluster_caption(profile, cluster)), _pairs(profile, cluster)]
        texts = (facts.examples or {}).get(cluster, ())
        blocks += [Note(f"e.g. {f.clean(text)[:300]}", "dim") for text in texts]
    blocks += [Note(note, "yellow") for note in profile.clusters.notes]
    if facts.next_commands:
        blocks.append(Commands(facts.next_commands))
    return Document(f"profile {profile.profile_id}", blocks)


def _head(facts: ProfileFacts) -> list[tuple[str, str, Style]]:
    profile, statistics = facts.profile, facts.profile.statistics
    questions = int(profile.clusters.sizes.sum())
    n, scored = int(statistics.n[-1].sum()), int(statistics.n_scored[-1].sum())
    fitted = (
        f"{f.count(questions)} training questions in {profile.k} clusters · "
        f"{f.count(n)} outcomes, {f.count(n - scored)} unscored"
    )
    rows: list[tuple[str, str, Style]] = [
        ("pool", f"{facts.pool_name}, {len(profile.pairs)} pairs", ""),
        ("source", facts.source, ""),
        ("encoder", profile.encoder_fingerprint, ""),
        ("fitted on", fitted, ""),
        ("made", f"{profile.created_at:%Y-%m-%d %H:%M} UTC", ""),
    ]
    if facts.spent_usd is not None:
        rows.append(("cost", f.dollars(facts.spent_usd), ""))
    return [row for row in rows if row[1]]


def ranked(profile: Profile, row: int) -> list[int]:
    """Pair numbers by falling mean score in a row of the statistics; unscored pairs last."""
    means = profile.statistics.score_mean[row]
    keys = np.where(np.isfinite(means), -means, np.inf)
    return [int(pair) for pair in np.argsort(keys, kind="stable")]


def accuracy(profile: Profile, row: int, pair: int) -> str:
    """`0.81 0.78…0.84`, or a dash without scores."""
    statistics = profile.statistics
    if not statistics.n_scored[row, pair]:
        return f.DASH
    low, high = statistics.score_low[row, pair], statistics.score_high[row, pair]
    return f"{f.score(statistics.score_mean[row, pair])} {f.score(low)}…{f.score(high)}"


def _pairs(profile: Profile, row: int) -> Table:
    """Every pair in one row of the statistics; row K is overall."""
    statistics = profile.statistics
    order = ranked(profile, row)
    return Table(
        columns=(
            Column("pair", "left", shrinks=True),
            Column("n"),
            Column("accuracy 95 %"),
            Column("$/1k"),
            Column("tokens in"),
            Column("out"),
            Column("p50"),
        ),
        rows=[
            (
                f.pair_label(profile.pairs[pair].pair_id),
                f.count(int(statistics.n_scored[row, pair])),
                accuracy(profile, row, pair),
                f.plain_dollars(float(1000 * statistics.cost_mean_usd[row, pair])),
                _figure(statistics.input_tokens_mean[row, pair]),
                _figure(statistics.output_tokens_mean[row, pair]),
                _seconds(statistics.duration_p50_s[row, pair]),
            )
            for pair in order
        ],
    )


def _clusters(profile: Profile) -> Table:
    rows = []
    for cluster in range(profile.k):
        order = ranked(profile, cluster)
        names = [f.pair_label(profile.pairs[pair].pair_id) for pair in order[:2]]
        rows.append(
            (
                str(cluster),
                f.count(int(profile.clusters.sizes[cluster])),
                " ".join(profile.top_terms[cluster][:3]),
                names[0],
                accuracy(profile, cluster, order[0]),
                names[1] if len(names) > 1 else f.DASH,
            )
        )
    return Table(
        columns=(
            Column("k"),
            Column("size"),
            Column("words", "left", shrinks=True),
            Column("best pair", "left", shrinks=True),
            Column("accuracy 95 %"),
            Column("runner-up", "left", shrinks=True),
        ),
        rows=rows,
    )


def _cluster_caption(profile: Profile, cluster: int) -> str:
    words = ", ".join(profile.top_terms[cluster])
    size = f.count(int(profile.clusters.sizes[cluster]))
    return f"cluster {cluster}, {size} training questions, about: {words or 'nothing in common'}"


def _figure(value: float) -> str:
    return f.compact(float(value)) if np.isfinite(value) else f.DASH


def _seconds(value: float) -> str:
    return f.duration(float(value)) if np.isfinite(value) else f.DASH
