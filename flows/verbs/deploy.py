"""`atlas deploy`: what runs by itself, registered with a Prefect server."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows.console import data, data_json, say
from flows.failures import CommandError
from flows.orchestration import api_url, quiet_prefect
from flows.verbs.options import AsJson
from tasks.tracking.redaction import without_secrets

if TYPE_CHECKING:
    from flows.deploying import Change, Deployable
    from flows.deployments_file import Wanted

app = typer.Typer(rich_markup_mode=None, add_completion=False)

FILE = "deployments/prefect.yaml"
_MARKS = {"create": "+", "update": "~", "unchanged": "=", "unknown": "?"}


@app.command()
def deploy(
    file: Annotated[
        Path, typer.Option(metavar="PATH", help="What to deploy.", envvar="ATLAS_DEPLOYMENTS")
    ] = Path(FILE),
    home: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Folder of the worker's machine in which runs begin. [default: this one]",
            envvar="ATLAS_HOME",
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would change; change nothing.")
    ] = False,
    json: AsJson = False,
) -> None:
    """Register work pool, schedules and automations with the server that PREFECT_API_URL names.

    Doing it again changes only what differs; what the files do not mention is left alone.
    """
    from flows.deploying import find_flows
    from flows.deployments_file import read_deployments

    quiet_prefect()
    wanted = read_deployments(file, os.environ)
    flows = find_flows(wanted)
    for name in wanted.unset:
        say(f"note: {name} is not set; the default holds")
    changes = _changes(wanted, flows, (home or Path.cwd()).absolute(), dry_run=dry_run)
    if json:
        data_json([change._asdict() for change in changes])
    else:
        _show(changes)
    if dry_run:
        say("dry run: nothing was changed")
    else:
        say(f"next: prefect worker start --pool {wanted.work_pools()[0]} --type process")


def _changes(wanted: Wanted, flows: list[Deployable], home: Path, *, dry_run: bool) -> list[Change]:
    """Deploy, or compare; without a server a dry run says what it would ask of one."""
    import asyncio

    import httpx

    from flows.deploying import deploy as register
    from flows.deploying import offline_changes

    url = api_url()
    if url is None:
        lacking = "No Prefect server is named"
    else:
        try:
            return asyncio.run(register(wanted, flows, home=home, dry_run=dry_run))
        except httpx.TransportError:
            lacking = f"The Prefect server at {without_secrets(url)} does not answer"
    if not dry_run:
        raise CommandError(
            f"{lacking}; schedules need one that stays. Start it with `prefect server start` and "
            "set PREFECT_API_URL, to http://127.0.0.1:4200/api for example.",
            "atlas deploy --dry-run",
        )
    say(f"note: {lacking[0].lower()}{lacking[1:]}: what it has cannot be compared")
    return offline_changes(wanted, flows)


def _show(changes: list[Change]) -> None:
    for change in changes:
        data(f"{_MARKS[change.action]} {change.kind} {change.name}")
        for field in change.fields:
            data(f"    {field}")
