"""Checkpoints of a training: safetensors and JSON, never a pickle; whole or not there at all."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import torch

from profiles.durable import sync_file, sync_folder

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from profiles.policies.network import PolicyNetwork

FORMAT = 1


class CheckpointError(Exception):
    """A checkpoint cannot be gone on from."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Where a training stands beside its weights.

    Attributes:
        training: fingerprint of everything that decides where the training goes.
        iteration: iterations done.
        best: (n,) validation utilities of the best look so far.
        kept: weights to return if nothing later holds its own.
    """

    training: str
    iteration: int
    best: Tensor
    kept: dict[str, Tensor]


def save_checkpoint(
    path: Path, network: PolicyNetwork, optimizer: torch.optim.Optimizer, state: Checkpoint
) -> None:
    """Write a checkpoint, replacing an older one in one step."""
    from safetensors.torch import save_file

    tensors = {f"network.{name}": value for name, value in network.state_dict().items()}
    tensors |= {f"kept.{name}": value for name, value in state.kept.items()}
    for number, own in optimizer.state_dict()["state"].items():
        for name, value in own.items():
            tensors[f"optimizer.{number}.{name}"] = torch.as_tensor(value)
    tensors["best"] = state.best
    # safetensors refuses tensors that share memory.
    whole = {name: value.detach().contiguous().clone() for name, value in tensors.items()}
    words = {
        "format": FORMAT,
        "training": state.training,
        "iteration": state.iteration,
        "digest": _digest(whole),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.partial")
    save_file(whole, temporary, metadata={"checkpoint": json.dumps(words)})
    sync_file(temporary)
    temporary.replace(path)
    sync_folder(path.parent)


def load_checkpoint(
    path: Path, network: PolicyNetwork, optimizer: torch.optim.Optimizer, training: str
) -> Checkpoint:
    """Put weights and optimizer back to where a training stood.

    Args:
        path: of the checkpoint.
        network: gets its weights.
        optimizer: gets its state; of the network's parameters.
        training: fingerprint of the training that is to go on.

    Raises:
        CheckpointError: the file is damaged or belongs to another training. Nothing was changed.
    """
    words, tensors = _read(path)
    if words.get("training") != training:
        message = (
            f"{path} belongs to another training: its settings, seed or questions were not these;"
            " remove it to begin anew, or give the training another folder"
        )
        raise CheckpointError(message)
    weights, kept = _part(tensors, "network."), _part(tensors, "kept.")
    wanted = network.state_dict()
    for part in (weights, kept):
        if {n: t.shape for n, t in part.items()} != {n: t.shape for n, t in wanted.items()}:
            _refuse(path, "the network in it has another shape")
    numbers = {name.split(".")[1] for name in tensors if name.startswith("optimizer.")}
    whole = optimizer.state_dict()
    whole["state"] = {int(n): _part(tensors, f"optimizer.{n}.") for n in numbers}
    network.load_state_dict(weights)
    optimizer.load_state_dict(whole)
    return Checkpoint(training, int(words["iteration"]), tensors["best"], kept)


def fingerprint(settings: str, arrays: Mapping[str, Tensor]) -> str:
    """Hash of a training's settings, in words, and of the data it learns from."""
    return hashlib.sha256(f"{settings}\n{_digest(arrays)}".encode()).hexdigest()


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            words = json.loads((file.metadata() or {})["checkpoint"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        _refuse(path, str(error) or type(error).__name__, error)
    if not isinstance(words, dict) or words.get("format") != FORMAT:
        _refuse(path, f"its format is not {FORMAT}")
    if words.get("digest") != _digest(tensors):
        _refuse(path, "its numbers are not those that were written")
    return words, tensors


def _refuse(path: Path, why: str, cause: Exception | None = None) -> NoReturn:
    message = (
        f"{path} is no checkpoint that a training can go on from ({why}); remove it to begin"
        " anew, or give the training another folder"
    )
    raise CheckpointError(message) from cause


def _digest(tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.detach().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {
        name.removeprefix(prefix): value
        for name, value in tensors.items()
        if name.startswith(prefix)
    }
