"""What a training of the language policy is told."""

from __future__ import annotations

from dataclasses import dataclass, field

from tasks.learn.language_policy.libraries import LanguagePolicyError
from tasks.learn.rewards import AtlasReward

FULL_RATE, ADAPTER_RATE = 1e-6, 1e-5
"""Learning rates of all weights (the paper's) and of adapters, which need larger steps."""


@dataclass(frozen=True, slots=True)
class LanguageSettings:
    """How a language policy is trained; where ATLAS (appendix B.4) gives a value, it is its.

    The paper trains by PPO with a value head, of which the trainer library keeps none; groups of
    episodes of one question take the critic's place (GRPO), so there is no critic rate here.

    Attributes:
        base: a causal language model, by its name on the Hugging Face hub or a local folder.
        revision: commit, tag or branch of `base`; None is the default branch. The commit that was
            loaded is written into the policy.
        max_calls: T, calls a question; then it must answer.
        max_prompt_tokens: a longer prompt has its question cut, and is counted.
        max_response_tokens: written by the policy over all its turns.
        max_observation_tokens: of one recorded answer; the rest is cut.
        temperature: of sampling while training.
        steps: rounds of sampling and learning.
        questions_a_step: the paper's batch, as its appendix has it (its text says 32).
        questions_an_update: the paper's mini-batch.
        microbatch: episodes in one backward pass.
        group: episodes of one question; not in the paper, 8 in the code of the same authors' next.
        learning_rate: None is the paper's 1e-6 for all weights, 1e-5 for adapters.
        kl: weight β of the divergence from the base model, fixed.
        clip: ε of the ratio.
        adapter_rank: of LoRA on every linear layer; 0 trains all weights.
        rollout_batch: episodes that generate at once; less needs less memory.
        reward: weights and open rules of R_fmt + γ·R_out + ξ·R_sel.
        price: points of R_out that one unit of cost is worth; the paper has 0.
        seed: of sampling, of the order of questions and of the adapters.
    """

    base: str = "Qwen/Qwen2.5-3B-Instruct"
    revision: str | None = None
    max_calls: int = 4
    max_prompt_tokens: int = 4096
    max_response_tokens: int = 3000
    max_observation_tokens: int = 2048
    temperature: float = 1.0
    steps: int = 250
    questions_a_step: int = 24
    questions_an_update: int = 12
    microbatch: int = 6
    group: int = 8
    learning_rate: float | None = None
    kl: float = 0.001
    clip: float = 0.2
    adapter_rank: int = 32
    rollout_batch: int = 64
    reward: AtlasReward = field(default_factory=AtlasReward)
    price: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in _LEAST.items():
            if getattr(self, name) < least:
                msg = f"{name} is {getattr(self, name)}; it must be {least} or more"
                raise LanguagePolicyError(msg)
        if self.temperature <= 0:
            msg = f"temperature is {self.temperature}; sampling needs one above 0"
            raise LanguagePolicyError(msg)
        if self.questions_a_step % self.questions_an_update:
            msg = (
                f"questions_a_step ({self.questions_a_step}) must be a multiple of"
                f" questions_an_update ({self.questions_an_update})"
            )
            raise LanguagePolicyError(msg)
        if self.questions_an_update * self.group % self.microbatch:
            msg = (
                f"microbatch ({self.microbatch}) must divide the episodes of an update"
                f" ({self.questions_an_update} × {self.group})"
            )
            raise LanguagePolicyError(msg)

    @property
    def rate(self) -> float:
        """The learning rate that is meant."""
        if self.learning_rate is not None:
            return self.learning_rate
        return ADAPTER_RATE if self.adapter_rank else FULL_RATE


_LEAST = {
    "max_calls": 1, "max_prompt_tokens": 64, "max_response_tokens": 8,
    "max_observation_tokens": 1, "steps": 1, "questions_a_step": 1, "questions_an_update": 1,
    "microbatch": 1, "group": 2, "kl": 0, "clip": 0, "adapter_rank": 0, "rollout_batch": 1,
    "price": 0,
}  # fmt: skip
