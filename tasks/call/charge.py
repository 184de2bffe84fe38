"""What one sent request is charged with."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from profiles.prices import call_cost
from tasks.call.errors import Fate

if TYPE_CHECKING:
    from profiles.pool import Prices
    from tasks.call.base import ChatResponse, Usage
    from tasks.call.errors import CallError


def charge_of(
    response: ChatResponse | None, error: CallError | None, reserved_nano: int, prices: Prices
) -> Decimal | None:
    """Dollars that a request is charged with; None where its price is unknown.

    A request of unknown fate, and an answer that does not tell its tokens, are charged with what
    was reserved for them, the most they can cost: a budget holds whatever a provider reports.

    Args:
        response: the answer, if one came.
        error: else what came instead.
        reserved_nano: set aside for the request, in billionths of a dollar.
        prices: of the model.
    """
    if response is not None and response.recorded is not None:
        return response.recorded.cost_usd
    if error is not None and error.fate is Fate.REFUSED:
        return Decimal(0)
    usage = response.usage if response is not None else None
    if error is not None and error.fate is Fate.ANSWERED:
        usage = error.usage
    cost = None if usage is None else _cost(usage, prices)
    if cost is not None or not prices.known:
        return cost
    return Decimal(reserved_nano).scaleb(-9)


def _cost(usage: Usage, prices: Prices) -> Decimal | None:
    return call_cost(usage.input_tokens, usage.output_tokens, usage.cached_input_tokens, prices)
