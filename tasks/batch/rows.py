"""What is written of a chunk: rows of its tables, merged with an earlier generation's.

A chunk is committed whole, or partly when the budget or the user stopped the run. Taking it up
again writes the next generation: rows of finished queries are carried over, every attempt ever
made is kept, and what was unfinished is replaced.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from tasks.batch.item import ItemResult
from tasks.batch.step_rows import step_decisions, trajectories
from tasks.call.attempts import PRICE_ID

if TYPE_CHECKING:
    from profiles.pool import Pool

Row = dict[str, Any]
Tables = dict[str, list[Row]]

OUTCOME_TABLES = {"profile": "outcomes", "canary": "canary_outcomes"}
"""Kinds of runs that work cells (query × pair), and the table each writes its outcomes to."""


@dataclass(frozen=True, slots=True)
class RowContext:
    """Columns that every row of a chunk shares."""

    run_id: str
    chunk_id: str
    kind: str
    pool: Pool
    router: str
    profile_id: str | None
    now: datetime


@dataclass(slots=True)
class Bill:
    """Money, tokens and calls of one item over all its attempts; None where one is unknown.

    Attributes:
        metered: whether every charge follows from tokens; one that does not is the most that the
            call can have cost, which counts against a budget and says little about a pair.
    """

    cost_usd: Decimal | None = Decimal(0)
    doubt_usd: Decimal | None = Decimal(0)
    input_tokens: int | None = 0
    output_tokens: int | None = 0
    attempts: int = 0
    chats: int = 0
    finish_reason: str | None = None
    price_ids: set[str] = field(default_factory=set)
    last_at: datetime | None = None
    metered: bool = True

    def add(self, row: Row) -> None:
        """Count one attempt."""
        self.attempts += 1
        cost = row["cost_usd"]
        if row["charge_kind"] == "doubt":
            self.doubt_usd = _plus(self.doubt_usd, cost)
            return
        self.cost_usd = _plus(self.cost_usd, cost)
        self.metered &= not cost or _is_metered(row)
        if row.get("price_id"):
            self.price_ids.add(row["price_id"])
        if row["operation_name"] == "chat" and row["status"] == "ok":
            self.chats += 1
            self.last_at = row.get("started_at")
            self.finish_reason = row.get("finish_reason")
            self.input_tokens = _plus(self.input_tokens, row.get("input_tokens"))
            self.output_tokens = _plus(self.output_tokens, row.get("output_tokens"))


def _is_metered(row: Row) -> bool:
    if row["operation_name"] != "chat" or row.get("provider_name") == "recorded":
        return True
    return row.get("input_tokens") is not None and row.get("output_tokens") is not None


def _plus(total: Any, value: Any) -> Any:  # noqa: ANN401
    return None if total is None or value is None else total + value


def bills(attempts: Iterable[Row], *, by_pair: bool) -> Mapping[Any, Bill]:
    """Sum attempts by query, or by (query, pair) for a profile's cells."""
    sums: dict[Any, Bill] = defaultdict(Bill)
    for row in attempts:
        sums[(row["query_id"], row["pair_id"]) if by_pair else row["query_id"]].add(row)
    return sums


def chunk_tables(results: Sequence[ItemResult], earlier: Tables, context: RowContext) -> Tables:
    """Rows of every table of a chunk, an earlier generation's finished rows carried over."""
    attempts = _merge_attempts(earlier.get("attempts", []), results)
    cells = context.kind in OUTCOME_TABLES
    if cells:
        fresh = {
            OUTCOME_TABLES[context.kind]: _outcomes(results, attempts, context),
            "grades": _grades(results, context),
        }
        redone: set[Any] = {(r.item.query.query_id, _pair_id(r, context)) for r in results}
    else:
        fresh = {
            "queries": _queries(results, context),
            "decisions": _decisions(results, context),
            "trajectories": trajectories(results, context),
            "answers": _answers(results, attempts, context),
            "grades": _grades(results, context),
        }
        redone = {r.item.query.query_id for r in results}
    tables: Tables = {"attempts": attempts}
    for name, rows in fresh.items():
        kept = [
            row
            for row in earlier.get(name, [])
            if ((row["query_id"], row["pair_id"]) if cells else row["query_id"]) not in redone
        ]
        tables[name] = kept + rows
    return tables


def _merge_attempts(earlier: Sequence[Row], results: Sequence[ItemResult]) -> list[Row]:
    merged = {row["attempt_id"]: row for row in earlier}
    for result in results:
        for row in result.attempts:
            merged[row["attempt_id"]] = row
    return list(merged.values())


def _stamp(context: RowContext, query_id: str) -> Row:
    return {"run_id": context.run_id, "chunk_id": context.chunk_id, "query_id": query_id}


def _queries(results: Sequence[ItemResult], context: RowContext) -> list[Row]:
    rows = []
    for result in results:
        query = result.item.query
        rows.append(
            _stamp(context, query.query_id)
            | {
                "custom_id": query.custom_id,
                "row_index": query.row_index,
                "prompt": query.prompt,
                "context": query.context or None,
                "reference": query.reference.value if query.reference else None,
                "grader": query.reference.grader if query.reference else None,
                "dataset": query.dataset,
                "split": query.split,
                "source_uri": query.source,
                "source_row": query.source_row,
                "ingested_at": context.now,
            }
        )
    return rows


