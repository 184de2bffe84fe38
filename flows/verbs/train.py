"""`atlas train`: recorded answers in, a registered policy out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from flows.console import data_json, say, show
from flows.settings import TrainSettings
from flows.verbs.options import AsJson, with_settings

if TYPE_CHECKING:
    from flows.training import TrainOutcome

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command()
@with_settings(TrainSettings)
def train(settings: TrainSettings, json: AsJson = False) -> None:
    """Train a multi-step policy on a profile's recorded answers; calls nothing, spends nothing.

    It is registered in MLflow as the challenger, with its curves and its held-out table. The same
    command goes on with a training that was killed, and does nothing where it is finished.
    """
    from tasks.report.policy_text import held_out_document

    outcome = run_training_session(settings)
    version = outcome.version
    if json:
        data_json(as_json(outcome))
    if not outcome.did_work:
        say(f"this training is finished: version {version.version}, {version.policy_id}")
    else:
        show(held_out_document(outcome.card), color=settings.color)
        say(f"registered as version {version.version} of {version.name}: {version.policy_id}")
    marks = " and the ".join(version.aliases)
    say(f"it is the {marks}" if marks else "it is neither champion nor challenger any more")
    if "champion" not in version.aliases:
        reference = "" if "challenger" in version.aliases else f" {version.version}"
        say(f"next: atlas policy promote{reference}")


def run_training_session(settings: TrainSettings) -> TrainOutcome:
    """Train with the runner that the settings name."""
    if settings.runner == "plain":
        from flows.training import train_session

        return train_session(settings)
    from flows.orchestration import announce_server

    announce_server()
    from flows.train_policy import train_policy

    return train_policy(settings)


def as_json(outcome: TrainOutcome) -> dict[str, Any]:
    """An outcome as JSON values."""
    version = outcome.version
    return {
        "version": version.version,
        "policy_id": version.policy_id,
        "aliases": list(version.aliases),
        "run_id": version.run_id,
        "did_work": outcome.did_work,
        "resumed": outcome.resumed,
        "folder": outcome.folder,
        "card": outcome.card,
    }
