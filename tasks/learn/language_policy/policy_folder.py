"""A trained language policy on disk: JSON, tokenizer and safetensors, and nothing pickled.

    language_policy.json     what it is, how it was trained, sha256 of every file beside it
    adapter/                 LoRA weights in PEFT's layout, for a base that is loaded beside them
    model/                   or all weights, in transformers' layout
    tokenizer/               as it was trained with

A folder appears whole or not at all. Reading runs no code of the folder or of the base.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from profiles.durable import sync_file, sync_folder
from profiles.fingerprint import canonical_json
from tasks.learn.language_policy.libraries import (
    LanguagePolicyError,
    check_libraries,
    without_known_warnings,
)
from tasks.learn.language_policy.prompt import PromptPool
from tasks.learn.language_policy.settings import LanguageSettings
from tasks.learn.rewards import AtlasReward, Selection

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

FILE = "language_policy.json"
_FORMAT = 1
_ADAPTER, _MODEL, _TOKENIZER = "adapter", "model", "tokenizer"
_WEIGHTS, _CONFIG = "adapter_model.safetensors", "adapter_config.json"
_AGAIN = "train it again, or fetch it again from where it came"


@dataclass(frozen=True)
class LanguagePolicy:
    """A causal language model that routes.

    Attributes:
        model: of transformers, or of PEFT around one.
        tokenizer: of the base.
        pool: as the prompt told it in training.
        settings: it was trained with.
        commit: of the base that was loaded; None for a local folder.
        cost_unit_usd: dollars of one unit of cost; NaN where a unit is a call.
    """

    model: Any
    tokenizer: PreTrainedTokenizerBase
    pool: PromptPool
    settings: LanguageSettings
    commit: str | None
    cost_unit_usd: float


class Base(NamedTuple):
    """A base model as it is loaded."""

    model: Any
    tokenizer: PreTrainedTokenizerBase
    commit: str | None
    parameters: int


def load_base(
    name: str, revision: str | None, tokenizer: Path | None = None, *, exact: bool = False
) -> Base:
    """Load a causal language model from safetensors, and no code with it.

    Args:
        name: on the Hugging Face hub, or a local folder.
        revision: commit, tag or branch; None is the default branch.
        tokenizer: folder of the tokenizer, if it is not the base's.
        exact: keep weights in 32 bits on a GPU too. All weights that are trained need them: a
            step of 1e-6 is lost in the rounding of 16.

    Raises:
        LanguagePolicyError: it cannot be loaded, saying why.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

    cuda = torch.cuda.is_available()
    try:
        words = AutoTokenizer.from_pretrained(
            str(tokenizer or name),
            revision=None if tokenizer else revision,
            trust_remote_code=False,
        )
        model = AutoModelForCausalLM.from_pretrained(
            name,
            revision=revision,
            use_safetensors=True,
            trust_remote_code=False,
            dtype=torch.bfloat16 if cuda and not exact else torch.float32,
        )
    except (OSError, ValueError) as error:
        why = (str(error).splitlines() or [type(error).__name__])[0]
        msg = (
            f"the language model {name!r} cannot be loaded: {why} Give a causal language model"
            " with safetensors weights, by its name on the hub or a local folder"
        )
        raise LanguagePolicyError(msg) from None
    if words.pad_token is None:
        words.pad_token = words.eos_token
    words.padding_side = "left"
    # The model's own way of sampling would bend what is learnt from.
    model.generation_config = GenerationConfig(
        eos_token_id=words.eos_token_id, pad_token_id=words.pad_token_id
    )
    commit = getattr(model.config, "_commit_hash", None)
    if cuda:
        model.to("cuda")
    return Base(model, words, commit, model.num_parameters())


def write_language_policy(policy: LanguagePolicy, parent: Path) -> Path:
    """Keep a policy as `parent/<its id>`; one that is there already is left as it is.

    Returns:
        The folder, named by the hash of all it holds.
    """
    parent.mkdir(parents=True, exist_ok=True)
    partial = parent / f".partial-{os.getpid()}"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    try:
        adapter = _write_weights(policy, partial)
        policy.tokenizer.save_pretrained(partial / _TOKENIZER)
        files = {path.relative_to(partial).as_posix(): path for path in _files(partial)}
        content = _content(policy, adapter, {name: _sha256(path) for name, path in files.items()})
        name = _policy_id(content)
        text = json.dumps({"policy_id": name, **content}, indent=2, sort_keys=True)
        (partial / FILE).write_text(text + "\n", encoding="utf-8")
        if (parent / name).exists():
            return parent / name
        for path in (*files.values(), partial / FILE):
            sync_file(path)
        partial.rename(parent / name)
        sync_folder(parent)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return parent / name


def read_language_policy(folder: Path) -> LanguagePolicy:
    """Read a policy back, with its base.

    Raises:
        LanguagePolicyError: the extra `llm` is missing, the folder is not one of ours, is damaged,
            is of a newer format or holds a file that is no JSON, text or safetensors, or its base
            cannot be loaded.
    """
    check_libraries()
    content = read_card(folder)
    settings = _settings(content["settings"])
    full = content["weights"] == _MODEL
    base = load_base(
        str(folder / _MODEL) if full else settings.base,
        None if full else content["commit"] or settings.revision,
        folder / _TOKENIZER,
    )
    unit = content["cost_unit_usd"]
    return LanguagePolicy(
        model=(base.model if full else _with_adapter(base.model, folder / _ADAPTER)).eval(),
        tokenizer=base.tokenizer,
        pool=PromptPool.from_json(content["pool"]),
        settings=settings,
        commit=content["commit"],
        cost_unit_usd=math.nan if unit is None else unit,
    )


