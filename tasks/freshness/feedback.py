"""Graded rows of production runs as outcomes, weighted so that routing's choices do not bias them.

A router shows each question to one pair, and not to any pair alike: the mean score of what it sent
to a pair is the mean over questions it thought the pair good at. Where the choice was drawn at
random with a known probability (the decision's `propensity`), weighting a row by 1/propensity
undoes that (Horvitz and Thompson, 1952). Where a question was sent to its pair with certainty,
because of what the question is, nothing can undo it: other questions never had a chance to be
seen there. So a row counts

* if its propensity p lies in (0, 1): weight min(1/p, `CLIP`);
* if p = 1 and the router looks at no question at all (`fixed:…`, `best-single`, `cheapest`):
  weight 1, every question of the backlog was seen;

and is left out, counted by reason, if p is unknown or 0, if p = 1 under any other router, if the
first choice failed and a fallback answered, or if there is no score. Weights are divided by their
mean over each pair's rows, so that feedback counts for as many outcomes as it has rows.

Statistics take outcomes, not weights: the frame is therefore thinned, keeping a row with
probability weight / largest weight of its pair, drawn from a hash of its ids. What is kept is a
sample as a uniform draw would have given it, and counts with weight one.
"""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import polars as pl

    from profiles.pool import Pool
    from tasks.profiling.planning import PlannedProfile
    from warehouse.ledger import Ledger

logger = logging.getLogger(__name__)

CLIP = 20.0
"""Largest weight. Clipping favours what was likely by at most the share of rows clipped, and keeps
one row of propensity 0.001 from outvoting a thousand others."""
BLIND = ("fixed:", "best-single", "cheapest")
"""Routers that look at no question; the first by the beginning of its name."""
DATASET = "feedback"


class Feedback(NamedTuple):
    """Graded production rows.

    Attributes:
        outcomes: kept rows: `query_id, pair_id, model, tool, score, cost_usd, input_tokens,
            output_tokens, duration_s, error_type, propensity, weight, kept, run_id, created_at`,
            `source` ("feedback"); the newest where a pair answered a question twice. `kept` says
            which survive the thinning.
        queries: their questions: `query_id, text, dataset, split`.
        excluded: rows left out, by reason.
        clipped: rows whose weight was cut to `CLIP`.
    """

    outcomes: pl.DataFrame
    queries: pl.DataFrame
    excluded: dict[str, int]
    clipped: int

    def sentence(self) -> str:
        """What was taken and what was not, for people."""
        left = ", ".join(f"{count:,} {reason}" for reason, count in self.excluded.items())
        kept = int(self.outcomes.get_column("kept").sum())
        return (
            f"feedback: {kept:,} of {len(self.outcomes):,} graded production rows folded in"
            f" (thinned by propensity; {self.clipped:,} weights clipped at {CLIP:g})"
            + (f"; left out: {left}" if left else "")
        )


