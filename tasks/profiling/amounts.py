"""Amounts that people write: `5.00` dollars, `25%` of the cells, `30d` of age."""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal, InvalidOperation
from typing import NamedTuple

_AGE = re.compile(r"(\d{1,6}(?:\.\d{1,6})?)\s*([smhdw])")
_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}


class CellBudget(NamedTuple):
    """What a refresh may spend on cells: dollars, or a share of all cells; one of the two."""

    usd: Decimal | None
    share: float | None


def parse_budget(text: str) -> CellBudget:
    """`5.00` or `$5` is dollars, `25%` a share of all cells.

    Raises:
        ValueError: it is neither; the sentence says what to write.
    """
    wanted = "write dollars such as 5.00, or a share of the cells such as 25%"
    clean = text.strip().removeprefix("$")
    try:
        number = Decimal(clean.removesuffix("%").strip())
    except InvalidOperation:
        raise ValueError(f"{text!r} is no budget: {wanted}") from None
    if not number.is_finite() or number < 0:
        raise ValueError(f"a budget is 0 or more, not {text!r}: {wanted}")
    if not clean.endswith("%"):
        return CellBudget(number, None)
    if number > 100:
        raise ValueError(f"{text!r} is more than all cells: {wanted}")
    return CellBudget(None, float(number / 100))


def parse_age(text: str) -> timedelta:
    """`30d`, `12h`, `2w`, `90m` or `45s`.

    Raises:
        ValueError: it is none of these; the sentence says what to write.
    """
    match = _AGE.fullmatch(text.strip())
    if match is None or float(match[1]) <= 0:
        raise ValueError(f"{text!r} is no age: write a number and s, m, h, d or w, such as 30d")
    return timedelta(seconds=float(match[1]) * _SECONDS[match[2]])
