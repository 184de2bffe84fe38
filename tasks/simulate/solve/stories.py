"""Reads arithmetic word problems: what there was, what came, what went, what is asked."""

from __future__ import annotations

import re

from tasks.simulate.solve.base import Calculation
from tasks.simulate.solve.expressions import Expr, num, op
from tasks.simulate.solve.scenes import read_scene
from tasks.simulate.solve.words import NUMBER, sentences, value

_START = re.compile(
    rf"\b(?:has|have|owns?|there (?:are|were)|counted|counts|(?:starts?|begins?) [\w ]*?with) "
    rf"({NUMBER})",
    re.IGNORECASE,
)
_GAIN = re.compile(
    r"\b(?:buys?|bought|receives?|gets?|finds?|found|collects?|brings?|delivers?|adds?|picks?|"
    r"gathers?|earns?|wins?|bakes?|makes?|orders?)\b"
)
_LOSS = re.compile(
    r"\b(?:sells?|sold|gives?|gave|loses?|lost|donates?|borrows?|sends?|sent|breaks?|broken|eats?|"
    r"thrown|uses?|lends?|hands?|ships?|spoils?)\b"
)
_GROUPS = re.compile(
    rf"({NUMBER}) (?:more |further |additional )?[a-z]+,? (?:of|with|holding|containing|each "
    rf"containing|each holding) ({NUMBER})"
)
_TO_EACH = re.compile(rf"({NUMBER}) (?:of the )?[a-z]+ to each of (?:the )?({NUMBER})")
_SHARE = re.compile(rf"\b(?:shared|divided|split)\b.*\b(?:among|between) ({NUMBER})")
_PRICE = re.compile(rf"\bsold (?:at|for) ({NUMBER}) \w+ (?:apiece|each)")
_PART = re.compile(r"\b(half|third|quarter)\b")
_TIMES = re.compile(r"\b(doubles|triples|quadruples)\b")
_PARTS = {"half": 2, "third": 3, "quarter": 4}
_FACTORS = {"doubles": 2, "triples": 3, "quadruples": 4}


def read(text: str) -> Calculation | None:
    """The expression of a word problem, or None when the text is none."""
    lines = sentences(text)
    found = read_scene(text) or _stock(lines)
    return None if found is None else Calculation("arithmetic", found)


def _stock(lines: list[str]) -> Expr | None:
    stock: Expr | None = None
    events = 0
    for line in lines:
        if stock is None:
            start = _START.search(line)
            stock = num(value(start.group(1))) if start else None
            continue
        after = _event(line, stock)
        events += after is not stock
        stock = after
    asked = any("how many" in line.lower() or "number of" in line for line in lines)
    return stock if events and asked else None


def _event(line: str, stock: Expr) -> Expr:
    if match := _SHARE.search(line):
        return op("/", stock, value(match.group(1)))
    if match := _PRICE.search(line):
        return op("*", stock, value(match.group(1)))
    if match := _TIMES.search(line):
        return op("*", stock, _FACTORS[match.group(1)])
    gain, loss = _GAIN.search(line), _LOSS.search(line)
    if not (gain or loss):
        return stock
    if loss and (match := _PART.search(line)):
        return op("-", stock, op("/", stock, _PARTS[match.group(1)]))
    amount = _amount(line)
    if amount is None:
        return stock
    return op("+" if gain and not loss else "-", stock, amount)


def _amount(line: str) -> Expr | None:
    if match := _TO_EACH.search(line) or _GROUPS.search(line):
        return op("*", value(match.group(1)), value(match.group(2)))
    match = re.search(NUMBER, line, re.IGNORECASE)
    return num(value(match.group())) if match else None
