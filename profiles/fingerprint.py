"""Fingerprints: one short, stable name for everything that can change a result."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from profiles.pool import ModelSpec, Pair, Pool, Prices, ToolSpec


def canonical_json(value: object) -> str:
    """JSON with one spelling per value: sorted keys, no blanks, ASCII only."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def pool_fingerprint(
    models: Mapping[str, ModelSpec], tools: Mapping[str, ToolSpec], pairs: Sequence[Pair]
) -> str:
    """Hash of everything of a pool that can change an answer or its price.

    Of the limits only `max_output_tokens` counts: it cuts answers off. Descriptions, the other
    limits, the variables that hold keys and the file's own place change nothing.

    Returns:
        64 hexadecimal digits, sha256 over canonical JSON. `1.0` and `1.00` are one price.
    """
    content = {
        "format": 1,
        "models": {key: _model(spec) for key, spec in models.items()},
        "tools": {key: _tool(spec) for key, spec in tools.items()},
        "pairs": sorted(pair.pair_id for pair in pairs),
    }
    return hashlib.sha256(canonical_json(content).encode()).hexdigest()


def build_pool(
    name: str,
    models: Mapping[str, ModelSpec],
    tools: Mapping[str, ToolSpec],
    pairs: Sequence[Pair],
    source: str = "",
) -> Pool:
    """A pool from values: pairs sorted by model, then tool, and the fingerprint set.

    For pools that do not come from a file, such as the pairs of a recorded table.
    """
    ordered = tuple(sorted(set(pairs)))
    fingerprint = pool_fingerprint(models, tools, ordered)
    return Pool(name, dict(models), dict(tools), ordered, fingerprint, source)


def _model(spec: ModelSpec) -> dict[str, Any]:
    return {
        "provider": spec.provider,
        "name": spec.name,
        "endpoint": spec.endpoint,
        "prices": _prices(spec.prices),
        "modality": sorted(spec.modality),
        "max_output_tokens": spec.limits.max_output_tokens,
        "parameters": dict(spec.parameters),
        # A key that a pool does not use must not change its fingerprint.
        **({"revision": spec.revision} if spec.revision else {}),
    }


def _tool(spec: ToolSpec) -> dict[str, Any]:
    return {
        "kind": spec.kind,
        "parameters": dict(spec.parameters),
        "price_per_call_usd": _money(spec.price_per_call_usd),
        "modality": sorted(spec.modality),
        "unsafe": spec.unsafe,
        **({"version": spec.version} if spec.version else {}),
        **({"prompt": spec.prompt} if spec.prompt else {}),
    }


def _prices(prices: Prices) -> list[str | None]:
    sums = (prices.input_usd, prices.output_usd, prices.cached_input_usd)
    return [_money(money) for money in sums]


def _money(money: Decimal | None) -> str | None:
    if money is None:
        return None
    return "0" if money == 0 else format(money.normalize(), "f")


def pair_fingerprint(pool: Pool, pair: Pair) -> str:
    """Hash of everything about one pair that can change its answers or their price.

    Unlike the pool's fingerprint it survives changes to other pairs. Outcomes carry finer versions
    of their own since tables have schema version 2 (`tasks.profiling.cell_versions`); runs of
    earlier versions are known by this hash.
    """
    content = {"model": _model(pool.models[pair.model]), "tool": _tool(pool.tools[pair.tool])}
    return hashlib.sha256(canonical_json(content).encode()).hexdigest()
