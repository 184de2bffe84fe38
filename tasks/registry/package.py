"""A policy as a folder that MLflow can keep, show and serve."""

from __future__ import annotations

import logging
import shutil
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from profiles.policies.policy_file import write_policy
from tasks.registry.cards import card_text
from tasks.version import code_version

if TYPE_CHECKING:
    from profiles.policies.policy import Policy

__all__ = ["CARD", "POLICY", "PROFILE", "build_package", "card_text"]

CODE = Path(__file__).with_name("served_policy.py")
POLICY, PROFILE, CARD = "policy", "profile", "card.json"
"""Names inside `artifacts/` of the package."""
_PROFILE_FILES = ("profile.json", "clusters.parquet", "cluster_stats.parquet", "predictor.npz")
"""What decisions look at; the training rows stay at home."""
_NEEDED = ("mlflow", "numpy", "polars", "pandas", "safetensors", "torch")
"""Packages whose version is noted, beside our own."""


def build_package(
    policy: Policy, target: Path, *, card: Mapping[str, object], profile: Path | None
) -> None:
    """Write an MLflow model of the python-function flavour.

    Args:
        policy: its two files become artifacts.
        target: a folder that does not exist yet.
        card: what is known of the policy, as JSON values.
        profile: folder of its profile, which decisions on new questions need; None leaves it out.
    """
    with _quiet_mlflow():
        import mlflow.pyfunc

        parts = target.with_name(f"{target.name}.parts")
        write_policy(policy, parts / POLICY)
        (parts / CARD).write_text(card_text(card), encoding="utf-8")
        artifacts = {"policy": str(parts / POLICY), "card": str(parts / CARD)}
        if profile is not None:
            _copy_profile(profile, parts / PROFILE)
            artifacts["profile"] = str(parts / PROFILE)
        try:
            mlflow.pyfunc.save_model(
                path=str(target),
                python_model=str(CODE),
                artifacts=artifacts,
                signature=_signature(),
                pip_requirements=list(_requirements()),
                metadata={"policy_id": policy.policy_id, "profile_id": policy.profile_id},
            )
        finally:
            shutil.rmtree(parts, ignore_errors=True)


def _copy_profile(profile: Path, target: Path) -> None:
    target.mkdir()
    for name in _PROFILE_FILES:
        if (profile / name).exists():
            shutil.copyfile(profile / name, target / name)


def _requirements() -> Iterator[str]:
    yield f"atlas-routing=={code_version()}"
    for name in _NEEDED:
        try:
            # A local build, such as +cpu, is found on no index.
            yield f"{name}=={version(name).partition('+')[0]}"
        except PackageNotFoundError:
            continue


def _signature() -> Any:  # noqa: ANN401 - MLflow has no types
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema
    from mlflow.types.schema import Array

    return ModelSignature(
        inputs=Schema(
            [
                ColSpec(DataType.string, "text"),
                ColSpec(Array(DataType.double), "embedding", required=False),
            ]
        ),
        outputs=Schema(
            [
                ColSpec(DataType.string, "pair_id"),
                ColSpec(DataType.double, "expected_accuracy"),
                ColSpec(DataType.double, "expected_cost_usd"),
                ColSpec(DataType.string, "strategy"),
            ]
        ),
        params=ParamSchema(
            [
                ParamSpec("price", DataType.double, 0.01),
                ParamSpec("strategy", DataType.string, "hybrid"),
            ]
        ),
    )


@contextmanager
def _quiet_mlflow() -> Iterator[None]:
    """MLflow's advice to whoever logs a model by hand is no news to whoever trains one here."""
    logger = logging.getLogger("mlflow")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(before)
