"""The pool file: YAML in, a validated `Pool` out, or every problem of the file at once."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from fnmatch import fnmatchcase
from pathlib import Path

import yaml

from profiles import pool_fields as read
from profiles.errors import PoolError, Problem
from profiles.fingerprint import build_pool, canonical_json
from profiles.pool import Limits, ModelSpec, Pair, Pool, Prices, ToolSpec
from profiles.pool_fields import Fields
from profiles.yaml_tree import Entry, Reading, entries, read_yaml

__all__ = [
    "PROVIDERS",
    "TOOL_KINDS",
    "PoolError",
    "Problem",
    "load_pool",
    "missing_keys",
    "unpriced",
]

PROVIDERS = ("openai", "simulated", "recorded", "scripted")
TOOL_KINDS = ("none", "calculator", "python", "search", "recorded")
KEY_ENV = "key_env"
"""The tool parameter that names the environment variable of a tool's key."""

_POOL_KEYS = ("name", "description", "models", "tools", "pairs")
_MODEL_KEYS = (
    "provider", "name", "endpoint", "api_key_env", "prices", "modality", "limits", "parameters",
    "description", "revision",
)  # fmt: skip
_PRICE_KEYS = ("input_usd", "output_usd", "cached_input_usd")
_LIMIT_KEYS = (
    "concurrency", "requests_per_minute", "tokens_per_minute", "context_tokens",
    "max_output_tokens", "timeout_s",
)  # fmt: skip
_TOOL_KEYS = (
    "kind", "parameters", "price_per_call_usd", "modality", "unsafe", "description", "version",
    "prompt",
)  # fmt: skip
_RULE_KEYS = ("include", "exclude")


def load_pool(path: Path) -> Pool:
    """Read and validate a pool file as a whole.

    Relative folders in tool parameters are left as written: they are relative to the folder of
    `pool.source`, and the caller resolves them.

    Raises:
        PoolError: with every problem of the file, each naming file, line and field.
    """
    path = Path(path)
    reading = Reading(str(path))
    root = read_yaml(path, reading)
    if root is None:
        raise PoolError(reading.problems)
    top = read.fields(root, "", _POOL_KEYS, reading)
    name = _pool_name(top)
    models = _models(top)
    tools = _tools(top)
    pairs = _pairs(top, models, tools)
    if reading.problems:
        raise PoolError(reading.problems)
    return build_pool(name, models, tools, pairs, source=str(path))


def missing_keys(pool: Pool, env: Mapping[str, str]) -> list[str]:
    """Environment variables that the pool's pairs need and `env` lacks, sorted by name."""
    needed = {pool.models[pair.model].api_key_env for pair in pool.pairs}
    needed |= {pool.tools[pair.tool].parameters.get(KEY_ENV) for pair in pool.pairs}
    return sorted(name for name in needed if name and not env.get(name, "").strip())


def unpriced(pool: Pool) -> list[str]:
    """Pair ids whose calls cannot be priced, in pair order.

    A recorded model needs no price: its table says what each call cost.
    """
    return [
        pair.pair_id
        for pair in pool.pairs
        if pool.tools[pair.tool].price_per_call_usd is None
        or not (pool.models[pair.model].prices.known or _is_recorded(pool, pair))
    ]


def _is_recorded(pool: Pool, pair: Pair) -> bool:
    return pool.models[pair.model].provider == "recorded"


def _pool_name(top: Fields) -> str:
    name = read.text(top, "name")
    simple = name.replace("-", "").replace("_", "").replace(".", "")
    if not name:
        top.report("name", "is missing; give the pool a short name")
    elif len(name) > 64 or not simple.isalnum() or not simple.isascii():
        top.report("name", "must be at most 64 letters, digits, '-', '_' or '.'")
    return name


def _models(top: Fields) -> dict[str, ModelSpec]:
    places: dict[str, yaml.Node] = {}

    def one(key: str, entry: Entry) -> ModelSpec:
        where = f"models.{key}"
        places[key] = entry.key
        read.check_key(key, entry.key, where, top.reading)
        return _model(key, read.fields(entry.value, where, _MODEL_KEYS, top.reading))

    models: dict[str, ModelSpec] = read.each(top, "models", one, needed=True)
    _report_twins(top, models, places)
    return models


def _model(key: str, field: Fields) -> ModelSpec:
    provider = read.choice(field, "provider", PROVIDERS)
    endpoint = read.url(field, "endpoint")
    if provider == "openai" and field.get("endpoint") is None:
        field.report("endpoint", "is missing; an openai model needs one, https://…/v1")
    if provider in {"recorded", "scripted"} and field.get("endpoint") is not None:
        field.report("endpoint", f"means nothing for a {provider} model; take it out")
    return ModelSpec(
        key=key,
        provider=provider,
        name=read.text(field, "name") or key,
        prices=_prices(field),
        endpoint=endpoint,
        api_key_env=read.environment_variable(field, "api_key_env"),
        modality=read.modality(field),
        limits=_limits(field),
        parameters=read.parameters(field),
        description=read.text(field, "description"),
        revision=read.text(field, "revision"),
    )


