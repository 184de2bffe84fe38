"""The Python tool: what the model reads back."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tasks.tools.isolation import REFUSED, Tier, detect_tier
from tasks.tools.python_tool import PythonParameters, PythonTool
from tasks.tools.sandbox import Sandbox

PRICE = Decimal("0.002")

shut_in = pytest.mark.skipif(not detect_tier().usable, reason="no sandbox here")


@shut_in
async def test_success_gives_the_output() -> None:
    tool = PythonTool(Sandbox(), price_per_call_usd=PRICE)
    result = await tool.run({"program": "print(6 * 7)"})

    assert (True, "42", 0, tool.tier, PRICE) == (
        result.ok,
        result.output,
        result.exit_code,
        result.tier,
        result.cost_usd,
    )


@shut_in
async def test_failure_gives_output_place_and_cause() -> None:
    tool = PythonTool(Sandbox(), price_per_call_usd=PRICE)
    result = await tool.run({"program": "print('so far')\n1 / 0"})

    assert result.output == "so far\nError at line 2: ZeroDivisionError: division by zero"
    assert (result.ok, result.error_type, result.error_where) == (False, "error", "line 2")
    assert result.cost_usd == PRICE


@shut_in
async def test_silence_is_said() -> None:
    tool = PythonTool(Sandbox(), price_per_call_usd=None)
    result = await tool.run({"program": "x = 1"})

    assert result.output == "(the program printed nothing)"
    assert result.cost_usd is None


@pytest.mark.parametrize("arguments", [{}, {"program": ""}, {"program": 3}, {"code": "1"}])
async def test_bad_arguments_cost_nothing(arguments) -> None:
    tool = PythonTool(Sandbox(tier=Tier(REFUSED, "none here")), price_per_call_usd=PRICE)
    result = await tool.run(arguments)

    assert (result.ok, result.error_type, result.cost_usd) == (False, "bad_arguments", 0)


async def test_a_refused_sandbox_is_said_and_costs_nothing() -> None:
    tool = PythonTool(Sandbox(tier=Tier(REFUSED, "none here")), price_per_call_usd=PRICE)
    result = await tool.run({"program": "1"})

    assert (
        result.error_type,
        result.error_cause,
        result.tier,
        result.cost_usd,
    ) == ("sandbox_refused", "none here", "refused", 0)


def test_parameters_become_limits() -> None:
    limits = PythonParameters(timeout_s=4, memory_mb=128, file_mb=3).limits()

    assert (
        limits.wall_s,
        limits.cpu_s,
        limits.memory_mb,
        limits.file_mb,
        limits.scratch_mb,
    ) == (4, 4, 128, 3, 6)
