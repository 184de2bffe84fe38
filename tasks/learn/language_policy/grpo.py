"""TRL's GRPO trainer over recorded questions.

TRL offers two ways to give a model an environment. `environment_factory` wants tools that are
called in the tokenizer's own JSON format; the paper's `<search>` and constrained names do not fit
in there. `rollout_func` leaves the episodes to us and takes tokens with a mask, so it is used.
Three methods are overridden so that log-probabilities are taken under the constraints that were
sampled under; they are why the version is guarded.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import torch

from tasks.learn.language_policy.constrained import TokenValues, renormalised
from tasks.learn.language_policy.episode import Rules, judge
from tasks.learn.language_policy.libraries import check_libraries
from tasks.learn.language_policy.rollout import roll_out

check_libraries()

from peft import PeftModel  # noqa: E402 -- only once the versions are known to fit
from trl import GRPOConfig, GRPOTrainer  # noqa: E402
from trl.models import unwrap_model_for_generation  # noqa: E402

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

    from tasks.learn.language_policy.episode import Episode
    from tasks.learn.language_policy.rollout import Prompts
    from tasks.learn.language_policy.settings import LanguageSettings


def trainer_arguments(settings: LanguageSettings, folder: Path, revision: str | None) -> GRPOConfig:
    """TRL's words for the settings.

    Args:
        settings: ours.
        folder: for TRL, which wants one; nothing is written there.
        revision: of the base that was loaded.
    """
    cuda = torch.cuda.is_available()
    group, micro = settings.group, settings.microbatch
    return GRPOConfig(
        output_dir=str(folder),
        max_steps=settings.steps * (settings.questions_a_step // settings.questions_an_update),
        num_generations=group,
        per_device_train_batch_size=micro,
        gradient_accumulation_steps=settings.questions_an_update * group // micro,
        steps_per_generation=settings.questions_a_step * group // micro,
        learning_rate=settings.rate,
        lr_scheduler_type="constant",
        beta=settings.kl,
        epsilon=settings.clip,
        temperature=settings.temperature,
        max_completion_length=settings.max_response_tokens,
        # Observations are no part of the policy's text, so the mean is over its tokens.
        loss_type="dapo",
        seed=settings.seed,
        # Of the frozen copy that all weights are held to. Adapters are switched off instead.
        model_init_kwargs=None
        if settings.adapter_rank or not settings.kl
        else {"use_safetensors": True, "revision": revision},
        bf16=cuda,
        use_cpu=not cuda,
        gradient_checkpointing=cuda,
        # TRL's own checkpoints hold pickled optimiser states; `policy_folder` keeps policies.
        save_strategy="no",
        report_to="none",
        logging_steps=1,
        disable_tqdm=True,
    )


class RecordedTrainer(GRPOTrainer):  # type: ignore[misc]  # TRL is not looked into
    """GRPO whose episodes are played over recorded answers, under the constraints of the names.

    The data set's `prompt` is the number of a question; what the model reads is made here.

    Args:
        rules: what episodes are played by.
        prompts: of the questions.
        **others: of GRPOTrainer.
    """

    def __init__(self, rules: Rules, prompts: Prompts, **others: Any) -> None:  # noqa: ANN401
        self._rules = rules
        self._prompts = prompts
        self._episodes: list[Episode] = []
        self._current: Sequence[Episode] = ()
        super().__init__(reward_funcs=self.recorded_reward, rollout_func=_play, **others)

    def play(self, rows: Sequence[int]) -> list[Episode]:
        """One episode a row, by the policy as it is."""
        with unwrap_model_for_generation(
            self.model_wrapped,
            self.accelerator,
            gradient_checkpointing_kwargs=self.args.gradient_checkpointing_kwargs,
        ) as model:
            prompts = [self._prompts.tokens(row) for row in rows]
            self._episodes = roll_out(model, prompts, rows, self._rules)
        self._current = self._episodes
        return self._episodes

    def recorded_reward(self, episode: list[int], log_metric: Any, **_others: Any) -> list[float]:  # noqa: ANN401
        """Called by TRL with the columns of the batch; rewards of the episodes just played."""
        episodes = [self._episodes[number] for number in episode]
        judged = judge(episodes, self._rules.questions, self._rules.settings)
        for name, value in judged.measures().items():
            log_metric(f"policy/{name}", value)
        rewards: list[float] = judged.reward.tolist()
        return rewards

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        output: dict[str, Any] = super()._generate_and_score_completions(inputs)
        # TRL shuffles and splits all of it alike, so each part keeps its episodes.
        output["episode"] = torch.tensor([one["episode"] for one in inputs])
        return output

    def _compute_loss(self, model: Any, inputs: dict[str, Any]) -> Any:  # noqa: ANN401
        self._current = [self._episodes[number] for number in inputs["episode"].tolist()]
        return super()._compute_loss(model, inputs)

    def _get_per_token_logps_and_entropies(
        self,
        model: Any,  # noqa: ANN401
        input_ids: Tensor,
        attention_mask: Tensor,
        logits_to_keep: int,
        batch_size: int | None = None,
        compute_entropy: bool = False,
        **others: Any,  # noqa: ANN401
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """(B, C) log-probabilities and entropies under each token's constraint."""
        size = batch_size or len(input_ids)
        causal = _causal(self.accelerator.unwrap_model(model))
        parts = []
        for start in range(0, len(input_ids), size):
            rows = slice(start, start + size)
            with _last_hidden(causal) as seen:
                log_probs, entropies, _ = super()._get_per_token_logps_and_entropies(
                    model,
                    input_ids[rows],
                    attention_mask[rows],
                    logits_to_keep,
                    compute_entropy=compute_entropy,
                    **others,
                )
            parts.append(
                renormalised(
                    TokenValues(log_probs, entropies),
                    # The state before a token predicts it.
                    seen[-1][:, -logits_to_keep - 1 : -1],
                    causal.get_output_embeddings(),
                    input_ids[rows, -logits_to_keep:],
                    [episode.constraints for episode in self._current[rows]],
                    self.temperature,
                )
            )
        whole = [part.entropies for part in parts if part.entropies is not None]
        return (
            torch.cat([part.log_probs for part in parts]),
            torch.cat(whole) if whole else None,
            None,
        )


def _play(prompts: list[str], trainer: RecordedTrainer) -> dict[str, Any]:
    """What TRL calls a rollout function: tokens, who wrote them, and which episode they are."""
    episodes = trainer.play([int(row) for row in prompts])
    return {
        "prompt_ids": [episode.prompt for episode in episodes],
        "completion_ids": [episode.tokens for episode in episodes],
        # Only a separate inference engine, which samples a little differently, needs these.
        "logprobs": None,
        "env_mask": [episode.mask for episode in episodes],
        "episode": list(range(len(episodes))),
    }


def _causal(model: Any) -> Any:  # noqa: ANN401
    """The language model inside its adapters."""
    return model.get_base_model() if isinstance(model, PeftModel) else model


@contextlib.contextmanager
def _last_hidden(causal: Any) -> Iterator[list[Tensor]]:  # noqa: ANN401
    """The states that a forward pass ends with, as it leaves them."""
    seen: list[Tensor] = []

    def keep(_module: object, _inputs: object, output: Any) -> None:  # noqa: ANN401
        seen.append(output.last_hidden_state)

    handle = causal.base_model.register_forward_hook(keep)
    try:
        yield seen
    finally:
        handle.remove()