def production_feedback(root: Path, ledger: Ledger, pool: Pool, *, seed: int = 0) -> Feedback:
    """Graded rows of past backlogs that may be folded into a profile.

    Args:
        root: of the warehouse.
        ledger: knows runs and commits.
        pool: rows of other pairs are left out.
        seed: of the thinning.

    Raises:
        WarehouseError: a committed file cannot be read.
    """
    import polars as pl

    rows = _graded(root, ledger)
    pairs = [pair.pair_id for pair in pool.pairs]
    blind = pl.any_horizontal(pl.col("router").str.starts_with(name) for name in BLIND)
    p = pl.col("propensity")
    judged = rows.with_columns(
        reason=pl.when(~pl.col("pair_id").is_in(pairs))
        .then(pl.lit("of pairs that the pool no longer has"))
        .when(pl.col("pair_id") != pl.col("first_pair"))
        .then(pl.lit("answered by a fallback"))
        .when(p.is_null() | p.is_nan() | (p <= 0) | (p > 1))
        .then(pl.lit("of unknown or zero propensity"))
        .when((p == 1) & ~blind)
        .then(pl.lit("sent to their pair with certainty because of what they ask"))
    )
    excluded = {
        str(reason): int(count)
        for reason, count in judged.filter(pl.col("reason").is_not_null())
        .group_by("reason")
        .len()
        .sort("reason")
        .iter_rows()
    }
    usable = (
        judged.filter(pl.col("reason").is_null())
        .sort("created_at", "run_id")
        .unique(["query_id", "pair_id"], keep="last", maintain_order=True)
    )
    weighted = usable.with_columns(raw=(1.0 / p).clip(upper_bound=CLIP)).with_columns(
        weight=pl.col("raw") / pl.col("raw").mean().over("pair_id"),
        chance=pl.col("raw") / pl.col("raw").max().over("pair_id"),
        source=pl.lit(DATASET),
    )
    drawn = pl.Series(
        [_uniform(seed, *ids) for ids in weighted.select("query_id", "pair_id").iter_rows()],
        dtype=pl.Float64,
    )
    outcomes = weighted.with_columns(kept=drawn < weighted.get_column("chance"))
    queries = outcomes.unique("query_id", keep="first", maintain_order=True).select(
        "query_id", text="prompt", dataset=pl.lit(DATASET), split=pl.lit("train")
    )
    clipped = int((usable.get_column("propensity") < 1.0 / CLIP).sum())
    return Feedback(
        outcomes.drop("prompt", "reason", "raw", "chance", "first_pair", "router"),
        queries,
        excluded,
        clipped,
    )


def fold_in(
    queries: pl.DataFrame, outcomes: pl.DataFrame, planned: PlannedProfile, ledger: Ledger
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Questions and outcomes of a profile with what feedback adds to them.

    A production question that is labelled already is left out, whatever its split: what is held
    out stays held out.

    Args:
        queries: `query_id, text, dataset, split` of the labelled questions.
        outcomes: of their cells.
        planned: the profiling job.
        ledger: knows runs and commits.

    Raises:
        WarehouseError: a committed file cannot be read.
    """
    import polars as pl

    found = production_feedback(planned.job.root, ledger, planned.pool, seed=planned.job.seed)
    logger.info("%s", found.sentence())
    ids, texts = (queries.get_column(name).to_list() for name in ("query_id", "text"))
    kept = found.outcomes.filter(pl.col("kept"))
    fresh = found.queries.filter(
        pl.col("query_id").is_in(kept.get_column("query_id").to_list())
        & ~pl.col("query_id").is_in(ids)
        & ~pl.col("text").is_in(texts)
    )
    shared = [name for name in outcomes.columns if name in kept.columns]
    more = kept.filter(pl.col("query_id").is_in(fresh.get_column("query_id").to_list()))
    more = more.select(pl.col(name).cast(outcomes.schema[name]) for name in shared)
    return (
        pl.concat([queries, fresh.select(queries.columns)]),
        pl.concat([outcomes, more], how="diagonal"),
    )


def _graded(root: Path, ledger: Ledger) -> pl.DataFrame:
    """Scored answers of routed backlogs with their first decisions."""
    import polars as pl

    from warehouse.query import scan

    answers = scan(root, ledger.commits("answers"), "answers").filter(
        pl.col("score").is_not_null() & pl.col("duplicate_of").is_null()
    )
    first = (
        scan(root, ledger.commits("decisions"), "decisions")
        .filter((pl.col("rank") == 0) & (pl.col("step") == 0))
        .select("run_id", "query_id", "propensity", first_pair="pair_id")
    )
    asked = scan(root, ledger.commits("queries"), "queries").select("run_id", "query_id", "prompt")
    return (
        answers.select(
            "run_id", "query_id", "pair_id", "model", "tool", "score", "cost_usd", "input_tokens",
            "output_tokens", "duration_s", "error_type", "router", created_at="answered_at",
        )
        .join(first, on=["run_id", "query_id"], how="left")
        .join(asked, on=["run_id", "query_id"], how="inner")
        .collect()
    )  # fmt: skip


def _uniform(seed: int, query_id: str, pair_id: str) -> float:
    digest = hashlib.sha256(f"{seed}\n{query_id}\n{pair_id}".encode()).digest()
    return int.from_bytes(digest[:8]) / 2.0**64
