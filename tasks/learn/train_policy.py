"""One training of a policy, from the answers behind a profile to a policy with its card.

A training is known by its identity: the profile, the data and everything that decides the weights.
Its checkpoints lie in `<root>/policies/.training/<identity>/`, so that the same training, killed at
any moment, goes on to bitwise the same weights; finished, it leaves a note there and nothing else.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from profiles.fingerprint import canonical_json
from profiles.policies.policy_file import write_policy
from tasks.grade import answer_key
from tasks.learn.learning_set import data_hash, held_out, training_keys
from tasks.registry.cards import FOLDER, card_text, write_card
from tasks.registry.registry import policy_folder
from tasks.version import code_version
from warehouse.commits import make_folder, published

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from profiles.policies.policy import Policy
    from profiles.profile import Profile
    from tasks.learn.fit_policy import PolicySettings
    from tasks.learn.held_out_table import HeldOutTable
    from tasks.learn.learning_set import Embed
    from tasks.learn.reliability import Reliability
    from tasks.learn.training import Look

TRAININGS = ".training"
"""Under the folder of policies."""
FINISHED, LOOKS = "finished.json", "looks.jsonl"

Say = Callable[[str], None]


class Finished(NamedTuple):
    """What a finished training left: the policy, its version (None unregistered), its run."""

    policy_id: str
    version: int | None
    run_id: str


class Curve(NamedTuple):
    """One look at one network's training, as MLflow is told of it."""

    network: str
    iteration: int
    iterations: int
    metrics: Mapping[str, float]


class Trained(NamedTuple):
    """A policy and what is known of it."""

    policy: Policy
    card: dict[str, Any]
    table: HeldOutTable
    reliability: Reliability
    curves: tuple[Curve, ...]


