"""Clients for the models of a pool: one client per provider, shared by its models."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from profiles.pool import ModelSpec, Pool
    from tasks.call.base import ChatClient


SIMULATED_LATENCY_SCALE = 0.05
"""Simulated models in process answer twenty times faster than their latency says."""


class ClientSetupError(Exception):
    """A model of the pool cannot be called as it is configured."""


def build_clients(
    pool: Pool, *, env: Mapping[str, str], seed: int, models: Iterable[str] | None = None
) -> dict[str, ChatClient]:
    """Clients by model key; models of one provider share one client.

    Args:
        pool: the validated pool; relative paths in it are relative to its file.
        env: where the keys of HTTP providers are.
        seed: of simulated models.
        models: keys to build clients for, all by default.

    Raises:
        ClientSetupError: a recorded model names no table, a table cannot be used, or a model's
            parameters make no sense.
    """
    wanted = set(pool.models if models is None else models)
    groups: dict[str, dict[str, ModelSpec]] = defaultdict(dict)
    for key, spec in pool.models.items():
        if key in wanted:
            groups[spec.provider][key] = spec
    base = Path(pool.source).parent if pool.source else Path()
    clients: dict[str, ChatClient] = {}
    for provider, specs in groups.items():
        if provider == "openai":
            from tasks.call.openai_compatible import OpenAICompatibleClient

            try:
                client: ChatClient = OpenAICompatibleClient(specs, env)
            except ValueError as error:
                raise ClientSetupError(f"{pool.source or pool.name}: {error}") from error
            clients |= dict.fromkeys(specs, client)
        elif provider == "simulated":
            clients |= dict.fromkeys(specs, _simulated(pool, specs, base, seed))
        elif provider == "recorded":
            clients |= _recorded(specs, base)
        else:
            clients |= {key: _scripted(spec) for key, spec in specs.items()}
    return clients


async def close_clients(clients: Mapping[str, ChatClient]) -> None:
    """Close every client once."""
    for client in {id(client): client for client in clients.values()}.values():
        await client.close()


def _simulated(pool: Pool, specs: Mapping[str, ModelSpec], base: Path, seed: int) -> ChatClient:
    from tasks.simulate.client import SimulatedClient, pool_knowledge
    from tasks.simulate.parameters import ParametersError

    try:
        return SimulatedClient(
            specs,
            seed=seed,
            knowledge=pool_knowledge(pool, base),
            latency_scale=SIMULATED_LATENCY_SCALE,
        )
    except ParametersError as error:
        raise ClientSetupError(f"{pool.source or pool.name}: {error}") from error


def _recorded(specs: Mapping[str, ModelSpec], base: Path) -> dict[str, ChatClient]:
    from tasks.call.recorded import RecordedClient, RecordedTableError

    tables: dict[Path, ChatClient] = {}
    clients: dict[str, ChatClient] = {}
    for key, spec in specs.items():
        table = spec.parameters.get("table")
        if not isinstance(table, str):
            raise ClientSetupError(
                f"Recorded model {key!r} names no table. Give its parameters a `table:` with the "
                "path of an outcomes.parquet."
            )
        path = base / table
        if path not in tables:
            try:
                tables[path] = RecordedClient.read(path)
            except RecordedTableError as error:
                raise ClientSetupError(f"Recorded model {key!r}: {error}") from error
        clients[key] = tables[path]
    return clients


def _scripted(spec: ModelSpec) -> ChatClient:
    from tasks.call.base import Usage
    from tasks.call.scripted import ScriptedClient

    answer = str(spec.parameters.get("answer", "Answer: 42"))
    usage = Usage(len(spec.name) + 20, len(answer) // 4 + 1)
    return ScriptedClient(default=answer, usage=usage, remember=False)
