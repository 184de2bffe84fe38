"""Checkpoints of a training: safetensors and JSON, never a pickle; whole or not there at all."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import load_file, save_file

if TYPE_CHECKING:
    from torch import Tensor

    from profiles.policies.network import PolicyNetwork


class CheckpointError(Exception):
    """A checkpoint cannot be gone on from."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Where a training stands beside its weights.

    Attributes:
        iteration: iterations done.
        best: (n,) validation utilities of the best look so far.
        kept: weights to return if nothing later holds its own.
    """

    iteration: int
    best: Tensor
    kept: dict[str, Tensor]


def save_checkpoint(
    path: Path, network: PolicyNetwork, optimizer: torch.optim.Optimizer, state: Checkpoint
) -> None:
    """Write a checkpoint, replacing an older one in one step."""
    tensors = {f"network.{name}": value for name, value in network.state_dict().items()}
    tensors |= {f"kept.{name}": value for name, value in state.kept.items()}
    steps: dict[str, float] = {}
    for number, own in optimizer.state_dict()["state"].items():
        for name, value in own.items():
            tensors[f"optimizer.{number}.{name}"] = torch.as_tensor(value)
        steps[str(number)] = float(own["step"])
    tensors["best"] = state.best
    words = {"iteration": state.iteration, "steps": steps}
    temporary = path.with_suffix(".tmp")
    path.parent.mkdir(parents=True, exist_ok=True)
    contiguous = {name: value.detach().contiguous().clone() for name, value in tensors.items()}
    save_file(contiguous, temporary, metadata={"training": json.dumps(words)})
    with temporary.open("rb") as file:
        os.fsync(file.fileno())
    temporary.replace(path)


def load_checkpoint(
    path: Path, network: PolicyNetwork, optimizer: torch.optim.Optimizer
) -> Checkpoint:
    """Put weights and optimizer back to where a training stood.

    Raises:
        CheckpointError: the file is damaged or belongs to another network.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            words: dict[str, Any] = json.loads(file.metadata()["training"])
        tensors = load_file(path)
        network.load_state_dict(_part(tensors, "network."))
    except (SafetensorError, OSError, KeyError, TypeError, ValueError, RuntimeError) as error:
        message = (
            f"{path} is not a checkpoint of this training ({error}); remove it to begin anew,"
            " or give the training another folder"
        )
        raise CheckpointError(message) from error
    state = {int(number): _part(tensors, f"optimizer.{number}.") for number in words["steps"]}
    whole = optimizer.state_dict()
    whole["state"] = state
    optimizer.load_state_dict(whole)
    return Checkpoint(int(words["iteration"]), tensors["best"], _part(tensors, "kept."))


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {
        name.removeprefix(prefix): value
        for name, value in tensors.items()
        if name.startswith(prefix)
    }
