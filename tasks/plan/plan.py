"""The plan of a routed backlog: the real router, the real chunks, the profile's own figures.

What a pair's rows cost is expected from the profile where it knows the pair (`estimates`), bounded
by lengths and limits where only prices are known (`worst_case`), and unknown otherwise.

Failed calls: a row whose pair fails goes to its second choice, so e·ν is added to the expected
cost of every row and ē·ν to the high one, with e the pair's profiled share of failed outcomes, ē
its one-sided 95 % upper end (Wilson) and ν the mean cost of the second choice there. Refused
calls cost nothing when they are tried again; a call whose answer was lost keeps its reservation,
which no profile can foresee. A second choice of unknown price adds nothing.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING

from tasks.plan.backlog import Cell, Progress, Tally, progress_of, tally
from tasks.plan.duration import time_range
from tasks.plan.estimates import Estimates, Quantity, Term, estimates, sum_of, upper_share
from tasks.plan.result import UNKNOWN, Basis, ClusterRows, PairPlan, Plan, added
from tasks.plan.worst_case import Bounds, bounds
from tasks.report.facts import Range

if TYPE_CHECKING:
    from profiles.profile import Profile
    from tasks.read import Staged
    from tasks.route import Prepared
    from warehouse.ledger import Ledger

NANO = Decimal("0.000000001")
_DOT = " · "


def plan_route(prepared: Prepared, staged: Staged, *, ledger: Ledger | None) -> Plan:
    """Price what is left of a backlog; reads, embeds and decides, but sends and spends nothing.

    Args:
        prepared: the job, looked up by `tasks.route.prepare`.
        staged: its backlog, staged by `tasks.route.stage`.
        ledger: where an earlier session of the same run is found; None for none.

    Raises:
        StageError: a staged chunk is missing or damaged.
        WarehouseError: a committed file of the run is missing or damaged.
        ProfileError: the profile's files are damaged.
        RouterError, EmbeddingError: the router cannot decide.
    """
    profile = _profile(prepared)
    known = None if profile is None else estimates(profile)
    progress = progress_of(prepared, ledger)
    counted = tally(prepared, staged, ledger, progress)
    bills = _bills(prepared, counted, known)
    pairs = tuple(bill.plan(known) for bill in sorted(bills, key=lambda bill: -bill.rows))
    worst = [bill.bounds.total_usd for bill in bills]
    plan = Plan(
        run_id=prepared.run_id,
        source=prepared.job.backlog,
        router=_router_line(prepared),
        profile_id=prepared.profile_id,
        rows=staged.rows,
        unique=staged.unique,
        duplicates=staged.duplicates,
        bad=staged.bad,
        finished=counted.finished,
        spent_usd=progress.spent_usd,
        planned=counted.rows,
        clusters=_clusters(counted, profile),
        out_of_distribution=sum(counted.beyond.values()),
        expected_score=counted.score / counted.scored if counted.scored else None,
        pairs=pairs,
        cost_usd=_total(bills, known),
        input_tokens=added(pair.input_tokens for pair in pairs),
        output_tokens=added(pair.output_tokens for pair in pairs),
        time_s=time_range(prepared, counted, known),
        first_call_usd=_largest(bill.bounds.first_call_usd for bill in bills),
        reservation_usd=_largest(bill.bounds.reservation_usd for bill in bills),
        worst_case_usd=None if None in worst else sum((w or Decimal(0) for w in worst), Decimal(0)),
        unpriced=tuple(pair.pair_id for pair in pairs if pair.basis == "unknown"),
        max_cost_usd=prepared.job.max_cost_usd,
        notes=tuple(_notes(prepared, counted, progress, pairs)),
    )
    if prepared.policy is None:
        return plan
    from tasks.plan.many_calls import with_further_calls

    return with_further_calls(plan, prepared, counted, known)


@dataclass(slots=True)
class _Bill:
    """The planned rows of one pair, by where their figures come from."""

    pair: int
    pair_id: str
    bounds: Bounds
    basis: Basis = "unknown"
    rows: int = 0
    cost: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    """Rows by statistics row."""
    input_tokens: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    output_tokens: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    fallback_usd: float = 0.0
    """Σ of what second choices would cost if every row failed."""

    def terms(self, known: Estimates) -> list[Term]:
        """Terms of its cost; none unless it is profiled."""
        return _terms(self.cost, known.cost, self.pair) if self.basis == "profile" else []

    def fallback(self, known: Estimates) -> tuple[float, float]:
        """Dollars of fallbacks, expected and at most."""
        n = int(known.outcomes[self.pair])
        share = float(known.error_rate[self.pair]) if n else 0.0
        return share * self.fallback_usd, upper_share(share, n) * self.fallback_usd

    def range(self, known: Estimates) -> Range:
        """Its cost, fallbacks included."""
        return _with_fallback(self.terms(known), *self.fallback(known))

    def plan(self, known: Estimates | None) -> PairPlan:
        """What people are told of it."""
        cost, profiled = UNKNOWN, 0
        if self.basis == "profile" and known is not None:
            cost = self.range(known)
            profiled = sum(int(known.cost.count[row, self.pair]) for row in self.cost)
        elif self.basis == "worst_case":
            cost = self.bounds.cost_usd
        return PairPlan(
            pair_id=self.pair_id,
            rows=self.rows,
            basis=self.basis,
            profiled=profiled,
            cost_usd=cost,
            input_tokens=self._tokens(known, "input_tokens"),
            output_tokens=self._tokens(known, "output_tokens"),
            worst_case_usd=self.bounds.total_usd,
        )

    def _tokens(self, known: Estimates | None, name: str) -> Range:
        rows: dict[int, int] = getattr(self, name)
        if known is None or sum(rows.values()) < self.rows:
            bound: Range = getattr(self.bounds, name)
            return UNKNOWN if self.basis == "profile" else bound
        return Range(*map(round, sum_of(_terms(rows, getattr(known, name), self.pair))))


def _terms(rows: dict[int, int], quantity: Quantity, pair: int) -> list[Term]:
    return [quantity.term(row, pair, n) for row, n in rows.items()]


def _bills(prepared: Prepared, counted: Tally, known: Estimates | None) -> list[_Bill]:
    pool = prepared.pool
    bills: dict[int, _Bill] = {}
    for index, texts in sorted(counted.texts.items()):
        pair = pool.pairs[index]
        bills[index] = _Bill(index, pair.pair_id, bounds(pair, pool, texts))
    for cell, rows in counted.cells.items():
        bill = bills[cell.pair]
        bill.rows += rows
        if known is not None:
            _fill(bill, cell, rows, known)
    for bill in bills.values():
        if sum(bill.cost.values()) == bill.rows:
            bill.basis = "profile"
        elif bill.bounds.total_usd is not None:
            bill.basis = "worst_case"
    return list(bills.values())


def _fill(bill: _Bill, cell: Cell, rows: int, known: Estimates) -> None:
    place = known.k if cell.cluster is None else cell.cluster
    for name in ("cost", "input_tokens", "output_tokens"):
        quantity: Quantity = getattr(known, name)
        row = quantity.row(place, cell.pair)
        if row is not None:
            getattr(bill, name)[row] += rows
    if cell.second is not None:
        row = known.cost.row(place, cell.second)
        bill.fallback_usd += 0.0 if row is None else rows * float(known.cost.mean[row, cell.second])


def _with_fallback(terms: list[Term], expected: float, most: float) -> Range:
    total = sum_of(terms)
    return Range(
        _dollars(total.low + expected),
        _dollars(total.expected + expected),
        _dollars(total.high + most),
    )


def _total(bills: list[_Bill], known: Estimates | None) -> Range:
    """Cost of all rows but those of unknown price; pairs err independently, bounds do not."""
    bounded = [bill.bounds.cost_usd for bill in bills if bill.basis == "worst_case"]
    profiled = [bill for bill in bills if bill.basis == "profile"]
    if bills and not bounded and not profiled:
        return UNKNOWN
    if known is not None and profiled:
        terms = [term for bill in profiled for term in bill.terms(known)]
        extra = [bill.fallback(known) for bill in profiled]
        bounded.append(
            _with_fallback(terms, sum(e for e, _ in extra), sum(most for _, most in extra))
        )
    return added([Range(*[Decimal(0)] * 3), *bounded])


def _largest(amounts: Iterable[Decimal | None]) -> Decimal | None:
    return max((amount for amount in amounts if amount is not None), default=None)


def _dollars(amount: float) -> Decimal:
    return Decimal(repr(amount)).quantize(NANO)


def _profile(prepared: Prepared) -> Profile | None:
    """The profile the router knows, or one that knows the pool of a router that needs none."""
    from profiles.errors import ProfileError
    from tasks.profiling.store import ProfileNotFoundError, find_profile

    job = prepared.job
    if prepared.profile_id is not None:
        return find_profile(job.root, prepared.profile_id)
    try:
        profile = find_profile(job.root, job.profile)
    except (ProfileNotFoundError, ProfileError):
        return None
    return profile if profile.pool_fingerprint == prepared.pool.fingerprint else None


def _router_line(prepared: Prepared) -> str:
    parts = [prepared.router.name]
    if prepared.policy is not None:
        return _DOT.join([*parts, *prepared.policy.told])
    if prepared.profile_id is not None:
        parts += [f"alpha {prepared.job.alpha:g}", prepared.profile_id]
    return _DOT.join(parts)


def _clusters(counted: Tally, profile: Profile | None) -> tuple[ClusterRows, ...]:
    def words(cluster: int | None) -> tuple[str, ...]:
        return () if cluster is None or profile is None else profile.top_terms[cluster]

    order = sorted(counted.clusters, key=lambda cluster: -1 if cluster is None else cluster)
    return tuple(
        ClusterRows(cluster, counted.clusters[cluster], counted.beyond[cluster], words(cluster))
        for cluster in order
    )


def _notes(
    prepared: Prepared, counted: Tally, progress: Progress, pairs: tuple[PairPlan, ...]
) -> Iterator[str]:
    if progress.foreign:
        yield (
            f"run {prepared.run_id!r} exists with another configuration: route would refuse this "
            "one under its name, and nothing of it is taken off here"
        )
    if counted.finished:
        yield (
            f"{counted.finished:,} rows are finished already, for ${progress.spent_usd:f}; the "
            "figures are for what is left"
        )
    bounded = [pair.pair_id for pair in pairs if pair.basis == "worst_case"]
    if bounded:
        yield (
            "never profiled, so priced as if every call used all it may (text length and "
            f"max_output_tokens), far above what is likely: {', '.join(bounded)}"
        )
    share = sum(counted.beyond.values()) / counted.rows if counted.rows else 0.0
    if share > 0.05 and math.isfinite(share):
        yield (
            f"{100 * share:.0f} % of the rows are unlike anything profiled: the interval holds for "
            "questions like the profiled ones, so take these figures with care"
        )
