"""The pool: models, tools and the allowed pairs of one deployment.

Values only. `profiles.pool_file` reads and validates the YAML they come from.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, NamedTuple

PAIR_SEPARATOR = "@@"


class Pair(NamedTuple):
    """A (model, tool) pair, the unit of routing: keys of the pool, not provider names."""

    model: str
    tool: str

    @property
    def pair_id(self) -> str:
        """The pair's name in tables and reports, `model@@tool`."""
        return f"{self.model}{PAIR_SEPARATOR}{self.tool}"


@dataclass(frozen=True, slots=True)
class Prices:
    """Dollars per million tokens; `None` is an unknown price, `Decimal(0)` a free one."""

    input_usd: Decimal | None
    output_usd: Decimal | None
    cached_input_usd: Decimal | None = None

    @property
    def known(self) -> bool:
        """Whether a call can be priced at all."""
        return self.input_usd is not None and self.output_usd is not None


@dataclass(frozen=True, slots=True)
class Limits:
    """What a provider allows one model; `None` means unlimited."""

    concurrency: int = 32
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    context_tokens: int = 128_000
    max_output_tokens: int = 1_024
    timeout_s: float = 120.0


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """One model of the pool."""

    key: str
    provider: str
    """openai | simulated | recorded | scripted."""
    name: str
    """The name the provider knows the model by."""
    prices: Prices
    endpoint: str | None = None
    api_key_env: str | None = None
    """The environment variable that holds the key; the key itself is never read into the pool."""
    modality: tuple[str, ...] = ("text",)
    limits: Limits = field(default_factory=Limits)
    parameters: Mapping[str, Any] = field(default_factory=dict)
    description: str = ""
    revision: str = ""
    """What the user calls this state of the model: another word makes its outcomes stale."""


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """One tool of the pool."""

    key: str
    kind: str
    """none | calculator | python | search | recorded (the tool ran when the table was recorded)."""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    price_per_call_usd: Decimal | None = Decimal(0)
    modality: tuple[str, ...] = ("text",)
    unsafe: bool = False
    """Consent to run model-written programs where no sandbox is to be had."""
    description: str = ""
    version: str = ""
    """What the user calls this state of the tool: another word makes its outcomes stale."""
    prompt: str | None = None
    """Instructions of its pairs, instead of the ones that come with the kind."""


@dataclass(frozen=True, slots=True)
class Pool:
    """A validated pool; `pairs` are sorted by model, then tool, and that is the pair order."""

    name: str
    models: Mapping[str, ModelSpec]
    tools: Mapping[str, ToolSpec]
    pairs: tuple[Pair, ...]
    fingerprint: str
    """Stable hash of everything that can change an answer or its price."""
    source: str = ""

    def index(self) -> dict[Pair, int]:
        """Position of every pair in `pairs`."""
        return {pair: number for number, pair in enumerate(self.pairs)}
