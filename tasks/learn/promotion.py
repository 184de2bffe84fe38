"""The champion moves: forward by a gate's decision, back by a rollback, never without a note.

Everything that is to be known later is written before the alias moves: the decision as a file of
the version's run, who did it, when and why as tags of the version, and which version was champion
before. A kill in between leaves a note without a move, which the same command then makes. Callers
hold a lock, see `flows.promote_policy`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from tasks.registry.versions import CHAMPION, PolicyVersion, RegistryError

if TYPE_CHECKING:
    from tasks.registry.registry import PolicyRegistry

GATE, PROMOTED, PREVIOUS, LEFT = "gate", "promoted_at", "previous_champion", "rolled_back_at"
"""Tags: the last verdict, when it became champion, whom it replaced, when it was left again."""
FOLDER = "gate"
"""Folder of the run's files that holds decisions."""
ACCEPTED, REFUSED, FORCED = "accepted", "refused", "forced"


class RollbackError(RegistryError):
    """There is no earlier champion to go back to."""


class Note(NamedTuple):
    """Who did something, when and why."""

    by: str
    at: datetime
    reason: str

    def tags(self, event: str) -> dict[str, str]:
        """Tags of an event such as `gate`."""
        return {
            f"{event}_at": self.at.isoformat(timespec="seconds"),
            f"{event}_by": self.by,
            f"{event}_reason": self.reason,
        }


def champion_of(registry: PolicyRegistry) -> PolicyVersion | None:
    """The version in use; None before the first promotion.

    Raises:
        RegistryError: the registry cannot be asked.
    """
    return next((one for one in registry.versions() if CHAMPION in one.aliases), None)


def keep_decision(
    registry: PolicyRegistry,
    mlflow_uri: str,
    version: PolicyVersion,
    verdict: str,
    record: Mapping[str, Any],
    text: str,
    note: Note,
) -> None:
    """Keep a decision with the run that trained the version, and its verdict as tags.

    A version without a run keeps the whole decision as a tag.

    Args:
        registry: holds the version.
        mlflow_uri: of tracking store and registry.
        version: that was judged.
        verdict: accepted, refused or forced.
        record: the decision as JSON values.
        text: the same as Markdown.
        note: who judged, when and why.

    Raises:
        RegistryError: MLflow cannot keep it; nothing may move then.
    """
    whole = json.dumps(record, indent=2, ensure_ascii=False)
    tags = {GATE: verdict, **note.tags(GATE)}
    if version.run_id:
        stamp = note.at.strftime("%Y%m%dT%H%M%SZ")
        files = {f"{FOLDER}/{stamp}.json": whole + "\n", f"{FOLDER}/{stamp}.md": text}
        _keep_files(mlflow_uri, version, files)
        tags["gate_record"] = f"{FOLDER}/{stamp}.json"
    else:
        tags["gate_decision"] = whole
    registry.annotate(version.version, tags)


def promote(
    registry: PolicyRegistry, version: PolicyVersion, before: PolicyVersion | None, note: Note
) -> None:
    """Make a version the champion.

    Args:
        registry: whose alias moves.
        version: the new champion.
        before: the one in use until now; None for the first.
        note: who, when and why.

    Raises:
        RegistryError: MLflow cannot do it.
    """
    tags = note.tags("promoted") | {PREVIOUS: str(before.version) if before else "none"}
    registry.annotate(version.version, tags)
    registry.set_alias(CHAMPION, version.version)


def earlier_champion(
    registry: PolicyRegistry, to: int | None
) -> tuple[PolicyVersion, PolicyVersion]:
    """The champion, and the earlier one that a rollback goes to.

    Args:
        registry: to look in.
        to: number of a version that was champion before; None takes the one before this.

    Raises:
        RollbackError: there is no champion, none before it, or that version never was one.
        PolicyNotFoundError: there is no such version.
    """
    champion = champion_of(registry)
    if champion is None:
        raise RollbackError(
            "No policy is champion, so there is nothing to roll back; promote one with "
            "`atlas policy promote`."
        )
    if to is None:
        noted = champion.tags.get(PREVIOUS, "none")
        if not noted.isdigit():
            raise RollbackError(
                f"Version {champion.version} is the first champion: there is none before it. "
                "Without a policy, route with `--router auto`."
            )
        to = int(noted)
    target = registry.resolve(str(to))
    if target.version == champion.version:
        raise RollbackError(f"Version {to} is champion already: nothing was changed.")
    if PROMOTED not in target.tags:
        raise RollbackError(
            f"Version {to} never was champion, so it cannot be gone back to. To use it, "
            f"`atlas policy promote {to}`, which judges it first."
        )
    return champion, target


def roll_back(
    registry: PolicyRegistry, champion: PolicyVersion, target: PolicyVersion, note: Note
) -> None:
    """Make an earlier champion the champion again.

    The target keeps its note of whom it had replaced itself, so that a second rollback goes one
    step further back.

    Raises:
        RegistryError: MLflow cannot do it.
    """
    registry.annotate(
        champion.version, note.tags("rolled_back") | {"rolled_back_to": str(target.version)}
    )
    registry.set_alias(CHAMPION, target.version)


def _keep_files(mlflow_uri: str, version: PolicyVersion, files: Mapping[str, str]) -> None:
    from tasks.tracking.client import quiet_client
    from tasks.tracking.redaction import without_secrets

    client = quiet_client(mlflow_uri)
    try:
        for name, text in files.items():
            client.log_text(version.run_id, text, name)
    except Exception as error:
        reason = without_secrets(" ".join(str(error).split())[:200])
        raise RegistryError(
            f"The decision on version {version.version} could not be kept with its run "
            f"{version.run_id} in MLflow ({reason}). Nothing was promoted; see that the run still "
            "exists and that its artifacts can be written."
        ) from error
