"""The plain facts that panels, figures, pages and tracking are made from.

Whoever ran something fills one of these; nothing in `tasks.report` looks anything up itself.
Money is dollars (`Decimal`, None is unknown), times are seconds, scores lie in [0, 1].
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from profiles.profile import Profile
    from tasks.report.comparison import Interval, RouterScore


@dataclass(frozen=True, slots=True)
class PairUse:
    """What one pair did in a batch run.

    Attributes:
        pair_id: `model@@tool`.
        rows: rows it answered.
        graded: how many of them carry a score; `accuracy` is their mean, None without any.
        cost_usd: money its rows cost, None if any price is unknown.
    """

    pair_id: str
    rows: int
    graded: int = 0
    accuracy: float | None = None
    accuracy_low: float | None = None
    accuracy_high: float | None = None
    cost_usd: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Versus:
    """A run against what its profile expects of the best single pair on the same rows.

    Attributes:
        name: what is compared with, such as `best single (gpt + python)`.
        cost_change: relative change of cost, −0.63 is 63 % less; None where unknown.
        accuracy: change of accuracy, with its interval; None where nothing was graded.
    """

    name: str
    cost_change: float | None = None
    accuracy: Interval | None = None


class SpendPoint(NamedTuple):
    """Money spent up to a moment: seconds since the run began, dollars."""

    elapsed_s: float
    spent_usd: Decimal


class CallShare(NamedTuple):
    """Questions that took so many calls, and their share of all."""

    calls: int
    rows: int
    share: float


class Steps(NamedTuple):
    """What the questions of a policy's run took.

    Attributes:
        calls: mean calls a question, the failed ones among them.
        confidence: mean probability of the answers given; None where there is none.
        shares: questions by number of calls, few first.
    """

    calls: float
    confidence: float | None
    shares: tuple[CallShare, ...]


@dataclass(frozen=True, slots=True)
class RouteFacts:
    """How a batch run stands.

    Attributes:
        state: running | paused_budget | failed | cancelled | complete.
        source: the backlog, as the user wrote it.
        destination: where the answers lie.
        router: one line naming router, alpha and profile.
        rows: rows of the backlog that could be read; `answered`, `failed`, `pending` and
            `in_doubt` add up to it.
        cached: rows answered without a call, from another row of the same content.
        resumed: rows that earlier sessions of this run had finished.
        bad_rows: rows that could not be read; `dead_letter` is where they are listed.
        spent_usd: everything that counts against the budget.
        doubt_usd: the part of it kept for requests of unknown fate.
        unpriced: settled requests of unknown price, counted in no sum.
        planned_usd: what the plan said, (low, high).
        elapsed_s, session_rows: of this session alone, which is what a rate means.
        next_commands: what to type next, the likeliest first.
    """

    run_id: str
    state: str
    source: str
    destination: str
    router: str
    rows: int
    answered: int
    failed: int = 0
    pending: int = 0
    in_doubt: int = 0
    cached: int = 0
    resumed: int = 0
    bad_rows: int = 0
    dead_letter: str | None = None
    spent_usd: Decimal = Decimal(0)
    doubt_usd: Decimal = Decimal(0)
    max_cost_usd: Decimal | None = None
    unpriced: int = 0
    planned_usd: tuple[Decimal, Decimal] | None = None
    input_tokens: int | None = None
    cached_tokens: int | None = None
    output_tokens: int | None = None
    elapsed_s: float = 0.0
    session_rows: int = 0
    sandbox_tier: str | None = None
    pairs: tuple[PairUse, ...] = ()
    versus: Versus | None = None
    errors: Mapping[str, int] | None = None
    """Failed rows by error type."""
    steps: Steps | None = None
    """Of a policy's run."""
    spend: tuple[SpendPoint, ...] = ()
    next_commands: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RouterFacts:
    """One router on one split of a labelled table.

    Attributes:
        cost_usd: mean dollars a question, None where no cost is recorded.
        calls: mean calls a question.
        decisions_per_s: how fast it decides, None where not measured.
        told: what it is told that no router may know, such as `dataset names`; empty for routers.
    """

    router: str
    split: str
    score: RouterScore
    cost_usd: Decimal | None = None
    calls: float | None = None
    decisions_per_s: float | None = None
    told: str = ""


@dataclass(frozen=True, slots=True)
class EvaluationFacts:
    """Routers on a labelled table; `baseline` is the router that gains are measured against."""

    title: str
    baseline: str | None
    routers: tuple[RouterFacts, ...]


class Range(NamedTuple):
    """A low, an expected and a high figure; None is unknown."""

    low: float | Decimal | None
    expected: float | Decimal | None
    high: float | Decimal | None


@dataclass(frozen=True, slots=True)
class PlannedPair:
    """What a plan expects of one pair: rows it gets, dollars for all of them."""

    pair_id: str
    rows: int
    cost_usd: Range


@dataclass(frozen=True, slots=True)
class PlanFacts:
    """What a backlog would cost; nothing was spent to know it.

    Attributes:
        rows: readable rows; `unique_rows` of them have distinct content.
        out_of_distribution: unique rows unlike anything profiled.
        time_s: wall time at the planned concurrency.
        unpriced: pairs of unknown price the plan would use.
        calls_per_question: that a policy is expected to make; None for routers.
    """

    source: str
    router: str
    rows: int
    unique_rows: int
    bad_rows: int
    out_of_distribution: int
    cost_usd: Range
    input_tokens: Range
    output_tokens: Range
    time_s: Range
    pairs: tuple[PlannedPair, ...]
    unpriced: tuple[str, ...] = ()
    max_cost_usd: Decimal | None = None
    calls_per_question: float | None = None
    next_commands: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ProfileFacts:
    """A profile, with what people want to read beside it.

    Attributes:
        examples: per cluster, texts of held-out questions that fall into it.
        dtype and the like go into `parameters`, as text.
    """

    profile: Profile
    pool_name: str
    source: str = ""
    spent_usd: Decimal | None = None
    examples: Mapping[int, tuple[str, ...]] | None = None
    parameters: Mapping[str, str] | None = None
    next_commands: tuple[str, ...] = ()
