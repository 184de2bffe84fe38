"""Simulated models behind the `ChatClient` interface, in process."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tasks.call.errors import FatalError, Fate
from tasks.simulate.knowledge import Knowledge
from tasks.simulate.model import SimulatedModel
from tasks.simulate.parameters import ParametersError, read_parameters

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path
    from typing import Any

    from profiles.pool import ModelSpec, Pool
    from tasks.call.base import ChatRequest, ChatResponse

PROVIDER = "simulated"


class SimulatedClient:
    """Answers from simulated models without a socket.

    Args:
        models: the pool's models by key; those of other providers are left out.
        seed: of all draws.
        knowledge: what the models could know by heart.
        latency_scale: factor on the models' latencies; 0 answers at once.
        sleep: how to wait, for tests.

    Raises:
        ParametersError: parameters that make no sense.
    """

    provider = PROVIDER

    def __init__(
        self,
        models: Mapping[str, ModelSpec],
        *,
        seed: int = 0,
        knowledge: Knowledge | None = None,
        latency_scale: float = 0.0,
        sleep: Callable[[float], Any] = asyncio.sleep,
    ) -> None:
        self._models = make_models(models.values(), seed=seed, knowledge=knowledge)
        self._latency_scale = latency_scale
        self._sleep = sleep

    async def complete(self, request: ChatRequest) -> ChatResponse:
        """Answer one request.

        Raises:
            FatalError: there is no such model.
        """
        model = self._models.get(request.model)
        if model is None:
            known = ", ".join(sorted(self._models)) or "none"
            raise FatalError(
                f"there is no simulated model {request.model!r}; known are {known}",
                error_type="unknown_model",
                fate=Fate.REFUSED,
                http_status=404,
            )
        reply = model.complete(request)
        if self._latency_scale > 0:
            await self._sleep(reply.latency_s * self._latency_scale)
        return reply.response

    async def close(self) -> None:
        """Nothing to release."""


def make_models(
    specs: Iterable[ModelSpec], *, seed: int = 0, knowledge: Knowledge | None = None
) -> dict[str, SimulatedModel]:
    """A model for every simulated spec, by provider name.

    Raises:
        ParametersError: with every problem of every model.
    """
    models: dict[str, SimulatedModel] = {}
    problems: list[str] = []
    for spec in specs:
        if spec.provider != PROVIDER:
            continue
        try:
            parameters = read_parameters(spec.name, spec.parameters)
        except ParametersError as error:
            problems.append(str(error))
            continue
        models[spec.name] = SimulatedModel(spec.name, parameters, seed=seed, knowledge=knowledge)
    if problems:
        raise ParametersError("\n".join(problems))
    return models


def pool_knowledge(pool: Pool, base_dir: Path) -> Knowledge:
    """What the corpora of a pool's search tools tell; nothing where they are not there."""
    for tool in pool.tools.values():
        corpus = tool.parameters.get("corpus") if tool.kind == "search" else None
        if isinstance(corpus, str) and (base_dir / corpus).is_dir():
            return Knowledge.of_corpus(base_dir / corpus)
    return Knowledge()


def build_models(pool: Pool, base_dir: Path, *, seed: int = 0) -> dict[str, SimulatedModel]:
    """Every simulated model of a pool by provider name, for the in-process client and the server.

    Args:
        pool: a validated pool.
        base_dir: what its relative folders are relative to.
        seed: of all draws.

    Raises:
        ParametersError: with every problem of every model.
    """
    return make_models(pool.models.values(), seed=seed, knowledge=pool_knowledge(pool, base_dir))
