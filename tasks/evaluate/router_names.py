"""Names of routers that can be evaluated, and what each of them asks for.

    random  best-single  dataset-best  oracle  cheapest  fixed:<pair_id>  knn  knn:<k>
    auto[@K]  predictor[@K]
    cluster[+<cost scale>][@K]
    cluster-plain[+<addition>…][@K]
    majority  cascade  policy  policy-ppo  hybrid

The last line takes many steps: a pair is called, its answer is looked at, another is called where
that pays (`tasks.evaluate.multi_step`).
`auto` and `predictor` decide from the profile that `atlas profile run` would make: K chosen by
held-out routing value of the training rows, unless one is given.
`cluster-plain` is the paper's print on scikit-learn's `KMeans(K, n_init=10, random_state=42)`.
Every addition of ours can be put on it alone: `shrink` (means drawn towards the pair's overall
mean), `nmin` (overall figures for cells with few outcomes), `ood` (overall figures for questions
far from every cluster), `kmeans` (the product's KMeans settings). `raw` and `per_cluster` choose
another cost scale, which matters where alpha is above 0. `cluster` has all additions.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from profiles.clusters import ClusterSettings
from profiles.errors import RouterNameError
from profiles.pool_fields import did_you_mean
from profiles.profile import DEFAULT_K
from profiles.routers.cluster import PLAIN, ClusterRouter, ClusterRouterSettings
from profiles.routers.registry import build_router

if TYPE_CHECKING:
    from collections.abc import Iterable

    from profiles.profile import Profile
    from profiles.routers.base import Router

DEFAULT_ROUTERS = (
    "random",
    "best-single",
    "dataset-best",
    "cluster-plain",
    "cluster",
    "predictor",
    "auto",
    "knn",
    "oracle",
)
BASELINE = "best-single"
"""The router that others are measured against."""
ADDITIONS = ("shrink", "nmin", "ood", "kmeans")
COST_SCALES = ("raw", "per_cluster")
TOLD = {"dataset-best": "the dataset's name", "oracle": "the recorded scores"}
"""Baselines that are told what a router may not know."""

AUTO: Literal["auto"] = "auto"
"""In place of a number of clusters: the one of the best held-out routing value."""

_SIMPLE = ("random", "best-single", "dataset-best", "oracle", "cheapest")
_LEARNT = ("auto", "predictor")
MAJORITY = "majority"
POLICIES = ("cascade", "policy", "policy-ppo", "hybrid")
"""Multi-step routers that are fitted on recorded answers."""
MULTI_STEP = (MAJORITY, *POLICIES)
_KINDS = (*_LEARNT, *_SIMPLE, *MULTI_STEP, "knn", "cluster-plain", "cluster")
_LEARNT_AT = re.compile(r"(?P<kind>auto|predictor)(?P<at>(@.*)?)")
_CLUSTERED = re.compile(r"(?P<kind>cluster-plain|cluster)(?P<plus>(\+[^@]*)?)(?P<at>(@.*)?)")
_MOST_CLUSTERS = 10_000


@dataclass(frozen=True, slots=True)
class RouterChoice:
    """A router as it was asked for.

    Attributes:
        name: as it was written; names the router in every table.
        kind: the router without additions and settings.
        clusters: how its profile is clustered; None for routers that know no clusters.
        settings: of a cluster router; None for others.
        choose_k: whether K is chosen by held-out routing value, instead of `clusters.k`.
    """

    name: str
    kind: str
    clusters: ClusterSettings | None = None
    settings: ClusterRouterSettings | None = None
    choose_k: bool = False

    @property
    def needs_embeddings(self) -> bool:
        """Whether it looks at the questions' text at all."""
        return self.clusters is not None or self.kind == "knn"

    @property
    def learnt(self) -> bool:
        """Whether it needs a profile with predictor and out-of-fold estimates."""
        return self.kind in (*_LEARNT, *POLICIES)

    @property
    def multi_step(self) -> bool:
        """Whether it may call several pairs; `tasks.evaluate.multi_step` builds it, not `build`."""
        return self.kind in MULTI_STEP

    @property
    def told(self) -> str:
        """What it is told that no router may know; empty for routers."""
        return TOLD.get(self.kind, "")

    def build(self, profile: Profile) -> Router:
        """The router, deciding from a profile fitted as `clusters` say.

        Raises:
            RouterError: the profile has no such pair, or lacks what the router needs.
        """
        if self.settings is not None:
            return ClusterRouter(profile, self.settings, name=self.name)
        if self.kind == "predictor" and profile.predictor is None:
            # Guarded as ever: with too little to learn from it keeps the best single pair.
            return build_router(BASELINE, profile)
        if self.learnt:
            return build_router(self.kind, profile)
        return build_router(self.name, profile)


