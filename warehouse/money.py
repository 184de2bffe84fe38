"""Dollars as integers of a billionth, so that SQL sums them exactly."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal

_NANO = Decimal(1_000_000_000)
ONE_NANO = Decimal("0.000000001")


def to_nano(amount: Decimal | None) -> int | None:
    """Billionths of a dollar, rounded half to even; None stays None (unknown)."""
    if amount is None:
        return None
    return int((amount * _NANO).to_integral_value(rounding=ROUND_HALF_EVEN))


def from_nano(nano: int | None) -> Decimal | None:
    """Dollars with nine decimals; None stays None (unknown)."""
    return None if nano is None else dollars(nano)


def dollars(nano: int) -> Decimal:
    """Dollars with nine decimals."""
    return (Decimal(nano) / _NANO).quantize(ONE_NANO)
