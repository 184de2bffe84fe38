"""What calls cost, in exact dollars: tokens times the pool's prices per million tokens."""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_HALF_EVEN, Context, Decimal

from profiles.pool import Prices

MILLION = Decimal(1_000_000)
QUANTUM = Decimal("0.000000001")
"""Money is kept to a billionth of a dollar, as the tables keep it (`decimal128(18, 9)`)."""

_EXACT = Context(prec=60)


def call_cost(
    input_tokens: int | None,
    output_tokens: int | None,
    cached_input_tokens: int | None,
    prices: Prices,
) -> Decimal | None:
    """Dollars of one call, to nine decimals, half to even; None where unknown.

    cost = (fresh input · input price + cached input · cached price + output · output price) / 10⁶

    Cached input without a cached price costs the input price. Unknown tokens at a price of zero
    cost zero: a free local server that reports no usage stays free.

    Args:
        input_tokens: all input, the cached part included; None is unknown.
        output_tokens: all output, reasoning included; None is unknown.
        cached_input_tokens: the part of the input read from the provider's cache; None is none.
        prices: dollars per million tokens.

    Raises:
        ValueError: if a count is negative.
    """
    cached = cached_input_tokens or 0
    if min(input_tokens or 0, cached, output_tokens or 0) < 0:
        msg = f"token counts must not be negative: {input_tokens}, {cached}, {output_tokens}"
        raise ValueError(msg)
    fresh = None if input_tokens is None else max(input_tokens - cached, 0)
    if input_tokens is not None:
        cached = min(cached, input_tokens)
    cached_price = prices.input_usd if prices.cached_input_usd is None else prices.cached_input_usd
    parts = (
        _part(fresh, prices.input_usd),
        _part(cached, cached_price) if cached else Decimal(0),
        _part(output_tokens, prices.output_usd),
    )
    return _sum(parts, ROUND_HALF_EVEN)


def worst_case_cost(
    estimated_input_tokens: int, max_output_tokens: int, prices: Prices
) -> Decimal | None:
    """Dollars to reserve before a call: nothing cached, every allowed output token written.

    Rounded up to nine decimals, so that no call within the two counts settles above it.

    Raises:
        ValueError: if a count is negative.
    """
    if min(estimated_input_tokens, max_output_tokens) < 0:
        msg = f"token counts must not be negative: {estimated_input_tokens}, {max_output_tokens}"
        raise ValueError(msg)
    dearest = prices.input_usd
    if dearest is not None and prices.cached_input_usd is not None:
        dearest = max(dearest, prices.cached_input_usd)
    parts = (_part(estimated_input_tokens, dearest), _part(max_output_tokens, prices.output_usd))
    return _sum(parts, ROUND_CEILING)


def _part(tokens: int | None, price: Decimal | None) -> Decimal | None:
    if price is None:
        return None
    if tokens is None:
        return Decimal(0) if price == 0 else None
    return _EXACT.multiply(Decimal(tokens), price)


def _sum(parts: tuple[Decimal | None, ...], rounding: str) -> Decimal | None:
    total = Decimal(0)
    for part in parts:
        if part is None:
            return None
        total = _EXACT.add(total, part)
    return _EXACT.divide(total, MILLION).quantize(QUANTUM, rounding=rounding, context=_EXACT)
