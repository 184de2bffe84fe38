"""Tools that are never called: `none`, and `recorded`, which ran when a table was recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tasks.call.base import FunctionSchema
from tasks.tools.arguments import ToolParameters, failure

if TYPE_CHECKING:
    from collections.abc import Mapping
    from decimal import Decimal

    from tasks.tools.base import ToolResult


class NoParameters(ToolParameters):
    """There is nothing to set."""


class NoTool:
    """Stands in the pool where a model answers alone; calling it is an error of the caller."""

    tier = "in-process"

    def __init__(self, kind: str, *, price_per_call_usd: Decimal | None) -> None:
        """Stand for `kind`, `none` or `recorded`."""
        self.kind = kind
        self.price_per_call_usd = price_per_call_usd
        self.schema = FunctionSchema(
            name=kind,
            description="No tool: the model answers alone.",
            parameters={"type": "object", "properties": {}, "additionalProperties": False},
        )

    async def run(self, arguments: Mapping[str, Any]) -> ToolResult:
        """Never useful: a result that is not ok."""
        del arguments
        return failure("not_callable", f"the tool {self.kind!r} is never called")

    async def close(self) -> None:
        """Nothing to release."""
