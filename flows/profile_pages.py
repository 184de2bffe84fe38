"""The page of a profile: drawn after every session that publishes one, and by `atlas profile page`.

A page is a courtesy: where it cannot be drawn after a session, that is said, and the session goes
on.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from flows.console import say

if TYPE_CHECKING:
    from flows.settings import ProfileSettings, RefreshSettings
    from profiles.profile import Profile
    from tasks.query import Query
    from tasks.report.facts import ProfileFacts
    from tasks.report.profile_page_facts import ProfilePage

logger = logging.getLogger(__name__)

FOLDER = "pages"
MOST_EMBEDDED = 240
"""Held-out questions embedded so that a page has examples; the others only if cached already."""


class DrawnPage(NamedTuple):
    """A page on disk, and the facts its pictures are drawn from."""

    path: Path
    facts: ProfilePage


def page_path(root: Path, profile_id: str) -> Path:
    """Where the page of a profile is kept."""
    return root / FOLDER / f"{profile_id}.html"


def page_of(
    root: Path,
    profile: Profile,
    *,
    title: str,
    source: str = "",
    spent_usd: Decimal | None = None,
    queries: Sequence[Query] | None = None,
    parameters: Mapping[str, str] | None = None,
    next_commands: Sequence[str] = (),
) -> ProfilePage:
    """Everything the page of a profile shows.

    Args:
        root: the warehouse.
        profile: the version.
        title: the pool's name.
        source: where its questions came from; found by the ledger where not given.
        spent_usd: what its cells cost.
        queries: the labelled questions; found by the ledger where not given.
        parameters: how it was made.
        next_commands: what to type next.
    """
    from tasks.profiling.diff import diff_profiles
    from tasks.report.profile_changes import changes_from
    from tasks.report.profile_page_data import profile_page_of
    from tasks.report.profile_page_sources import (
        held_out_examples,
        history_of,
        parameters_of,
        previous_version,
        questions_of,
    )

    if queries is None:
        queries, found = questions_of(root, profile)
        source = source or found
    earlier, changes = previous_version(root, profile), None
    if earlier is not None:
        changes = changes_from(diff_profiles(earlier, profile, root), earlier, profile)
    nights, refreshes = history_of(root)
    return profile_page_of(
        profile,
        title=title,
        source=source,
        spent_usd=spent_usd,
        examples=held_out_examples(root, profile, queries),
        changes=changes,
        nights=nights,
        refreshes=refreshes,
        parameters=parameters if parameters is not None else parameters_of(profile),
        next_commands=next_commands,
    )


def write_page(page: ProfilePage, path: Path) -> Path:
    """Draw a page and write it whole or not at all.

    Raises:
        WarehouseError: the file cannot be written.
    """
    from tasks.report.profile_page import draw_profile_page
    from warehouse.commits import make_folder, published

    make_folder(path.parent)
    with published(path) as temporary:
        temporary.write_text(draw_profile_page(page), encoding="utf-8")
    return path


def session_page(
    settings: ProfileSettings, facts: ProfileFacts, queries: Sequence[Query]
) -> DrawnPage | None:
    """Draw the page of what a session published, say where it is; None where it cannot be drawn."""
    profile = facts.profile
    try:
        _embed_held_out(settings, queries)
        page = page_of(
            settings.root,
            profile,
            title=facts.pool_name,
            source=facts.source,
            spent_usd=facts.spent_usd,
            queries=queries,
            parameters=facts.parameters,
            next_commands=facts.next_commands,
        )
        path = write_page(page, page_path(settings.root, profile.profile_id))
    except Exception as error:
        logger.warning("The page of %s could not be drawn: %s", profile.profile_id, error)
        return None
    say(f"what it knows, to look at: {path}")
    return DrawnPage(path, page)


def refresh_page(settings: RefreshSettings, profile: Profile) -> DrawnPage | None:
    """Draw the page of the version that a refresh fitted; None where it cannot be drawn."""
    from profiles.pool_file import load_pool

    try:
        page = page_of(
            settings.root,
            profile,
            title=load_pool(settings.pool).name,
            source=settings.questions,
            parameters=settings.public(),
        )
        path = write_page(page, page_path(settings.root, profile.profile_id))
    except Exception as error:
        logger.warning("The page of %s could not be drawn: %s", profile.profile_id, error)
        return None
    say(f"what changed, to look at: {path}")
    return DrawnPage(path, page)


def _embed_held_out(settings: ProfileSettings, queries: Sequence[Query]) -> None:
    """Embed some held-out questions, evenly drawn, for the page to choose its examples from."""
    from tasks.embedder import cached_embedder

    held = [query.prompt for query in queries if query.split != "train"]
    step = max(1, -(-len(held) // MOST_EMBEDDED))
    if held:
        embedder = cached_embedder(settings.root, settings.encoder, dtype=settings.encoder_dtype)
        try:
            embedder(held[::step])
        finally:
            embedder.close()
