"""Figures as people read them. None and NaN are `unknown` or a dash, never zero."""

from __future__ import annotations

import math
import unicodedata
from decimal import ROUND_HALF_EVEN, Decimal
from typing import TYPE_CHECKING, TypeGuard

from profiles.pool import PAIR_SEPARATOR

if TYPE_CHECKING:
    from tasks.report.comparison import Interval

MINUS = "\N{MINUS SIGN}"
UNKNOWN = "unknown"
DASH = "–"

_CONTROL = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
_JOINERS = "\N{ZERO WIDTH JOINER}\N{ZERO WIDTH NON-JOINER}"
"""Part of ordinary emoji, Persian and Indic text."""


def clean(text: str) -> str:
    """The text on one line, without characters that steer a terminal or hide other text."""
    line = " ".join(text.split())
    return "".join("\N{REPLACEMENT CHARACTER}" if _steers(char) else char for char in line)


def _steers(char: str) -> bool:
    return unicodedata.category(char) in _CONTROL and char not in _JOINERS


def pair_label(pair_id: str) -> str:
    """`model + tool`."""
    return clean(pair_id.replace(PAIR_SEPARATOR, " + "))


def count(number: int) -> str:
    """12,345."""
    return f"{number:,}"


def compact(number: float | Decimal | None) -> str:
    """12.1M, 3.4k, 950."""
    if not _known(number):
        return UNKNOWN
    value = float(number)
    for size, letter in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        # 999,960 would print as 1000.0k.
        if value >= size * 0.99995:
            return f"{value / size:.1f}{letter}"
    return f"{value:.0f}"


def dollars(amount: Decimal | float | None) -> str:
    """$18.42; below a cent with two significant digits; unknown stays unknown."""
    if not _known(amount):
        return UNKNOWN
    return _signed(Decimal(str(amount)), "$")


def plain_dollars(amount: Decimal | float | None) -> str:
    """Like `dollars`, without the sign of the currency, for columns headed by it."""
    return DASH if not _known(amount) else _signed(Decimal(str(amount)), "")


def _signed(amount: Decimal, currency: str) -> str:
    sign, size = (MINUS if amount < 0 else ""), abs(amount)
    if size == 0:
        return f"{currency}0"
    places = 2 if size >= 1 else min(9, max(2, 1 - size.adjusted()))
    step = Decimal(1).scaleb(-places)
    return f"{sign}{currency}{size.quantize(step, ROUND_HALF_EVEN):,f}"


def per_thousand(cost_usd: Decimal | None, rows: int) -> Decimal | None:
    """Dollars for 1,000 rows; None if unknown or without rows."""
    return None if cost_usd is None or not rows else cost_usd * 1000 / rows


def percent(share: float) -> str:
    """58%; shares too small for a digit are <1%, and only everything is 100%."""
    if 0 < share < 0.005:
        return "<1%"
    if 0.995 <= share < 1:
        return ">99%"
    return f"{100 * share:.0f}%"


def change(share: float) -> str:
    """A relative change: −63 %."""
    return f"{signed(100 * share, 0)} %"


def signed(value: float, places: int = 1) -> str:
    """+4.3 or −0.4; what rounds to zero has no sign."""
    text = f"{abs(value):.{places}f}"
    if float(text) == 0:
        return text
    return (MINUS if value < 0 else "+") + text


def score(value: float | None) -> str:
    """A score in [0, 1] with two digits."""
    return f"{value:.2f}" if _known(value) else DASH


def points(value: float | None) -> str:
    """A score in points of 100, with one digit."""
    return f"{100 * float(value):.1f}" if _known(value) else DASH


def points_range(interval: Interval) -> str:
    """`58.5 57.1…59.9`, in points."""
    return f"{points(interval.value)} {points(interval.low)}…{points(interval.high)}"


def gain_range(interval: Interval | None) -> str:
    """`+4.3 +3.3…+5.3`, in points; a dash for the baseline itself."""
    if interval is None:
        return DASH
    value, low, high = (signed(100 * figure) for figure in interval)
    return f"{value} {low}…{high}"


def duration(seconds: float | Decimal | None) -> str:
    """0.4 s, 12 s, 41 min, 2 h 05 min, 3 d 4 h."""
    if not _known(seconds):
        return UNKNOWN
    value = float(seconds)
    if value < 9.95:
        return f"{value:.1f} s"
    if value < 119.5:
        return f"{value:.0f} s"
    minutes = round(value / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes:02d} min"
    return f"{hours // 24} d {hours % 24} h"


def rate(rows: float, seconds: float) -> str:
    """4.1 rows/s; slower than one in ten seconds as rows/min."""
    if seconds <= 0 or rows <= 0:
        return f"{DASH} rows/s"
    per_second = rows / seconds
    if per_second < 0.1:
        return f"{60 * per_second:.1f} rows/min"
    return f"{per_second:,.0f} rows/s" if per_second >= 99.5 else f"{per_second:.1f} rows/s"


def _known(number: float | Decimal | None) -> TypeGuard[float | Decimal]:
    return number is not None and math.isfinite(number)
