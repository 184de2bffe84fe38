"""The policy of a routed backlog: found by its reference, priced, checked, made a guide.

An alias moves when another policy is promoted. It is looked up once, when a run begins; the run
keeps what it named then, however often it is resumed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from profiles.errors import RouterNameError
from warehouse.errors import WarehouseError

if TYPE_CHECKING:
    from decimal import Decimal

    import numpy as np
    from numpy.typing import NDArray

    from profiles.policies.guide import Guide
    from profiles.policies.policy import Policy, PricePoint
    from profiles.pool import Pool
    from profiles.profile import Profile
    from tasks.batch.trajectory_source import TrajectorySource
    from tasks.read import Staged
    from tasks.route import RouteJob
    from warehouse.ledger import LedgerReader, RunRecord

STRATEGIES = ("hybrid", "policy", "cascade")
"""What `--router` may name beside a policy: its guarded choice, its networks, its cascade."""
_POLICY_ID = re.compile(r"policy-[0-9a-f]{16}")

Embed = Callable[[Sequence[str]], "NDArray[np.float32]"]


@dataclass(frozen=True, slots=True)
class PolicyChoice:
    """A policy with everything a run needs of it; takes the place of a router.

    Attributes:
        name: strategy, as the rows' column `router` has it.
        policy: the policy; `profile` is its own.
        registered: name and version in the registry, such as `atlas-policy/3`; None where it was
            given by its id or as a folder.
        price: of a unit of cost.
        guide: decides, stepping down where a question is unlike anything in training.
        embed: texts to (n, D) float32.
        kept: whether it is what an earlier session of the run began with.
    """

    name: str
    policy: Policy
    profile: Profile
    registered: str | None
    price: float
    guide: Guide
    embed: Embed
    kept: bool

    needs_embeddings = True

    @property
    def point(self) -> PricePoint | None:
        """What is expected at the price; None for a strategy whose figures are not kept."""
        point = self.policy.point(self.price)
        return point if self.name in ("hybrid", point.strategy) else None

    @property
    def label(self) -> str:
        """The policy by name, such as `atlas-policy/3 (policy-0123456789abcdef)`."""
        policy_id = self.policy.policy_id
        return f"{self.registered} ({policy_id})" if self.registered else policy_id

    @property
    def told(self) -> tuple[str, ...]:
        """Policy, price and profile, each in a word or two, for lists of what decided."""
        return self.label, f"price {self.price:.4g}", self.profile.profile_id

    @property
    def because(self) -> str:
        """One line on what was found, and what is expected of it."""
        parts = [f"{self.label} at price {self.price:.4g} a unit of cost"]
        strategy = self.guide.strategy.name
        parts.append(strategy if strategy == self.name else f"{self.name} took {strategy}")
        if self.point is not None:
            from profiles.policies.price_choice import expected_usd

            usd = expected_usd(self.policy, self.point)
            money = "" if usd is None else f" and ${usd:.6f}"
            parts.append(f"{self.point.calls:.2f} calls{money} a question expected")
        if self.kept:
            parts.append("kept from when this run began")
        return ", ".join(parts)

    def source(
        self, folder: Path, staged: Staged, pool: Pool, timer: Callable[[], float]
    ) -> TrajectorySource:
        """The staged backlog as rows of many steps."""
        from tasks.batch.trajectory_source import TrajectorySource
        from tasks.trajectory.navigator import Navigator

        return TrajectorySource(
            folder=folder,
            chunks=staged.chunks,
            pool=pool,
            navigator=Navigator(self.guide, timer=timer),
            embed=self.embed,
            router=self.name,
            profile_id=self.profile.profile_id,
            policy_name=self.registered,
        )


def strategy_name(router: str) -> str:
    """The strategy that `--router` means beside a policy; `auto` is the guarded choice.

    Raises:
        RouterNameError: it names a router that is no policy's strategy.
    """
    if router == "auto":
        return STRATEGIES[0]
    if router not in STRATEGIES:
        raise RouterNameError(
            f"router {router!r} decides without a policy: beside --policy, --router names one of "
            f"the policy's strategies, {', '.join(STRATEGIES)}, or auto for the first; leave out "
            "one of the two"
        )
    return router


def check_has_policy(router: str) -> None:
    """Refuse a strategy's name where there is no policy.

    Raises:
        RouterNameError: naming what is missing.
    """
    if router in STRATEGIES:
        raise RouterNameError(
            f"router {router!r} is a strategy of a policy: name the policy too, such as "
            "--policy champion"
        )


def choose_policy(
    job: RouteJob, base: Mapping[str, Any], pool: Pool, name_of: Callable[[dict[str, Any]], str]
) -> tuple[PolicyChoice, dict[str, Any]]:
    """Find a job's policy, and the identity of the run that it makes.

    Args:
        job: names the policy.
        base: the run's identity but for what a policy says.
        pool: what is routed over.
        name_of: the name of a run, from its identity.

    Raises:
        PolicyNotFoundError, RegistryError: there is no such policy, or no registry to ask.
        PolicyFileError: its files are damaged.
        ProfileNotFoundError, ProfileError: its profile is missing, or another one was asked for,
            or does not fit the pool or the encoder.
        PriceError: it cannot be used at that price.
        RouterNameError: `--router` names something else.
    """
    from profiles.policies.guide import policy_guide
    from profiles.policies.policy import check_policy
    from profiles.policies.step_down import step_down
    from profiles.profile import check_compatible
    from tasks.embedder import cached_embedder

    assert job.policy is not None
    strategy = strategy_name(job.router)
    asked: dict[str, Any] = {
        **base,
        "router": strategy,
        "policy_reference": _moving(job.policy),
        "price_asked": job.price,
        "max_cost_per_query_usd": _text(job.max_cost_per_query_usd),
    }
    begun = _begun(job, asked, name_of)
    if begun is None:
        policy, registered = _find(job, job.policy)
        price = _price(job, policy, strategy)
    else:
        policy, _ = _find(job, begun["policy"])
        registered, price = begun["policy_name"], begun["price"]
    profile = _profile(job, policy)
    check_policy(policy, profile)
    embedder = cached_embedder(job.root, job.encoder, dtype=job.encoder_dtype)
    check_compatible(profile, pool, embedder.fingerprint)
    guide = step_down(policy_guide(policy, profile, strategy, price), policy, profile)
    identity = {
        **asked,
        "policy": policy.policy_id,
        "policy_name": registered,
        "price": price,
        "profile_id": profile.profile_id,
    }
    kept = begun is not None
    return (
        PolicyChoice(strategy, policy, profile, registered, price, guide, embedder, kept),
        identity,
    )


def _moving(reference: str) -> str | None:
    """The reference where it may mean another policy tomorrow: an alias; None for all others."""
    fixed = _is_folder(reference) or reference.isdigit() or _POLICY_ID.fullmatch(reference)
    return None if fixed else reference


def _is_folder(reference: str) -> bool:
    return "/" in reference or reference in (".", "..")


def _text(amount: Decimal | None) -> str | None:
    return None if amount is None else f"{amount.normalize():f}"


def _begun(
    job: RouteJob, asked: Mapping[str, Any], name_of: Callable[[dict[str, Any]], str]
) -> Mapping[str, Any] | None:
    """The identity of the run that the same command began; None where there is none to go on with.

    A run that has a name is found by it. Any other was told the same and is not complete yet:
    once it is, the same command begins a new run where its alias has moved since.
    """
    from warehouse.ledger import open_ledger

    if asked["policy_reference"] is None:
        return None
    try:
        ledger = open_ledger(job.root, read_only=True)
    except WarehouseError:
        # Nothing was begun yet, or opening it to write will say what is wrong with it.
        return None
    try:
        named = [] if job.name is None else [ledger.run(job.name)]
        for run in named or ([] if job.name else ledger.runs()):
            if run is None or run.kind != "route" or (not job.name and _complete(job, ledger, run)):
                continue
            known: dict[str, Any] = json.loads(run.config_json)
            same = known.items() >= asked.items()
            if same and (job.name or run.run_id == name_of(known)):
                return known
    finally:
        ledger.close()
    return None


def _complete(job: RouteJob, ledger: LedgerReader, run: RunRecord) -> bool:
    """Whether the same command would find nothing to do."""
    if run.state != "complete":
        return False
    return job.in_doubt == "hold" or not ledger.counts(run.run_id).in_doubt


def _find(job: RouteJob, reference: str) -> tuple[Policy, str | None]:
    """The policy of a reference, and its registered name where the reference has a version."""
    from profiles.policies.policy_file import read_policy
    from tasks.registry.registry import PolicyRegistry, policy_folder

    if _is_folder(reference):
        return read_policy(Path(reference)), None
    by_id = _POLICY_ID.fullmatch(reference) is not None
    local = policy_folder(job.root, reference)
    if by_id and local.is_dir():
        return read_policy(local), None
    registry = PolicyRegistry(job.mlflow_uri, job.artifacts)
    version = registry.resolve(reference)
    policy = registry.fetch(version, job.root)
    return policy, None if by_id else f"{version.name}/{version.version}"


def _profile(job: RouteJob, policy: Policy) -> Profile:
    """The profile that was asked for; `latest` is the policy's own."""
    from tasks.profiling.store import POINTER, ProfileNotFoundError, find_profile

    if job.profile != POINTER:
        return find_profile(job.root, job.profile)
    try:
        return find_profile(job.root, policy.profile_id)
    except ProfileNotFoundError:
        raise ProfileNotFoundError(
            f"{policy.policy_id} was trained on {policy.profile_id}, which is not under "
            f"{job.root / 'profiles'}: route with the --root it was trained under, or train again"
        ) from None


def _price(job: RouteJob, policy: Policy, strategy: str) -> float:
    from profiles.policies.price_choice import (
        PriceError,
        check_price,
        default_price,
        price_within,
    )

    if job.price is not None:
        check_price(policy, job.price)
        return job.price
    if job.max_cost_per_query_usd is None:
        return default_price(policy)
    if strategy != STRATEGIES[0]:
        raise PriceError(
            f"--max-cost-per-query goes by what the policy's guarded choice came to, which says "
            f"nothing of --router {strategy} alone: leave --router out, or give --price"
        )
    return price_within(policy, job.max_cost_per_query_usd).price
