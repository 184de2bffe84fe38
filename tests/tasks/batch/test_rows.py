"""What the attempts of a row add up to."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tasks.batch.rows import bills


def attempt(cost, tokens, *, provider="openai", operation="chat"):
    return {
        "query_id": "q", "pair_id": "a@@none", "charge_kind": "settled", "cost_usd": cost,
        "operation_name": operation, "provider_name": provider, "status": "ok",
        "input_tokens": tokens, "output_tokens": tokens,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("more", "metered"),
    [
        (attempt(Decimal("0.01"), 5), True),
        (attempt(Decimal("0.01"), None), False),
        (attempt(Decimal(0), None), True),
        (attempt(Decimal("0.01"), None, provider="recorded"), True),
        (attempt(Decimal("0.01"), None, operation="execute_tool"), True),
    ],
    ids=["told", "untold", "free", "recorded", "tool"],
)
def test_a_charge_without_tokens_is_counted_and_said_to_be_no_measurement(more, metered):
    bill = bills([attempt(Decimal("0.02"), 7), more], by_pair=False)["q"]

    assert metered is bill.metered
    assert Decimal("0.02") + more["cost_usd"] == bill.cost_usd
