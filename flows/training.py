"""A training without Prefect: fit or go on, play the held-out questions, track, register.

The same command after a kill goes on from the last checkpoint to bitwise the same weights; after
the end it says what there is and does nothing.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from flows.console import say
from flows.settings import TrainSettings
from flows.train_progress import TrainProgress
from tasks.registry.versions import CHALLENGER, PolicyNotFoundError, PolicyVersion
from warehouse.run_lock import run_lock

if TYPE_CHECKING:
    from profiles.profile import Profile
    from tasks.learn.fit_policy import PolicySettings
    from tasks.learn.learning_set import Embed
    from tasks.learn.train_policy import Trained, Training
    from tasks.registry.registry import PolicyRegistry
    from tasks.tracking.base import Tracking

_RUN = "mlflow_run"
"""File beside the checkpoints that names the MLflow run, which a resumed training goes on in."""


class TrainOutcome(NamedTuple):
    """How a training ended.

    Attributes:
        did_work: whether anything was trained; not where it was finished before.
        resumed: whether an earlier session of this training had left checkpoints.
        version: as the registry has it.
        card: what is known of the policy.
        folder: the policy's local home.
    """

    did_work: bool
    resumed: bool
    version: PolicyVersion
    card: dict[str, Any]
    folder: Path


def train_session(
    settings: TrainSettings,
    *,
    embed: Embed | None = None,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> TrainOutcome:
    """Train a policy, or go on with the training that was killed, and register it as challenger.

    Args:
        settings: what to learn from and how.
        embed: of held-out texts; the profile's own encoder where None.
        clock: for the policy's card.

    Raises:
        ProfileNotFoundError, ProfileError: there is no such profile, or it lacks what a policy
            learns from.
        CheckpointError: a checkpoint is damaged.
        RegistryError: MLflow cannot be used; what was trained is kept, the same command goes on.
        LedgerBusyError: another live process runs this very training.
    """
    from tasks.learn.train_policy import Finished, begin_training
    from tasks.profiling.store import find_profile, profile_folder
    from tasks.registry.registry import PolicyRegistry, policy_folder

    profile = find_profile(settings.root, settings.profile)
    training = begin_training(settings.root, profile, policy_settings(settings), settings.name)
    registry = PolicyRegistry(settings.mlflow_uri, settings.artifacts)
    with run_lock(settings.root, f"train-{training.identity}"):
        before = _finished(settings, registry, training)
        if before is not None:
            return before
        resumed = training.begun()
        _announce(settings, profile, training, resumed)
        with _tracked(settings, training) as (tracker, run_id):
            trained = _fit(settings, training, embed, clock())
            from tasks.tracking.training import log_training

            log_training(tracker, run_id, trained)
            version = registry.register(
                trained.policy,
                run_id=run_id,
                card=trained.card,
                profile=profile_folder(settings.root, profile.profile_id),
            )
            registry.set_alias(CHALLENGER, version.version)
        training.finish(Finished(trained.policy.policy_id, version.version, run_id))
    version = registry.resolve(str(version.version))
    home = policy_folder(settings.root, version.policy_id)
    return TrainOutcome(True, resumed, version, trained.card, home)


def policy_settings(settings: TrainSettings) -> PolicySettings:
    """The constants of the fit that the settings describe."""
    from tasks.learn.fit_policy import PolicySettings

    fit = PolicySettings(
        candidates=settings.candidates,
        max_calls=settings.max_calls,
        estimator=settings.estimator,
        folds=settings.folds,
        networks=settings.networks,
        seed=settings.seed,
    )
    if settings.epochs is None:
        return fit
    return replace(
        fit,
        exact=replace(fit.exact, epochs=settings.epochs),
        ppo=replace(fit.ppo, iterations=settings.epochs),
    )


def _finished(
    settings: TrainSettings, registry: PolicyRegistry, training: Training
) -> TrainOutcome | None:
    """What this training came to, where it is finished and still registered."""
    from tasks.registry.cards import read_card
    from tasks.registry.registry import policy_folder

    found = training.finished()
    if found is None:
        return None
    try:
        version = registry.resolve(found.policy_id)
    except PolicyNotFoundError:
        return None
    card = read_card(settings.root, found.policy_id)
    if card is None:
        return None
    home = policy_folder(settings.root, found.policy_id)
    return TrainOutcome(False, False, version, card, home)


def _announce(settings: TrainSettings, profile: Profile, training: Training, resumed: bool) -> None:
    if settings.progress == "never":
        return
    questions, pairs = training.keys.shape
    say(
        f"training {training.identity}: {questions:,} questions × {pairs} pairs of "
        f"{profile.profile_id}" + (", goes on from its checkpoints" if resumed else "")
    )


def _fit(
    settings: TrainSettings, training: Training, embed: Embed | None, now: datetime
) -> Trained:
    from tasks.learn.train_policy import run_training

    progress = TrainProgress(settings, training.settings)
    try:
        return run_training(training, now=now, embed=embed, say=progress.say, report=progress.look)
    finally:
        progress.close()


@contextlib.contextmanager
def _tracked(settings: TrainSettings, training: Training) -> Iterator[tuple[Tracking, str]]:
    """The training's MLflow run; one that was killed is gone on with."""
    from tasks.tracking import open_tracker
    from tasks.tracking.runs import EXPERIMENT

    tracker = open_tracker(settings.mlflow_uri, settings.artifacts, enabled=settings.tracking)
    note = training.folder / _RUN
    earlier = note.read_text(encoding="utf-8").strip() if note.exists() else None
    name = settings.name or f"train-{training.identity}"
    params = settings.public() | {"profile": training.profile.profile_id, "data": training.data}
    tags = {"atlas.kind": "train", "atlas.training": training.identity}
    run_id = tracker.start(EXPERIMENT, name, params, tags, run_id=earlier)
    if run_id:
        note.parent.mkdir(parents=True, exist_ok=True)
        note.write_text(run_id, encoding="utf-8")
    try:
        yield tracker, run_id
    except BaseException as error:
        killed = isinstance(error, KeyboardInterrupt | SystemExit)
        tracker.finish(run_id, "KILLED" if killed else "FAILED")
        raise
    tracker.finish(run_id, "FINISHED")
