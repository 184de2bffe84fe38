"""What is known of a policy, for people: one JSON beside the policies, a copy with every version.

`<root>/policies/cards/<policy_id>.json`: what it was trained on and how, the guard's choice per
price, the held-out table, how far its confidence can be trusted.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from warehouse.commits import make_folder, published

FOLDER, CARDS = "policies", "cards"
"""Under the root of a warehouse; under that."""


def card_text(card: Mapping[str, object]) -> str:
    """A card as JSON; times and paths become text."""
    return json.dumps(card, indent=2, ensure_ascii=False, default=str) + "\n"


def write_card(root: Path, policy_id: str, card: Mapping[str, object]) -> None:
    """Keep a policy's card.

    Raises:
        WarehouseError: it cannot be written.
    """
    path = _path(root, policy_id)
    make_folder(path.parent)
    with published(path) as temporary:
        temporary.write_text(card_text(card), encoding="utf-8")


def read_card(root: Path, policy_id: str) -> dict[str, Any] | None:
    """The card of a policy; None where it is not kept here, or damaged."""
    try:
        card = json.loads(_path(root, policy_id).read_bytes())
    except (OSError, ValueError):
        return None
    return card if isinstance(card, dict) else None


def _path(root: Path, policy_id: str) -> Path:
    return Path(root) / FOLDER / CARDS / f"{policy_id}.json"
