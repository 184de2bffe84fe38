"""`atlas profile`: what is known of a pool; one module a verb."""

from __future__ import annotations

import typer

from flows.verbs.profile_import import import_
from flows.verbs.profile_page import page
from flows.verbs.profile_plan import plan
from flows.verbs.profile_run import run
from flows.verbs.profile_show import show_
from flows.verbs.profile_suggest import suggest
from flows.verbs.profile_versions import diff, list_, publish

app = typer.Typer(
    rich_markup_mode=None,
    add_completion=False,
    no_args_is_help=True,
    help="Learn which pair is best for which kind of question.",
)
app.command("plan")(plan)
app.command("run")(run)
app.command("import")(import_)
app.command("show")(show_)
app.command("list")(list_)
app.command("diff")(diff)
app.command("publish")(publish)
app.command("page")(page)
app.command("suggest")(suggest)
