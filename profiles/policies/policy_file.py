"""Policies on disk: one folder a policy, written at once or not at all, never rewritten.

<root>/policies/<policy_id>/
    policy.json            what it is, the price points, the shapes of its networks, sha256 of the
                           weights and of all these words
    weights.safetensors    every array and weight, by name

Nothing in either file is ever executed: words are JSON, numbers are safetensors.
"""

from __future__ import annotations

import hashlib
import json
import math
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from profiles.durable import sync_file, sync_folder
from profiles.errors import ProfileError
from profiles.fingerprint import canonical_json
from profiles.policies.policy import Policy, PricePoint
from profiles.policies.priors import Components

if TYPE_CHECKING:
    from torch import nn

FORMAT = 1
"""Of both files."""
WORDS, WEIGHTS = "policy.json", "weights.safetensors"

_AGAIN = "remove the folder and fetch the policy again, or train it again (`atlas train`)"
_COMPONENTS, _AGGREGATOR = "components.", "aggregator."
_PLAIN = ("costs", "accuracy", "accuracy_sd", "correlation")
"""Arrays that are fields of the policy."""

Arrays = dict[str, NDArray[Any]]


class PolicyFileError(ProfileError):
    """The files of a policy cannot be written, or are not those of a whole policy."""


def write_policy(policy: Policy, folder: Path) -> None:
    """Write a policy into a folder of its own.

    A folder that is already there and holds this policy is checked and kept.

    Raises:
        PolicyFileError: the folder cannot be written, or holds something else.
    """
    folder = Path(folder)
    if folder.exists():
        _check_same(policy, folder)
        return
    temporary = folder.parent / f".{folder.name}.{uuid4().hex}.tmp"
    try:
        temporary.mkdir(parents=True)
        _write_files(policy, temporary)
        try:
            temporary.rename(folder)
        except OSError:
            # Another process wrote the same policy first.
            if not folder.exists():
                raise
            _check_same(policy, folder)
        sync_folder(folder.parent)
    except OSError as error:
        msg = f"cannot write the policy to {folder} ({error.strerror or error}); free or change it"
        raise PolicyFileError(msg) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def read_policy(folder: Path) -> Policy:
    """Read a policy, its files checked against their hashes and its contents against its id.

    Raises:
        PolicyFileError: it is missing, incomplete, damaged, or of a newer format.
    """
    folder = Path(folder)
    words = _read_words(folder)
    arrays = _read_arrays(folder, words)
    try:
        policy = _assemble(words, arrays)
    except (KeyError, TypeError, ValueError, IndexError, RuntimeError, AttributeError) as error:
        msg = f"{folder} is not a whole policy ({error}); {_AGAIN}"
        raise PolicyFileError(msg) from error
    if policy.policy_id != words.get("policy_id"):
        msg = f"{folder}: the contents are not those of {words.get('policy_id')}; {_AGAIN}"
        raise PolicyFileError(msg)
    return policy


def _check_same(policy: Policy, folder: Path) -> None:
    there = read_policy(folder).policy_id
    if there != policy.policy_id:
        msg = f"{folder} holds {there}, not {policy.policy_id}; give the policy another folder"
        raise PolicyFileError(msg)


# ------------------------------------------------------------------ writing


def _write_files(policy: Policy, folder: Path) -> None:
    from safetensors.numpy import save_file

    # `ascontiguousarray` would make a vector of a single number.
    arrays = {name: array.copy(order="C") for name, array in policy.arrays().items()}
    save_file(arrays, folder / WEIGHTS, metadata={"policy_id": policy.policy_id})
    words = _words(policy) | {"weights_sha256": _sha256(folder / WEIGHTS)}
    words["words_sha256"] = _words_sha256(words)
    text = json.dumps(words, indent=2, allow_nan=False, ensure_ascii=False)
    (folder / WORDS).write_text(text + "\n", encoding="utf-8")
    for name in (WORDS, WEIGHTS):
        sync_file(folder / name)
    sync_folder(folder)


