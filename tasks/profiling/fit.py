"""From everything known to one profile: what counts, at today's prices, weighed by its age."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from tasks.profiling.amounts import parse_age
from tasks.profiling.evidence import FAILED
from tasks.profiling.planning import outcomes_of
from tasks.profiling.recost import at_todays_prices

if TYPE_CHECKING:
    import numpy as np
    import polars as pl
    from numpy.typing import NDArray

    from profiles.profile import Profile
    from tasks.embedder import CachedEmbedder
    from tasks.profiling.planning import PlannedProfile
    from warehouse.ledger import Ledger, LedgerReader


def fit_profile(planned: PlannedProfile, ledger: Ledger, embedder: CachedEmbedder) -> Profile:
    """Fit a profile from every committed outcome that counts; asks no model.

    Nothing but texts and outcomes is taken from earlier profiles, so another encoder or another
    number of clusters costs no call.

    Raises:
        ProfileError: there is nothing to learn from.
        WarehouseError: a committed file cannot be read.
    """
    from profiles.build_profile import build_profile, train_queries
    from profiles.profile import ProfileSettings

    job = planned.job
    outcomes = usable_outcomes(planned, ledger)
    queries = queries_frame(planned)
    if job.with_feedback:
        from tasks.freshness.feedback import fold_in

        queries, outcomes = fold_in(queries, outcomes, planned, ledger)
    train = train_queries(queries)
    return build_profile(
        queries=queries,
        outcomes=outcomes,
        embeddings=embedder(train.get_column("text").to_list()),
        pairs=planned.pool.pairs,
        pool_fingerprint=planned.pool.fingerprint,
        encoder_fingerprint=embedder.fingerprint,
        created_at=datetime.now(UTC),
        settings=ProfileSettings.of(job.clusters, job.seed),
        weights=_weights(planned, train.get_column("query_id").to_list(), outcomes),
    )


def usable_outcomes(planned: PlannedProfile, ledger: LedgerReader) -> pl.DataFrame:
    """Outcomes of what the pool is today, at today's prices; scores by today's graders alone.

    Failed calls are among them where nothing better is known: they say nothing about accuracy and
    all about reliability. Outcomes that are merely old stand in until they are run again.

    Raises:
        WarehouseError: a committed file cannot be read.
    """
    import polars as pl

    found = outcomes_of(planned, ledger).filter(pl.col("state") >= FAILED)
    graded = pl.col("graded") & pl.col("error_type").is_null()
    return at_todays_prices(found, planned.job.root, ledger, planned.pool).with_columns(
        score=pl.when(graded).then("score")
    )


def queries_frame(planned: PlannedProfile) -> pl.DataFrame:
    """`query_id, text, dataset, split` of the planned questions."""
    import polars as pl

    return pl.DataFrame(
        [
            {
                "query_id": query.query_id,
                "text": query.prompt,
                "dataset": query.dataset,
                "split": query.split,
            }
            for query in planned.queries
        ],
        schema=dict.fromkeys(("query_id", "text", "dataset", "split"), pl.String),
    )


def _weights(
    planned: PlannedProfile, query_ids: Sequence[str], outcomes: pl.DataFrame
) -> NDArray[np.float64] | None:
    """(n, P) ½^(age / half-life) of every outcome, in whole days; None without a half-life.

    Whole days, so that two fits on one day are one version.
    """
    if planned.job.half_life is None:
        return None
    import numpy as np

    from profiles.statistics import age_weights

    rows = {query_id: row for row, query_id in enumerate(query_ids)}
    columns = {pair.pair_id: column for pair, column in planned.pool.index().items()}
    ages = np.zeros((len(rows), len(columns)))
    today = planned.saved.planned_at.astimezone(UTC).date()
    told = outcomes.select("query_id", "pair_id", "created_at").iter_rows()
    for query_id, pair_id, created_at in told:
        if query_id in rows:
            days = max(0, (today - created_at.date()).days)
            ages[rows[query_id], columns[pair_id]] = days
    return age_weights(ages, parse_age(planned.job.half_life) / timedelta(days=1))
