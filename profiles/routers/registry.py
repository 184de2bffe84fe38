"""Routers by name, as the command line and the run configuration know them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import Any

from profiles.errors import RouterError, RouterNameError
from profiles.pool_fields import did_you_mean
from profiles.profile import Profile
from profiles.routers.base import Router
from profiles.routers.baselines import (
    BestSingleRouter,
    CheapestRouter,
    DatasetBestRouter,
    FixedRouter,
    OracleRouter,
    RandomRouter,
)
from profiles.routers.cluster import PLAIN, ClusterRouter, ClusterRouterSettings
from profiles.routers.knn import KnnRouter

_SIMPLE: dict[str, Callable[..., Router]] = {
    "random": RandomRouter,
    "best-single": BestSingleRouter,
    "cheapest": CheapestRouter,
    "dataset-best": DatasetBestRouter,
    "oracle": OracleRouter,
}
_LEARNT = ("auto", "predictor")
"""Routers without settings that need more of a profile than its means."""
ROUTER_NAMES = (
    "auto", "predictor", "cluster", "cluster-plain", "knn", "knn:<k>", "fixed:<pair_id>", *_SIMPLE,
)  # fmt: skip


def check_router_name(name: str) -> None:
    """Refuse an unknown name before anything else is looked up.

    Raises:
        RouterNameError: there is no such router.
    """
    kind, _, detail = name.partition(":")
    simple = kind in {*_SIMPLE, *_LEARNT, "cluster", "cluster-plain", "knn"} and not detail
    if simple or (kind in {"fixed", "knn"} and detail):
        return
    close = did_you_mean(name, [*_LEARNT, *_SIMPLE, "cluster-plain", "cluster", "knn"])
    msg = f"there is no router {name!r}{close}; routers are {', '.join(ROUTER_NAMES)}"
    raise RouterNameError(msg)


def build_router(name: str, profile: Profile, **settings: Any) -> Router:  # noqa: ANN401
    """A router by its name.

    Args:
        name: one of `ROUTER_NAMES`; `fixed:small@@none` and `knn:40` carry their setting.
        profile: what it decides from.
        settings: for `cluster` any field of `ClusterRouterSettings`; for `cluster-plain` only
            `cost_scale`; for `knn` only `k` (default 40).

    Raises:
        RouterError: for an unknown name or setting, or a profile that lacks what it needs.
    """
    check_router_name(name)
    kind, _, detail = name.partition(":")
    if kind in {"cluster", "cluster-plain"}:
        return _cluster(kind, profile, settings)
    if kind == "knn":
        _check_settings(kind, settings, {"k"})
        return KnnRouter(profile, _neighbours(name, detail, settings), name=name)
    _check_settings(kind, settings, set())
    if kind == "fixed":
        return FixedRouter(profile, detail, name=name)
    if kind == "auto":
        from profiles.routers.auto import AutoRouter

        return AutoRouter(profile, name=name)
    if kind == "predictor":
        from profiles.routers.predictor import PredictorRouter

        return PredictorRouter(profile, name=name)
    return _SIMPLE[kind](profile, name=name)


def _cluster(kind: str, profile: Profile, settings: dict[str, Any]) -> Router:
    if kind == "cluster-plain":
        _check_settings(kind, settings, {"cost_scale"})
        plain = {f.name: getattr(PLAIN, f.name) for f in fields(PLAIN)} | settings
        return ClusterRouter(profile, ClusterRouterSettings(**plain), name=kind)
    _check_settings(kind, settings, {f.name for f in fields(ClusterRouterSettings)})
    return ClusterRouter(profile, ClusterRouterSettings(**settings), name=kind)


def _neighbours(name: str, detail: str, settings: dict[str, Any]) -> int:
    if not detail:
        return int(settings.get("k", 40))
    if not detail.isascii() or not detail.isdigit() or len(detail) > 9:
        msg = f"in router {name!r}, {detail!r} is not a number of neighbours; write knn:40"
        raise RouterError(msg)
    return int(detail)


def _check_settings(kind: str, settings: dict[str, Any], known: set[str]) -> None:
    unknown = sorted(set(settings) - known)
    if unknown:
        has = f"its settings are {', '.join(sorted(known))}" if known else "it has none"
        msg = f"router {kind!r} has no setting {unknown[0]!r}; {has}"
        raise RouterError(msg)
