"""Figures are short, exact where it matters, and never turn the unknown into zero."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tasks.report import formats as f


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (None, "unknown"),
        (float("nan"), "unknown"),
        (Decimal(0), "$0"),
        (Decimal("18.4182"), "$18.42"),
        (Decimal("1234567.005"), "$1,234,567.00"),
        (Decimal("0.0041"), "$0.0041"),
        (Decimal("0.000031416"), "$0.000031"),
        (Decimal("0.000000001"), "$0.000000001"),
        (Decimal("-0.5"), "−$0.50"),
    ],
)
def test_dollars(amount, text):
    assert text == f.dollars(amount)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "unknown"),
        (0.04, "0.0 s"),
        (9.96, "10 s"),
        (119.4, "119 s"),
        (119.6, "2 min"),
        (3570.0, "1 h 00 min"),
        (2460, "41 min"),
        (7500, "2 h 05 min"),
        (275_000, "3 d 4 h"),
    ],
)
def test_durations(seconds, text):
    assert text == f.duration(seconds)


@pytest.mark.parametrize(
    ("number", "text"),
    [(None, "unknown"), (0, "0"), (950, "950"), (999_960, "1.0M"), (12_100_000, "12.1M")],
)
def test_compact_counts(number, text):
    assert text == f.compact(number)


@pytest.mark.parametrize(
    ("share", "text"), [(0, "0%"), (0.001, "<1%"), (0.58, "58%"), (0.999, ">99%"), (1, "100%")]
)
def test_percent_never_rounds_to_nothing_or_everything(share, text):
    assert text == f.percent(share)


@pytest.mark.parametrize(
    ("value", "text"), [(4.31, "+4.3"), (-0.41, "−0.4"), (-0.04, "0.0"), (0.0, "0.0")]
)
def test_what_rounds_to_zero_has_no_sign(value, text):
    assert text == f.signed(value)


def test_cost_per_thousand_is_unknown_without_rows_or_price():
    assert f.per_thousand(None, 5) is None
    assert f.per_thousand(Decimal(1), 0) is None
    assert Decimal("0.5") == f.per_thousand(Decimal(1), 2_000)


def test_rates_speak_of_minutes_when_slow():
    assert "4.1 rows/s" == f.rate(41, 10)
    assert "1,200 rows/s" == f.rate(12_000, 10)
    assert "1.5 rows/min" == f.rate(1, 40)
    assert "– rows/s" == f.rate(0, 40)
