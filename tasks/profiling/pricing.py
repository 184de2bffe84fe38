"""`atlas profile plan`: what the planned cells would take, before a cent is spent.

Sums are those of `tasks.plan.estimates` with one term a pair: expected Σ n·μ, and a 90 % interval
on the log scale for the luck of these cells and of the known ones. A pair of which nothing is
known has bounds around a guess, and is marked so. An unknown price is in no sum. Under a budget
the figures are those of the budget, spread over pairs as if cells were drawn evenly: which cells
it will run is decided by what the first ones show.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from profiles.prices import call_cost, worst_case_cost
from tasks.batch.equip import judge_of
from tasks.plan.estimates import Term, sum_of
from tasks.plan.result import NOTHING, UNKNOWN, added
from tasks.plan.worst_case import BYTES_A_TOKEN, PLAIN_KINDS, Texts, bounds, first_call_bytes
from tasks.profiling.evidence import KNOWN
from tasks.profiling.expected import Amount, Basis, Expected, expected_cells, guess
from tasks.profiling.fit import usable_outcomes
from tasks.report.facts import Range

if TYPE_CHECKING:
    from profiles.pool import Pair
    from tasks.profiling.cells import PlannedCell, Reason
    from tasks.profiling.planning import PlannedProfile
    from warehouse.ledger import Ledger

_QUANTUM = Decimal("0.000000001")


@dataclass(frozen=True, slots=True)
class PairCells:
    """What is planned for one pair.

    Attributes:
        cells: cells that ask it; `regraded` more are only graded again.
        basis: `profile`: its own outcomes; `borrowed`: tokens of other models with the same kind
            of tool; `worst_case`: bounds around a guess.
        outcomes: known answered cells of the pair itself.
    """

    pair_id: str
    cells: int
    regraded: int
    basis: Basis
    outcomes: int
    calls: float
    cost_usd: Range
    input_tokens: Range
    output_tokens: Range


@dataclass(frozen=True, slots=True)
class ProfilePlan:
    """What a profiling run would do; nothing was spent to know it.

    Attributes:
        run_id: the run that `profile run` would begin or take up; None where nothing is to run.
        cells: cells that ask a pair; with a budget, those it chooses from.
        regraded: known answers that are only graded again.
        reasons: cells by reason, see `tasks.profiling.cells.REASONS`.
        calls: model calls, those of a judge among them: low, expected, high.
        budget: as it was written; `allowance` in cells or dollars is what is left of it.
        unpriced: planned pairs of unknown price, in no sum of money.
    """

    run_id: str | None
    source: str
    questions: int
    pairs_total: int
    known: int
    cells: int
    regraded: int
    left_out: int
    reasons: dict[Reason, int]
    pairs: tuple[PairCells, ...]
    calls: Range
    judge_calls: int
    input_tokens: Range
    output_tokens: Range
    cost_usd: Range
    time_s: Range
    budget: str | None = None
    allowance: float | None = None
    max_cost_usd: Decimal | None = None
    unpriced: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def nothing(self) -> bool:
        """Whether every cell is known and no call would be made."""
        return not self.cells and not self.regraded

    def as_json(self) -> dict[str, Any]:
        """Plain values; money stays `Decimal`, ranges are `{low, expected, high}`."""
        plain = {name: _plain(getattr(self, name)) for name in self.__slots__}
        plain["pairs"] = [
            {name: _plain(getattr(pair, name)) for name in pair.__slots__} for pair in self.pairs
        ]
        return plain | {"nothing_to_do": self.nothing}


def _plain(value: Any) -> Any:  # noqa: ANN401
    if isinstance(value, Range):
        return value._asdict()
    return list(value) if isinstance(value, tuple) else value


def price_plan(planned: PlannedProfile, ledger: Ledger) -> ProfilePlan:
    """Price the planned cells; spends nothing.

    Raises:
        WarehouseError: a committed file cannot be read.
    """
    outcomes = usable_outcomes(planned, ledger)
    expected = expected_cells(outcomes, planned.pool)
    # Of a run that is taken up, what it has committed already is not paid for again.
    finished = outcomes.filter(outcomes["state"] == KNOWN).select("query_id", "pair_id").rows()
    done = set(finished)
    left = [cell for cell in planned.saved.cells if cell.cell not in done]
    asked = [cell for cell in left if cell.source_run is None]
    again = [cell for cell in left if cell.source_run is not None]
    pairs = _pairs(planned, expected, asked, again)
    priced = [pair for pair in pairs if pair.cost_usd is not UNKNOWN]
    everything = _total(pairs, expected, planned, "cost")
    share = _share(planned, len(asked), everything)
    judge = _judge(planned, asked, again, share)
    calls = sum(expected[pair].calls * _cells(asked, pair) for pair in planned.pool.pairs)
    most = sum(_most_calls(planned, pair) * _cells(asked, pair) for pair in planned.pool.pairs)
    return ProfilePlan(
        run_id=planned.run_id if planned.saved.cells else None,
        source=planned.job.questions,
        questions=len(planned.queries),
        pairs_total=len(planned.pool.pairs),
        known=planned.known + len(planned.saved.cells) - len(left),
        cells=len(asked),
        regraded=len(again),
        left_out=planned.left_out,
        reasons=dict(Counter(cell.reason for cell in left)),
        pairs=tuple(pairs),
        calls=Range(*(round(n * share) + judge.calls for n in (len(asked), calls, most))),
        judge_calls=judge.calls,
        input_tokens=added(
            [_scaled(_total(pairs, expected, planned, "input_tokens"), share), judge.tokens]
        ),
        output_tokens=_scaled(_total(pairs, expected, planned, "output_tokens"), share),
        cost_usd=added([_scaled(everything, share), judge.cost_usd]),
        time_s=_time(planned, expected, asked, share),
        budget=planned.job.budget,
        allowance=planned.saved.allowance,
        max_cost_usd=planned.job.max_cost_usd,
        unpriced=tuple(p.pair_id for p in pairs if p.cells and p not in priced),
        notes=tuple(_notes(planned, priced)),
    )


def _notes(planned: PlannedProfile, priced: Sequence[PairCells]) -> list[str]:
    bounds_only = [p.pair_id for p in priced if p.basis == "worst_case" and p.cells]
    notes = []
    if bounds_only:
        some = ", ".join(bounds_only[:3])
        more = f" and {len(bounds_only) - 3} more" if len(bounds_only) > 3 else ""
        notes.append(
            f"nothing is known of {some}{more}: a guess between bounds; run a few cells first "
            "(--budget, or --limit) to know better"
        )
    if planned.left_out:
        notes.append(
            f"{planned.left_out:,} held-out cells are left out: a budget is spent on training "
            "questions; run without --budget to have them"
        )
    if planned.spent_by is not None:
        notes.append(
            f"run {planned.spent_by} spent this budget on these cells; a higher --budget goes on"
        )
    return notes


def _cells(cells: Sequence[PlannedCell], pair: Pair) -> int:
    return sum(cell.pair_id == pair.pair_id for cell in cells)


def _most_calls(planned: PlannedProfile, pair: Pair) -> int:
    from tasks.execute import MAX_ROUNDS

    plain = planned.pool.tools[pair.tool].kind in PLAIN_KINDS
    return 1 if plain else MAX_ROUNDS + 2


def _pairs(
    planned: PlannedProfile,
    expected: Mapping[Pair, Expected],
    asked: Sequence[PlannedCell],
    again: Sequence[PlannedCell],
) -> list[PairCells]:
    queries = {query.query_id: query for query in planned.queries}
    found = []
    for pair in planned.pool.pairs:
        one, cells = expected[pair], [c for c in asked if c.pair_id == pair.pair_id]
        if one.basis == "worst_case":
            texts = Texts()
            for cell in cells:
                tool = planned.pool.tools[pair.tool]
                texts.add(first_call_bytes(queries[cell.query_id], tool))
            bound = bounds(pair, planned.pool, texts)
            middle = guess(one, pair, planned.pool, planned.queries)
            money, read, written = (
                _between(figures, per_cell * len(cells))
                for figures, per_cell in zip(
                    (bound.cost_usd, bound.input_tokens, bound.output_tokens), middle, strict=True
                )
            )
        else:
            money = _money(one.cost, len(cells))
            read, written = (
                _tokens(amount, len(cells)) for amount in (one.input_tokens, one.output_tokens)
            )
        found.append(
            PairCells(
                pair.pair_id, len(cells), _cells(again, pair), one.basis, one.outcomes,
                one.calls * len(cells), money if cells else NOTHING, read, written,
            )
        )  # fmt: skip
    return found


def _between(bound: Range, expected: float) -> Range:
    """A guess with its bounds around it."""
    if bound.low is None or bound.high is None or math.isnan(expected):
        return UNKNOWN
    if isinstance(bound.high, Decimal):
        middle: Decimal | int = Decimal(expected).quantize(_QUANTUM)
    else:
        middle = round(expected)
    return Range(bound.low, min(max(middle, bound.low), bound.high), bound.high)


def _money(amount: Amount | None, cells: int) -> Range:
    if amount is None:
        return UNKNOWN
    return _dollars(sum_of([Term(cells, *amount)])) if cells else NOTHING


def _dollars(figures: Sequence[float]) -> Range:
    return Range(*(Decimal(one).quantize(_QUANTUM) for one in figures))


def _tokens(amount: Amount | None, cells: int) -> Range:
    if amount is None:
        return UNKNOWN
    return Range(*map(round, sum_of([Term(cells, *amount)]))) if cells else Range(0, 0, 0)


def _total(
    pairs: Sequence[PairCells],
    expected: Mapping[Pair, Expected],
    planned: PlannedProfile,
    what: Literal["cost", "input_tokens", "output_tokens"],
) -> Range:
    """Known pairs as one sum with one interval; bounds are added end to end."""
    terms, bounds_only = [], []
    for pair, cells in zip(planned.pool.pairs, pairs, strict=True):
        amount: Amount | None = getattr(expected[pair], what)
        shown = cells.cost_usd if what == "cost" else getattr(cells, what)
        if not cells.cells or shown is UNKNOWN:
            continue
        if amount is None:
            bounds_only.append(shown)
        else:
            terms.append(Term(cells.cells, *amount))
    figures = sum_of(terms)
    known = _dollars(figures) if what == "cost" else Range(*map(round, figures))
    return added([known, *bounds_only])


def _share(planned: PlannedProfile, cells: int, cost: Range) -> float:
    """Share of the cells that the budget reaches, as far as prices say."""
    allowance = planned.saved.allowance
    if allowance is None or not cells:
        return 1.0
    budget = planned.job.cell_budget
    if budget is not None and budget.usd is not None:
        return min(1.0, allowance / float(cost.expected)) if cost.expected else 1.0
    return min(1.0, allowance / cells)


def _scaled(figures: Range, share: float) -> Range:
    if None in figures or share == 1.0:
        return figures
    return Range(*(_part(one, share) for one in figures))


def _part(figure: float | Decimal | None, share: float) -> float | Decimal:
    if isinstance(figure, Decimal):
        return (figure * Decimal(share)).quantize(_QUANTUM)
    return round((figure or 0) * share)


class _Judge(NamedTuple):
    calls: int
    cost_usd: Range
    tokens: Range


def _judge(
    planned: PlannedProfile,
    asked: Sequence[PlannedCell],
    again: Sequence[PlannedCell],
    share: float,
) -> _Judge:
    """What judging costs: text at four bytes a token as low, all that may be shown as high."""
    from tasks.grade.judge import LONGEST, judge_prompt

    key = judge_of(planned.pool)
    judged = {
        query.query_id: query
        for query in planned.queries
        if query.reference is not None and query.reference.grader == "judge"
    }
    if key is None or not judged:
        return _Judge(0, NOTHING, Range(0, 0, 0))
    spec = planned.pool.models[key]
    calls, size = 0, 0
    for cells, part in ((asked, share), (again, 1.0)):
        mine = [judged[cell.query_id] for cell in cells if cell.query_id in judged]
        calls += round(len(mine) * part)
        texts = (judge_prompt("", q.reference, q.prompt) for q in mine if q.reference)
        size += round(sum(len(text.encode()) for text in texts) * part)
    low = call_cost(size // BYTES_A_TOKEN, 0, None, spec.prices)
    most = size + calls * LONGEST
    high = worst_case_cost(most, calls * spec.limits.max_output_tokens, spec.prices)
    money = UNKNOWN if low is None or high is None else Range(low, high, high)
    return _Judge(calls, money, Range(size // BYTES_A_TOKEN, most, most))


def _time(
    planned: PlannedProfile,
    expected: Mapping[Pair, Expected],
    asked: Sequence[PlannedCell],
    share: float,
) -> Range:
    """Seconds under the limits of run and models, as `tasks.plan.duration` has it."""
    if not asked:
        return Range(0.0, 0.0, 0.0)
    figures = [_seconds(planned, expected, asked, share, which) for which in range(3)]
    return Range(*figures) if all(map(math.isfinite, figures)) else UNKNOWN


def _seconds(
    planned: PlannedProfile,
    expected: Mapping[Pair, Expected],
    asked: Sequence[PlannedCell],
    share: float,
    which: int,
) -> float:
    work: defaultdict[str, float] = defaultdict(float)
    calls: defaultdict[str, float] = defaultdict(float)
    tokens: defaultdict[str, float] = defaultdict(float)
    longest = 0.0
    for pair, cells in Counter(cell.pair_id for cell in asked).items():
        known = planned.pool.pairs[_place(planned, pair)]
        one = expected[known]
        if one.durations_s is None:
            return math.nan
        rows = cells * share
        longest = max(longest, one.durations_s[which])
        work[known.model] += rows * one.durations_s[which]
        calls[known.model] += rows * one.calls
        for amount in (one.input_tokens, one.output_tokens):
            tokens[known.model] += rows * (0.0 if amount is None else amount.mean)
    limits = [longest, sum(work.values()) / planned.job.concurrency]
    for model, seconds in work.items():
        allowed = planned.pool.models[model].limits
        limits.append(seconds / allowed.concurrency)
        if allowed.requests_per_minute:
            limits.append(60 * calls[model] / allowed.requests_per_minute)
        if allowed.tokens_per_minute:
            limits.append(60 * tokens[model] / allowed.tokens_per_minute)
    return max(limits)


def _place(planned: PlannedProfile, pair_id: str) -> int:
    return next(n for n, pair in enumerate(planned.pool.pairs) if pair.pair_id == pair_id)
