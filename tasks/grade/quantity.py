"""Reading numbers with their signs, units and precision out of text.

A regular expression finds where numbers stand; each is then read exactly, as a fraction, together
with what its notation says about its precision.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from fractions import Fraction

from tasks.grade.number_words import read_words
from tasks.grade.units import Unit, find_unit

SCALES = {
    "hundred": 100,
    "thousand": 1_000,
    "million": 1_000_000,
    "billion": 1_000_000_000,
    "trillion": 1_000_000_000_000,
    "dozen": 12,
}
LONGEST_TEXT = 10_000
"""Characters looked at, from the end."""
_MOST_DIGITS = 400
_LARGEST_EXPONENT = 400
_VULGAR = {
    "½": "1/2", "⅓": "1/3", "⅔": "2/3", "¼": "1/4", "¾": "3/4", "⅕": "1/5", "⅖": "2/5",
    "⅗": "3/5", "⅘": "4/5", "⅙": "1/6", "⅚": "5/6", "⅛": "1/8", "⅜": "3/8", "⅝": "5/8", "⅞": "7/8",
}  # fmt: skip
_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")

_GROUPED = r"\d{1,3}(?:,\d{3})+(?![\d,])|\d{1,2}(?:,\d{2})+,\d{3}(?![\d,])"
_DECIMAL = rf"(?:(?:{_GROUPED})(?:\.\d+)?|\d{{1,3}}(?:\.\d{{3}})+,\d+|\d+(?:\.\d+)?|\.\d+)"
_NUMBER = re.compile(
    rf"""
    (?P<open>\()?
    (?P<sign>(?<![\w)%.])[-+])?\s?
    (?P<currency>\\?[$€£¥₹])?\s?
    (?P<inner>(?<=[$€£¥₹])-)?
    (?:
        (?:(?P<whole>\d+)\s*)?\\[dt]?frac\s*\{{\s*(?P<top>-?\d+)\s*\}}\s*\{{\s*(?P<bottom>\d+)\s*\}}
      | (?P<mixed>\d+)\s+(?P<over>\d+)\s?/\s?(?P<under>\d+)
      | (?P<before>\d+)?\s?(?P<vulgar>[{"".join(_VULGAR)}])
      | (?P<left>{_DECIMAL})(?:\s?/\s?(?P<right>{_DECIMAL}))?
        (?:[eE](?P<exponent>[+-]?\d+)
          | \s?(?:×|\*|·|x|\\times|\\cdot)\s?10\s?(?:(?:\^|\*\*)\s?\{{?(?P<power>[+-]?\d+)\}}?
          | (?P<raised>[⁰¹²³⁴⁵⁶⁷⁸⁹⁻]+)))?
    )
    (?P<tail>[,:']\d)?
    (?:\s?(?P<scale>{"|".join(SCALES)})s?\b)?
    (?P<percent>\s?(?:\\?%|per\s?cent\b|percentage\ points?\b))?
    (?P<close>\))?
    (?:\s?(?P<unit>
        \\?[$€£¢¥₹](?!\d)
      | (?:square\ |sq\.?\ )?[A-Za-z]+(?:\^?\{{?2\}}?|²)?(?:\ per\ [A-Za-z]+|/[A-Za-z]+)?
    ))?
    """,
    re.VERBOSE | re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Quantity:
    """One number as it was written.

    Attributes:
        value: exact, sign and scale applied; of `50%` it is 50.
        percent: whether a percent sign follows.
        unit: the unit, when it is one of the table.
        quantum: the value of the last digit written after a decimal point (or in scientific
            notation); None of whole numbers and fractions, which are exact.
        digits: significant digits written.
        decimals: digits written after the decimal point.
        ambiguous: written in a way that could be two numbers, such as `1,5` or `3:30`.
        start, end: where it stands in the text.
    """

    value: Fraction
    percent: bool = False
    unit: Unit | None = None
    quantum: Fraction | None = None
    digits: int = 0
    decimals: int = 0
    ambiguous: bool = False
    start: int = 0
    end: int = 0


def find_quantities(text: str) -> list[Quantity]:
    """Every number in a text, in order; numbers written as words only where no digit stands.

    Adjacent quantities of one dimension in falling units (`2 hours 30 minutes`, `5 ft 3 in`) are
    one quantity.
    """
    text = tidy(text[-LONGEST_TEXT:])
    found = []
    for match in _NUMBER.finditer(text):
        quantity = _read(match, text)
        if quantity is not None:
            found.append(quantity)
    if not found:
        value = read_words(text)
        return [] if value is None else [Quantity(Fraction(value))]
    return _join(found, text)


def tidy(text: str) -> str:
    """Unify dashes, blanks inside numbers and the LaTeX around them; the length may change."""
    text = re.sub(r"[\u2012-\u2015\u2212]", "-", text)
    text = re.sub(r"(?<=\d)(?:[\u00a0\u202f\u2009]|\\[,;!]\s?|\{,\})(?=\d{3})", "", text)
    text = re.sub(r"\\text(?:bf|rm|it)?\s*\{([^{}]*)\}|\\mathrm\s*\{([^{}]*)\}", r" \1\2", text)
    text = re.sub(r"\\left|\\right|\\!|\\,|\\;|\\ |\^\{?\\circ\}?", " ", text)
    text = re.sub(r"[*_`]{2,}|[{}](?=\s*[$%])", "", text)
    return re.sub(r"[ \t]+", " ", text)


def _read(match: re.Match[str], text: str) -> Quantity | None:
    """The quantity of one match; None of a piece of a word such as `B12`, or a mile of digits."""
    start = match.start()
    if len(match[0]) > _MOST_DIGITS:
        return None
    if text[max(0, start - 1) : start].isalpha() and text[start].isdigit():
        return None
    group = match.groupdict()
    value, quantum, digits, decimals = _magnitude(group)
    if value is None:
        return None
    factor = SCALES[group["scale"].lower()] if group["scale"] else 1
    negative = (group["sign"] == "-") ^ (group["inner"] is not None) ^ _is_accounting(match)
    unit = find_unit(group["currency"].lstrip("\\")) if group["currency"] else None
    end = match.end("unit") if group["unit"] else match.end()
    return Quantity(
        value=value * factor * (-1 if negative else 1),
        percent=group["percent"] is not None,
        unit=_unit(group["unit"], text[end:]) or unit,
        quantum=quantum * factor if quantum is not None else None,
        digits=digits,
        decimals=decimals,
        ambiguous=group["tail"] is not None,
        start=start,
        end=match.end(),
    )


def _magnitude(group: dict[str, str | None]) -> tuple[Fraction | None, Fraction | None, int, int]:
    """(value, quantum, significant digits, decimals) without sign and scale."""
    if group["vulgar"]:
        return Fraction(_VULGAR[group["vulgar"]]) + int(group["before"] or 0), None, 0, 0
    for whole, top, bottom in (("whole", "top", "bottom"), ("mixed", "over", "under")):
        if group[bottom]:
            denominator = int(str(group[bottom]))
            if denominator == 0:
                return None, None, 0, 0
            return int(group[whole] or 0) + Fraction(int(str(group[top])), denominator), None, 0, 0
    left = _plain(str(group["left"]))
    value = Fraction(left)
    if group["right"]:
        divisor = Fraction(_plain(group["right"]))
        return (value / divisor if divisor else None), None, 0, 0
    raised = (group["raised"] or "").translate(_SUPERSCRIPTS)
    exponent = int(group["exponent"] or group["power"] or raised or 0)
    if abs(exponent) > _LARGEST_EXPONENT:
        return None, None, 0, 0
    scientific = exponent != 0
    decimals = len(left.partition(".")[2])
    digits = len(left.replace(".", "").lstrip("0"))
    scale = Fraction(10) ** exponent
    quantum = scale / 10**decimals if decimals or scientific else None
    return value * scale, quantum, digits, 0 if scientific else decimals


def _plain(written: str) -> str:
    """Digits with a point, whatever the thousands separators: 1,234.5 and 1.234,5 alike."""
    if re.fullmatch(r"\d{1,3}(?:\.\d{3})+,\d+", written):
        return written.replace(".", "").replace(",", ".")
    return written.replace(",", "")


def _is_accounting(match: re.Match[str]) -> bool:
    """($1,234) and (1,234) alone are negative, as in accounts; (5) is a five in brackets."""
    alone = match.string.strip() == match[0].strip()
    bracketed = match["open"] is not None and match["close"] is not None
    return alone and bracketed and (match["currency"] is not None or "," in (match["left"] or ""))


def _unit(written: str | None, after: str) -> Unit | None:
    if not written:
        return None
    name = written.lstrip("\\")
    # `18 in total`: a preposition, not inches. `18 in.` and `18 in` at the end are inches.
    if name.lower() == "in" and re.match(r"\s+\w", after):
        return None
    unit = find_unit(name)
    if unit is None and "/" not in name and " per " not in name:
        unit = find_unit(re.split(r"[\s]", name)[0])
    return unit


def _join(found: list[Quantity], text: str) -> list[Quantity]:
    """Put `2 hours 30 minutes` together."""
    joined = [found[0]]
    for quantity in found[1:]:
        last = joined[-1]
        between = text[last.end : quantity.start].strip(" ,")
        if (
            last.unit is not None
            and quantity.unit is not None
            and last.unit.dimension == quantity.unit.dimension
            and last.unit.factor > quantity.unit.factor
            and between in {"", "and"}
            and last.value >= 0 <= quantity.value
        ):
            value = last.value + quantity.value * quantity.unit.factor / last.unit.factor
            joined[-1] = replace(last, value=value, quantum=None, end=quantity.end)
        else:
            joined.append(quantity)
    return joined
