"""Which prices a profile version was fitted at: one small file a pool, beside the versions.

`<root>/profiles/pools/<fingerprint>.json` is written once; a pool whose prices change has another
fingerprint. A profile itself keeps costs, not prices, and the pool file is the user's to change.
"""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from warehouse.commits import make_folder, published

if TYPE_CHECKING:
    from profiles.pool import Pool

FOLDER = "pools"


class PriceChange(NamedTuple):
    """One price that differs between two pools; dollars, None is unknown."""

    what: str
    before_usd: Decimal | None
    after_usd: Decimal | None


def keep_prices(folder: Path, pool: Pool) -> None:
    """Write the prices of a pool, once.

    Raises:
        WarehouseError: the folder cannot be written.
    """
    path = folder / FOLDER / f"{pool.fingerprint}.json"
    if path.exists():
        return
    prices: dict[str, str | None] = {}
    for key, spec in pool.models.items():
        for name in ("input_usd", "output_usd", "cached_input_usd"):
            prices[f"{key} {name.removesuffix('_usd').replace('_', ' ')}"] = _text(
                getattr(spec.prices, name)
            )
    prices |= {f"{key} call": _text(tool.price_per_call_usd) for key, tool in pool.tools.items()}
    make_folder(path.parent)
    with published(path) as temporary:
        temporary.write_text(json.dumps(prices, indent=2), encoding="utf-8")


def price_changes(folder: Path, before: str, after: str) -> list[PriceChange] | None:
    """Prices that differ between the pools of two fingerprints, of what both have.

    Returns:
        None where the prices of one of them were not kept.
    """
    try:
        old, new = (
            json.loads((folder / FOLDER / f"{name}.json").read_bytes()) for name in (before, after)
        )
    except (OSError, ValueError):
        return None
    return [
        PriceChange(what, _money(old[what]), _money(new[what]))
        for what in sorted(old.keys() & new.keys())
        if _money(old[what]) != _money(new[what])
    ]


def _text(amount: Decimal | None) -> str | None:
    return None if amount is None else str(amount)


def _money(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)
