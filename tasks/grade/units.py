"""Units that quantities are converted between. What is not here is not a unit to the grader."""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple


class Unit(NamedTuple):
    """A unit: its dimension and how many of the dimension's base unit it is."""

    dimension: str
    factor: Fraction


_TABLE: dict[str, dict[str, str]] = {
    "length": {
        "mm millimeter millimeters millimetre millimetres": "0.001",
        "cm centimeter centimeters centimetre centimetres": "0.01",
        "m meter meters metre metres": "1",
        "km kilometer kilometers kilometre kilometres": "1000",
        "in inch inches": "0.0254",
        "ft foot feet": "0.3048",
        "yd yard yards": "0.9144",
        "mi mile miles": "1609.344",
    },
    "mass": {
        "mg milligram milligrams": "0.001",
        "g gram grams": "1",
        "kg kilogram kilograms kilo kilos": "1000",
        "t tonne tonnes": "1000000",
        "oz ounce ounces": "28.349523125",
        "lb lbs pound pounds": "453.59237",
    },
    "time": {
        "ms millisecond milliseconds": "0.001",
        "s sec secs second seconds": "1",
        "min mins minute minutes": "60",
        "h hr hrs hour hours": "3600",
        "d day days": "86400",
        "week weeks": "604800",
    },
    "volume": {
        "ml milliliter milliliters millilitre millilitres": "0.001",
        "cl centiliter centiliters centilitre centilitres": "0.01",
        "l liter liters litre litres": "1",
        "gallon gallons": "3.785411784",
    },
    "area": {"mm2": "0.000001", "cm2": "0.0001", "m2": "1", "km2": "1000000"},
    "speed": {"m/s": "1", "km/h kmh kph": "5/18", "mph mi/h": "0.44704"},
    "dollar": {"$ dollar dollars usd": "1", "¢ cent cents": "0.01"},
    "euro": {"€ euro euros eur": "1"},
    "sterling": {"£ gbp": "1"},
    "yen": {"¥ yen": "1"},
    "rupee": {"₹ rupee rupees": "1"},
}

UNITS: dict[str, Unit] = {
    name: Unit(dimension, Fraction(factor))
    for dimension, rows in _TABLE.items()
    for names, factor in rows.items()
    for name in names.split()
}
"""Spelling, lower case, to unit."""


def find_unit(name: str) -> Unit | None:
    """The unit of a spelling, None for what is not in the table."""
    spelled = name.strip().lower().replace("²", "2").replace("^2", "2").replace("^{2}", "2")
    for words in ("square ", "sq. ", "sq "):
        if spelled.startswith(words):
            base = UNITS.get(spelled.removeprefix(words))
            return (
                Unit("area", base.factor**2)
                if base is not None and base.dimension == "length"
                else None
            )
    for words in (" per hour", "/hour", "/hr"):
        if spelled.endswith(words):
            spelled = f"{_short(spelled.removesuffix(words))}/h"
    for words in (" per second", "/second", "/sec"):
        if spelled.endswith(words):
            spelled = f"{_short(spelled.removesuffix(words))}/s"
    return UNITS.get(spelled)


def _short(name: str) -> str:
    """The spelling speeds are listed under: km for kilometres, mi for miles, m for metres."""
    unit = UNITS.get(name)
    return next((short for short in ("km", "mi", "m") if unit and UNITS[short] == unit), name)
