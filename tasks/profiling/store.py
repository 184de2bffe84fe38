"""Profiles on disk: immutable versions, and a pointer to the one that routing uses.

<root>/profiles/
    <profile_id>/    one version, written at once or not at all, never rewritten
    pools/           the prices versions were fitted at
    latest           the id of the version in use; moved by one rename
    history.jsonl    who saved or promoted which version, when and why
"""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tasks.profiling.history import HistoryEntry, append_history, read_history
from tasks.profiling.prices_kept import keep_prices
from warehouse.commits import make_folder, published
from warehouse.fault_points import fault_point

if TYPE_CHECKING:
    from profiles.pool import Pool
    from profiles.profile import Profile

FOLDER = "profiles"
POINTER = "latest"


class ProfileNotFoundError(Exception):
    """The profile asked for does not exist."""


class ProfileVersion(NamedTuple):
    """One version as a list of versions shows it, read from its manifest alone.

    Attributes:
        created_at: when it was fitted.
        latest: whether routing uses it now.
        entry: the last event of its history; None for versions older than the history.
    """

    profile_id: str
    created_at: datetime | None
    pairs: int
    encoder: str
    latest: bool
    entry: HistoryEntry | None


def find_profile(root: Path, name: str = "latest") -> Profile:
    """The profile of that id, or the latest.

    Raises:
        ProfileNotFoundError: there is none.
        ProfileError: its files are damaged.
    """
    from profiles.profile_file import load_profile

    return load_profile(profile_folder(root, name))


def profile_folder(root: Path, name: str = "latest") -> Path:
    """The folder of the profile of that id, or of the latest.

    Raises:
        ProfileNotFoundError: there is none.
    """
    folder = root / FOLDER
    if name == POINTER:
        latest = latest_id(root)
        if latest is None:
            raise ProfileNotFoundError(
                f"There is no profile under {folder} yet. Run `atlas profile run` (or `atlas "
                "profile import DIR`) first, or choose a router that needs none: --router "
                "fixed:model@@tool."
            )
        name = latest
    if not (folder / name).is_dir():
        known = ", ".join(sorted(list_profiles(root))) or "none"
        raise ProfileNotFoundError(
            f"There is no profile {name!r} under {folder}; there is: {known}."
        )
    return folder / name


def latest_id(root: Path) -> str | None:
    """Id of the version in use; None before the first one."""
    try:
        return (root / FOLDER / POINTER).read_text(encoding="utf-8").strip() or None
    except FileNotFoundError:
        return None


def list_profiles(root: Path) -> list[str]:
    """Ids of all profiles under `root`."""
    folder = root / FOLDER
    if not folder.is_dir():
        return []
    return [path.name for path in folder.iterdir() if (path / "profile.json").exists()]


def publish_profile(
    root: Path,
    profile: Profile,
    *,
    make_latest: bool = True,
    reason: str = "fitted",
    pool: Pool | None = None,
) -> Path:
    """Write a profile and make it the latest; an id that exists already is left as it is.

    Args:
        root: the warehouse.
        profile: a version; immutable once written.
        make_latest: whether routing uses it from here on. Without it the version is saved only,
            and `set_latest` can promote it later, after a gate for example.
        reason: why, for the history.
        pool: the pool it was fitted for, whose prices are kept so that versions can be compared.

    Returns:
        The folder of the version.

    Raises:
        ProfileError, WarehouseError: the folder cannot be written.
    """
    from profiles.profile_file import save_profile

    fault_point("before_publish")
    if pool is not None:
        keep_prices(root / FOLDER, pool)
    folder = save_profile(profile, root / FOLDER)
    if all(entry.profile_id != profile.profile_id for entry in history(root)):
        append_history(root / FOLDER, profile.profile_id, "saved", reason=reason)
    fault_point("before_latest")
    if make_latest:
        set_latest(root, profile.profile_id, reason)
    fault_point("after_publish")
    return folder


def set_latest(root: Path, profile_id: str, reason: str) -> HistoryEntry | None:
    """Make a version the one that routing uses: a promotion, or a rollback.

    Returns:
        What was noted in the history; None where it is the latest already.

    Raises:
        ProfileNotFoundError: there is no such version.
        WarehouseError: the folder cannot be written.
    """
    folder = profile_folder(root, profile_id).parent
    previous = latest_id(root)
    if previous == profile_id:
        return None
    entry = append_history(folder, profile_id, "latest", reason=reason, previous=previous)
    make_folder(folder)
    with published(folder / POINTER) as temporary:
        temporary.write_text(profile_id + "\n", encoding="utf-8")
    return entry


def history(root: Path) -> list[HistoryEntry]:
    """Who saved or promoted which version, when and why; oldest first.

    Raises:
        WarehouseError: the history cannot be read.
    """
    return read_history(root / FOLDER)


def profile_versions(root: Path) -> list[ProfileVersion]:
    """Every version, newest first, from the manifests alone: no array is read.

    Raises:
        WarehouseError: the history cannot be read.
    """
    entries = {entry.profile_id: entry for entry in history(root)}
    latest = latest_id(root)
    versions = [
        _version(root / FOLDER / name, name == latest, entries.get(name))
        for name in sorted(list_profiles(root))
    ]
    return sorted(versions, key=_age, reverse=True)


def _age(version: ProfileVersion) -> str:
    return "" if version.created_at is None else version.created_at.isoformat()


def _version(folder: Path, latest: bool, entry: HistoryEntry | None) -> ProfileVersion:
    try:
        manifest = json.loads((folder / "profile.json").read_bytes())
        created_at = datetime.fromisoformat(manifest["created_at"])
        pairs, encoder = len(manifest["pairs"]), str(manifest["encoder_fingerprint"])
    except (OSError, ValueError, KeyError, TypeError):
        # A damaged version is listed too: whoever looks for it should find it.
        return ProfileVersion(folder.name, None, 0, "damaged", latest, entry)
    return ProfileVersion(folder.name, created_at, pairs, encoder, latest, entry)
