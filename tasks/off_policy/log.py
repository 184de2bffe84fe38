"""Labelled rows of routed backlogs with the chances their pairs were drawn with."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

    from profiles.pool import Pair
    from warehouse.ledger import LedgerReader, RunRecord

    Matrix = NDArray[np.float64]


class OffPolicyError(Exception):
    """Nothing can be said of another router from this log; the sentence says why."""


class Runs(NamedTuple):
    """Runs to learn from.

    Attributes:
        name: of the run, or of the folder.
        root: the warehouse they are in.
        records: route runs, oldest first.
    """

    name: str
    root: Path
    records: tuple[RunRecord, ...]

    @property
    def profile_id(self) -> str | None:
        """The profile the newest run was routed by; None where it needed none."""
        return self.records[-1].profile_id

    def pools(self) -> set[str]:
        """Fingerprints of the runs' pools."""
        return {str(json.loads(run.config_json).get("pool")) for run in self.records}


class Log(NamedTuple):
    """n labelled questions, each with the pair that was drawn for it and what came of it.

    Attributes:
        query_ids: n, all different.
        texts: n prompts.
        pair: (n,) first pair that was called, in the order of `pairs`.
        chances: (n, P) it was drawn with.
        score: (n,) in [0, 1] of the row as a whole, fallbacks included; 0 where all calls failed.
        cost_usd: (n,) of the row as a whole, NaN unknown.
        left_out: labelled rows that cannot be used, by reason.
    """

    query_ids: tuple[str, ...]
    texts: tuple[str, ...]
    pair: NDArray[np.int64]
    chances: Matrix
    score: Matrix
    cost_usd: Matrix
    left_out: Mapping[str, int]

    @property
    def explored(self) -> int:
        """Questions whose pair was left to chance."""
        return int((self.chances.max(axis=1) < 1.0).sum())


def find_runs(root: Path, source: str) -> Runs:
    """The run of that id under `root`, or every routed run of a warehouse folder.

    Raises:
        OffPolicyError: there is no such run, it was not routed, or the folder holds none.
        WarehouseError: the ledger cannot be opened.
    """
    from warehouse.errors import WarehouseError
    from warehouse.ledger import open_ledger

    folder, named = Path(source), None
    try:
        with contextlib.closing(open_ledger(root, read_only=True)) as ledger:
            named = ledger.run(source)
    except WarehouseError:
        # There may be no ledger under the root while the folder is a warehouse of its own.
        if not folder.is_dir():
            raise
    if named is not None:
        if named.kind != "route":
            raise OffPolicyError(
                f"run {source!r} is a {named.kind} run; only routed backlogs have decisions to "
                "learn from"
            )
        return Runs(source, root, (named,))
    if not folder.is_dir():
        raise OffPolicyError(
            f"there is no run {source!r} under {root}, and no folder of that name; `atlas runs "
            "list` shows the runs"
        )
    with contextlib.closing(open_ledger(folder, read_only=True)) as ledger:
        routed = [run for run in ledger.runs() if run.kind == "route"]
    if not routed:
        raise OffPolicyError(f"no backlog was ever routed under {folder}")
    return Runs(str(folder), folder, tuple(sorted(routed, key=lambda run: run.started_at)))


def read_log(runs: Runs, pairs: Sequence[Pair], learnt: Collection[str] = ()) -> Log:
    """The labelled rows of runs.

    Of a question asked in several runs, the newest row counts that was left to chance, if any was.

    Args:
        runs: to read.
        pairs: P pairs, in the order of the columns.
        learnt: ids of questions that targets were fitted on; they would flatter them.

    Raises:
        OffPolicyError: no row is labelled and scored, or none was left to chance.
        WarehouseError: a committed file cannot be read.
    """
    from warehouse.ledger import open_ledger

    with contextlib.closing(open_ledger(runs.root, read_only=True)) as ledger:
        rows = _joined(runs, ledger)
    usable, left_out = _usable(rows, {pair.pair_id for pair in pairs}, learnt)
    if not len(usable):
        raise OffPolicyError(_nothing_usable(runs, left_out))
    log = _as_arrays(usable, {pair.pair_id: n for n, pair in enumerate(pairs)}, left_out)
    if not log.explored:
        raise OffPolicyError(
            f"every choice of {runs.name} was certain: no other pair had a chance, so its rows "
            "say nothing about a router that would choose otherwise. Route with --explore 0.05, "
            "or --router random, and evaluate that run"
        )
    return log