@dataclass(frozen=True, slots=True)
class Training:
    """A training that can be begun, gone on with or found finished.

    Attributes:
        root: of the warehouse.
        profile: it learns from.
        keys: (n, P) answer keys of the profile's training rows.
        settings: of the fit.
        name: for people; no part of its identity.
    """

    root: Path
    profile: Profile
    keys: NDArray[np.int64]
    settings: PolicySettings
    name: str | None = None

    @property
    def identity(self) -> str:
        """16 hexadecimal digits over everything that decides the weights."""
        words = {
            "format": 1,
            "profile": self.profile.profile_id,
            "data": self.data,
            "keys": answer_key.VERSION,
            "settings": asdict(self.settings),
            "code": code_version(),
        }
        return hashlib.sha256(canonical_json(words).encode()).hexdigest()[:16]

    @property
    def data(self) -> str:
        """Hash of the training questions, their answers, scores and costs."""
        train = self.profile.train
        assert train is not None
        return data_hash(train.query_ids, self.keys, train.scores, train.costs_usd)

    @property
    def folder(self) -> Path:
        """Where it keeps checkpoints, and its note once it is finished."""
        return self.root / FOLDER / TRAININGS / self.identity

    def begun(self) -> bool:
        """Whether an earlier session left checkpoints."""
        return any(self.folder.glob("*.safetensors"))

    def finished(self) -> Finished | None:
        """What it left, where it is finished and its policy is at home."""
        try:
            told = json.loads((self.folder / FINISHED).read_bytes())
            found = Finished(str(told["policy_id"]), told["version"], str(told["run_id"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return found if policy_folder(self.root, found.policy_id).is_dir() else None

    def finish(self, finished: Finished) -> None:
        """Note that it is finished; checkpoints are no longer needed.

        Raises:
            WarehouseError: the note cannot be written.
        """
        make_folder(self.folder)
        with published(self.folder / FINISHED) as temporary:
            temporary.write_text(json.dumps(finished._asdict()) + "\n", encoding="utf-8")
        for path in self.folder.iterdir():
            if path.name != FINISHED:
                path.unlink(missing_ok=True)


def begin_training(
    root: Path, profile: Profile, settings: PolicySettings, name: str | None = None
) -> Training:
    """A training of a profile's recorded answers; nothing is computed yet.

    Raises:
        ProfileError: the profile has no training rows, or no answers that can be compared.
    """
    return Training(root, profile, training_keys(root, profile), settings, name)


def run_training(
    training: Training,
    *,
    now: datetime,
    embed: Embed | None = None,
    say: Say = lambda _text: None,
    report: Callable[[str, Look], None] = lambda _network, _look: None,
) -> Trained:
    """Fit the policy, write it to its home, and see what it is worth on held-out questions.

    Args:
        training: what to learn from and how; its checkpoints are gone on from.
        now: for the card.
        embed: of held-out texts; see `tasks.learn.learning_set.held_out`.
        say: told in a sentence what is being done.
        report: told of every look at a network's validation.

    Raises:
        ProfileError: the profile lacks what a policy learns from, or the policy cannot be kept.
        CheckpointError: a checkpoint is damaged.
    """
    from tasks.learn.fit_policy import fit_policy
    from tasks.learn.held_out_table import held_out_table
    from tasks.learn.reliability import reliability

    looks = training.folder / LOOKS
    make_folder(training.folder)

    def told(network: str, look: Look) -> None:
        _append(looks, network, look)
        report(network, look)

    with _one_thread():
        fitted = fit_policy(
            training.profile,
            training.keys,
            training.settings,
            say,
            checkpoints=training.folder,
            report=told,
        )
    policy = fitted.policy
    write_policy(policy, policy_folder(training.root, policy.policy_id))
    say("playing the held-out questions")
    held = held_out(training.root, training.profile, embed=embed)
    with _one_thread():
        table = held_out_table(policy, training.profile, held, seed=training.settings.seed)
        calibration = reliability(fitted.environment)
    data = {
        "training": training.data,
        "held_out": data_hash(held.query_ids, held.keys, held.scores, held.costs_usd),
    }
    card: dict[str, Any] = {
        "policy_id": policy.policy_id,
        "name": training.name,
        "training": training.identity,
        "profile_id": policy.profile_id,
        "pool_fingerprint": policy.pool_fingerprint,
        "estimator": training.settings.estimator,
        "seed": training.settings.seed,
        "code_version": code_version(),
        "trained_at": now.isoformat(timespec="seconds"),
        "data": data,
        "questions": len(training.keys),
        "pairs": list(policy.pairs),
        "max_calls": policy.max_calls,
        "cost_unit_usd": policy.cost_unit_usd if policy.cost_unit_usd >= 0 else None,
        "settings": asdict(training.settings),
        "guard": [asdict(point) for point in policy.points],
        "held_out": table.as_json(),
        "reliability": calibration.as_json(),
    }
    card = json.loads(card_text(card))
    write_card(training.root, policy.policy_id, card)
    return Trained(policy, card, table, calibration, tuple(read_curves(looks)))


@contextmanager
def _one_thread() -> Iterator[None]:
    """Compute with one thread: networks this small gain nothing by more.

    And sums do not depend on how many cores there were when a killed training began.
    """
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _append(path: Path, network: str, look: Look) -> None:
    """Note a look, so that the curves of a training that was killed are whole."""
    metrics = {"validation_utility": look.validation_utility, **look.metrics}
    line = json.dumps([network, look.iteration, look.iterations, metrics])
    with path.open("a", encoding="utf-8") as file:
        # A line of its own, whatever a kill left of the one before.
        file.write(f"\n{line}\n")


def read_curves(path: Path) -> list[Curve]:
    """The looks that were noted; of one noted twice, after a kill, the last one."""
    found: dict[tuple[str, int], Curve] = {}
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []
    for line in lines:
        try:
            curve = Curve(*json.loads(line))
        except (ValueError, TypeError):
            continue
        found[curve.network, curve.iteration] = curve
    return sorted(found.values(), key=lambda one: (one.network, one.iteration))
