"""Profiles on disk: `<root>/profiles/<profile_id>/`, found by id or as the latest."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from profiles.profile import Profile

FOLDER = "profiles"


class ProfileNotFoundError(Exception):
    """The profile asked for does not exist."""


def find_profile(root: Path, name: str = "latest") -> Profile:
    """The profile of that id, or the one published last.

    Raises:
        ProfileNotFoundError: there is none.
        ProfileError: its files are damaged.
    """
    from profiles.profile_file import load_profile

    folder = root / FOLDER
    if name == "latest":
        pointer = folder / "latest"
        if not pointer.exists():
            raise ProfileNotFoundError(
                f"There is no profile under {folder} yet. Run `atlas profile run` (or `atlas "
                "profile import DIR`) first, or choose a router that needs none: --router "
                "fixed:model@@tool."
            )
        name = pointer.read_text(encoding="utf-8").strip()
    if not (folder / name).is_dir():
        known = ", ".join(sorted(list_profiles(root))) or "none"
        raise ProfileNotFoundError(
            f"There is no profile {name!r} under {folder}; there is: {known}."
        )
    return load_profile(folder / name)


def list_profiles(root: Path) -> list[str]:
    """Ids of all profiles under `root`."""
    folder = root / FOLDER
    if not folder.is_dir():
        return []
    return [path.name for path in folder.iterdir() if (path / "profile.json").exists()]


def publish_profile(root: Path, profile: Profile) -> Path:
    """Write a profile and make it the latest; an id that exists already is left as it is.

    Raises:
        OSError: the folder cannot be written.
    """
    from profiles.profile_file import save_profile

    folder = save_profile(profile, root / FOLDER)
    pointer = root / FOLDER / "latest"
    temporary = pointer.with_suffix(".tmp")
    temporary.write_text(profile.profile_id + "\n", encoding="utf-8")
    temporary.replace(pointer)
    return folder