def read_routers(
    names: Iterable[str],
    *,
    clusters: int | Literal["auto"] = DEFAULT_K,
    seed: int = 0,
    kmeans_seed: int = 42,
) -> tuple[RouterChoice, ...]:
    """What a list of router names asks for.

    Args:
        names: see this module's docstring.
        clusters: K of cluster routers whose name gives none; `auto` chooses it by held-out
            routing value, and leaves 8 to `cluster-plain`.
        seed: of the product's KMeans.
        kmeans_seed: of `cluster-plain`'s KMeans.

    Raises:
        RouterNameError: a name is not known, is given twice, or no name is given.
    """
    wanted = [name.strip() for name in names]
    if not wanted:
        raise RouterNameError("no router is named; give some, such as best-single,cluster,oracle")
    twice = sorted({name for name in wanted if wanted.count(name) > 1})
    if twice:
        raise RouterNameError(f"router {twice[0]!r} is named twice")
    return tuple(_read(name, clusters, seed, kmeans_seed) for name in wanted)


def plain_clusters(k: int, seed: int = 42) -> ClusterSettings:
    """Settings of scikit-learn's `KMeans(k, n_init=10, random_state=seed)`."""
    return ClusterSettings(k, seed=seed, algorithm="lloyd", n_init=10, max_iter=300)


def _read(name: str, clusters: int | Literal["auto"], seed: int, kmeans_seed: int) -> RouterChoice:
    kind, _, detail = name.partition(":")
    if name in POLICIES:
        return RouterChoice(name, name, ClusterSettings(DEFAULT_K, seed=seed), choose_k=True)
    if kind in (*_SIMPLE, MAJORITY) and ":" not in name:
        return RouterChoice(name, kind)
    if kind == "fixed" and detail:
        return RouterChoice(name, kind)
    if kind == "knn" and (":" not in name or _is_count(detail)):
        return RouterChoice(name, kind)
    match = _LEARNT_AT.fullmatch(name)
    if match is not None:
        k = _clusters_of(name, match["at"], AUTO)
        fitted = ClusterSettings(DEFAULT_K if k == AUTO else k, seed=seed)
        return RouterChoice(name, match["kind"], fitted, choose_k=k == AUTO)
    match = _CLUSTERED.fullmatch(name)
    if match is None:
        close = did_you_mean(name, _KINDS)
        others = ("fixed:<pair_id>", "knn[:k]", "cluster-plain", "cluster")
        known = ", ".join((*_LEARNT, *_SIMPLE, *MULTI_STEP, *others))
        raise RouterNameError(f"there is no router {name!r}{close}; routers are {known}")
    k = _clusters_of(name, match["at"], clusters)
    additions = match["plus"].split("+")[1:]
    return _clustered(name, match["kind"], additions, k, seed, kmeans_seed)


def _clustered(
    name: str,
    kind: str,
    additions: list[str],
    k: int | Literal["auto"],
    seed: int,
    kmeans_seed: int,
) -> RouterChoice:
    known = (*ADDITIONS, *COST_SCALES) if kind == "cluster-plain" else COST_SCALES
    for addition in additions:
        if addition not in known:
            close = did_you_mean(addition, known)
            raise RouterNameError(
                f"in router {name!r}, {addition!r} cannot be added to {kind}{close}; "
                f"what can be is {', '.join(known)}"
            )
    usual = ClusterRouterSettings()
    number = DEFAULT_K if k == AUTO else k
    product = ClusterSettings(number, seed=seed)
    if kind == "cluster":
        settings, fitted = usual, product
    else:
        settings = ClusterRouterSettings(
            shrinkage="shrink" in additions,
            n_min=usual.n_min if "nmin" in additions else PLAIN.n_min,
            out_of_distribution="ood" in additions,
            cost_scale=PLAIN.cost_scale,
        )
        fitted = product if "kmeans" in additions else plain_clusters(number, kmeans_seed)
    for scale in COST_SCALES:
        if scale in additions:
            settings = replace(settings, cost_scale=scale)
    choose_k = k == AUTO and kind == "cluster"
    return RouterChoice(name, kind, fitted, settings, choose_k=choose_k)


def _clusters_of(name: str, at: str, default: int | Literal["auto"]) -> int | Literal["auto"]:
    if not at:
        return default
    if not _is_count(at[1:]):
        raise RouterNameError(
            f"in router {name!r}, {at[1:]!r} is not a number of clusters; "
            f"write {name[: -len(at)]}@8"
        )
    return int(at[1:])


def _is_count(text: str) -> bool:
    return text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= _MOST_CLUSTERS
