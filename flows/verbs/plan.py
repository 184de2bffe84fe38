"""`atlas plan`: what a backlog would cost, before a cent is spent."""

from __future__ import annotations

import os
from contextlib import closing
from typing import TYPE_CHECKING

import typer

from flows.console import data_json, say, show
from flows.settings import RouteSettings
from flows.verbs.options import AsJson, command_line, with_settings

if TYPE_CHECKING:
    from tasks.plan.result import Plan

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command()
@with_settings(RouteSettings, argument="backlog")
def plan(settings: RouteSettings, json: AsJson = False) -> None:
    """Price a backlog as low, expected and high, by pair; asks no model and spends nothing."""
    made = make_plan(settings)
    if json:
        data_json(made.as_json())
    else:
        tell(made, settings, to_stdout=True)


def show_plan(settings: RouteSettings) -> None:
    """Plan a route and show the plan to people, as a step before the route itself."""
    tell(make_plan(settings), settings, to_stdout=False)


def make_plan(settings: RouteSettings) -> Plan:
    """The plan of what `atlas route` would do with these settings; spends nothing."""
    from flows.routing import route_job, say_staged
    from tasks.plan.plan import plan_route
    from tasks.route import prepare, stage
    from warehouse.ledger import open_ledger

    prepared = prepare(route_job(settings), env=os.environ, to_pay=False)
    staged = stage(prepared)
    say_staged(settings.backlog, staged)
    if prepared.choice:
        say(prepared.choice)
    if prepared.router.needs_embeddings:
        say(f"embedding and deciding {staged.unique:,} questions (embeddings are kept) ...")
    with closing(open_ledger(settings.root)) as ledger:
        return plan_route(prepared, staged, ledger=ledger)


def tell(made: Plan, settings: RouteSettings, *, to_stdout: bool) -> None:
    """Show a plan, with the command that routes under an ample budget."""
    from tasks.report.terminal import plan_table

    cap = made.ample_cap_usd if settings.max_cost_usd is None else settings.max_cost_usd
    command = command_line("route", settings, "backlog", max_cost_usd=cap)
    show(plan_table(made.facts([command])), color=settings.color, to_stdout=to_stdout)
    for note in made.notes:
        say(f"note: {note}")
