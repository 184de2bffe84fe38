"""`atlas profile page`: what a profile knows, as one page that needs nothing but itself."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flows.console import data, say
from flows.verbs.options import Config, Root, home


def page(
    name: Annotated[str, typer.Argument(metavar="[ID]", help="Id of a profile.")] = "latest",
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The file to write. [default ROOT/pages/ID.html]"),
    ] = None,
    title: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Heading of the page. [default the pool]")
    ] = None,
    open_: Annotated[bool, typer.Option("--open", help="Show it in the browser.")] = False,
    root: Root = None,
    config: Config = None,
) -> None:
    """Draw a profile as a page: scores with intervals, cost, calibration, clusters, history.

    Asks no model and spends nothing. The page works offline; its path is written to standard
    output.
    """
    from flows.profile_pages import page_of, page_path, write_page
    from tasks.profiling.store import find_profile

    settings = home(root, config)
    profile = find_profile(settings.root, name)
    facts = page_of(
        settings.root,
        profile,
        title=title or f"Pool {profile.pool_fingerprint[:12]}",
        next_commands=(
            f"atlas profile show {profile.profile_id} --cluster 0 --root {settings.root}",
            f"atlas plan BACKLOG --profile {profile.profile_id} --root {settings.root}",
        ),
    )
    path = write_page(facts, out or page_path(settings.root, profile.profile_id))
    say(f"wrote {path}")
    data(str(path))
    if open_:
        typer.launch(path.absolute().as_uri())
