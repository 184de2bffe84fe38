"""What every tool is: validated arguments in, a result out, never an exception."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Protocol

from tasks.call.base import FunctionSchema


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What one tool call brought back.

    Attributes:
        output: text for the model to read.
        ok: whether the tool did what it was asked to.
        error_type: short stable name when it did not, such as `timeout`, `bad_arguments`.
        error_where: where it failed, such as `line 3`.
        error_cause: why, one sentence.
        exit_code: of a program, else None.
        tier: the isolation in force: `bubblewrap+seccomp`, `bubblewrap`, `unsafe`, `in-process`.
        cost_usd: what this call cost; None is unknown.
    """

    output: str
    ok: bool = True
    error_type: str | None = None
    error_where: str | None = None
    error_cause: str | None = None
    exit_code: int | None = None
    tier: str = "in-process"
    cost_usd: Decimal | None = Decimal(0)


class Tool(Protocol):
    """A callable that helps a model. Pure of the ledger: the caller records the attempt."""

    kind: str
    schema: FunctionSchema
    price_per_call_usd: Decimal | None
    tier: str

    async def run(self, arguments: Mapping[str, Any]) -> ToolResult:
        """Run once. Bad arguments and failures come back as a result that is not ok."""
        ...

    async def close(self) -> None:
        """Release processes and sockets."""
        ...
