"""`atlas report`: what a run did, on the terminal, as JSON or as a page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows.console import data_json, say, show
from flows.verbs.options import AsJson, Config, Root, home
from flows.verbs.run_lookup import Name

if TYPE_CHECKING:
    from profiles.profile import Profile
    from tasks.report.facts import RouteFacts

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command()
def report(
    name: Name,
    against: Annotated[
        str | None,
        typer.Option(
            metavar="ROUTER,ROUTER",
            help="Routers to compare with, such as best-single,cheapest,random,oracle.",
        ),
    ] = None,
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a self-contained page as well.")
    ] = None,
    root: Root = None,
    config: Config = None,
    json: AsJson = False,
) -> None:
    """Say what a run did: rows, money, pairs, accuracy with intervals, against other routers."""
    from tasks.report.against import DEFAULT_AGAINST
    from tasks.report.run_report import report_run
    from tasks.report.run_text import report_document

    settings = home(root, config)
    names = DEFAULT_AGAINST if against is None else tuple(filter(None, against.split(",")))
    data = report_run(settings.root, name, against=names)
    if html is not None:
        write_page(html, data.facts(), settings.root, data.profile_id)
    if json:
        data_json(data.as_json())
    else:
        show(report_document(data), color=settings.color, to_stdout=True)


def write_page(path: Path, facts: RouteFacts, root: Path, profile_id: str | None) -> None:
    """Write the page of a run, with the profile it was routed by where that is still there.

    Raises:
        WarehouseError: the file cannot be written.
    """
    from tasks.report.facts import ProfileFacts
    from tasks.report.html import route_page
    from warehouse.commits import published

    profile = _profile(root, profile_id)
    shown = ProfileFacts(profile, pool_name=profile.pool_fingerprint[:12]) if profile else None
    with published(path) as temporary:
        temporary.write_text(route_page(facts, profile=shown), encoding="utf-8")
    say(f"wrote {path}")


def _profile(root: Path, profile_id: str | None) -> Profile | None:
    """The profile of a run, None where it had none or it is gone."""
    from profiles.errors import ProfileError
    from tasks.profiling.store import ProfileNotFoundError, find_profile

    try:
        return find_profile(root, profile_id) if profile_id else None
    except (ProfileNotFoundError, ProfileError):
        return None
