"""`atlas profile`: run, import and show what is known of a pool."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows.console import data_json, say, show
from flows.endings import ending
from flows.failures import CommandError
from flows.settings import ProfileSettings
from flows.verbs.options import AsJson, Config, Root, home, with_settings

if TYPE_CHECKING:
    from flows.profiling import ProfileOutcome
    from profiles.profile import Profile

app = typer.Typer(
    rich_markup_mode=None,
    add_completion=False,
    no_args_is_help=True,
    help="Learn which pair is best for which kind of question.",
)


@app.command("run")
@with_settings(ProfileSettings, argument="questions")
def run(settings: ProfileSettings, json: AsJson = False) -> None:
    """Run every pair on labelled questions, only where cells are missing, and publish a profile.

    Exit codes: 0 done, 1 error, 2 usage, 3 stopped at the budget, 4 too many cells failed,
    130 stopped by hand. The same command resumes.
    """
    from tasks.report.profile_table import profile_table

    outcome = run_profile_session(settings)
    if outcome.new_cells == 0:
        say("every cell was known: nothing was asked and nothing was spent")
    if json:
        data_json(_summary(outcome))
    if outcome.facts is not None:
        show(profile_table(outcome.facts), color=settings.color)
        say(f"profile {outcome.facts.profile.profile_id} is in {outcome.folder}")
    raise typer.Exit(
        ending(
            outcome,
            unit="cells",
            max_cost_usd=settings.max_cost_usd,
            fail_on_error=settings.fail_on_error,
        )
    )


def run_profile_session(settings: ProfileSettings) -> ProfileOutcome:
    """Profile with the runner that the settings name."""
    if settings.runner == "plain":
        from flows.profiling import profile_session

        return profile_session(settings)
    from flows.orchestration import announce_server

    announce_server()
    from flows.profile_pool import profile_pool

    return profile_pool(settings)


def _summary(outcome: ProfileOutcome) -> dict[str, Any]:
    known = {k: v for k, v in outcome._asdict().items() if k not in ("facts", "profile")}
    profile = outcome.profile
    return {"profile_id": profile.profile_id if profile is not None else None} | known


@app.command("import")
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
    _show(profile, source=str(directory))
    say(f"profile {profile.profile_id} is published; {pool_file} replays what was recorded")
    say(f"next: atlas route BACKLOG --pool {pool_file} --root {settings.root}")


@app.command("show")
def show_(
    name: Annotated[str, typer.Argument(help="Id of a profile.")] = "latest",
    cluster: Annotated[
        int | None, typer.Option(help="Show every pair in this cluster.", min=0)
    ] = None,
    root: Root = None,
    config: Config = None,
    json: AsJson = False,
) -> None:
    """Show a profile: every pair overall, every cluster with its best pairs."""
    from tasks.profiling.store import find_profile

    settings = home(root, config)
    profile = find_profile(settings.root, name)
    if cluster is not None and cluster >= profile.k:
        raise CommandError(
            f"{profile.profile_id} has no cluster {cluster}: its clusters are 0 to "
            f"{profile.k - 1}.",
            "atlas profile show",
        )
    if json:
        data_json(_as_json(profile))
    else:
        _show(profile, cluster=cluster, to_stdout=True)


def _show(
    profile: Profile, *, source: str = "", cluster: int | None = None, to_stdout: bool = False
) -> None:
    from tasks.report.facts import ProfileFacts
    from tasks.report.profile_table import profile_table

    facts = ProfileFacts(profile, pool_name=profile.pool_fingerprint[:12], source=source)
    show(profile_table(facts, cluster=cluster), to_stdout=to_stdout)


def _as_json(profile: Profile) -> dict[str, Any]:
    """Everything but the vectors; NaN, which JSON has not, becomes null."""
    import math

    def plain(value: float) -> float | None:
        number = float(value)
        return number if math.isfinite(number) else None

    statistics = profile.statistics.arrays()
    rows = [
        {
            "cluster": None if row == profile.k else row,
            "pair_id": pair.pair_id,
            **{name: plain(array[row, column]) for name, array in statistics.items()},
        }
        for row in range(profile.k + 1)
        for column, pair in enumerate(profile.pairs)
    ]
    return {
        "profile_id": profile.profile_id,
        "pool_fingerprint": profile.pool_fingerprint,
        "encoder_fingerprint": profile.encoder_fingerprint,
        "created_at": profile.created_at,
        "clusters": [
            {"cluster": number, "size": int(size), "top_terms": list(terms)}
            for number, (size, terms) in enumerate(
                zip(profile.clusters.sizes, profile.top_terms, strict=True)
            )
        ],
        "statistics": rows,
    }