def _words(policy: Policy) -> dict[str, Any]:
    unit = policy.cost_unit_usd
    return {
        "format": FORMAT,
        "policy_id": policy.policy_id,
        "profile_id": policy.profile_id,
        "pool_fingerprint": policy.pool_fingerprint,
        "pairs": list(policy.pairs),
        "max_calls": policy.max_calls,
        "cost_unit_usd": None if math.isnan(unit) else float(unit),
        "points": [asdict(point) for point in policy.points],
        "aggregator": asdict(policy.aggregator.settings),
        "networks": [asdict(network.settings) for network in policy.networks],
    }


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _words_sha256(words: Mapping[str, Any]) -> str:
    """Hash of all words but itself."""
    told = {name: value for name, value in words.items() if name != "words_sha256"}
    return hashlib.sha256(canonical_json(told).encode()).hexdigest()


# ------------------------------------------------------------------ reading


def _read_words(folder: Path) -> dict[str, Any]:
    path = folder / WORDS
    try:
        words = json.loads(path.read_bytes())
    except FileNotFoundError as error:
        msg = f"there is no policy in {folder} ({WORDS} is missing); train one with `atlas train`"
        raise PolicyFileError(msg) from error
    except (OSError, ValueError) as error:
        msg = f"{path} cannot be read as JSON; {_AGAIN}"
        raise PolicyFileError(msg) from error
    if not isinstance(words, dict) or "format" not in words:
        msg = f"{path} is not the description of a policy; {_AGAIN}"
        raise PolicyFileError(msg)
    if words["format"] != FORMAT:
        msg = (
            f"{path} has format {words['format']!r}, this version reads {FORMAT};"
            " update atlas, or train the policy again (`atlas train`)"
        )
        raise PolicyFileError(msg)
    if words.get("words_sha256") != _words_sha256(words):
        msg = f"{path} is damaged (its sha256 is not the recorded one); {_AGAIN}"
        raise PolicyFileError(msg)
    return words


def _read_arrays(folder: Path, words: Mapping[str, Any]) -> Arrays:
    from safetensors import SafetensorError
    from safetensors.numpy import load

    path = folder / WEIGHTS
    try:
        content = path.read_bytes()
    except OSError as error:
        msg = f"{path} cannot be read ({error.strerror}); {_AGAIN}"
        raise PolicyFileError(msg) from error
    if hashlib.sha256(content).hexdigest() != words.get("weights_sha256"):
        msg = f"{path} is damaged (its sha256 is not the recorded one); {_AGAIN}"
        raise PolicyFileError(msg)
    try:
        return dict(load(content))
    except (SafetensorError, KeyError, ValueError, TypeError) as error:
        msg = f"{path} is no safetensors file ({error}), and nothing else is read; {_AGAIN}"
        raise PolicyFileError(msg) from error


def _assemble(words: Mapping[str, Any], arrays: Arrays) -> Policy:
    import torch

    from profiles.policies.aggregator import Aggregator, AggregatorSettings
    from profiles.policies.network import NetworkSettings, PolicyNetwork

    unit = words["cost_unit_usd"]
    # Making a module draws its first weights; nobody else's random numbers may change by reading.
    with torch.random.fork_rng(devices=[]):
        aggregator = Aggregator(AggregatorSettings(**words["aggregator"]))
        networks = [PolicyNetwork(NetworkSettings(**shape)) for shape in words["networks"]]
    _fill(aggregator, arrays, _AGGREGATOR)
    for number, network in enumerate(networks):
        _fill(network, arrays, f"network{number}.")
    return Policy(
        profile_id=words["profile_id"],
        pool_fingerprint=words["pool_fingerprint"],
        pairs=tuple(words["pairs"]),
        max_calls=words["max_calls"],
        cost_unit_usd=math.nan if unit is None else float(unit),
        **{name: arrays[name] for name in _PLAIN},
        components=Components(arrays[f"{_COMPONENTS}mean"], arrays[f"{_COMPONENTS}basis"]),
        aggregator=aggregator,
        networks=tuple(networks),
        points=tuple(_point(told) for told in words["points"]),
        macro=arrays.get("macro"),
    )


def _fill(module: nn.Module, arrays: Arrays, prefix: str) -> None:
    """Put the weights of that prefix into a module, which must want exactly these."""
    import torch

    weights = {
        name.removeprefix(prefix): torch.from_numpy(np.array(array))
        for name, array in arrays.items()
        if name.startswith(prefix)
    }
    module.load_state_dict(weights)
    module.eval()


def _point(told: Mapping[str, Any]) -> PricePoint:
    order, agree, threshold = told["cascade"]
    cascade = (tuple(int(column) for column in order), int(agree), float(threshold))
    return PricePoint(**(dict(told) | {"cascade": cascade}))
