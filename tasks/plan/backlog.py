"""What is left of a backlog, decided by the real router chunk by chunk, and counted.

Memory holds one chunk and the counts, however long the backlog is.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

from tasks.batch.spec import config_sha
from tasks.plan.worst_case import PLAIN_KINDS, Texts, first_call_bytes

if TYPE_CHECKING:
    from profiles.pool import ToolSpec
    from tasks.batch.item import Item
    from tasks.read import Staged
    from tasks.route import Prepared
    from warehouse.ledger import ChunkCounts, Ledger


class Cell(NamedTuple):
    """Where a planned row falls: cluster (None without one, or out of it), pair, second choice."""

    cluster: int | None
    pair: int
    second: int | None


@dataclass(slots=True)
class Tally:
    """Counts over the planned rows.

    Attributes:
        cells: rows by cell; rows out of distribution have no cluster there.
        clusters: rows by nearest cluster; `beyond` of them out of distribution.
        texts: first calls by pair.
        every: first calls of all rows by pair that a policy may call; none without a policy.
        score: sum of the scores the router expects, over `scored` rows.
        finished: unique rows finished or paid for already.
    """

    rows: int = 0
    cells: Counter[Cell] = field(default_factory=Counter)
    clusters: Counter[int | None] = field(default_factory=Counter)
    beyond: Counter[int | None] = field(default_factory=Counter)
    texts: defaultdict[int, Texts] = field(default_factory=lambda: defaultdict(Texts))
    every: defaultdict[int, Texts] = field(default_factory=lambda: defaultdict(Texts))
    score: float = 0.0
    scored: int = 0
    finished: int = 0

    def add(self, item: Item, tools: list[ToolSpec]) -> None:
        """Count one decided row; `tools` are those of all pairs in pair order."""
        decision = item.decision or {}
        cluster, beyond = decision["cluster_id"], decision["is_out_of_distribution"]
        pair = item.candidates[0]
        second = item.candidates[1] if len(item.candidates) > 1 else None
        self.rows += 1
        self.cells[Cell(None if beyond else cluster, pair, second)] += 1
        self.clusters[cluster] += 1
        self.beyond[cluster] += beyond
        self.texts[pair].add(first_call_bytes(item.query, tools[pair]))
        if item.plan is not None:
            for own in item.plan.pairs:
                self.every[own].add(first_call_bytes(item.query, tools[own]))
        elif decision["expected_score"] is not None:
            self.score += decision["expected_score"]
            self.scored += 1


class Progress(NamedTuple):
    """How far the run of a plan's name has come.

    Attributes:
        chunks: state, generation and counts by chunk id; empty where there is no such run.
        spent_usd: what it was charged.
        foreign: whether a run of that name has another configuration and cannot be taken up.
    """

    chunks: dict[str, tuple[str, int, ChunkCounts]]
    spent_usd: Decimal
    foreign: bool


def progress_of(prepared: Prepared, ledger: Ledger | None) -> Progress:
    """What the ledger knows of the run that `route` would take up."""
    run = None if ledger is None else ledger.run(prepared.run_id)
    if ledger is None or run is None:
        return Progress({}, Decimal(0), False)
    if run.config_sha != config_sha(prepared.identity):
        return Progress({}, Decimal(0), True)
    spent = ledger.spend(prepared.run_id).total_usd
    return Progress(ledger.chunk_states(prepared.run_id), spent, False)


def tally(prepared: Prepared, staged: Staged, ledger: Ledger | None, progress: Progress) -> Tally:
    """Decide every row that is left to pay for, and count.

    Raises:
        StageError: a staged chunk is missing or damaged.
        WarehouseError: a committed file of the run is missing or damaged.
        RouterError, ProfileError, EmbeddingError: the router cannot decide.
    """
    from tasks.plan.many_calls import with_first_pairs

    source, policy = prepared.source(staged), prepared.policy
    tools = [prepared.pool.tools[pair.tool] for pair in prepared.pool.pairs]
    counted = Tally()
    for chunk_id in source.chunk_ids():
        state = progress.chunks.get(chunk_id)
        if state is not None and state[0] == "committed" and not _doubts(prepared, state[2]):
            counted.finished += state[2].total
            continue
        left = _unpaid(source.load(chunk_id), chunk_id, prepared, ledger, progress, counted)
        for item in left if policy is None else with_first_pairs(list(left), policy.guide):
            counted.add(item, tools)
    return counted


def _doubts(prepared: Prepared, counts: ChunkCounts) -> bool:
    return prepared.job.in_doubt == "resend" and counts.in_doubt > 0


def _unpaid(
    items: list[Item],
    chunk_id: str,
    prepared: Prepared,
    ledger: Ledger | None,
    progress: Progress,
    counted: Tally,
) -> Iterator[Item]:
    """The items of a chunk that the run has neither finished nor settled."""
    if ledger is None or not progress.chunks:
        yield from items
        return
    rounds = ledger.rounds(prepared.run_id, chunk_id)
    begun = progress.chunks[chunk_id][0] != "planned"
    done = _finished(chunk_id, prepared, ledger) if begun else set()
    # One paid call of a policy's row says nothing of the calls to come: it is planned as a whole.
    paid = set() if prepared.policy else _settled(chunk_id, prepared, ledger)
    for item in items:
        query_id = item.query.query_id
        round_, round_done = rounds.get(query_id, (0, True))
        pair_id = prepared.pool.pairs[item.candidates[0]].pair_id
        if (query_id in done and round_done) or (round_ == 0 and (query_id, pair_id) in paid):
            counted.finished += 1
        else:
            yield item


def _finished(chunk_id: str, prepared: Prepared, ledger: Ledger) -> set[str]:
    """Queries with a committed final answer, as the engine reads them on resuming."""
    import polars as pl

    from warehouse.query import scan

    records = [
        record
        for record in ledger.commits("answers", prepared.run_id)
        if record.chunk_id == chunk_id
    ]
    final = ["answered", "failed", *(["in_doubt"] if prepared.job.in_doubt == "hold" else [])]
    rows = scan(prepared.job.root, records, "answers").filter(
        pl.col("status").cast(pl.String).is_in(final)
    )
    return set(rows.select("query_id").collect().get_column("query_id"))


def _settled(chunk_id: str, prepared: Prepared, ledger: Ledger) -> set[tuple[str, str]]:
    """(query, pair) whose only call is settled and will be replayed, not sent.

    Pairs with tools make several calls: one that is half paid is planned as a whole.
    """
    plain = {
        pair.pair_id
        for pair in prepared.pool.pairs
        if prepared.pool.tools[pair.tool].kind in PLAIN_KINDS
    }
    return {
        (request.query_id, request.pair_id)
        for request in ledger.requests(prepared.run_id, chunk_id=chunk_id)
        if request.state == "settled" and request.pair_id in plain
    }
