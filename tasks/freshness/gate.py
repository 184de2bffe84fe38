"""The gate: a new profile version comes into use only if it routes no worse than the old one.

Both versions decide, by router `auto`, on questions that neither was fitted on: those of the test
split where there are enough with outcomes, else the training questions, each decided by what was
fitted without its fold. What a decision earned is looked up in the newest outcomes. The arithmetic
and the verdict are in `profiles.drift.comparison`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from profiles.drift.comparison import LEAST_ROWS, MARGIN, NOT_WORSE, Comparison, compare
from warehouse.commits import make_folder, published

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

    from profiles.profile import Profile
    from tasks.query import Query

FOLDER = "gates"
"""Under the folder of profiles: one JSON a decision."""

Earned = Mapping[tuple[str, str], tuple[float | None, float | None]]
"""(query_id, pair_id) → score and dollars, null unknown."""


class GateDecision(NamedTuple):
    """What the gate says of a new version.

    Attributes:
        publish: whether it should come into use.
        verdict: "pass", "refuse" or "too little data"; None where there was nothing to compare.
        rows_from: "test", "train, out of fold" or "nothing".
        sentence: why, for people.
    """

    old: str | None
    new: str
    publish: bool
    verdict: str | None
    rows_from: str
    sentence: str
    comparison: Comparison | None
    alpha: float

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        figures = None if self.comparison is None else self.comparison.as_json()
        return {**self._asdict(), "comparison": figures}


def judge_version(
    old: Profile | None,
    new: Profile,
    *,
    queries: Sequence[Query],
    outcomes: pl.DataFrame,
    embed: Callable[[Sequence[str]], NDArray[np.float32]],
    alpha: float = 0.0,
    margin: float = MARGIN,
    seed: int = 0,
    unreadable: str | None = None,
) -> GateDecision:
    """Whether a new version should come into use.

    Args:
        old: the version in use; None before the first.
        new: the version that was fitted.
        queries: the labelled questions.
        outcomes: newest outcomes: `query_id, pair_id, score, cost_usd`.
        embed: texts to (n, D); asked for test questions only.
        alpha: weight of cost in the utility that is compared.
        margin: harm that is let pass, in utility.
        seed: of the bootstrap.
        unreadable: why the version in use could not be read, where that is why `old` is None.

    Raises:
        RouterError: alpha is above 0 and no cost is known.
    """
    if old is None:
        sentence = "it is the first version: there is nothing to compare it with"
        if unreadable is not None:
            sentence = f"the version in use until now cannot be read: {unreadable}"
        return GateDecision(None, new.profile_id, True, None, "nothing", sentence, None, alpha)
    if old.profile_id == new.profile_id:
        sentence = "the knowledge is the same as that in use"
        return GateDecision(
            old.profile_id, new.profile_id, True, None, "nothing", sentence, None, alpha
        )
    earned = _earned(outcomes)
    rows_from, chosen = _choices(old, new, queries, earned, embed, alpha)
    ids, by_old, by_new = chosen
    scale = _largest_cost(new)
    comparison = compare(
        _utility(ids, by_old, earned, alpha, scale),
        _utility(ids, by_new, earned, alpha, scale),
        np.array([a == b for a, b in zip(by_old, by_new, strict=True)], dtype=np.bool_),
        margin=margin,
        seed=seed,
    )
    publish, sentence = _verdict(old, new, comparison, rows_from)
    return GateDecision(
        old.profile_id,
        new.profile_id,
        publish,
        comparison.verdict,
        rows_from,
        sentence,
        comparison,
        alpha,
    )


def _verdict(
    old: Profile, new: Profile, comparison: Comparison, rows_from: str
) -> tuple[bool, str]:
    figures = _figures(comparison, rows_from)
    if comparison.verdict == NOT_WORSE:
        return True, f"it is not worse than {old.profile_id}: {figures}"
    if old.pool_fingerprint != new.pool_fingerprint or (
        old.encoder_fingerprint != new.encoder_fingerprint
    ):
        return True, (
            f"{old.profile_id} cannot route the pool as it is now, so there is no going on with"
            f" it; for the record ({comparison.verdict}): {figures}"
        )
    if comparison.verdict == "refuse":
        return False, f"it routes worse than {old.profile_id}, which stays in use: {figures}"
    return False, (
        f"there is too little data to tell it from {old.profile_id}, which stays in use: {figures}."
        f" To use it all the same: atlas profile publish {new.profile_id}"
    )


def _figures(found: Comparison, rows_from: str) -> str:
    shares = f"{found.rows:,} questions ({rows_from}), {found.differing:,} decided differently"
    if found.differing == 0:
        return f"{shares}" if found.rows else "no question with an outcome to compare on"
    if not np.isfinite(found.difference):
        return f"{shares}, none of these with both outcomes"
    ends = f" [{100 * found.low:+.1f}, {100 * found.high:+.1f}]" if np.isfinite(found.low) else ""
    return (
        f"{100 * found.difference:+.1f} points of utility{ends} on {shares}, {found.known:,} of"
        f" these with both outcomes; margin {100 * found.margin:.1f}"
    )


_Choices = tuple[list[str], list[str], list[str]]
"""Query ids, and the pair ids that the old and the new version chose."""


def _choices(
    old: Profile,
    new: Profile,
    queries: Sequence[Query],
    earned: Earned,
    embed: Callable[[Sequence[str]], NDArray[np.float32]],
    alpha: float,
) -> tuple[str, _Choices]:
    answered = {query_id for query_id, _ in earned}
    held_out = [q for q in queries if q.split == "test" and q.query_id in answered]
    if len(held_out) >= LEAST_ROWS and old.encoder_fingerprint == new.encoder_fingerprint:
        embeddings = embed([query.prompt for query in held_out])
        by_old = _decide(old, held_out, embeddings, alpha)
        by_new = _decide(new, held_out, embeddings, alpha)
        return "test", ([query.query_id for query in held_out], by_old, by_new)
    was, is_ = out_of_fold_choices(old, alpha), out_of_fold_choices(new, alpha)
    shared = [name for name in is_ if name in was and name in answered]
    chosen = [was[name] for name in shared], [is_[name] for name in shared]
    return "train, out of fold", (shared, *chosen)


def _decide(
    profile: Profile, queries: Sequence[Query], embeddings: NDArray[np.float32], alpha: float
) -> list[str]:
    from profiles.routers.base import RoutingContext
    from profiles.routers.registry import build_router

    context = RoutingContext(
        query_ids=tuple(query.query_id for query in queries),
        texts=tuple(query.prompt for query in queries),
        alpha=alpha,
    )
    decisions = build_router("auto", profile).decide(embeddings, context)
    return [profile.pairs[int(pair)].pair_id for pair in decisions.pair]


def out_of_fold_choices(profile: Profile, alpha: float) -> dict[str, str]:
    """By training question, the pair that `auto` would have chosen without its fold.

    Empty for a profile that does not say what its routers are worth out of fold.
    """
    from profiles.routers.auto import choice_for
    from profiles.routers.predictor import PredictorRouter
    from profiles.selection import CLUSTER, PREDICTOR, single_choice, trial_choices

    selection, train = profile.selection, profile.train
    if selection is None or train is None:
        return {}
    choice = choice_for(profile, alpha)
    if choice.router == PREDICTOR:
        chosen = PredictorRouter(profile).out_of_fold(alpha)
    elif choice.router == CLUSTER:
        trial = next(
            one for one in selection.trials if (one.k, one.nearest) == (choice.k, choice.nearest)
        )
        chosen = trial_choices(selection, trial, alpha)
    else:
        chosen = np.full(selection.n, single_choice(selection, alpha), np.int64)
    names = (profile.pairs[int(pair)].pair_id for pair in chosen)
    return dict(zip(train.query_ids, names, strict=True))


def _earned(outcomes: pl.DataFrame) -> Earned:
    rows = outcomes.select("query_id", "pair_id", "score", "cost_usd").iter_rows()
    return {
        (query, pair): (score, None if cost is None else float(cost))
        for query, pair, score, cost in rows
    }


def _largest_cost(profile: Profile) -> float:
    costs = profile.statistics.cost_mean_usd[-1]
    known = costs[np.isfinite(costs)]
    return float(known.max()) if len(known) else 0.0


def _utility(
    ids: Sequence[str], pairs: Sequence[str], earned: Earned, alpha: float, scale: float
) -> NDArray[np.float64]:
    """(n,) (1 − alpha)·score − alpha·cost/scale of the chosen cells; NaN unknown."""
    values = np.full(len(ids), np.nan)
    for row, cell in enumerate(zip(ids, pairs, strict=True)):
        score, cost = earned.get(cell, (None, None))
        if score is None or (alpha > 0 and cost is None):
            continue
        money = 0.0 if alpha == 0 or cost is None or scale <= 0 else alpha * cost / scale
        values[row] = (1.0 - alpha) * score - money
    return values


def save_decision(root: Path, decision: GateDecision, *, now: datetime) -> Path:
    """Keep a decision beside the history of profiles, whole or not at all.

    Raises:
        WarehouseError: the folder cannot be written.
    """
    from tasks.profiling.store import FOLDER as PROFILES

    folder = root / PROFILES / FOLDER
    make_folder(folder)
    path = folder / f"{decision.new}-over-{decision.old or 'nothing'}.json"
    with published(path) as temporary:
        text = json.dumps({**decision.as_json(), "decided_at": now.isoformat()}, indent=2)
        temporary.write_text(text + "\n", encoding="utf-8")
    return path
