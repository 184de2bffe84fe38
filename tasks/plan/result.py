"""What a plan says of a backlog."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from typing import Any, Literal, NamedTuple

from tasks.report.facts import PlanFacts, PlannedPair, Range

Basis = Literal["profile", "worst_case", "unknown"]
"""Where a price comes from: profiled outcomes; lengths and limits alone; nowhere."""

UNKNOWN = Range(None, None, None)
NOTHING = Range(Decimal(0), Decimal(0), Decimal(0))
CENT = Decimal("0.01")


class ClusterRows(NamedTuple):
    """Rows whose nearest centroid is that cluster's; `cluster_id` None is a router without.

    `out_of_distribution` of them lie farther from it than the training questions do; `words` set
    the cluster apart.
    """

    cluster_id: int | None
    rows: int
    out_of_distribution: int
    words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PairPlan:
    """What the plan expects of one pair.

    Attributes:
        rows: rows the router gives it.
        basis: where `cost_usd` comes from; a `worst_case` is no expectation but a bound.
        profiled: profiled questions of known cost behind it, 0 unless `basis` is `profile`.
        cost_usd: dollars for all its rows, with a 90 % interval where profiled.
        input_tokens, output_tokens: of all its rows.
        worst_case_usd: if every call used all it may; None where a price is unknown.
    """

    pair_id: str
    rows: int
    basis: Basis
    profiled: int
    cost_usd: Range
    input_tokens: Range
    output_tokens: Range
    worst_case_usd: Decimal | None


@dataclass(frozen=True, slots=True)
class Plan:
    """What is left of a backlog, and what it would cost; nothing was spent to know it.

    `rows` = `unique` + `duplicates` + `bad`. Everything from `planned` on is about the unique rows
    that a run of this name has not finished; without such a run, about all of them.

    Attributes:
        run_id: the run that `route` would begin or take up.
        router: router, alpha and profile in one line.
        finished: unique rows that run has finished, or paid for and not committed yet.
        spent_usd: what it was charged so far, doubts and reservations included.
        planned: unique rows left to pay for.
        clusters: where the planned rows fall, by cluster id.
        out_of_distribution: planned rows unlike anything profiled.
        expected_score: mean score the router expects of the planned rows, None where unknown.
        cost_usd: of the planned rows, 90 % interval; pairs of unknown price are in no sum.
        time_s: seconds if every row took the profiled median, mean, 95th percentile.
        first_call_usd: the largest sum that will be set aside for a row's first call; None where
            no price is known.
        reservation_usd: the largest sum that any call could need, such as the sixth of a pair with
            a tool; None likewise.
        worst_case_usd: if every planned row used all it may; None where a price is unknown.
        unpriced: planned pairs of unknown price.
        notes: sentences for people on what the figures rest on.
        calls_per_question: that a policy is expected to make; None for routers, and where unknown.
    """

    run_id: str
    source: str
    router: str
    profile_id: str | None
    rows: int
    unique: int
    duplicates: int
    bad: int
    finished: int
    spent_usd: Decimal
    planned: int
    clusters: tuple[ClusterRows, ...]
    out_of_distribution: int
    expected_score: float | None
    pairs: tuple[PairPlan, ...]
    cost_usd: Range
    input_tokens: Range
    output_tokens: Range
    time_s: Range
    first_call_usd: Decimal | None
    reservation_usd: Decimal | None
    worst_case_usd: Decimal | None
    unpriced: tuple[str, ...] = ()
    max_cost_usd: Decimal | None = None
    notes: tuple[str, ...] = ()
    calls_per_question: float | None = None

    @property
    def least_cap_usd(self) -> Decimal | None:
        """Below this `--max-cost` stops before the dearest row's first call; None where unknown."""
        if self.first_call_usd is None:
            return None
        return _cents(self.spent_usd + self.first_call_usd)

    @property
    def ample_cap_usd(self) -> Decimal | None:
        """A `--max-cost` that is enough even if the backlog comes high; None where unknown.

        What was spent, the high figure, and one reservation: the last call, too, is made only if
        its worst case still fits.
        """
        high = self.cost_usd.high
        if self.reservation_usd is None or not isinstance(high, Decimal) or self.unpriced:
            return None
        return _cents(self.spent_usd + high + self.reservation_usd)

    def facts(self, next_commands: Sequence[str] = ()) -> PlanFacts:
        """What `tasks.report.terminal.plan_table` and the pages are made from."""
        return PlanFacts(
            source=self.source,
            router=self.router,
            rows=self.rows - self.bad,
            unique_rows=self.unique,
            bad_rows=self.bad,
            out_of_distribution=self.out_of_distribution,
            cost_usd=self.cost_usd,
            input_tokens=self.input_tokens,
            output_tokens=self.output_tokens,
            time_s=self.time_s,
            pairs=tuple(PlannedPair(pair.pair_id, pair.rows, pair.cost_usd) for pair in self.pairs),
            unpriced=self.unpriced,
            max_cost_usd=self.max_cost_usd,
            calls_per_question=self.calls_per_question,
            next_commands=tuple(next_commands),
        )

    def as_json(self) -> dict[str, Any]:
        """Plain values; money stays `Decimal`, ranges are `{low, expected, high}`."""
        plain: dict[str, Any] = {
            name: getattr(self, name) for name in self.__slots__ if name not in _NESTED
        }
        for name in _RANGES:
            plain[name] = getattr(self, name)._asdict()
        plain["clusters"] = [
            {**cluster._asdict(), "words": list(cluster.words)} for cluster in self.clusters
        ]
        plain["pairs"] = [_pair_json(pair) for pair in self.pairs]
        plain["unpriced"], plain["notes"] = list(self.unpriced), list(self.notes)
        plain["least_cap_usd"], plain["ample_cap_usd"] = self.least_cap_usd, self.ample_cap_usd
        return plain


_RANGES = ("cost_usd", "input_tokens", "output_tokens", "time_s")
_PAIR_RANGES = ("cost_usd", "input_tokens", "output_tokens")
_NESTED = (*_RANGES, "clusters", "pairs", "unpriced", "notes")


def _pair_json(pair: PairPlan) -> dict[str, Any]:
    plain = {name: getattr(pair, name) for name in pair.__slots__ if name not in _PAIR_RANGES}
    return plain | {name: getattr(pair, name)._asdict() for name in _PAIR_RANGES}


def _cents(amount: Decimal) -> Decimal:
    return amount.quantize(CENT, ROUND_CEILING)


def added(ranges: Iterable[Range]) -> Range:
    """Bounds that hold together: low with low, high with high. One unknown makes all unknown."""
    total: list[Any] = [0, 0, 0]
    for one in ranges:
        if None in one:
            return UNKNOWN
        total = [a + b for a, b in zip(total, one, strict=True)]
    return Range(*total)
