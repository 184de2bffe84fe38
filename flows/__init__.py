"""What runs: one Prefect flow a module, and the `atlas` command.

`from flows import profile_pool, route_backlog, evaluate_routers` gives the Prefect flows, or,
where the environment says `ATLAS_RUNNER=plain`, functions of the same arguments and results that
go without Prefect. Nothing is imported before it is asked for.
"""

from __future__ import annotations

import importlib
import os
import sys
from types import ModuleType
from typing import Any

__all__ = [
    "EvaluateSettings",
    "ProfileSettings",
    "RouteSettings",
    "evaluate_routers",
    "profile_pool",
    "route_backlog",
]

_FLOWS = {
    "evaluate_routers": ("flows.evaluating", "evaluation_session"),
    "profile_pool": ("flows.profiling", "profile_session"),
    "route_backlog": ("flows.routing", "route_session"),
}
"""Flows by the name of their module and of themselves, with what they are without Prefect."""
_SETTINGS = ("EvaluateSettings", "ProfileSettings", "RouteSettings")


def __getattr__(name: str) -> Any:  # noqa: ANN401
    if name in _SETTINGS:
        return getattr(importlib.import_module("flows.settings"), name)
    if name in _FLOWS:
        module, plain = _FLOWS[name]
        if os.environ.get("ATLAS_RUNNER") == "plain":
            return getattr(importlib.import_module(module), plain)
        return getattr(importlib.import_module(f"flows.{name}"), name)
    raise AttributeError(f"module 'flows' has no attribute {name!r}")


class _Package(ModuleType):
    """Keeps `flows.route_backlog` the flow: importing the module of that name would replace it."""

    def __setattr__(self, name: str, value: object) -> None:
        if name not in _FLOWS or not isinstance(value, ModuleType):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
