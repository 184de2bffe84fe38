"""Finding the answer to one item.

One step: the best pair first, the next best when a call fails. Many steps: the pairs that the
item's plan asks for, one after the other, then the leading answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from profiles.pool import Pair
from tasks.batch.item import Item, ItemResult
from tasks.call.base import CallOrigin, ChatRequest, Message
from tasks.call.cashier import Cashier
from tasks.call.errors import CallError, Fate, RowError
from tasks.call.paid import PairCalls
from tasks.call.request_key import request_id
from tasks.execute import Execution, execute
from tasks.grade.base import Grade
from tasks.grade.judge import grade_judge
from tasks.trajectory.walk import TrajectoryPlan, Walk
from warehouse.budget import BudgetExhaustedError

if TYPE_CHECKING:
    from tasks.call.base import ChatResponse
    from tasks.grade.graders import Graders
    from tasks.grade.judge import JudgeCall
    from tasks.tools.base import Tool
    from warehouse.ledger import StoredRequest


TOO_LONG = "too_long"
"""Error of a judge that could never read what it is asked about; it is not asked."""


class ProvidersClosedError(Exception):
    """Every pair that could answer belongs to a provider that a fatal error closed."""


class Answerer:
    """Answers items of one run.

    Args:
        cashier: pays for calls.
        tools: running tools by pool key.
        graders: grade the answers of labelled rows.
        fallbacks: how many further pairs may be tried after the first one failed.
        seed: sent to the providers.
        judge: key of the pool model that judges answers, for rows whose grader is `judge`.
    """

    def __init__(
        self,
        cashier: Cashier,
        *,
        tools: Mapping[str, Tool],
        graders: Graders,
        fallbacks: int,
        seed: int,
        judge: str | None = None,
    ) -> None:
        self._cashier = cashier
        self._tools = tools
        self._graders = graders
        self._fallbacks = fallbacks
        self._seed = seed
        self._judge = judge

    async def answer(
        self, item: Item, chunk_id: str, stored: Mapping[str, StoredRequest]
    ) -> ItemResult:
        """Answer and grade one item.

        Raises:
            ProvidersClosedError: no candidate's provider is open any more; the item is untouched.
        """
        began = self._cashier.clock.monotonic()
        if item.known is not None:
            result, response = _known_answer(item), None
        elif item.plan is not None:
            result, response = await self._follow(item, item.plan, chunk_id, stored)
        else:
            result, response = await self._try_pairs(item, chunk_id, stored)
        if result.status == "answered" and item.query.reference is not None:
            await self._grade(result, response, chunk_id, stored)
        result.duration_s = self._cashier.clock.monotonic() - began
        return result

    async def _try_pairs(
        self, item: Item, chunk_id: str, stored: Mapping[str, StoredRequest]
    ) -> tuple[ItemResult, ChatResponse | None]:
        result = ItemResult(item, "failed")
        pairs = self._cashier.pool.pairs
        candidates = [c for c in item.candidates if self._cashier.open_for(pairs[c].model)]
        for index in candidates[: 1 + self._fallbacks]:
            execution = await self._ask(result, index, chunk_id, stored)
            if execution is not None:
                result.status, result.answer = "answered", execution.answer
                result.error_type = result.error_message = None
                return result, execution.response
            if result.status != "failed":
                return result, None
        if not any(self._cashier.open_for(pairs[c].model) for c in item.candidates):
            raise ProvidersClosedError
        return result, None

    async def _follow(
        self, item: Item, plan: TrajectoryPlan, chunk_id: str, stored: Mapping[str, StoredRequest]
    ) -> tuple[ItemResult, ChatResponse | None]:
        """Call pair after pair as the plan's navigator says, then give the leading answer."""
        result = ItemResult(item, "failed")
        pairs = self._cashier.pool.pairs
        walk = Walk(plan, self._paid(item, plan, stored))
        result.steps = walk.steps
        executions: dict[int, Execution] = {}
        while True:
            allowed = [self._cashier.open_for(pairs[index].model) for index in plan.pairs]
            column = await walk.next(allowed)
            if column is None:
                break
            step = len(walk.steps) - 1
            execution = await self._ask(result, plan.pairs[column], chunk_id, stored, step)
            if execution is None and result.status != "failed":
                return result, None
            walk.learn(column, None if execution is None else execution.answer)
            if execution is not None:
                executions[column] = execution
        leader = walk.leader
        if leader is None:
            if not any(self._cashier.open_for(pairs[index].model) for index in plan.pairs):
                raise ProvidersClosedError
            return result, None
        result.status, result.pair = "answered", plan.pairs[leader]
        result.answer = executions[leader].answer
        result.confidence = walk.steps[-1].confidence
        result.error_type = result.error_message = None
        return result, executions[leader].response

    def _paid(
        self, item: Item, plan: TrajectoryPlan, stored: Mapping[str, StoredRequest]
    ) -> list[int]:
        """Pairs of the plan whose requests on this item the ledger knows, first claimed first."""
        run_id, query_id = self._cashier.run_id, item.query.query_id
        pairs = self._cashier.pool.pairs
        known = {}
        for index in plan.pairs if stored else ():
            first = request_id(run_id, query_id, pairs[index].pair_id, 0, item.round)
            if first in stored:
                known[first] = index
        if len(known) < 2:
            return list(known.values())
        return [known[one] for one in stored if one in known]

    async def _ask(
        self,
        result: ItemResult,
        index: int,
        chunk_id: str,
        stored: Mapping[str, StoredRequest],
        step: int = 0,
    ) -> Execution | None:
        """Call one pair; None where it gave no answer, and `result` says why.

        The status stays `failed` where another pair may be tried.
        """
        item = result.item
        calls = self._calls(item, index, chunk_id, stored)
        result.tried.append(index)
        result.pair = index
        try:
            return await execute(
                item.query,
                self._cashier.pool.pairs[index],
                pool=self._cashier.pool,
                tools=self._tools,
                calls=calls,
                seed=self._seed,
            )
        except BudgetExhaustedError:
            result.status = "skipped_budget"
            result.error_type = "budget"
            result.error_message = "the next call could have passed the budget's cap"
        except CallError as error:
            result.error_type, result.error_message = error.error_type, str(error)
            if error.error_type == "in_doubt" and not self._cashier.resend:
                result.status = "in_doubt"
        finally:
            result.attempts.extend(row | {"step": step} if step else row for row in calls.attempts)
        return None

    def _calls(
        self, item: Item, index: int, chunk_id: str, stored: Mapping[str, StoredRequest]
    ) -> PairCalls:
        pair = self._cashier.pool.pairs[index]
        return PairCalls(self._cashier, item.query, pair, chunk_id, stored, item.round)

    async def _grade(
        self,
        result: ItemResult,
        response: ChatResponse | None,
        chunk_id: str,
        stored: Mapping[str, StoredRequest],
    ) -> None:
        reference = result.item.query.reference
        if reference is None or result.answer is None:
            return
        if reference.grader == "recorded":
            result.grade = recorded_grade(response)
            return
        question = result.item.query.prompt
        judge = self._judge_call(result, chunk_id, stored)
        try:
            if reference.grader == "judge" and judge is not None:
                result.grade = await grade_judge(result.answer, reference, question, judge)
            else:
                result.grade = await self._graders.grade(
                    result.answer, reference, question=question
                )
        except BudgetExhaustedError:
            result.status = "skipped_budget"
            result.error_type = "budget"
            result.error_message = "judging the answer could have passed the budget's cap"

    def _judge_call(
        self, result: ItemResult, chunk_id: str, stored: Mapping[str, StoredRequest]
    ) -> JudgeCall | None:
        key = self._judge
        if key is None:
            return None
        spec = self._cashier.pool.models[key]
        pairs = self._cashier.pool.pairs
        calls = PairCalls(
            self._cashier,
            result.item.query,
            Pair(key, "judge"),
            chunk_id,
            stored,
            result.item.round,
            judged=None if result.pair is None else pairs[result.pair].pair_id,
        )

        async def ask(prompt: str) -> str:
            # Four bytes a token is the fewest tokens a text can be hoped to have.
            tokens = len(prompt.encode()) // 4 + spec.limits.max_output_tokens
            if tokens > spec.limits.context_tokens:
                raise RowError(
                    f"question, reference and answer take about {tokens:,} tokens and the judge "
                    f"{key!r} reads {spec.limits.context_tokens:,}",
                    error_type=TOO_LONG,
                    fate=Fate.REFUSED,
                )
            request = ChatRequest(
                model=spec.name,
                messages=(Message("user", prompt),),
                max_output_tokens=spec.limits.max_output_tokens,
                origin=CallOrigin(result.item.query.query_id, key, "judge"),
                seed=self._seed,
                timeout_s=spec.limits.timeout_s,
            )
            try:
                return (await calls.chat(request)).text
            finally:
                result.attempts.extend(calls.attempts)
                calls.attempts.clear()

        return ask


def _known_answer(item: Item) -> ItemResult:
    """The answer an earlier run paid for, to be graded again."""
    assert item.known is not None
    pair = item.candidates[0]
    return ItemResult(item, "answered", answer=item.known["answer"], pair=pair, tried=[pair])


def recorded_grade(response: ChatResponse | None) -> Grade:
    """The score a recorded table carries for this answer; null there is unscored."""
    if response is None or response.recorded is None or response.recorded.score is None:
        return Grade(None, "recorded", "1", "the recorded table carries no score for this cell")
    return Grade(response.recorded.score, "recorded", "1")
