"""`atlas route`: a backlog in, answers and costs out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from flows.console import data_json, say, show
from flows.endings import ending
from flows.settings import RouteSettings
from flows.verbs.options import AsJson, with_settings

if TYPE_CHECKING:
    from flows.routing import RouteReport

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command()
@with_settings(RouteSettings, argument="backlog")
def route(settings: RouteSettings, json: AsJson = False) -> None:
    """Answer a backlog, each question by its best pair; the same command resumes.

    Exit codes: 0 done, 1 error, 2 usage, 3 stopped at the budget, 4 too many rows failed,
    130 stopped by hand.
    """
    raise typer.Exit(route_and_tell(settings, json=json))


def route_and_tell(settings: RouteSettings, *, json: bool) -> int:
    """Route, show the panel, and return the exit code.

    Raises:
        CommandError: every provider was closed by an error.
    """
    from tasks.report.terminal import route_panel

    report = run_route(settings)
    if not report.did_work:
        say(f"run {report.run_id} is complete: nothing was left to do, nothing was spent")
    if json:
        data_json(summary(report))
    show(route_panel(report.facts), color=settings.color)
    for example in report.examples:
        say(f"note: {example}")
    return ending(
        report,
        unit="rows",
        max_cost_usd=settings.max_cost_usd,
        fail_on_error=settings.fail_on_error,
    )


def run_route(settings: RouteSettings) -> RouteReport:
    """Route with the runner that the settings name."""
    if settings.runner == "plain":
        from flows.routing import route_session

        return route_session(settings)
    from flows.orchestration import announce_server

    announce_server()
    from flows.route_backlog import route_backlog

    return route_backlog(settings)


def summary(report: RouteReport) -> dict[str, object]:
    """A report as JSON values."""
    return {name: value for name, value in report._asdict().items() if name != "facts"}
