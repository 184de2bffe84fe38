"""What must hold of a routed run after it was killed and the same command finished it."""

from __future__ import annotations

from decimal import Decimal

from warehouse.ledger import open_ledger
from warehouse.query import answers, attempts


def settled(root, name):
    """Ids of the requests the ledger calls settled; none where there is no ledger yet."""
    if not (root / "ledger.db").exists():
        return set()
    ledger = open_ledger(root)
    try:
        return {r.request_id for r in ledger.requests(name) if r.state == "settled"}
    finally:
        ledger.close()


def check(root, name, rows, served, settled_before, served_before):
    """Every question has one answer; money and requests are accounted for, by both sides' counts.

    Args:
        served: the provider's own count by idempotency key, at the end.
        settled_before: what was settled when the run was killed; `served_before` the count then.
    """
    found = answers(root, name).collect()
    assert rows == found.height == found["custom_id"].n_unique()
    assert {"answered"} == set(found["status"])
    ledger = open_ledger(root)
    requests = {r.request_id: r for r in ledger.requests(name)}
    listed = {r.request_id for r in ledger.requests(name, in_doubt=True)}
    spend = ledger.spend(name)
    ledger.close()
    own = {key: count for key, count in served.items() if key in requests}
    again = {
        key for key in settled_before if own[key]["received"] != served_before[key]["received"]
    }
    assert set() == again, "settled requests were sent again"
    twice = {key for key, count in own.items() if count["answered"] > 1}
    assert set() == twice - listed, "answered twice and not on the in-doubt list"
    for key in twice:
        charges = requests[key].doubts + (requests[key].cost_usd is not None)
        assert charges >= own[key]["answered"], f"{key} lacks a charge"
        assert requests[key].doubt_usd > 0
    charged = attempts(root, name).collect()["cost_usd"].sum()
    assert Decimal(charged) == spend.total_usd
    assert Decimal(0) == spend.reserved_usd
