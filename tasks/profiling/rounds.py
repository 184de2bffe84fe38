"""Spending a budget in rounds: each is chosen from what the ones before it found.

A round is on the disk before its first call. A killed run replays: the allocator is built from the
same knowledge, is told what the saved rounds found, and goes on where it was; chunks that are
committed are read, not run, and requests that are settled are not sent again. All rounds are one
run of the ledger, whose chunks grow.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Protocol

from tasks.plan.estimates import LEAST_OUTCOMES
from tasks.profiling.cells import Cell, PlannedCell, chunk_name, in_chunks, save_plan
from tasks.profiling.expected import expected_cells, expected_usd
from tasks.profiling.fit import usable_outcomes
from tasks.profiling.planning import TRAIN, PlannedProfile, plan_path
from warehouse.fault_points import fault_point
from warehouse.query import scan

if TYPE_CHECKING:
    from tasks.batch.spec import ProgressSink, RunReport
    from tasks.embedder import CachedEmbedder
    from warehouse.ledger import Ledger

Chunks = Sequence[Sequence[PlannedCell]]
WorkChunks = Callable[[Chunks, bool], Awaitable["RunReport"]]
"""Works the chunks so far; told whether more may follow."""


class Chooser(Protocol):
    """What the rounds need of `profiles.allocation.Allocator`."""

    stopped: str | None

    def next_round(self) -> list[tuple[int, int]] | None:
        """The next cells, as (row, column)."""
        ...

    def observe(
        self,
        cells: Sequence[tuple[int, int]],
        scores: Sequence[float | None],
        costs: Sequence[float | None] | None = None,
    ) -> None:
        """What they came to."""
        ...


class WholeProgress:
    """The progress of all rounds together: one beginning, one end, one total.

    Args:
        inner: whoever shows it.
        total: cells expected in all.
    """

    def __init__(self, inner: ProgressSink, total: int) -> None:
        self._inner, self._total = inner, total
        self._begun = False

    def start(self, total: int, already_done: int, max_cost: Decimal | None) -> None:
        """Begin, with the first round."""
        if not self._begun:
            self._begun = True
            self._inner.start(max(total, self._total), already_done, max_cost)

    def advance(self, rows: int, cost_usd: Decimal) -> None:
        """Cells ended."""
        self._inner.advance(rows, cost_usd)

    def note(self, text: str) -> None:
        """Something a person should know."""
        self._inner.note(text)

    def finish(self) -> None:
        """A round ended; the next one may follow."""

    def close(self) -> None:
        """No round follows."""
        if self._begun:
            self._inner.finish()


@dataclass(frozen=True, slots=True)
class Board:
    """Rows and columns of the allocator: training questions and pairs."""

    query_ids: tuple[str, ...]
    pair_ids: tuple[str, ...]

    def cell(self, row: int, column: int) -> Cell:
        """The cell at a place."""
        return self.query_ids[row], self.pair_ids[column]

    def places(self, cells: Sequence[Cell]) -> list[tuple[int, int]]:
        """(row, column) of cells."""
        rows = {query_id: row for row, query_id in enumerate(self.query_ids)}
        columns = {pair_id: column for column, pair_id in enumerate(self.pair_ids)}
        return [(rows[query_id], columns[pair_id]) for query_id, pair_id in cells]


def board_of(planned: PlannedProfile) -> Board:
    """The training questions and the pairs, in their orders."""
    return Board(
        tuple(query.query_id for query in planned.queries if query.split == TRAIN),
        tuple(pair.pair_id for pair in planned.pool.pairs),
    )


async def work_rounds(
    planned: PlannedProfile,
    ledger: Ledger,
    *,
    embedder: Callable[[], CachedEmbedder],
    work: WorkChunks,
    stopping: Callable[[], bool],
    note: Callable[[str], None],
) -> RunReport | None:
    """Run rounds until the budget is spent or nothing would be gained; resumes where it stands.

    Returns:
        How the run stands; None where the budget reached nothing. Its state is complete only when
        the last round is done.

    Raises:
        ProfileError: the budget cannot be spent, for example because no price is known.
        WarehouseError: a round cannot be saved, or a committed file not be read.
    """
    rounds = _Rounds(planned, ledger, embedder)
    while rounds.begin():
        if not rounds.committed():
            note(rounds.title())
            report = await work(rounds.chunks, True)
            if report.state != "complete":
                return report
        rounds.end()
        if stopping():
            report = await work(rounds.chunks, True)
            ledger.update_run(planned.run_id, state="cancelled")
            return report._replace(state="cancelled")
    return await work(rounds.chunks, False) if rounds.chunks else None


class _Rounds:
    """The saved rounds, one after the other, and new ones behind them.

    Attributes:
        chunks: of all rounds begun so far.
    """

    def __init__(
        self, planned: PlannedProfile, ledger: Ledger, embedder: Callable[[], CachedEmbedder]
    ) -> None:
        self.chunks: list[Sequence[PlannedCell]] = []
        self._planned, self._ledger, self._embedder = planned, ledger, embedder
        self._saved = planned.saved
        self._board = board_of(planned)
        self._chooser: Chooser | None = None
        self._number = -1
        self._span = range(0)
        if not self._saved.rounds and self._saved.stopped is None:
            again = [cell for cell in self._saved.cells if cell.source_run is not None]
            first = [cells for cells in (again, pilot_cells(planned, ledger)) if cells]
            self._saved.rounds, self._saved.prepared = first, len(first)

    def begin(self) -> bool:
        """Go to the next round, choosing it if no earlier session did; False where none is left."""
        self._number += 1
        new = self._number == len(self._saved.rounds)
        if new and self._saved.stopped is not None:
            return False
        if self._number >= self._saved.prepared:
            self._choose(new)
        elif self._number == 0:
            self._save()
        if self._number == len(self._saved.rounds):
            return False
        first = len(self.chunks)
        self.chunks += in_chunks(self._saved.rounds[self._number], self._planned.job.chunk_size)
        self._span = range(first, len(self.chunks))
        return True

    def _choose(self, new: bool) -> None:
        if self._chooser is None and self._saved.stopped is None:
            self._chooser = make_allocator(self._planned, self._ledger, self._embedder())
        if self._chooser is None:
            return
        # A saved round is what was run, whatever the allocator of today would choose.
        places = self._chooser.next_round()
        if not new:
            return
        if places is None:
            self._saved.stopped = self._chooser.stopped or "nothing is left to ask"
        else:
            planned = {cell.cell: cell for cell in self._saved.cells}
            self._saved.rounds.append([planned[self._board.cell(*place)] for place in places])
        fault_point("before_round")
        self._save()
        fault_point("after_round")

    def committed(self) -> bool:
        """Whether an earlier session finished this round."""
        states = self._ledger.chunk_states(self._planned.run_id)
        names = (chunk_name(number) for number in self._span)
        return all(name in states and states[name][0] == "committed" for name in names)

    def title(self) -> str:
        """What this round is, for people."""
        cells = len(self._saved.rounds[self._number])
        if self._saved.rounds[self._number][0].source_run is not None:
            return f"grading {cells:,} known answers again"
        if self._number < self._saved.prepared:
            return f"pilot: {cells:,} cells of pairs whose cost is unknown"
        return f"round {self._number + 1 - self._saved.prepared}: {cells:,} cells"

    def end(self) -> None:
        """Tell the allocator what the round found."""
        if self._chooser is None or self._number < self._saved.prepared:
            return
        names = {chunk_name(number) for number in self._span}
        commits = [
            record
            for record in self._ledger.commits("outcomes", self._planned.run_id)
            if record.chunk_id in names
        ]
        columns = ("query_id", "pair_id", "score", "cost_usd")
        rows = scan(self._planned.job.root, commits, "outcomes").select(columns).collect().rows()
        self._chooser.observe(
            self._board.places([(query_id, pair_id) for query_id, pair_id, _, _ in rows]),
            [score for _, _, score, _ in rows],
            [None if cost is None else float(cost) for _, _, _, cost in rows],
        )

    def _save(self) -> None:
        save_plan(plan_path(self._planned.job.root, self._planned.run_id), self._saved)


def pilot_cells(planned: PlannedProfile, ledger: Ledger) -> list[PlannedCell]:
    """The first cells of pairs whose cost no outcome tells, for a budget in dollars.

    A few questions, the same for all these pairs, for half of the budget as far as it can be
    guessed, and one question at least: a budget shared out by guesses, which may be wrong tenfold,
    would go to the wrong pairs.
    """
    import numpy as np

    budget = planned.job.cell_budget
    if budget is None or budget.usd is None:
        return []
    pool = planned.pool
    expected = expected_cells(usable_outcomes(planned, ledger), pool)
    guesses = expected_usd(expected, pool, planned.queries)
    unknown = {
        pair.pair_id: guess
        for pair, guess in zip(pool.pairs, guesses, strict=True)
        if expected[pair].cost is None and expected[pair].few_usd is None and not np.isnan(guess)
    }
    waiting: dict[str, list[PlannedCell]] = {}
    for cell in planned.saved.cells:
        if cell.pair_id in unknown and cell.source_run is None:
            waiting.setdefault(cell.query_id, []).append(cell)
    order = np.random.default_rng((planned.job.seed, 3)).permutation(sorted(waiting))
    chosen: list[PlannedCell] = []
    left = float(budget.usd) / 2
    for query_id in order[:LEAST_OUTCOMES]:
        left -= sum(unknown[cell.pair_id] for cell in waiting[query_id])
        if left < (0 if chosen else -float(budget.usd) / 2):
            break
        chosen += waiting[query_id]
    return chosen


def make_allocator(planned: PlannedProfile, ledger: Ledger, embedder: CachedEmbedder) -> Chooser:
    """The allocator of a run as it stood before its first round.

    What the run itself has found since is not among what it knows: that it is told round by round.

    Raises:
        ProfileError: the questions cannot be clustered, or no price is known.
    """
    import numpy as np

    from profiles.allocation import Allocator
    from profiles.clusters import ClusterSettings, fit_clusters
    from profiles.profile import k_of

    job, board, saved = planned.job, board_of(planned), planned.saved
    texts = [query.prompt for query in planned.queries if query.split == TRAIN]
    vectors = embedder(texts)
    clusters = fit_clusters(vectors, ClusterSettings(k=k_of(job.clusters), seed=job.seed))
    known = np.ones((len(board.query_ids), len(board.pair_ids)), np.bool_)
    done = {cell.cell for cells in saved.rounds[: saved.prepared] for cell in cells}
    for row, column in board.places([c.cell for c in saved.cells if c.cell not in done]):
        known[row, column] = False
    scores = np.full(known.shape, np.nan)
    rows = {query_id: row for row, query_id in enumerate(board.query_ids)}
    columns = {pair_id: column for column, pair_id in enumerate(board.pair_ids)}
    outcomes = usable_outcomes(planned, ledger)
    budget = job.cell_budget
    if saved.expected_usd is None and budget is not None and budget.usd is not None:
        saved.expected_usd = expected_usd(
            expected_cells(outcomes, planned.pool), planned.pool, planned.queries
        )
        spent = ledger.spend(planned.run_id).total_usd
        saved.allowance = float(max(budget.usd - spent, Decimal(0)))
    told = outcomes.select("query_id", "pair_id", "score").iter_rows()
    for query_id, pair_id, score in told:
        if query_id in rows and score is not None:
            scores[rows[query_id], columns[pair_id]] = score
    scores[~known] = np.nan
    assert saved.allowance is not None
    return Allocator(
        labels=clusters.assign(vectors).labels,
        pairs=len(board.pair_ids),
        budget=saved.allowance,
        cost=None if saved.expected_usd is None else np.array(saved.expected_usd, np.float64),
        known=known,
        scores=scores,
        seed=job.seed,
    )
