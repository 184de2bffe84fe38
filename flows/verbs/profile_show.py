"""`atlas profile show`: what a profile knows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows.console import data_json, show
from flows.failures import CommandError
from flows.verbs.options import AsJson, Config, Root, home

if TYPE_CHECKING:
    from profiles.profile import Profile


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
        show_profile(profile, cluster=cluster, to_stdout=True)


def show_profile(
    profile: Profile, *, source: str = "", cluster: int | None = None, to_stdout: bool = False
) -> None:
    """Print a profile as tables."""
    from tasks.report.facts import ProfileFacts
    from tasks.report.profile_table import profile_table

    facts = ProfileFacts(profile, pool_name=profile.pool_fingerprint[:12], source=source)
    show(profile_table(facts, cluster=cluster), to_stdout=to_stdout)


def _as_json(profile: Profile) -> dict[str, Any]:
    """Everything but the vectors; NaN, which JSON has not, becomes null."""
    import math

    from tasks.report.selection_table import selection_json

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
        "selection": selection_json(profile),
    }
