"""`atlas init`: an example to start from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flows.console import say
from flows.failures import CommandError

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command()
def init(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Folder to write into.")],
    seed: Annotated[int, typer.Option(help="Seed of every question.", min=0)] = 0,
    labelled: Annotated[int, typer.Option(help="Labelled questions.", min=1)] = 600,
    backlog: Annotated[int, typer.Option(help="Questions of the backlog.", min=1)] = 2000,
    force: Annotated[bool, typer.Option("--force", help="Write into a folder in use.")] = False,
) -> None:
    """Write an example: pool, labelled questions, backlog, search corpus, .env.example."""
    from tasks.generate.benchmark import write_benchmark

    if directory.exists() and not directory.is_dir():
        raise CommandError(
            f"{directory} is a file, not a folder; name another place.", "atlas init example"
        )
    if directory.is_dir() and not force and any(directory.iterdir()):
        raise CommandError(
            f"{directory} is not empty; its files are left as they are. Name another folder, or "
            "overwrite with --force.",
            f"atlas init {directory}/example",
        )
    made = write_benchmark(directory, seed=seed, labelled=labelled, backlog=backlog)
    say(f"pool               {made.pool}")
    say(f"labelled questions {made.labelled} ({labelled:,})")
    say(f"backlog            {made.backlog} ({backlog:,})")
    say(f"search corpus      {made.corpus} ({made.passages:,} passages)")
    say(f"keys               {made.environment}")
    say(f"next: atlas profile run {made.labelled} --pool {made.pool}")