def _joined(runs: Runs, ledger: LedgerReader) -> pl.DataFrame:
    """Committed rows with a reference, and their first decisions."""
    import polars as pl

    from warehouse.query import scan

    order = {run.run_id: number for number, run in enumerate(runs.records)}
    tables = {}
    for table in ("answers", "decisions", "queries"):
        commits = [record for record in ledger.commits(table) if record.run_id in order]
        tables[table] = scan(runs.root, commits, table)
    first = tables["decisions"].filter((pl.col("rank") == 0) & (pl.col("step") == 0))
    asked = tables["queries"].filter(pl.col("reference").is_not_null())
    several = (
        tables["decisions"].filter(pl.col("step") > 0).select("run_id", "query_id").unique()
    ).with_columns(steps=pl.lit(value=True))
    return (
        tables["answers"]
        .filter(pl.col("duplicate_of").is_null())
        .select("run_id", "query_id", pl.col("status").cast(pl.String), "score", "cost_usd")
        .join(asked.select("run_id", "query_id", "prompt"), on=["run_id", "query_id"])
        .join(
            first.select("run_id", "query_id", "pair_id", "propensity", "chances"),
            on=["run_id", "query_id"],
            how="left",
        )
        .join(several, on=["run_id", "query_id"], how="left")
        .with_columns(order=pl.col("run_id").replace_strict(order, return_dtype=pl.Int64))
        # Whether a row was left to chance was decided before anything came of it.
        .sort(pl.col("chances").is_not_null(), "order", "query_id")
        .unique("query_id", keep="last", maintain_order=True)
        .collect()
    )


def _usable(
    rows: pl.DataFrame, known: set[str], learnt: Collection[str]
) -> tuple[pl.DataFrame, dict[str, int]]:
    """Rows that say something, and the others by reason."""
    import polars as pl

    p = pl.col("propensity")
    failed = pl.col("status") == "failed"
    drawn = pl.col("chances").list.eval(pl.element().struct.field("pair_id"))
    judged = rows.with_columns(
        reason=pl.when(~(failed | (pl.col("status") == "answered")))
        .then(pl.lit("not finished"))
        .when(pl.col("pair_id").is_null())
        .then(pl.lit("without a decision"))
        .when(pl.col("steps").fill_null(value=False))
        .then(pl.lit("of several steps"))
        .when(
            ~pl.col("pair_id").is_in(sorted(known))
            | drawn.list.set_difference(pl.lit(sorted(known))).list.len().fill_null(0).gt(0)
        )
        .then(pl.lit("of pairs that the profile does not know"))
        .when(pl.col("query_id").is_in(sorted(learnt)))
        .then(pl.lit("that the profile learnt from"))
        .when(p.is_null() | ((p < 1.0) & pl.col("chances").is_null()))
        .then(pl.lit("drawn with chances that were not recorded"))
        .when(~failed & pl.col("score").is_null())
        .then(pl.lit("that no grader could score"))
    )
    counts = judged.filter(pl.col("reason").is_not_null()).group_by("reason").len().sort("reason")
    left_out = {str(reason): int(count) for reason, count in counts.iter_rows()}
    return judged.filter(pl.col("reason").is_null()), left_out


def _nothing_usable(runs: Runs, left_out: Mapping[str, int]) -> str:
    if not left_out:
        return (
            f"no row of {runs.name} is labelled: give the backlog's questions a reference and a "
            "grader, so that answers can be scored, and route it again"
        )
    named = ", ".join(f"{count:,} {reason}" for reason, count in left_out.items())
    return f"no labelled row of {runs.name} can be used: {named}"


def _as_arrays(rows: pl.DataFrame, place: Mapping[str, int], left_out: Mapping[str, int]) -> Log:
    import polars as pl

    pair = np.array([place[one] for one in rows.get_column("pair_id").to_list()], np.int64)
    chances = np.zeros((len(rows), len(place)))
    certain = np.ones(len(rows), np.bool_)
    drawn: list[list[dict[str, Any]] | None] = rows.get_column("chances").to_list()
    for row, several in enumerate(drawn):
        for one in several or ():
            chances[row, place[one["pair_id"]]] = one["chance"]
            certain[row] = False
    chances[certain, pair[certain]] = 1.0
    score = rows.select(
        pl.when(pl.col("status") == "failed").then(0.0).otherwise(pl.col("score"))
    ).to_series()
    cost = rows.get_column("cost_usd").cast(pl.Float64).fill_null(float("nan"))
    return Log(
        tuple(rows.get_column("query_id").to_list()),
        tuple(rows.get_column("prompt").to_list()),
        pair,
        chances,
        score.to_numpy().astype(np.float64),
        cost.to_numpy(),
        left_out,
    )
