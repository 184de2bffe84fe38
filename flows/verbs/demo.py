"""`atlas demo`: everything once over, on an embedded pool."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flows.verbs.options import Config, Root, home

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command()
def demo(
    directory: Annotated[
        Path, typer.Argument(metavar="DIR", help="Folder for the example.")
    ] = Path("demo"),
    labelled: Annotated[int, typer.Option(help="Labelled questions.", min=60)] = 400,
    backlog: Annotated[int, typer.Option(help="Questions of the backlog.", min=1)] = 2000,
    seed: Annotated[int, typer.Option(help="Seed of every question.", min=0)] = 0,
    root: Root = None,
    config: Config = None,
) -> None:
    """Profile an embedded pool, compare routers, route a backlog: no key, no network, minutes."""
    from flows.demo import DemoSettings
    from flows.demo import demo as run_demo

    run_demo(DemoSettings(home(root, config), directory, labelled, backlog, seed))
