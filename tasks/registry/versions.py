"""What a registered policy is known by.

RegistryError               the registry cannot be used as it is
└── PolicyNotFoundError     there is no such version
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import NamedTuple

CHAMPION, CHALLENGER = "champion", "challenger"
"""Aliases: the version that is in use, and the one that was trained last."""

POLICY_ID, PROFILE_ID, POOL = "policy_id", "profile_id", "pool_fingerprint"
"""Tags that every version has."""


class RegistryError(Exception):
    """The registry cannot be reached, or does not hold what it should."""


class PolicyNotFoundError(RegistryError):
    """There is no such policy version."""


class PolicyVersion(NamedTuple):
    """One registered version of the policy.

    Attributes:
        name: of the registered model.
        version: its number, from 1 on.
        policy_id: of its contents.
        run_id: the MLflow run that trained it; empty without one.
        profile_id: of the profile it was trained on.
        pool_fingerprint: of that profile's pool.
        aliases: that point to it, sorted.
        created_at: when it was registered; UTC.
        tags: everything else that was noted of it.
    """

    name: str
    version: int
    policy_id: str
    run_id: str
    profile_id: str
    pool_fingerprint: str
    aliases: tuple[str, ...]
    created_at: datetime
    tags: Mapping[str, str]


def made_version(
    name: str,
    version: int,
    *,
    run_id: str | None,
    created_ms: int,
    tags: Mapping[str, str],
    aliases: Iterable[str],
) -> PolicyVersion:
    """A version from what the registry keeps of it.

    Args:
        name: of the registered model.
        version: its number.
        run_id: of the training, if known.
        created_ms: milliseconds since 1970.
        tags: as they are kept.
        aliases: that point to it.
    """
    return PolicyVersion(
        name=name,
        version=version,
        policy_id=tags.get(POLICY_ID, ""),
        run_id=run_id or "",
        profile_id=tags.get(PROFILE_ID, ""),
        pool_fingerprint=tags.get(POOL, ""),
        aliases=tuple(sorted(aliases)),
        created_at=datetime.fromtimestamp(created_ms / 1000, UTC),
        tags=dict(tags),
    )
