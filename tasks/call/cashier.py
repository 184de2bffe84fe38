"""What the calls of one batch run share: the ledger, the budget, and which providers are open."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random

    from profiles.pool import ModelSpec, Pool
    from tasks.call.base import ChatClient
    from tasks.call.clock import Clock
    from tasks.call.errors import FatalError
    from tasks.call.limiter import ModelLimiter
    from tasks.call.retry import RetryPolicy
    from warehouse.budget import Budget
    from warehouse.ledger import LedgerWriter


@dataclass(slots=True)
class Cashier:
    """Everything one batch run needs to pay for calls.

    Attributes:
        in_flight: requests on their way at once, over all models; held beside the model's own slot.
        resend: whether a request in doubt may be sent once more.
        note_sent: told the id of every request in the instant before it leaves.
        closed: providers that a fatal error closed, with that error.
        note: told what a person should know.
    """

    run_id: str
    pool: Pool
    clients: Mapping[str, ChatClient]
    ledger: LedgerWriter
    budget: Budget
    limiter: ModelLimiter
    retry: RetryPolicy
    clock: Clock
    rng: random.Random
    in_flight: asyncio.Semaphore
    resend: bool = True
    closed: dict[str, FatalError] = field(default_factory=dict)
    note_sent: Callable[[str], None] = lambda _request_id: None
    on_charge: Callable[[int], None] = lambda _nano: None
    note: Callable[[str], None] = lambda _text: None
    _unmetered: set[str] = field(default_factory=set)
    _ahead: dict[str, asyncio.Semaphore] = field(default_factory=dict)

    def ahead(self, model_key: str) -> asyncio.Semaphore:
        """Turns to claim ahead of a free connection, so that none idles while a claim is written.

        As many as connections: the log of sent requests tells a claim that waited from one that
        left, so that a kill puts none of them into doubt.
        """
        if model_key not in self._ahead:
            limits = self.pool.models[model_key].limits
            self._ahead[model_key] = asyncio.Semaphore(limits.concurrency)
        return self._ahead[model_key]

    def tell_unmetered(self, model_key: str) -> None:
        """Say once that a model's answers do not tell their tokens."""
        if model_key not in self._unmetered:
            self._unmetered.add(model_key)
            self.note(
                f"model {model_key!r} does not tell how many tokens an answer took: each is "
                "charged with the most it can cost"
            )

    def open_for(self, model_key: str) -> bool:
        """Whether requests to this model may still be sent."""
        if not self.closed:
            return True
        spec = self.pool.models[model_key]
        return not (self.closed.keys() & {_account(spec), f"model:{model_key}"})

    def close(self, model_key: str, error: FatalError) -> None:
        """Stop sending to the account behind a model, or to that model alone if only it is gone."""
        own = error.error_type == "model_not_found"
        self.closed[f"model:{model_key}" if own else _account(self.pool.models[model_key])] = error


def _account(spec: ModelSpec) -> str:
    return f"account:{spec.provider}|{spec.endpoint}|{spec.api_key_env}"
