"""`atlas evaluate --off-policy`: other routers valued on questions that were routed already."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tasks.off_policy.bootstrap import DRAWS, Interval
from tasks.off_policy.estimators import Estimate, Outcome, Sample, Valuation
from tasks.off_policy.estimators import evaluate as value_of
from tasks.off_policy.log import Log, OffPolicyError, Runs, find_runs, read_log

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from profiles.profile import Profile
    from profiles.routers.base import Router
    from tasks.off_policy.outcome_model import Expected
    from tasks.off_policy.support import Support

    Matrix = NDArray[np.float64]

DEFAULT_TARGETS = ("best-single", "cluster", "predictor", "auto")
OUTCOMES = ("score", "cost_usd", "utility")
"""What is valued; cost and utility only where every row's cost is known."""
_TOLD = ("dataset-best", "oracle")


@dataclass(frozen=True, slots=True)
class OffPolicyJob:
    """What to value and on which log.

    Attributes:
        source: id of a run under `root`, or the folder of a warehouse, all of whose runs are taken.
        routers: targets by name, see `profiles.routers.registry`.
        alpha: weight of cost by which targets decide, and in the utility.
        profile: id of the profile that targets decide by; None is the newest run's own.
        seed: of the resamples, and of targets that draw.
        draws: resamples behind every interval.
    """

    source: str
    root: Path
    routers: tuple[str, ...] = DEFAULT_TARGETS
    alpha: float = 0.0
    profile: str | None = None
    encoder: str = "minilm"
    encoder_dtype: str = "float32"
    seed: int = 0
    draws: int = DRAWS


class Target(NamedTuple):
    """One router's value.

    Attributes:
        router: its name; `auto` says what it came to.
        agreement: share of the questions in which it takes what was logged.
        values: by outcome (`OUTCOMES`); empty where nothing could be said.
        refused: why nothing could be said, in a sentence.
    """

    router: str
    agreement: float
    values: dict[str, Valuation]
    refused: str = ""

    @property
    def support(self) -> Support | None:
        """How far the log supports it; None where it could not even decide."""
        return self.values["score"].support if self.values else None


@dataclass(frozen=True, slots=True)
class OffPolicyEvaluation:
    """Every target on one log."""

    runs: Runs
    profile_id: str
    alpha: float
    log: Log
    logged: dict[str, Interval]
    targets: tuple[Target, ...]

    def as_json(self) -> dict[str, Any]:
        """The figures as JSON values; cost is in dollars a question."""
        return {
            "log": {
                "name": self.runs.name,
                "runs": [run.run_id for run in self.runs.records],
                "questions": len(self.log.query_ids),
                "explored": self.log.explored,
                "left_out": dict(self.log.left_out),
            },
            "profile_id": self.profile_id,
            "alpha": self.alpha,
            "logged": {name: _plain(interval) for name, interval in self.logged.items()},
            "routers": {target.router: _target_json(target) for target in self.targets},
        }


def evaluate(job: OffPolicyJob, *, note: Callable[[str], None]) -> OffPolicyEvaluation:
    """Value every target on the log.

    Args:
        job: what to value.
        note: told in a sentence what is being done.

    Raises:
        OffPolicyError: nothing can be said of any target; the sentence says why.
        ProfileNotFoundError, ProfileError: the profile is missing or damaged.
        RouterError: a target cannot be had.
        WarehouseError, EmbeddingError: tables or encoder cannot be used.
    """
    from profiles.folds import content_folds
    from tasks.off_policy.outcome_model import expected_of
    from tasks.profiling.store import find_profile

    _check_targets(job.routers)
    runs = find_runs(job.root, job.source)
    profile = find_profile(runs.root, job.profile or runs.profile_id or "latest")
    _check_pools(runs, profile)
    learnt = () if profile.train is None else profile.train.query_ids
    log = read_log(runs, profile.pairs, learnt)
    n = len(log.query_ids)
    note(f"{runs.name}: {n:,} labelled questions, of which {log.explored:,} were left to chance")
    embeddings = _embedded(job, runs.root, profile, log)
    expected = expected_of(profile, log.texts, embeddings)
    outcomes = _outcomes(log, expected, content_folds(log.texts), job.alpha, profile)
    targets: list[Target] = []
    logged: dict[str, Interval] = {}
    for name in job.routers:
        found = _target(name, job, profile, log, embeddings, outcomes)
        targets.append(found)
        logged |= {kind: value.logged for kind, value in found.values.items()}
    if not any(_said(target) for target in targets):
        reasons = "; ".join(f"{target.router}: {_why_not(target)}" for target in targets)
        raise OffPolicyError(
            f"{runs.name} says too little of every router that was asked for. {reasons}. A higher"
            " --explore or a wider --explore-band lets a log say more, and so do more rows"
        )
    return OffPolicyEvaluation(runs, profile.profile_id, job.alpha, log, logged, tuple(targets))


def _check_targets(names: Sequence[str]) -> None:
    """Refuse what no log can value.

    Raises:
        RouterNameError: an unknown name, or a baseline that is told what a log does not hold.
    """
    from profiles.errors import RouterNameError
    from profiles.routers.registry import check_router_name

    for name in names:
        check_router_name(name)
        if name in _TOLD:
            raise RouterNameError(
                f"router {name!r} must be told what a router may not know, so it has no value on a"
                " log; compare it on a table of recorded outcomes"
            )


