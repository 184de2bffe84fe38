"""The policy as an MLflow model: from a question's text to the pair that is asked first.

MLflow keeps this file with every version ("models from code") and runs it to load one. The policy
itself is JSON and safetensors: nothing is unpickled, here or there.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import mlflow
import numpy as np
import pandas as pd
from mlflow.pyfunc import PythonModel

from profiles.errors import ProfileError
from profiles.policies.guide import Seen, advise, policy_guide
from profiles.policies.policy_file import read_policy
from profiles.policies.step_down import step_down
from profiles.profile_file import load_profile

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from profiles.policies.policy import Policy
    from profiles.profile import Profile

POLICY, PROFILE, CARD = "policy", "profile", "card"
"""Artifacts of a version."""
TEXT, EMBEDDING = "text", "embedding"
"""Columns of the input."""
STRATEGY, PRICE = "hybrid", 0.01
"""What is decided by where nothing is said: the guarded choice, at one point of accuracy a unit."""


class ServedPolicy(PythonModel):  # type: ignore[misc]  # MLflow has no types
    """Says which pair a question goes to first, how likely that is right, and what it costs."""

    def load_context(self, context: Any) -> None:  # noqa: ANN401
        """Read the policy, and the profile where the version holds one.

        Raises:
            ProfileError: one of them is damaged, or they do not belong together.
        """
        self._policy: Policy = read_policy(Path(context.artifacts[POLICY]))
        folder = context.artifacts.get(PROFILE)
        self._profile: Profile | None = None if folder is None else load_profile(Path(folder))
        self._encoder: Any = None

    def predict(
        self,
        context: Any,  # noqa: ANN401, ARG002 - the artifacts were read when it was loaded
        model_input: pd.DataFrame,
        params: dict[str, Any] | None = None,
    ) -> pd.DataFrame:
        """One row a question.

        Args:
            context: of the model.
            model_input: column `text`; column `embedding`, where there is one, saves encoding.
            params: `price` of a unit of cost in accuracy, and `strategy`.

        Returns:
            `pair_id` to ask first, `expected_accuracy` of that pair on the question,
            `expected_cost_usd` of that call (NaN unknown), `strategy` that decided.

        Raises:
            ProfileError: the version holds no profile, or there is no such strategy.
        """
        told = params or {}
        profile = self._profile
        if profile is None:
            msg = (
                f"this version of {self._policy.policy_id} was registered without its profile"
                f" {self._policy.profile_id}, which decisions need; use `atlas route --policy`"
            )
            raise ProfileError(msg)
        texts = [str(text) for text in model_input[TEXT]]
        name, price = str(told.get("strategy", STRATEGY)), float(told.get("price", PRICE))
        guide = step_down(policy_guide(self._policy, profile, name, price), self._policy, profile)
        prospect = guide.foresee(texts, self._embeddings(texts, model_input))
        n, pairs = prospect.priors.shape
        first = advise(
            guide,
            Seen(
                called=np.zeros((n, pairs), np.bool_),
                keys=np.full((n, pairs), -1, np.int64),
                allowed=np.ones((n, pairs), np.bool_),
                priors=prospect.priors,
                components=prospect.components,
                away=None if prospect.where is None else prospect.where.away,
            ),
        ).action
        return pd.DataFrame(
            {
                "pair_id": [guide.pairs[column] for column in first],
                "expected_accuracy": prospect.priors[np.arange(n), first],
                "expected_cost_usd": guide.costs_usd[first],
                "strategy": [guide.strategy.name] * n,
            }
        )

    def _embeddings(self, texts: list[str], model_input: pd.DataFrame) -> NDArray[np.float32]:
        """(n, D) as given, else by the profile's own encoder."""
        from tasks.encoders import load_encoder

        assert self._profile is not None
        if EMBEDDING in model_input.columns and model_input[EMBEDDING].notna().all():
            return np.array(model_input[EMBEDDING].tolist(), np.float32)
        fingerprint = self._profile.encoder_fingerprint
        if self._encoder is None:
            name, dtype = fingerprint.partition("@")[0], fingerprint.rpartition("/")[2]
            self._encoder = load_encoder(name, dtype=dtype)
        if self._encoder.fingerprint != fingerprint:
            msg = (
                f"the encoder here is {self._encoder.fingerprint}, the profile's {fingerprint}:"
                f" give the column {EMBEDDING!r}, or install that encoder"
            )
            raise ProfileError(msg)
        found: NDArray[np.float32] = self._encoder.encode(texts)
        return found


mlflow.models.set_model(ServedPolicy())
