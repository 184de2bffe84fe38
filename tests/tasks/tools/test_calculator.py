"""The calculator: right results, and nothing that hangs or fills memory."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from tasks.tools.calculator import KINDS, SCHEMA, Calculator, CalculatorParameters

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

PRICE = Decimal("0.0001")

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def calculator() -> AsyncIterator[Calculator]:
    made = Calculator(CalculatorParameters(timeout_s=10, workers=1), price_per_call_usd=PRICE)
    yield made
    await made.close()


@pytest.mark.parametrize(
    ("expression", "kind", "output"),
    [
        ("(12.5 - 3) * 4 / 7", "numeric", "5.42857142857143"),
        ("1/3", "simplify", "1/3"),
        ("2^100", "integer", "1267650600228229401496703205376"),
        ("2^500", "numeric", "3.27339060789614e+150"),
        ("sqrt(2)", "numeric", "1.4142135623731"),
        ("sin(pi/6)", "numeric", "0.5"),
        ("e^(i*pi)", "numeric", "-1"),
        ("sqrt(-4)", "numeric", "2*I"),
        ("log(100, 10)", "numeric", "2"),
        ("log10(1000) + log2(8)", "integer", "6"),
        ("sqrt(2)*sqrt(8)", "integer", "4"),
        ("round(pi, 2)", "numeric", "3.14"),
        ("degrees(pi)", "numeric", "180"),
        ("isprime(97)", "numeric", "true"),
        ("nextprime(100)", "numeric", "101"),
        ("3 < 5", "numeric", "true"),
        ("integrate(x^2, x, 0, 1)", "simplify", "1/3"),
        ("diff(x^3, x, 2)", "simplify", "6*x"),
        ("limit(sin(x)/x, x, 0)", "numeric", "1"),
        ("sum(i, i, 1, 100)", "numeric", "5050"),
        ("product(k, k, 1, 5)", "numeric", "120"),
        ("(x+1)^2", "expand", "x**2 + 2*x + 1"),
        ("x^2 - 1", "factor", "(x - 1)*(x + 1)"),
        ("(x^2-1)/(x-1)", "simplify", "x + 1"),
        ("x^3", "derivative", "3*x**2"),
        ("x^3", "integral", "x**4/4"),
        ("2x + 3 = 7", "solve", "x = 2"),
        ("x^2 = 4", "solve", "x = -2; x = 2"),
        ("2x + y = 7; x - y = 2", "solve", "x = 3, y = 1"),
        ("x^2 < 4", "solve", "(-2 < x) & (x < 2)"),
        ("x = x + 1", "solve", "no solution"),
        ("x = x", "solve", "always true"),
        ("3x = 1", "solve", "x = 1/3 (about 0.333333333333333)"),
    ],
)
async def test_results(calculator, expression: str, kind: str, output: str) -> None:
    result = await calculator.run({"expression": expression, "kind": kind})

    assert (True, output, PRICE) == (result.ok, result.output, result.cost_usd)


async def test_precision_and_variable_are_heeded(calculator) -> None:
    digits = await calculator.run({"expression": "pi", "precision": 30})
    solved = await calculator.run({"expression": "a*x = 1", "kind": "solve", "variable": "x"})

    assert digits.output == "3.14159265358979323846264338328"
    assert solved.output == "x = 1/a"


@pytest.mark.parametrize(
    ("arguments", "kind"),
    [
        ({}, "bad_arguments"),
        ({"expression": 3}, "bad_arguments"),
        ({"expression": " "}, "bad_arguments"),
        ({"expression": "1", "kind": "magic"}, "bad_arguments"),
        ({"expression": "1", "kind": ["numeric"]}, "bad_arguments"),
        ({"expression": "1", "precision": 1000}, "bad_arguments"),
        ({"expression": "1", "precision": "many"}, "bad_arguments"),
        ({"expression": "1", "precision": float("inf")}, "bad_arguments"),
        ({"expression": "1", "variable": "2"}, "bad_arguments"),
        ({"expression": "1", "other": 2}, "bad_arguments"),
        ({"expression": "x + 1"}, "bad_arguments"),
        ({"expression": "1/7", "kind": "integer"}, "bad_arguments"),
        ({"expression": "pi", "kind": "integer"}, "bad_arguments"),
        ({"expression": "tan(pi/2)"}, "bad_arguments"),
        ({"expression": "a + b", "kind": "derivative"}, "bad_arguments"),
        ({"expression": "sum(k, 3, 1, 2)"}, "bad_arguments"),
        ({"expression": "9**9**9"}, "too_large"),
        ({"expression": "factorial(10**9)"}, "too_large"),
        ({"expression": "10**5000", "kind": "integer"}, "too_large"),
        ({"expression": "cos(9**9**9)"}, "too_large"),
    ],
)
async def test_what_cannot_be_done_is_said(calculator, arguments, kind: str) -> None:
    result = await calculator.run(arguments)

    assert (False, kind) == (result.ok, result.error_type)
    assert result.error_cause
    assert result.output.startswith("Error: ")


@pytest.mark.parametrize(
    ("expression", "kind"),
    [
        ("(x+1)**100000", "expand"),
        ("exp(exp(exp(10)))", "numeric"),
        ("product(k, k, 1, 10**7)", "numeric"),
        ("gamma(10**8)", "simplify"),
        ("sum(1/k**2.5, k, 1, 10**9)", "numeric"),
    ],
)
async def test_what_overruns_is_stopped_and_the_next_one_works(expression: str, kind: str) -> None:
    calculator = Calculator(CalculatorParameters(timeout_s=0.5, workers=1), price_per_call_usd=None)
    await calculator.run({"expression": "sin(1)"})
    result = await calculator.run({"expression": expression, "kind": kind})

    assert not result.ok
    assert (await calculator.run({"expression": "1 + 1"})).output == "2"
    await calculator.close()


async def test_after_a_kill_a_fresh_process_answers() -> None:
    calculator = Calculator(CalculatorParameters(timeout_s=0.5, workers=1), price_per_call_usd=None)
    stopped = await calculator.run({"expression": "(x+1)**100000", "kind": "expand"})
    await_fresh = await calculator.run({"expression": "cos(0)"})
    await calculator.close()

    assert (stopped.error_type, await_fresh.output) == ("timeout", "1")


async def test_many_at_once_get_their_own_answers(calculator) -> None:
    asked = [calculator.run({"expression": f"sqrt({n})*sqrt({n})"}) for n in range(2, 40)]
    results = await asyncio.gather(*asked)

    assert [str(n) for n in range(2, 40)] == [result.output for result in results]


async def test_a_cancelled_question_does_not_answer_the_next() -> None:
    calculator = Calculator(CalculatorParameters(workers=1), price_per_call_usd=None)
    await calculator.run({"expression": "sin(1)"})
    task = asyncio.create_task(calculator.run({"expression": "cos(1)"}))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    result = await calculator.run({"expression": "exp(0) + cos(0)"})
    await calculator.close()

    assert result.output == "2"


async def test_the_schema_names_what_the_tool_takes() -> None:
    properties = SCHEMA.parameters["properties"]

    assert {"expression", "kind", "precision", "variable"} == set(properties)
    assert list(KINDS) == properties["kind"]["enum"]
    assert SCHEMA.parameters["required"] == ["expression"]
