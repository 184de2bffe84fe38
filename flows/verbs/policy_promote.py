"""`atlas policy promote|rollback`: which policy `champion` means."""

from __future__ import annotations

from typing import Annotated

import typer

from flows.console import data, data_json, say
from flows.failures import REFUSED
from flows.settings import HomeSettings, PromoteSettings
from flows.verbs.options import AsJson, with_settings

_Reason = Annotated[str, typer.Option(help="Why; kept in the record.")]


@with_settings(PromoteSettings)
def promote(
    settings: PromoteSettings,
    reference: Annotated[
        str, typer.Argument(metavar="POLICY", help="challenger, a version's number, or an id.")
    ] = "challenger",
    force: Annotated[
        bool, typer.Option("--force", help="Promote it whatever the gate says; needs --reason.")
    ] = False,
    reason: _Reason = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Judge only: keep nothing, change nothing.")
    ] = False,
    json: AsJson = False,
) -> None:
    """Make a policy the champion if it is measurably better on held-out questions. Calls nothing.

    Without a champion it is compared with the one-step router `auto`. Exit codes: 0 it is champion
    (of a dry run: it would be), 1 error, 2 usage, 5 the gate refused it and nothing was changed.
    """
    from flows.promote_policy import promote_policy

    found = promote_policy(settings, reference, force=force, reason=reason, dry_run=dry_run)
    if json:
        data_json(found.as_json())
    else:
        data(found.as_markdown())
    if found.refused:
        say(
            "next: train again on more questions, or "
            f"atlas policy promote {reference} --force --reason TEXT"
        )
        raise typer.Exit(REFUSED)


@with_settings(HomeSettings)
def rollback(
    settings: HomeSettings,
    to: Annotated[
        int | None, typer.Option("--to", metavar="N", help="An earlier champion's version.")
    ] = None,
    reason: _Reason = "",
    json: AsJson = False,
) -> None:
    """Make the champion before this one the champion again, or an earlier one. Judges nothing."""
    from flows.promote_policy import roll_back_policy

    done = roll_back_policy(settings, to, reason=reason)
    if json:
        data_json({"champion": done.champion.version, "before": done.left.version})
    say(done.sentence)
