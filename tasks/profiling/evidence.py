"""What is known of every cell, and whether it still counts.

Of all committed outcomes of a cell one speaks for it, the best in this order, the newest first:

==========  ===================================================================================
state       meaning
==========  ===================================================================================
known       answered by what the pool is today, graded by today's grader, not too old
regrade     as known, but the grader or the reference is another: the answer is graded again
old         answered by what the pool is today, but before `--max-age`
failed      what the pool is today was asked, and its call failed
stale       the question, prompt, model or tool was another, or the pair was declared stale
==========  ===================================================================================

An earlier outcome may win over a newer one: a prompt that is edited and put back costs nothing.
Rows that carry no versions count as they are, except those of ATLAS 0.1, whose runs name their
pairs' fingerprints.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from profiles.fingerprint import pair_fingerprint
from profiles.prompts import prompt_version
from tasks.batch.answer import TOO_LONG
from tasks.profiling.cell_versions import PoolVersions, query_version, reference_version
from tasks.profiling.cells import Cell, PlannedCell

if TYPE_CHECKING:
    from profiles.pool import Pool
    from tasks.query import Query
    from warehouse.ledger import LedgerReader

_COLUMNS = (
    "run_id", "query_id", "pair_id", "model", "tool", "score", "grade_status", "unscored_reason",
    "cost_usd", "input_tokens", "output_tokens", "calls", "duration_s", "error_type",
    "prompt_version", "query_version", "reference_version", "model_version", "tool_version",
    "grader_version", "prices_version", "answer_run_id", "created_at",
)  # fmt: skip
_JUDGE_AWAY = "the judge could not be asked"
KNOWN, REGRADE, OLD, FAILED, STALE = 5, 4, 3, 2, 1
"""States, the better the higher."""
GIVEN_UP = 3
"""A cell whose call failed in so many runs is not tried again unasked: some refusals are paid."""


def evidence(
    root: Path,
    ledger: LedgerReader,
    *,
    queries: Sequence[Query],
    pool: Pool,
    versions: PoolVersions,
    oldest: datetime | None = None,
) -> pl.DataFrame:
    """One row per cell of these queries and pairs that was ever run: the outcome that counts.

    Args:
        root: of the warehouse.
        ledger: knows the commits, the runs and what was declared stale.
        queries: the labelled questions.
        pool: its pairs.
        versions: of the pool.
        oldest: outcomes from before this moment are old; None lets none grow old.

    Returns:
        The columns of `outcomes` that matter, with `state` (see the module), `graded` (whether
        its score is by today's grader), `reason` (of `tasks.profiling.cells.REASONS`), `failures`
        (runs in which what the pool is today was asked and failed) and `detail`, a sentence of
        whoever declared the pair stale.

    Raises:
        WarehouseError: a committed file cannot be read.
    """
    from warehouse.query import scan

    commits = ledger.commits("outcomes")
    frame = (
        scan(root, commits, "outcomes")
        .with_columns(has_answer=pl.col("answer").is_not_null())
        .select(*_COLUMNS, "has_answer")
        .join(_wanted_queries(queries, versions).lazy(), on="query_id", how="inner")
        .join(_wanted_pairs(pool, versions, ledger).lazy(), on="pair_id", how="inner")
        .join(_earlier_runs(pool, ledger).lazy(), on=["run_id", "pair_id"], how="left")
    )
    cutoff = oldest or datetime.min.replace(tzinfo=UTC)
    judged = (
        frame.with_columns(**_agreements(cutoff))
        .with_columns(_state().alias("state"), _reason().alias("reason"))
        .with_columns(failures=(pl.col("state") == FAILED).sum().over("query_id", "pair_id"))
        .collect()
    )
    return (
        judged.sort("query_id", "pair_id", "state", "graded", "created_at", "run_id")
        .unique(["query_id", "pair_id"], keep="last", maintain_order=True)
        .drop(pl.selectors.starts_with("want_"), pl.selectors.starts_with("same_"))
    )


def _agreements(cutoff: datetime) -> dict[str, pl.Expr]:
    """Where a row agrees with today; what a row does not say agrees."""

    def same(name: str) -> pl.Expr:
        return (pl.col(name) == pl.col(f"want_{name}")).fill_null(value=True)

    old_run = pl.col("model_version").is_null()
    unscored = pl.col("unscored_reason").fill_null("")
    unjudged = unscored.str.starts_with(_JUDGE_AWAY) & ~unscored.str.ends_with(TOO_LONG)
    return {
        "same_question": same("query_version"),
        # A row of ATLAS 0.1 names one hash over all prompts; its run says whether it agrees.
        "same_prompt": pl.when(old_run).then(True).otherwise(same("prompt_version")),
        "same_model": same("model_version") & pl.col("same_run").fill_null(value=True),
        "same_tool": same("tool_version"),
        "same_standing": (pl.col("created_at") >= pl.col("want_after")).fill_null(value=True),
        "same_age": pl.col("created_at") >= cutoff,
        "graded": same("grader_version") & same("reference_version") & ~unjudged,
        "answered": pl.col("error_type").is_null(),
    }


def _state() -> pl.Expr:
    usable = pl.all_horizontal(
        "same_question", "same_prompt", "same_model", "same_tool", "same_standing"
    )
    # A recorded grade came with its answer and cannot be given again.
    again = pl.col("has_answer") & ~pl.col("want_grader_version").str.starts_with("recorded")
    return (
        pl.when(~usable)
        .then(STALE)
        .when(~pl.col("answered"))
        .then(FAILED)
        .when(~pl.col("same_age"))
        .then(OLD)
        .when(pl.col("graded"))
        .then(KNOWN)
        .when(again)
        .then(REGRADE)
        .otherwise(OLD)
    )


def _reason() -> pl.Expr:
    return (
        pl.when(~pl.col("same_question"))
        .then(pl.lit("question"))
        .when(~pl.col("same_model"))
        .then(pl.lit("model"))
        .when(~pl.col("same_tool"))
        .then(pl.lit("tool"))
        .when(~pl.col("same_prompt"))
        .then(pl.lit("prompt"))
        .when(~pl.col("same_standing"))
        .then(pl.lit("invalidated"))
        .when(~pl.col("answered"))
        .then(pl.lit("failed"))
        .when(~pl.col("same_age"))
        .then(pl.lit("old"))
        .when(pl.col("has_answer"))
        .then(pl.lit("regrade"))
        .otherwise(pl.lit("grader"))
    )


def _wanted_queries(queries: Sequence[Query], versions: PoolVersions) -> pl.DataFrame:
    graders = [None if query.reference is None else query.reference.grader for query in queries]
    return pl.DataFrame(
        {
            "query_id": [query.query_id for query in queries],
            "want_query_version": [query_version(query) for query in queries],
            "want_reference_version": [reference_version(query.reference) for query in queries],
            "want_grader_version": [versions.grader(grader) for grader in graders],
        },
        schema_overrides={"query_id": pl.String},
    )


def _wanted_pairs(pool: Pool, versions: PoolVersions, ledger: LedgerReader) -> pl.DataFrame:
    stale: dict[str, tuple[datetime, str]] = {}
    for said in ledger.invalidations():
        if said.pair_id not in stale or said.before > stale[said.pair_id][0]:
            stale[said.pair_id] = (said.before, said.reason)
    return pl.DataFrame(
        [
            {
                "pair_id": pair.pair_id,
                "want_prompt_version": versions.prompt(pair),
                "want_model_version": versions.model(pair.model),
                "want_tool_version": versions.tool(pair.tool),
                "want_prices_version": versions.price(pair),
                "want_after": stale.get(pair.pair_id, (None, None))[0],
                "detail": stale.get(pair.pair_id, (None, None))[1],
                "prices_now": versions.price(pair),
            }
            for pair in pool.pairs
        ],
        schema={
            **dict.fromkeys(
                (
                    "pair_id", "want_prompt_version", "want_model_version", "want_tool_version",
                    "want_prices_version",
                ),
                pl.String,
            ),
            "want_after": pl.Datetime("us", "UTC"),
            "detail": pl.String,
            "prices_now": pl.String,
        },
    )  # fmt: skip


def _earlier_runs(pool: Pool, ledger: LedgerReader) -> pl.DataFrame:
    """Runs of ATLAS 0.1: whether their pairs, prompts included, were what they are today."""
    prints = {pair.pair_id: pair_fingerprint(pool, pair) for pair in pool.pairs}
    rows: list[dict[str, Any]] = []
    for run in ledger.runs():
        config = json.loads(run.config_json) if run.kind == "profile" else {}
        if "prompts" not in config:
            continue
        prompts = config["prompts"] == prompt_version()
        rows += [
            {"run_id": run.run_id, "pair_id": pair, "same_run": prompts and prints[pair] == was}
            for pair, was in config.get("pairs", {}).items()
            if pair in prints
        ]
    schema = {"run_id": pl.String, "pair_id": pl.String, "same_run": pl.Boolean}
    return pl.DataFrame(rows, schema=schema)


def given_up(found: pl.DataFrame) -> set[Cell]:
    """The cells that failed so often that they are not tried again unasked.

    Args:
        found: what `evidence` returned.
    """
    hopeless = found.filter((pl.col("state") == FAILED) & (pl.col("failures") >= GIVEN_UP))
    return set(hopeless.select("query_id", "pair_id").iter_rows())


def cells_to_run(
    found: pl.DataFrame,
    queries: Sequence[Query],
    pair_ids: Sequence[str],
    hopeless: Collection[Cell] = (),
) -> list[PlannedCell]:
    """The cells that no outcome speaks for, query by query; those only graded again come first.

    Args:
        found: what `evidence` returned.
        queries: in the order wanted.
        pair_ids: in pair order.
        hopeless: cells that are not tried again, see `given_up`.
    """
    rows = found.select("query_id", "pair_id", "state", "reason", "run_id").iter_rows()
    told = {(query, pair): (state, reason, run) for query, pair, state, reason, run in rows}
    again: list[PlannedCell] = []
    asked: list[PlannedCell] = []
    for query in queries:
        for pair in pair_ids:
            state, reason, run = told.get((query.query_id, pair), (0, "missing", None))
            if state == REGRADE:
                again.append(PlannedCell(query.query_id, pair, "regrade", run))
            elif state != KNOWN and (query.query_id, pair) not in hopeless:
                asked.append(PlannedCell(query.query_id, pair, reason))
    return again + asked


def kept_answers(
    root: Path, ledger: LedgerReader, cells: Sequence[PlannedCell]
) -> dict[Cell, dict[str, Any]]:
    """The outcome rows whose answers are to be graded again, by cell.

    Raises:
        WarehouseError: a committed file cannot be read.
    """
    from warehouse.query import scan

    wanted = {cell.cell: cell.source_run for cell in cells if cell.source_run is not None}
    found: dict[Cell, dict[str, Any]] = {}
    for run_id in sorted({run for run in wanted.values() if run is not None}):
        rows = scan(root, ledger.commits("outcomes", run_id), "outcomes").filter(
            pl.col("query_id").is_in([query for (query, _), run in wanted.items() if run == run_id])
        )
        for row in rows.collect().iter_rows(named=True):
            cell = row["query_id"], row["pair_id"]
            if wanted.get(cell) == run_id:
                found[cell] = row
    return found
