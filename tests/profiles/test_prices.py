"""Money is exact: what a call costs, and what must be reserved for it."""

from decimal import ROUND_HALF_EVEN, Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiles.pool import Prices
from profiles.prices import call_cost, worst_case_cost

tokens = st.integers(0, 10_000_000)
dollars = st.decimals(0, 1000, places=6)
free = Decimal(0)


def by_hand(parts: list[tuple[int, Decimal]]) -> Decimal:
    exact = sum((Fraction(count) * Fraction(price) for count, price in parts), Fraction(0)) / 10**6
    nano = round(exact * 10**9)  # Python rounds halves to even
    return Decimal(nano).scaleb(-9).quantize(Decimal("1e-9"), rounding=ROUND_HALF_EVEN)


def test_a_hand_computed_call():
    prices = Prices(Decimal("2.50"), Decimal(10), Decimal("1.25"))

    # 600 fresh · 2.50 + 400 cached · 1.25 + 200 · 10 = 4000 dollars per million
    assert Decimal("0.004000000") == call_cost(1000, 200, 400, prices)


@given(tokens, tokens, tokens, dollars, dollars, dollars)
def test_equals_exact_arithmetic(total, cached, output, in_usd, out_usd, cached_usd):
    cached = min(cached, total)
    prices = Prices(in_usd, out_usd, cached_usd)

    assert by_hand(
        [(total - cached, in_usd), (cached, cached_usd), (output, out_usd)]
    ) == call_cost(total, output, cached, prices)


@given(tokens, tokens, st.none() | tokens, dollars, dollars)
def test_without_a_cached_price_cached_input_costs_the_input_price(total, output, cached, i, o):
    assert by_hand([(total, i), (output, o)]) == call_cost(total, output, cached, Prices(i, o))


@given(tokens, tokens, tokens, tokens, tokens, dollars, dollars, st.none() | dollars)
def test_no_call_within_the_counts_settles_above_its_reservation(i, o, c, more_i, more_o, p, q, r):
    prices = Prices(p, q, r)

    cost = call_cost(i, o, min(c, i), prices)
    reserved = worst_case_cost(i + more_i, o + more_o, prices)

    assert cost is not None
    assert reserved is not None
    assert cost <= reserved


@pytest.mark.parametrize(
    ("expected", "usage", "prices"),
    [
        pytest.param(None, (1, 1, None), Prices(None, Decimal(1)), id="input-price-unknown"),
        pytest.param(None, (1, 1, None), Prices(Decimal(1), None), id="output-price-unknown"),
        pytest.param(None, (None, 1, None), Prices(Decimal(1), Decimal(1)), id="input-unknown"),
        pytest.param(None, (1, None, None), Prices(Decimal(1), Decimal(1)), id="output-unknown"),
        pytest.param(free, (None, None, None), Prices(free, free), id="free-whatever-the-tokens"),
        pytest.param(None, (0, 0, None), Prices(None, None), id="unknown-is-never-zero"),
        pytest.param(Decimal("0.000001"), (1, 0, 9), Prices(Decimal(1), free), id="cached-clamped"),
    ],
)
def test_unknown_stays_unknown(expected, usage, prices):
    assert expected == call_cost(*usage, prices)


def test_halves_round_to_even_and_reservations_up():
    half = Prices(Decimal("0.0005"), free)

    assert Decimal("0E-9") == call_cost(1, 0, None, half)
    assert Decimal("2E-9") == call_cost(3, 0, None, half)
    assert Decimal("1E-9") == worst_case_cost(1, 0, half)


def test_an_unknown_price_has_no_worst_case():
    assert None is worst_case_cost(10, 10, Prices(None, Decimal(1)))


@pytest.mark.parametrize("usage", [(-1, 0, None), (0, -1, None), (0, 0, -1)])
def test_negative_counts_are_refused(usage):
    with pytest.raises(ValueError, match="must not be negative"):
        call_cost(*usage, Prices(free, free))
    with pytest.raises(ValueError, match="must not be negative"):
        worst_case_cost(-1, 0, Prices(free, free))
