"""From recorded questions to a trained language policy."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tasks.learn.language_policy.episode import Rules
from tasks.learn.language_policy.libraries import (
    LanguagePolicyError,
    check_libraries,
    without_known_warnings,
)
from tasks.learn.language_policy.pair_names import Grammar
from tasks.learn.language_policy.policy_folder import LanguagePolicy
from tasks.learn.language_policy.prompt import prompt_pool
from tasks.learn.language_policy.rollout import Prompts
from tasks.learn.language_policy.settings import LanguageSettings

if TYPE_CHECKING:
    from profiles.pool import Pool
    from tasks.learn.language_policy.questions import RecordedQuestions

Say = Callable[[str], None]
Record = Callable[[Mapping[str, float], int], None]
Keep = Callable[[LanguagePolicy, int], None]

_EVERY_LINEAR = "all-linear"
"""PEFT's word for every linear layer but the one that makes logits."""


def train_language_policy(
    questions: RecordedQuestions,
    settings: LanguageSettings | None = None,
    *,
    pool: Pool | None = None,
    record: Record = lambda _metrics, _step: None,
    keep: Keep = lambda _policy, _step: None,
    keep_every: int = 0,
    say: Say = lambda _text: None,
) -> LanguagePolicy:
    """Train a language policy on recorded questions.

    Runs on the one GPU there is, else on the CPU. The same seed on the same machine and libraries
    gives the same policy on a CPU; a GPU's sums depend on their order.

    Args:
        questions: to learn from, with the recorded outcomes of every pair.
        settings: how.
        pool: describes models and tools in the prompt; None names them only.
        record: told the metrics of every update, see docs/language-policy.md, and the step, from 1.
        keep: given the policy as it is after every `keep_every` steps but the last; it must write
            it down at once, for training goes on with the same weights.
        keep_every: 0 keeps none. A training that was killed is not gone on with, but what was
            kept is a policy like any other.
        say: told in a sentence what is being done.

    Raises:
        LanguagePolicyError: the extra `llm` is missing or another version, the base cannot be
            loaded, or there is no question with an outcome.
    """
    check_libraries()
    from datasets import Dataset
    from transformers import PrinterCallback

    from tasks.learn.language_policy.grpo import RecordedTrainer, trainer_arguments
    from tasks.learn.language_policy.policy_folder import load_base

    settings = settings or LanguageSettings()
    rows = [row for row in range(len(questions)) if questions.legal(row)]
    if not rows:
        msg = "no question has a recorded score of any pair: there is nothing to learn from"
        raise LanguagePolicyError(msg)
    if len(rows) < len(questions):
        say(f"{len(questions) - len(rows)} questions without any recorded score are left out")
    base = load_base(settings.base, settings.revision, exact=not settings.adapter_rank)
    rules = Rules(questions, Grammar(base.tokenizer, questions.names), base.tokenizer, settings)
    told = prompt_pool(questions.pairs, pool)
    prompts = Prompts(rules, told)
    say(
        f"{len(rows)} questions, {len(questions.pairs)} pairs, {base.parameters:,} parameters,"
        f" on {'the GPU' if base.model.device.type == 'cuda' else 'the CPU: torch sees no GPU'}"
    )

    def policy_of(model: Any) -> LanguagePolicy:  # noqa: ANN401
        return LanguagePolicy(
            model=model, tokenizer=base.tokenizer, pool=told, settings=settings,
            commit=base.commit, cost_unit_usd=questions.cost_unit_usd,
        )  # fmt: skip

    with tempfile.TemporaryDirectory() as folder, without_known_warnings():
        trainer = RecordedTrainer(
            rules,
            prompts,
            model=base.model,
            args=trainer_arguments(settings, Path(folder), base.commit or settings.revision),
            train_dataset=Dataset.from_dict({"prompt": [str(row) for row in rows]}),
            processing_class=base.tokenizer,
            callbacks=[_watcher(settings, record, policy_of, keep, keep_every)],
            peft_config=_adapter(settings),
        )
        # It prints every log; `record` is told instead.
        trainer.remove_callback(PrinterCallback)
        trainer.train()
    if prompts.cut:
        say(f"{len(prompts.cut)} questions were too long for the prompt and were cut")
    return policy_of(trainer.accelerator.unwrap_model(trainer.model).eval())


def _adapter(settings: LanguageSettings) -> Any:  # noqa: ANN401 -- PEFT is not looked into
    from peft import LoraConfig

    if not settings.adapter_rank:
        return None
    return LoraConfig(
        r=settings.adapter_rank,
        lora_alpha=2 * settings.adapter_rank,
        target_modules=_EVERY_LINEAR,
        task_type="CAUSAL_LM",
    )


def _watcher(
    settings: LanguageSettings,
    record: Record,
    policy_of: Callable[[Any], LanguagePolicy],
    keep: Keep,
    keep_every: int,
) -> Any:  # noqa: ANN401
    """A callback that hands on what TRL logs, and the policy from time to time."""
    from transformers import TrainerCallback

    updates = settings.questions_a_step // settings.questions_an_update

    class Watcher(TrainerCallback):  # type: ignore[misc]  # transformers is not looked into
        def on_log(
            self,
            _arguments: object,
            state: Any,  # noqa: ANN401
            _control: object,
            logs: Mapping[str, Any] | None = None,
            **_others: object,
        ) -> None:
            numbers = {
                name: float(value)
                for name, value in (logs or {}).items()
                if isinstance(value, int | float | np.floating)
            }
            if "loss" in numbers:
                record(numbers, -(-int(state.global_step) // updates))

        def on_step_end(
            self,
            _arguments: object,
            state: Any,  # noqa: ANN401
            _control: object,
            model: Any = None,  # noqa: ANN401
            **_others: object,
        ) -> None:
            step, rest = divmod(int(state.global_step), updates)
            if keep_every and not rest and step % keep_every == 0 and step < settings.steps:
                keep(policy_of(model), step)

    return Watcher()
