"""Opening and closing what a batch run works with: clients, tools, graders, limits."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.batch.spec import Equipment
from tasks.call.build import build_clients, close_clients
from tasks.call.clock import Clock, SystemClock
from tasks.call.limiter import ModelLimiter
from tasks.call.retry import RetryPolicy

if TYPE_CHECKING:
    from profiles.pool import Pool
    from tasks.call.base import ChatClient


JUDGE = "judge"
"""The model parameter that makes a model the judge of `judge` references; it is never sent."""


class PoolNotReadyError(Exception):
    """The pool is valid but cannot be used: keys or prices are missing."""


def check_ready(pool: Pool, *, env: Mapping[str, str], allow_unpriced: bool) -> None:
    """Refuse before the first paid call what could only fail, or cost nobody knows what.

    Raises:
        PoolNotReadyError: a key variable is unset, or a price unknown without consent.
    """
    from profiles.pool_file import missing_keys, unpriced

    problems = [
        f"environment variable {name} is not set; a model of the pool needs its key there"
        for name in missing_keys(pool, env)
    ]
    if not allow_unpriced:
        problems += [
            f"{what} has no known price; give one (0 for free) or pass --allow-unpriced"
            for what in unpriced(pool)
        ]
    if problems:
        lines = "".join(f"\n  - {problem}" for problem in problems)
        raise PoolNotReadyError(f"The pool {pool.source or pool.name} cannot be used yet:{lines}")


@contextlib.asynccontextmanager
async def equipment(
    pool: Pool,
    *,
    env: Mapping[str, str],
    seed: int,
    clients: Mapping[str, ChatClient] | None = None,
    clock: Clock | None = None,
    models: Iterable[str] | None = None,
) -> AsyncIterator[Equipment]:
    """Clients, tools, graders and limits of a pool, closed at the end.

    Args:
        pool: the validated pool.
        env: where keys are looked up.
        seed: of simulated models.
        clients: clients to use instead of the pool's own, by model key.
        clock: the clock to use instead of the system's.
        models: models that will be called, all by default.

    Raises:
        ClientSetupError, ToolConfigError: the pool names what cannot be had here.
    """
    from tasks.grade.graders import Graders
    from tasks.tools.registry import build_tools

    clock = clock or SystemClock()
    base = Path(pool.source).parent if pool.source else Path()
    tools = build_tools(pool, base_dir=base, env=env)
    graders = Graders()
    made = (
        clients if clients is not None else build_clients(pool, env=env, seed=seed, models=models)
    )
    try:
        yield Equipment(
            pool=pool,
            clients=made,
            tools=tools,
            graders=graders,
            limiter=ModelLimiter({key: spec.limits for key, spec in pool.models.items()}, clock),
            retry=RetryPolicy(),
            clock=clock,
        )
    finally:
        if clients is None:
            await close_clients(made)
        for tool in tools.values():
            await tool.close()
        await graders.close()


def judge_of(pool: Pool) -> str | None:
    """Key of the model whose parameters say `judge: true`; None if no model judges."""
    judges = [key for key, spec in pool.models.items() if spec.parameters.get(JUDGE) is True]
    return judges[0] if judges else None


def sandbox_tier(tools: Equipment) -> str | None:
    """Isolation in force for model-written programs; None where no tool runs any."""
    tiers = [tool.tier for tool in tools.tools.values() if tool.kind == "python"]
    return tiers[0] if tiers else None