def _section(field: Fields, name: str, known: tuple[str, ...]) -> Fields:
    node = field.get(name)
    if node is None:
        return Fields(field.path(name), {}, field.node, field.reading)
    return read.fields(node, field.path(name), known, field.reading)


def _prices(field: Fields) -> Prices:
    prices = _section(field, "prices", _PRICE_KEYS)
    return Prices(*(read.decimal(prices, name) for name in _PRICE_KEYS))


def _limits(field: Fields) -> Limits:
    limits = _section(field, "limits", _LIMIT_KEYS)
    usual = Limits()

    def whole(name: str, default: int) -> int:
        return read.whole_number(limits, name, default) or default

    found = Limits(
        concurrency=whole("concurrency", usual.concurrency),
        requests_per_minute=read.whole_number(limits, "requests_per_minute", None),
        tokens_per_minute=read.whole_number(limits, "tokens_per_minute", None),
        context_tokens=whole("context_tokens", usual.context_tokens),
        max_output_tokens=whole("max_output_tokens", usual.max_output_tokens),
        timeout_s=read.seconds(limits, "timeout_s", usual.timeout_s),
    )
    if found.max_output_tokens > found.context_tokens:
        limits.report("max_output_tokens", "is more than `context_tokens`; lower it")
    return found


def _report_twins(
    top: Fields, models: Mapping[str, ModelSpec], places: Mapping[str, yaml.Node]
) -> None:
    first: dict[str, str] = {}
    for key, spec in models.items():
        identity = canonical_json([spec.provider, spec.endpoint, spec.name, dict(spec.parameters)])
        twin = first.setdefault(identity, key)
        if twin != key:
            top.reading.report(
                places[key],
                f"models.{key}",
                f"is the same model as {twin!r} (provider, endpoint, name and parameters);"
                " keep one of them",
            )


def _tools(top: Fields) -> dict[str, ToolSpec]:
    def one(key: str, entry: Entry) -> ToolSpec:
        where = f"tools.{key}"
        read.check_key(key, entry.key, where, top.reading)
        return _tool(key, read.fields(entry.value, where, _TOOL_KEYS, top.reading))

    if "tools" not in top.found:
        return {"none": ToolSpec("none", "none")}
    tools: dict[str, ToolSpec] = read.each(top, "tools", one, needed=True)
    return tools


def _tool(key: str, field: Fields) -> ToolSpec:
    kind = read.choice(field, "kind", TOOL_KINDS, default=key if key in TOOL_KINDS else "")
    unsafe = read.flag(field, "unsafe")
    if unsafe and kind != "python":
        field.report("unsafe", "means something for kind python only; take it out")
    node = field.get("parameters")
    if isinstance(node, yaml.MappingNode):
        where = field.path("parameters")
        inside = Fields(where, entries(node, where, field.reading), node, field.reading)
        read.environment_variable(inside, KEY_ENV)
    prompt = read.text(field, "prompt").strip() or None
    if prompt is not None and kind == "recorded":
        field.report("prompt", "means nothing for a recorded tool: nobody is asked; take it out")
    return ToolSpec(
        key=key,
        kind=kind,
        parameters=read.parameters(field),
        price_per_call_usd=read.decimal(field, "price_per_call_usd", default=Decimal(0)),
        modality=read.modality(field),
        unsafe=unsafe,
        description=read.text(field, "description"),
        version=read.text(field, "version"),
        prompt=prompt,
    )


def _pairs(
    top: Fields, models: Mapping[str, ModelSpec], tools: Mapping[str, ToolSpec]
) -> list[Pair]:
    every = [Pair(model, tool) for model in sorted(models) for tool in sorted(tools)]
    rules = _section(top, "pairs", _RULE_KEYS)
    kept = (
        set(_matching(rules, "include", every)) if rules.get("include") is not None else set(every)
    )
    kept -= set(_matching(rules, "exclude", every))
    if every and not kept:
        rules.report("exclude", "the rules leave no pair; loosen `include` or `exclude`")
    for pair in sorted(kept):
        unread = sorted(set(tools[pair.tool].modality) - set(models[pair.model].modality))
        if unread:
            rules.report(
                "include",
                f"{pair.pair_id!r}: the tool needs {', '.join(unread)}, which the model does not"
                f" read; exclude the pair or correct `modality`",
            )
    return sorted(kept)


def _matching(rules: Fields, name: str, every: list[Pair]) -> list[Pair]:
    matched: list[Pair] = []
    for rule, node in read.placed_words(rules, name):
        hits = [pair for pair in every if fnmatchcase(pair.pair_id, rule)]
        if every and not hits:
            close = read.did_you_mean(rule, [pair.pair_id for pair in every])
            rules.reading.report(
                node, rules.path(name), f"{rule[:120]!r} matches no pair{close}; correct or drop it"
            )
        matched.extend(hits)
    return matched