def _check_pools(runs: Runs, profile: Profile) -> None:
    """Refuse a profile of another pool: its pairs are not those that were called.

    Raises:
        OffPolicyError: the fingerprints differ.
    """
    others = runs.pools() - {profile.pool_fingerprint}
    if others:
        some = "its pool was" if len(runs.records) == 1 else "some of its runs' pools were"
        raise OffPolicyError(
            f"{profile.profile_id} knows another pool than {runs.name} was routed with: {some}"
            " changed before or after. Name the profile of that time with --profile, or a single"
            " run instead of the folder"
        )


def _embedded(job: OffPolicyJob, root: Path, profile: Profile, log: Log) -> NDArray[np.float32]:
    """Embeddings of the log's questions, as the profile's encoder makes them.

    Raises:
        OffPolicyError: the encoder is not the profile's.
    """
    from tasks.embedder import cached_embedder

    embedder = cached_embedder(root, job.encoder, dtype=job.encoder_dtype)
    try:
        if embedder.fingerprint != profile.encoder_fingerprint:
            raise OffPolicyError(
                f"{profile.profile_id} was made with encoder {profile.encoder_fingerprint!r}, not"
                f" {embedder.fingerprint!r}; name it with --encoder"
            )
        return embedder(log.texts)
    finally:
        embedder.close()


def _outcomes(
    log: Log, expected: Expected, folds: NDArray[np.uint8], alpha: float, profile: Profile
) -> dict[str, Outcome]:
    """Score, and where every row's cost is known cost and utility, each with its model."""
    from tasks.off_policy.outcome_model import cross_fitted

    def modelled(prior: Matrix, reward: Matrix) -> Matrix:
        return cross_fitted(prior, reward, log.pair, expected.place, folds)

    score = np.clip(modelled(expected.score, log.score), 0.0, 1.0)
    found = {"score": Outcome(log.score, score, 1.0)}
    if np.isfinite(log.cost_usd).all():
        cost = np.maximum(modelled(expected.cost_usd, log.cost_usd), 0.0)
        most = max(float(log.cost_usd.max()), float(cost.max()))
        found["cost_usd"] = Outcome(log.cost_usd, cost, most)
    if alpha == 0.0:
        found["utility"] = found["score"]
    elif "cost_usd" in found:
        overall = profile.statistics.cost_mean_usd[-1]
        scale = float(np.nanmax(overall)) if np.isfinite(overall).any() else 0.0
        if scale > 0.0:
            dear = found["cost_usd"]
            found["utility"] = Outcome(
                (1.0 - alpha) * log.score - alpha * log.cost_usd / scale,
                (1.0 - alpha) * score - alpha * dear.model / scale,
                (1.0 - alpha) + alpha * dear.spread / scale,
            )
    return found


def _target(
    name: str,
    job: OffPolicyJob,
    profile: Profile,
    log: Log,
    embeddings: NDArray[np.float32],
    outcomes: dict[str, Outcome],
) -> Target:
    from profiles.errors import RouterError
    from profiles.routers.base import RoutingContext
    from profiles.routers.registry import build_router

    try:
        router: Router = build_router(name, profile)
    except RouterError as error:
        if name.startswith("fixed:"):
            raise
        return Target(name, float("nan"), {}, str(error))
    context = RoutingContext(log.query_ids, log.texts, alpha=job.alpha, seed=job.seed)
    decisions = router.decide(embeddings, context)
    chances = decisions.chances
    if chances is None:
        chances = np.eye(len(profile.pairs))[decisions.pair]
    sample = Sample(log.pair, log.chances, chances)
    values: dict[str, Valuation] = {}
    for kind, outcome in outcomes.items():
        same = kind == "utility" and outcome is outcomes["score"]
        values[kind] = (
            values["score"] if same else value_of(sample, outcome, draws=job.draws, seed=job.seed)
        )
    agreement = float(chances[np.arange(len(log.pair)), log.pair].mean())
    return Target(_resolved(router, job.alpha), agreement, values)


def _resolved(router: Router, alpha: float) -> str:
    from profiles.routers.auto import AutoRouter

    return router.resolved(alpha).name if isinstance(router, AutoRouter) else router.name


def _said(target: Target) -> bool:
    return bool(target.values) and any(
        estimate.interval is not None for estimate in target.values["score"].estimates
    )


def _why_not(target: Target) -> str:
    return target.refused or target.values["score"].by("switch-dr").refused


def _plain(interval: Interval) -> dict[str, float]:
    return interval._asdict()


def _target_json(target: Target) -> dict[str, Any]:
    if target.support is None:
        return {"refused": target.refused}
    return {
        "agreement": target.agreement,
        "support": target.support._asdict(),
        "values": {
            kind: {one.name: _estimate_json(one) for one in value.estimates}
            for kind, value in target.values.items()
        },
    }


def _estimate_json(estimate: Estimate) -> dict[str, Any]:
    if estimate.interval is None:
        return {"refused": estimate.refused}
    plain: dict[str, Any] = dict(_plain(estimate.interval))
    if estimate.threshold is not None:
        plain |= {"threshold": estimate.threshold, "modelled": estimate.modelled}
    return plain
