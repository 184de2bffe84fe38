"""What a simulated model understands of a question, whatever the kind."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple, Protocol

from tasks.simulate.solve import expressions

if TYPE_CHECKING:
    from random import Random

    from tasks.simulate.solve.expressions import Expr


class HeadWork(NamedTuple):
    """What came of working in the head."""

    answer: str
    steps: list[str]


class Reading(Protocol):
    """A question as understood, rightly or wrongly, from its text alone."""

    @property
    def domain(self) -> str:
        """The skill it asks for: arithmetic, algebra, dates, tables, logic, ..."""
        ...

    @property
    def load(self) -> float:
        """How hard it is, in logits above the average question of its kind."""
        ...

    def misread(self, rng: Random) -> Reading:
        """The same question with one real mistake in its understanding."""
        ...

    def solve(self) -> str:
        """The exact answer to what was understood."""
        ...

    def by_head(self, rng: Random, slip: float) -> HeadWork:
        """The answer without any tool; slips grow with `slip` and the size of the work."""
        ...

    def calculation(self) -> str | None:
        """One expression for a calculator, or None where none helps."""
        ...

    def program(self) -> str | None:
        """A Python program that prints the answer, or None where none helps."""
        ...

    def conclude(self, output: str) -> str:
        """The answer to give when a tool has brought this output."""
        ...


NO_ANSWER = "unknown"
_IMPORTS = "from math import gcd, lcm, sqrt\n\n"


def tidy(output: str) -> str:
    """The last line of a tool's output, without the noise of floating point."""
    lines = output.strip().splitlines()
    last = lines[-1].strip() if lines else NO_ANSWER
    if re.fullmatch(r"-?\d+\.\d{5,}(?:e-?\d+)?", last):
        return f"{float(last):.4f}".rstrip("0").rstrip(".")
    return last


@dataclass(frozen=True, slots=True)
class Calculation:
    """A reading that is one expression."""

    domain: str
    expr: Expr
    bias: float = 0.0

    @property
    def load(self) -> float:
        """Steps and long numbers make it harder."""
        steps = expressions.operations(self.expr)
        digits = expressions.largest_digits(self.expr)
        return self.bias + 0.3 * (steps - 2.5) + 0.06 * (digits - 3)

    def misread(self, rng: Random) -> Calculation:
        """A dropped step, a swapped operand, a wrong digit."""
        return replace(self, expr=expressions.misread(self.expr, rng))

    def solve(self) -> str:
        """The value."""
        try:
            return expressions.show(expressions.exact(self.expr))
        except ArithmeticError:
            return NO_ANSWER

    def by_head(self, rng: Random, slip: float) -> HeadWork:
        """The value with slips."""
        steps: list[str] = []
        try:
            value = expressions.by_head(self.expr, rng, slip, steps)
        except ArithmeticError:
            return HeadWork(NO_ANSWER, steps)
        return HeadWork(expressions.show(value), steps)

    def calculation(self) -> str | None:
        """The expression, unless it asks for what no calculator has (digits)."""
        if expressions.uses(self.expr, "digits"):
            return None
        return expressions.write(self.expr)

    def program(self) -> str | None:
        """The expression, printed."""
        text = expressions.write(self.expr)
        named = any(expressions.uses(self.expr, name) for name in ("gcd", "lcm", "sqrt"))
        return f"{_IMPORTS if named else ''}result = {text}\nprint(result)\n"

    def conclude(self, output: str) -> str:
        """The number that came out."""
        return tidy(output)
