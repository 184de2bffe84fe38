"""`atlas policy list`: every version, newest first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flows.console import data, data_json, say, table
from flows.settings import HomeSettings
from flows.verbs.options import AsJson, with_settings

if TYPE_CHECKING:
    from tasks.registry.versions import PolicyVersion


@with_settings(HomeSettings)
def list_(settings: HomeSettings, json: AsJson = False) -> None:
    """List every trained policy, newest first: what it is used as, and what the gate said."""
    from tasks.registry.registry import PolicyRegistry

    registry = PolicyRegistry(settings.mlflow_uri, settings.artifacts)
    versions = registry.versions()[::-1]
    if json:
        data_json([version_json(one) for one in versions])
        return
    if not versions:
        say("no policy is registered yet; next: atlas train")
        return
    headers = ["version", "policy", "used as", "trained", "estimator", "profile", "gate", "name"]
    table(headers, [_row(one) for one in versions], data)


def version_json(version: PolicyVersion) -> dict[str, Any]:
    """A version as JSON values."""
    return version._asdict() | {"aliases": list(version.aliases), "tags": dict(version.tags)}


def _row(version: PolicyVersion) -> list[str]:
    tags = version.tags
    return [
        str(version.version),
        version.policy_id,
        ", ".join(version.aliases) or "-",
        f"{version.created_at:%Y-%m-%d %H:%M}",
        tags.get("estimator", "-"),
        version.profile_id,
        tags.get("gate", "-"),
        tags.get("name", ""),
    ]
