"""`atlas doctor`: whether everything a run needs is in place."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from flows.console import data_json, say, show
from flows.failures import ERROR, OK
from flows.settings import RouteSettings
from flows.settings_sources import load, unknown_variables
from flows.verbs.options import AsJson, Config, Root

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command()
def doctor(
    pool: Annotated[str | None, typer.Option(metavar="PATH", help="Pool file to check.")] = None,
    encoder: Annotated[str | None, typer.Option(metavar="TEXT", help="Encoder to check.")] = None,
    mlflow_uri: Annotated[
        str | None, typer.Option(metavar="TEXT", help="MLflow tracking store to check.")
    ] = None,
    tracking: Annotated[
        bool | None, typer.Option("--tracking/--no-tracking", help="Whether MLflow is used.")
    ] = None,
    runner: Annotated[
        str | None, typer.Option(metavar="plain|prefect", help="Whether Prefect is used.")
    ] = None,
    root: Root = None,
    config: Config = None,
    json: AsJson = False,
) -> None:
    """Check versions, settings, pool, keys, prices, sandbox, encoder, disk, ledger and services.

    Nothing is changed and nothing is paid. Exit code 1 if a run could not work.
    """
    from tasks.doctor import Subject, diagnose
    from tasks.report.checks_table import checks_table

    flags = {
        "backlog": "-",
        "pool": pool,
        "encoder": encoder,
        "mlflow_uri": mlflow_uri,
        "tracking": tracking,
        "runner": runner,
        "root": root,
    }
    settings = load(RouteSettings, flags=flags, config=Path(config) if config else None)
    named = "pool" in settings.model_fields_set or settings.pool.exists()
    checks = diagnose(
        Subject(
            root=settings.root,
            pool=settings.pool if named else None,
            mlflow_uri=settings.mlflow_uri if settings.tracking else None,
            prefect=settings.runner == "prefect",
            encoder=settings.encoder,
            misspelt=unknown_variables(os.environ),
        )
    )
    if json:
        data_json([check._asdict() for check in checks])
    else:
        show(checks_table(checks), color=settings.color, to_stdout=True)
        if not named:
            say(f"pool: there is no {settings.pool} here; name one with --pool")
    raise typer.Exit(ERROR if any(check.status == "fail" for check in checks) else OK)
