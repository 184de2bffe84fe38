"""`atlas simulate`: simulated models behind a real HTTP server."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flows.console import data, say
from flows.failures import CommandError

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command()
def simulate(
    port: Annotated[
        int, typer.Option(help="Port to listen on; 0 takes a free one.", min=0, max=65535)
    ] = 8000,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    pool: Annotated[Path, typer.Option(help="Pool file with simulated models.")] = Path(
        "pool.yaml"
    ),
    faults: Annotated[
        str, typer.Option(help="What goes wrong, such as latency=0.05,rate_limit=0.05,reset=0.01.")
    ] = "",
    latency_scale: Annotated[
        float, typer.Option(help="Factor on the models' latencies; 0 answers at once.", min=0)
    ] = 1.0,
    log: Annotated[
        Path | None, typer.Option(help="File that keeps the count of served requests.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the models.", min=0)] = 0,
) -> None:
    """Serve simulated models over HTTP until Ctrl-C, with faults and a count of every request.

    The address goes to standard output, for the `endpoint` of a pool file.
    """
    import asyncio

    from profiles.pool_file import load_pool
    from tasks.simulate.client import build_models
    from tasks.simulate.faults import Faults
    from tasks.simulate.server import SimulatedServer

    trouble = Faults.parse(faults)
    known = load_pool(pool)
    models = build_models(known, pool.parent, seed=seed)
    if not models:
        raise CommandError(f"{pool} has no model of `provider: simulated` to serve.")
    server = SimulatedServer(
        models, faults=trouble, latency_scale=latency_scale, port=port, host=host, log=log
    )

    def started(url: str) -> None:
        data(url)
        say(f"serving {', '.join(sorted(models))}; stop with Ctrl-C")

    asyncio.run(server.run_forever(started))
    say(f"served {server.account.answered:,} answers")