def _decisions(results: Sequence[ItemResult], context: RowContext) -> list[Row]:
    rows = []
    for result in results:
        decision = dict(result.item.decision or {})
        if result.item.plan is not None:
            rows += step_decisions(result, decision, context)
            continue
        for rank, index in enumerate(result.tried):
            row = _stamp(context, result.item.query.query_id) | decision
            row |= {
                "step": 0,
                "rank": rank,
                "pair_id": context.pool.pairs[index].pair_id,
                "decided_at": context.now,
            }
            if rank:
                # Estimates describe the first choice; a fallback was not decided by them.
                row |= {
                    "reason": f"fallback {rank}: an earlier pair's call failed",
                    "expected_score": None,
                    "expected_cost_usd": None,
                    "propensity": None,
                    "chances": None,
                }
            rows.append(row)
    return rows


def _answers(
    results: Sequence[ItemResult], attempts: Sequence[Row], context: RowContext
) -> list[Row]:
    bill_of = bills(attempts, by_pair=False)
    rows = []
    for result in results:
        query = result.item.query
        pair = None if result.pair is None else context.pool.pairs[result.pair]
        bill = bill_of.get(query.query_id) or Bill()
        rows.append(
            _stamp(context, query.query_id)
            | {
                "custom_id": query.custom_id,
                "row_index": query.row_index,
                "answer": result.answer if result.status == "answered" else None,
                "status": result.status,
                "error_type": result.error_type,
                "error_message": result.error_message,
                "pair_id": pair.pair_id if pair else None,
                "model": pair.model if pair else None,
                "tool": pair.tool if pair else None,
                "attempts": bill.attempts,
                "cost_usd": bill.cost_usd,
                "doubt_usd": bill.doubt_usd,
                "input_tokens": bill.input_tokens,
                "output_tokens": bill.output_tokens,
                "finish_reason": bill.finish_reason if result.status == "answered" else None,
                "duration_s": result.duration_s,
                "router": context.router,
                "policy_version": (result.item.decision or {}).get("policy_version"),
                "profile_id": context.profile_id,
                "confidence": result.confidence,
                "score": result.grade.score if result.grade else None,
                "grade_status": _grade_status(result),
                "answered_at": context.now,
            }
        )
    return rows


def _outcomes(
    results: Sequence[ItemResult], attempts: Sequence[Row], context: RowContext
) -> list[Row]:
    bill_of = bills(attempts, by_pair=True)
    rows = []
    for result in results:
        if not result.finished:
            continue
        query = result.item.query
        pair = context.pool.pairs[result.item.candidates[0]]
        bill = bill_of.get((query.query_id, pair.pair_id)) or Bill()
        rows.append(
            _stamp(context, query.query_id)
            | dict(result.item.cell or {})
            | {
                "dataset": query.dataset,
                "split": query.split,
                "pair_id": pair.pair_id,
                "model": pair.model,
                "tool": pair.tool,
                "score": result.grade.score if result.grade else None,
                "grade_status": _grade_status(result) or "unscored",
                "unscored_reason": result.grade.reason
                if result.grade
                else (result.error_message or "the query has no reference"),
                "answer": result.answer,
                "cost_usd": bill.cost_usd if bill.metered else None,
                "input_tokens": bill.input_tokens,
                "output_tokens": bill.output_tokens,
                "calls": bill.chats,
                "duration_s": result.duration_s,
                "error_type": result.error_type,
                # A call replayed from the ledger is as old as it was sent, not as its commit.
                "created_at": bill.last_at or context.now,
            }
            | _of_answer(result, bill, context)
        )
    return rows


_ASKED = (
    "answer", "cost_usd", "input_tokens", "output_tokens", "calls", "duration_s", "created_at",
    "prices_version",
)  # fmt: skip
"""Columns of an outcome that belong to its answer and outlive its grade."""


def _of_answer(result: ItemResult, bill: Bill, context: RowContext) -> Row:
    """What an answer that was only graded again keeps; of a new one, whether its price is one."""
    known = result.item.known
    if known is not None:
        return {name: known[name] for name in _ASKED} | {
            "answer_run_id": known["answer_run_id"] or known["run_id"]
        }
    paid = bill.price_ids - {context.pool.fingerprint[:PRICE_ID]}
    # A run that was taken up after a change of prices paid by two price lists.
    return {"prices_version": None} if paid else {}


def _grade_status(result: ItemResult) -> str | None:
    if result.grade is None:
        return None
    return "unscored" if result.grade.score is None else "scored"


def _pair_id(result: ItemResult, context: RowContext) -> str:
    return context.pool.pairs[result.item.candidates[0]].pair_id


def _grades(results: Sequence[ItemResult], context: RowContext) -> list[Row]:
    rows = []
    for result in results:
        grade = result.grade
        if grade is None:
            continue
        pair = None if result.pair is None else context.pool.pairs[result.pair].pair_id
        rows.append(
            _stamp(context, result.item.query.query_id)
            | {
                "grade_id": f"{context.run_id}.{result.item.key}.{grade.grader}",
                "pair_id": pair,
                "grader": grade.grader,
                "grader_version": grade.version,
                "score": grade.score,
                "grade_status": "unscored" if grade.score is None else "scored",
                "unscored_reason": grade.reason,
                "extracted": grade.extracted,
                "graded_at": context.now,
            }
        )
    return rows
