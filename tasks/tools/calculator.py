"""The calculator: one expression in, one result out.

Text passes the gate of `tasks.tools.expression` first. Arithmetic on fractions is then done here,
exactly, under size bounds (`tasks.tools.rational`); everything else goes to a helper process with
limits on time and memory, which is killed when it overruns.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pydantic import Field

from tasks.call.base import FunctionSchema
from tasks.tools.arguments import ArgumentError, ToolParameters, failure, read_text, refuse
from tasks.tools.base import ToolResult
from tasks.tools.expression import LONGEST, ExpressionError, parse
from tasks.tools.rational import NotRationalError, TooLargeError, evaluate, format_fraction
from tasks.tools.worker import WorkerError, WorkerPool, WorkerTimeoutError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from decimal import Decimal

    from tasks.tools.expression import Tree

KINDS = (
    "numeric",
    "integer",
    "simplify",
    "expand",
    "factor",
    "solve",
    "derivative",
    "integral",
)
MOST_DIGITS = 1000
"""Digits of a whole number that are printed in full."""

SCHEMA = FunctionSchema(
    name="calculator",
    description=(
        "Evaluates one mathematical expression exactly. Use it for every computation. It knows "
        "+ - * / // % **, brackets, comparisons, factorial `5!`, the functions sqrt, cbrt, root, "
        "exp, ln, log(x, base), sin, cos, tan and their inverses, abs, floor, ceil, round, min, "
        "max, mean, gcd, lcm, mod, binomial, perm, isprime, diff(f, x), integrate(f, x, a, b), "
        "limit(f, x, a), sum(f, k, a, b), and the constants pi, e and I. Angles are in radians."
    ),
    parameters={
        "type": "object",
        "properties": {
            "expression": {
                "type": "string",
                "description": (
                    "The expression, such as `(12.5 - 3) * 4 / 7`. For `solve`, equations or "
                    "inequalities separated by `;`, such as `2*x + y = 7; x - y = 2`."
                ),
                "maxLength": LONGEST,
            },
            "kind": {
                "type": "string",
                "enum": list(KINDS),
                "description": (
                    "numeric (default): a decimal number. integer: a whole number in full. "
                    "simplify, expand, factor, derivative, integral: an expression. solve: the "
                    "values of the unknowns."
                ),
            },
            "precision": {
                "type": "integer",
                "minimum": 1,
                "maximum": 100,
                "description": "Significant digits of a numeric result; 15 when left out.",
            },
            "variable": {
                "type": "string",
                "description": "The unknown to solve for, derive or integrate by, when several.",
            },
        },
        "required": ["expression"],
        "additionalProperties": False,
    },
)


class CalculatorParameters(ToolParameters):
    """What a pool may set."""

    timeout_s: float = Field(default=5.0, gt=0, le=120)
    """Seconds one expression may take."""
    memory_mb: int = Field(default=1024, ge=512, le=16_384)
    """Address space of a helper process, in MiB."""
    workers: int = Field(default=2, ge=1, le=64)
    """Helper processes at a time."""


class Calculator:
    """The tool. Helper processes start when the first expression needs one."""

    kind = "calculator"
    tier = "in-process"

    def __init__(
        self,
        parameters: CalculatorParameters | None = None,
        *,
        price_per_call_usd: Decimal | None,
    ) -> None:
        """Keep the limits; `price_per_call_usd` is what every call costs, None when unknown."""
        self.schema = SCHEMA
        self.price_per_call_usd = price_per_call_usd
        self._parameters = parameters or CalculatorParameters()
        self._pool = WorkerPool(
            "tasks.tools.calculator_worker",
            size=self._parameters.workers,
            memory_mb=self._parameters.memory_mb,
        )

    async def run(self, arguments: Mapping[str, Any]) -> ToolResult:
        """Evaluate `expression`; a bad one and one that overruns come back as not ok."""
        try:
            tree, kind, precision, variable = read_arguments(arguments)
        except (ArgumentError, ExpressionError) as error:
            return refuse(error)
        result = evaluate_exactly(tree, kind, precision)
        if result is None:
            result = await self._ask(tree, kind, precision, variable)
        return replace(result, cost_usd=self.price_per_call_usd)

    async def close(self) -> None:
        """End the helper processes."""
        await self._pool.close()

    async def _ask(self, tree: Tree, kind: str, precision: int, variable: str | None) -> ToolResult:
        request = {"tree": tree, "kind": kind, "precision": precision, "variable": variable}
        try:
            answer = await self._pool.ask(request, limit_s=self._parameters.timeout_s)
        except WorkerTimeoutError:
            return failure("timeout", f"stopped after {self._parameters.timeout_s:g} s")
        except WorkerError as error:
            return failure("crashed", f"{error}: the calculation was too large")
        if "output" in answer:
            return ToolResult(output=str(answer["output"]))
        return failure(str(answer.get("type")), str(answer.get("error")))


def read_arguments(arguments: Mapping[str, Any]) -> tuple[Tree, str, int, str | None]:
    """(tree, kind, precision, variable) of a call.

    Raises:
        ArgumentError: an argument is missing, unknown or of the wrong type.
        ExpressionError: the expression does not pass the gate.
    """
    unknown = sorted(set(arguments) - {"expression", "kind", "precision", "variable"})
    if unknown:
        raise ArgumentError(f"there is no argument {unknown[0]!r}")
    text = read_text(arguments, "expression", longest=LONGEST)
    kind = arguments.get("kind") or "numeric"
    if kind not in KINDS:
        raise ArgumentError(f"kind is one of {', '.join(KINDS)}, not {kind!r}")
    precision = arguments.get("precision") or 15
    if isinstance(precision, float | str):
        try:
            precision = int(precision)
        except (ValueError, OverflowError):
            raise ArgumentError(f"precision is a whole number, not {precision!r}") from None
    if not isinstance(precision, int) or not 1 <= precision <= 100:
        raise ArgumentError(f"precision is a whole number from 1 to 100, not {precision!r}")
    variable = arguments.get("variable") or None
    if variable is not None:
        if not isinstance(variable, str) or parse(variable)[0] != "var":
            raise ArgumentError(f"variable is a name such as x, not {variable!r}")
        variable = variable.strip()
    return parse(text), kind, precision, variable


def evaluate_exactly(tree: Tree, kind: str, precision: int) -> ToolResult | None:
    """The result when fractions are enough for it, None when algebra is needed."""
    if kind not in {"numeric", "integer", "simplify"}:
        return None
    try:
        value = evaluate(tree)
    except NotRationalError:
        return None
    except TooLargeError as error:
        return failure("too_large", str(error))
    except ExpressionError as error:
        return refuse(error)
    if kind == "numeric":
        return ToolResult(output=format_fraction(value, precision))
    if kind == "integer" and value.denominator != 1:
        shown = format_fraction(value, 15)
        return refuse(f"the result is not a whole number: {shown}")
    if max(abs(value.numerator), value.denominator) >= 10**MOST_DIGITS:
        return failure("too_large", f"the result has more than {MOST_DIGITS:,} digits")
    return ToolResult(output=str(value))
