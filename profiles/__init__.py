"""What we know: the pool, clusters, statistics and routers. Pure: no network, clock or SQL.

The names below are loaded when they are first asked for: numpy and polars take time to import.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from profiles.pool_file import load_pool
    from profiles.profile_file import load_profile, save_profile
    from profiles.routers.cluster import ClusterRouter
    from profiles.routers.registry import build_router

__all__ = [
    "ClusterRouter",
    "build_router",
    "load_pool",
    "load_profile",
    "save_profile",
]

_HOMES = {
    "ClusterRouter": "profiles.routers.cluster",
    "build_router": "profiles.routers.registry",
    "load_pool": "profiles.pool_file",
    "load_profile": "profiles.profile_file",
    "save_profile": "profiles.profile_file",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401
    if name not in _HOMES:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    return getattr(import_module(_HOMES[name]), name)