def read_card(folder: Path) -> dict[str, Any]:
    """What a folder says it is, after checking that it still is; loads no model.

    Raises:
        LanguagePolicyError: the folder is not one of ours, or damaged, or of a newer format.
    """
    try:
        content: dict[str, Any] = json.loads((folder / FILE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        msg = f"{folder} holds no {FILE}: it is no language policy"
        raise LanguagePolicyError(msg) from None
    except (OSError, ValueError) as error:
        msg = f"{folder / FILE} cannot be read: {error}; {_AGAIN}"
        raise LanguagePolicyError(msg) from None
    if content.get("format") != _FORMAT:
        msg = (
            f"{folder} has format {content.get('format')}, this version of ATLAS reads {_FORMAT}:"
            " use the version that wrote it"
        )
        raise LanguagePolicyError(msg)
    found = {path.relative_to(folder).as_posix(): path for path in _files(folder)}
    found.pop(FILE)
    if set(found) != set(content["files"]):
        odd = ", ".join(sorted(set(found) ^ set(content["files"])))
        msg = f"{folder} lacks files or holds others than it was written with: {odd}; {_AGAIN}"
        raise LanguagePolicyError(msg)
    for name, path in found.items():
        if _sha256(path) != content["files"][name]:
            msg = f"{path} is damaged (its sha256 is not the recorded one); {_AGAIN}"
            raise LanguagePolicyError(msg)
    named = content.pop("policy_id", None)
    if named != _policy_id(content):
        msg = f"{folder / FILE} was changed after it was written; {_AGAIN}"
        raise LanguagePolicyError(msg)
    return {"policy_id": named, **content}


def _content(policy: LanguagePolicy, adapter: bool, files: Mapping[str, str]) -> dict[str, Any]:
    unit = policy.cost_unit_usd
    return {
        "format": _FORMAT,
        "kind": "language",
        "weights": _ADAPTER if adapter else _MODEL,
        "commit": policy.commit,
        "pool": policy.pool.as_json(),
        "settings": asdict(policy.settings),
        "cost_unit_usd": None if math.isnan(unit) else unit,
        "libraries": {name: version(name) for name in ("trl", "peft", "transformers", "torch")},
        "files": dict(files),
    }


def _settings(content: Mapping[str, Any]) -> LanguageSettings:
    reward = dict(content["reward"])
    reward["selection"] = Selection(reward["selection"])
    return LanguageSettings(**{**content, "reward": AtlasReward(**reward)})


def _policy_id(content: Mapping[str, Any]) -> str:
    return f"language-{hashlib.sha256(canonical_json(content).encode()).hexdigest()[:16]}"


def _write_weights(policy: LanguagePolicy, folder: Path) -> bool:
    """Write adapters, or all weights where there are none; whether it was adapters."""
    from peft import PeftModel, get_peft_model_state_dict
    from safetensors.torch import save_file

    if not isinstance(policy.model, PeftModel):
        policy.model.save_pretrained(folder / _MODEL)
        return False
    place = folder / _ADAPTER
    place.mkdir()
    weights = get_peft_model_state_dict(policy.model)
    save_file({k: v.detach().cpu().contiguous() for k, v in weights.items()}, place / _WEIGHTS)
    config = policy.model.peft_config["default"].to_dict()
    # PEFT keeps layers as a set, whose order is another one in every process.
    config = {k: sorted(v) if isinstance(v, set) else v for k, v in config.items()}
    config |= {"base_model_name_or_path": policy.settings.base, "inference_mode": True}
    text = json.dumps(config, indent=2, sort_keys=True)
    (place / _CONFIG).write_text(text + "\n", encoding="utf-8")
    return True


def _with_adapter(model: Any, place: Path) -> Any:  # noqa: ANN401
    from peft import LoraConfig, get_peft_model, set_peft_model_state_dict
    from safetensors.torch import load_file

    with without_known_warnings():
        adapted = get_peft_model(model, LoraConfig.from_pretrained(str(place)))
    result = set_peft_model_state_dict(adapted, load_file(place / _WEIGHTS))
    if result.unexpected_keys:
        msg = f"{place / _WEIGHTS} does not fit its base: {result.unexpected_keys[0]} has no place"
        raise LanguagePolicyError(msg)
    return adapted


_SUFFIXES = {".json", ".txt", ".jinja", ".safetensors", ".model"}


def _files(folder: Path) -> list[Path]:
    """Every file of a folder, by name.

    Raises:
        LanguagePolicyError: one of them could hold code.
    """
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    for path in files:
        if path.suffix not in _SUFFIXES:
            msg = f"{path} does not belong to a language policy, and is not opened; {_AGAIN}"
            raise LanguagePolicyError(msg)
    return files


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
