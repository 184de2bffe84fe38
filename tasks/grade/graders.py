"""All graders behind one door, holding what some of them need: a sandbox, a judge, processes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.grade.abstain import settle_declined
from tasks.grade.base import Grade, Reference
from tasks.grade.choice import VERSION as CHOICE_VERSION
from tasks.grade.choice import grade_choice
from tasks.grade.exact import VERSION as EXACT_VERSION
from tasks.grade.exact import grade_exact
from tasks.grade.judge import VERSION as JUDGE_VERSION
from tasks.grade.judge import JudgeCall, grade_judge
from tasks.grade.numeric import VERSION as NUMERIC_VERSION
from tasks.grade.numeric import grade_numeric
from tasks.grade.programs import VERSION as CODE_VERSION
from tasks.grade.programs import grade_code
from tasks.grade.token_f1 import VERSION as TOKEN_F1_VERSION
from tasks.grade.token_f1 import grade_token_f1
from tasks.tools.worker import WorkerPool

if TYPE_CHECKING:
    from tasks.tools.sandbox import Sandbox

VERSIONS = {
    "exact": EXACT_VERSION,
    "numeric": NUMERIC_VERSION,
    "choice": CHOICE_VERSION,
    "token_f1": TOKEN_F1_VERSION,
    "code": CODE_VERSION,
    "judge": JUDGE_VERSION,
    "recorded": "recorded-1",
}
"""Grader to version. A version changes whenever a grade may."""


class Graders:
    """Grades answers. Belongs to the event loop that uses it."""

    def __init__(
        self,
        *,
        sandbox: Sandbox | None = None,
        judge: JudgeCall | None = None,
        formula_workers: int = 1,
    ) -> None:
        """Keep what graders need; processes start when the first formula must be compared.

        Args:
            sandbox: runs hidden tests; one with the default limits is made when first needed.
            judge: asks the judging model; without it, `judge` references stay unscored.
            formula_workers: processes that compare formulas.
        """
        self._sandbox = sandbox
        self._judge = judge
        self._workers = WorkerPool("tasks.grade.latex", size=formula_workers, memory_mb=1024)

    async def grade(self, answer: str | None, reference: Reference, *, question: str = "") -> Grade:
        """A score in [0, 1], or unscored with a reason; never raises for what an answer says.

        Args:
            answer: the model's text; None when the call brought none, which stays unscored. An
                empty text of a call that succeeded is a wrong answer.
            reference: the gold answer and its grader.
            question: shown to a judge.
        """
        grader = reference.grader
        version = VERSIONS.get(grader, "")
        if not version:
            return Grade(None, grader, "", f"there is no grader called {grader!r}")
        if answer is None:
            return Grade(None, grader, version, "the call brought no answer")
        if grader == "recorded":
            return Grade(None, grader, version, "the recorded table carries the score")
        if not answer.strip():
            return Grade(0.0, grader, version, "empty answer", "")
        match grader:
            case "exact":
                grade = await grade_exact(answer, reference, self._workers)
                return settle_declined(grade, answer)
            case "numeric":
                return settle_declined(grade_numeric(answer, reference), answer)
            case "choice":
                return settle_declined(grade_choice(answer, reference), answer)
            case "token_f1":
                return grade_token_f1(answer, reference)
            case "code":
                return await grade_code(answer, reference, self._code_sandbox())
            case _:
                return await self._grade_judge(answer, reference, question)

    async def close(self) -> None:
        """End the processes."""
        await self._workers.close()

    async def _grade_judge(self, answer: str, reference: Reference, question: str) -> Grade:
        if self._judge is None:
            return Grade(None, "judge", JUDGE_VERSION, "no judge is configured")
        return await grade_judge(answer, reference, question, self._judge)

    def _code_sandbox(self) -> Sandbox:
        if self._sandbox is None:
            from tasks.tools.sandbox import Sandbox

            self._sandbox = Sandbox()
        return self._sandbox
