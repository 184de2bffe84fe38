"""`atlas profile import`: a profile from recorded outcomes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flows.console import data_json, say
from flows.verbs.options import AsJson, Config, Root, home
from flows.verbs.profile_show import show_profile


def import_(
    directory: Annotated[
        Path, typer.Argument(help="Folder with queries.parquet and outcomes.parquet.")
    ],
    root: Root = None,
    config: Config = None,
    clusters: Annotated[int, typer.Option(help="Number of KMeans clusters.", min=1)] = 8,
    encoder: Annotated[str, typer.Option(help="Sentence encoder.")] = "minilm",
    encoder_dtype: Annotated[str, typer.Option(help="Number format of its weights.")] = "float32",
    seed: Annotated[int, typer.Option(help="Seed of every random choice.", min=0)] = 0,
    json: AsJson = False,
) -> None:
    """Build a profile from a table of recorded outcomes; asks no model and spends nothing."""
    from tasks.evaluate.importing import import_profile

    settings = home(root, config)
    profile, pool_file = import_profile(
        directory,
        settings.root,
        clusters=clusters,
        encoder=encoder,
        encoder_dtype=encoder_dtype,
        seed=seed,
    )
    if json:
        data_json({"profile_id": profile.profile_id, "pool": pool_file})
    show_profile(profile, source=str(directory))
    say(f"profile {profile.profile_id} is published; {pool_file} replays what was recorded")
    say(f"next: atlas route BACKLOG --pool {pool_file} --root {settings.root}")
