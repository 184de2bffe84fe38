"""`atlas policy`: trained policies and which of them is in use; one module a verb."""

from __future__ import annotations

import typer

from flows.verbs.policy_list import list_
from flows.verbs.policy_promote import promote, rollback
from flows.verbs.policy_show import show_

app = typer.Typer(
    rich_markup_mode=None,
    add_completion=False,
    no_args_is_help=True,
    help="List and show trained policies, promote the better one, go back to an earlier one.",
)
app.command("list")(list_)
app.command("show")(show_)
app.command("promote")(promote)
app.command("rollback")(rollback)
