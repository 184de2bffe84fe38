"""The Python tool: a program a model wrote, run shut in; what it printed comes back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field

from tasks.call.base import FunctionSchema
from tasks.tools.arguments import ArgumentError, ToolParameters, failure, read_text, refuse
from tasks.tools.base import ToolResult
from tasks.tools.sandbox import LONGEST_PROGRAM, Sandbox
from tasks.tools.verdict import SandboxLimits

if TYPE_CHECKING:
    from collections.abc import Mapping
    from decimal import Decimal

    from tasks.tools.verdict import SandboxResult

SCHEMA = FunctionSchema(
    name="python",
    description=(
        "Runs a Python program in a sandbox and returns what it prints. The standard library is "
        "there, other packages, files and the network are not. Print the result; the value of a "
        "last bare expression is printed too."
    ),
    parameters={
        "type": "object",
        "properties": {
            "program": {"type": "string", "description": "The whole program, as Python source."}
        },
        "required": ["program"],
        "additionalProperties": False,
    },
)


class PythonParameters(ToolParameters):
    """What a pool may set; the limits are per program."""

    timeout_s: float = Field(default=10.0, gt=0, le=600)
    """Seconds of real time."""
    cpu_s: float | None = Field(default=None, gt=0, le=600)
    """Seconds of processor time; the same as `timeout_s` when left out."""
    memory_mb: int = Field(default=512, ge=64, le=65_536)
    """Address space, in MiB."""
    file_mb: int = Field(default=8, ge=1, le=1024)
    """Largest file it may write, output included, in MiB."""
    output_chars: int = Field(default=20_000, ge=200, le=1_000_000)
    """Characters of output kept."""
    concurrency: int | None = Field(default=None, ge=1, le=1024)
    """Programs at a time; the number of processors when left out."""

    def limits(self) -> SandboxLimits:
        """The same as the sandbox takes them."""
        return SandboxLimits(
            wall_s=self.timeout_s,
            cpu_s=self.cpu_s or self.timeout_s,
            memory_mb=self.memory_mb,
            file_mb=self.file_mb,
            scratch_mb=2 * self.file_mb,
            output_chars=self.output_chars,
        )


class PythonTool:
    """The tool. `tier` says how far its programs are shut in."""

    kind = "python"

    def __init__(self, sandbox: Sandbox, *, price_per_call_usd: Decimal | None) -> None:
        """Use this sandbox; `price_per_call_usd` is what every run costs, None when unknown."""
        self.schema = SCHEMA
        self.price_per_call_usd = price_per_call_usd
        self.tier = sandbox.tier.name
        self.sandbox = sandbox

    async def run(self, arguments: Mapping[str, Any]) -> ToolResult:
        """Run `program`. Its failure is a result that is not ok, with the line and the cause."""
        try:
            program = read_text(arguments, "program", longest=LONGEST_PROGRAM)
        except ArgumentError as error:
            return refuse(error, tier=self.tier)
        result = await self.sandbox.run(program)
        if not result.program_ran:
            cause = result.error_cause or "the sandbox failed"
            return failure(result.error_type or "sandbox_failed", cause, tier=self.tier)
        return ToolResult(
            output=describe(result),
            ok=result.ok,
            error_type=result.error_type,
            error_where=result.error_where,
            error_cause=result.error_cause,
            exit_code=result.exit_code,
            tier=result.tier,
            cost_usd=self.price_per_call_usd,
        )

    async def close(self) -> None:
        """Nothing outlives a run."""


def describe(result: SandboxResult) -> str:
    """What the model reads: the output, then the error with its place."""
    output = result.output.rstrip("\n")
    if result.ok:
        return output or "(the program printed nothing)"
    where = f" at {result.error_where}" if result.error_where else ""
    error = f"Error{where}: {result.error_cause}"
    return f"{output}\n{error}" if output else error
