"""Many episodes at once: the model writes a turn, recorded answers come back, the next turn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from tasks.learn.language_policy.episode import Episode, Rules
from tasks.learn.language_policy.libraries import LanguagePolicyError
from tasks.learn.language_policy.pair_names import PairNames, TurnEnds
from tasks.learn.language_policy.prompt import write_prompt

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tasks.learn.language_policy.prompt import PromptPool


class Prompts:
    """Tokens of the prompts of recorded questions.

    Args:
        rules: what episodes are played by.
        pool: as the prompt tells it.

    Attributes:
        cut: questions whose text was cut to fit so far.
    """

    def __init__(self, rules: Rules, pool: PromptPool) -> None:
        self._rules = rules
        self._pool = pool
        self.cut: set[int] = set()

    def tokens(self, row: int) -> list[int]:
        """The prompt of one question, at most `max_prompt_tokens` long.

        The end of a question that is too long is cut, for the rules stand before it.

        Raises:
            LanguagePolicyError: the rules and the pool alone are too long.
        """
        text = self._rules.questions.texts[row]
        tokens = self._encoded(text)
        most = self._rules.settings.max_prompt_tokens
        while len(tokens) > most and text:
            self.cut.add(row)
            text = text[: int(len(text) * min(0.95, most / len(tokens)))]
            tokens = self._encoded(text)
        if len(tokens) > most:
            msg = (
                f"the prompt has {len(tokens)} tokens before any question, more than"
                f" max_prompt_tokens ({most}): raise it, or offer fewer pairs"
            )
            raise LanguagePolicyError(msg)
        return tokens

    def _encoded(self, question: str) -> list[int]:
        tokenizer: Any = self._rules.tokenizer
        text = write_prompt(self._pool, question, self._rules.settings.max_calls)
        if tokenizer.chat_template:
            said = [{"role": "user", "content": text}]
            text = tokenizer.apply_chat_template(said, tokenize=False, add_generation_prompt=True)
        return list(tokenizer.encode(text, add_special_tokens=False))


def roll_out(
    model: Any,  # noqa: ANN401 -- any causal language model of transformers
    prompts: Sequence[list[int]],
    rows: Sequence[int],
    rules: Rules,
    *,
    sample: bool = True,
) -> list[Episode]:
    """Play one episode for each row.

    Args:
        model: writes.
        prompts: tokens of each row's prompt.
        rows: questions.
        rules: what episodes are played by.
        sample: draw from the policy at the temperature of the settings; else its likeliest token.
    """
    episodes = [Episode(row, list(prompt)) for row, prompt in zip(rows, prompts, strict=True)]
    for _ in range(rules.settings.max_calls + 1):
        live = [episode for episode in episodes if not episode.over]
        # Alike lengths together: a batch is as long as its longest row.
        live.sort(key=lambda episode: len(episode.prompt) + len(episode.tokens))
        for start in range(0, len(live), rules.settings.rollout_batch):
            block = live[start : start + rules.settings.rollout_batch]
            for episode, turn in zip(block, _write(model, block, rules, sample), strict=True):
                rules.take_turn(episode, turn)
    return episodes


@torch.no_grad()
def _write(
    model: Any,  # noqa: ANN401
    episodes: Sequence[Episode],
    rules: Rules,
    sample: bool,
) -> list[list[int]]:
    """What the model writes next in each episode; whatever follows its turn is still there."""
    from transformers import GenerationConfig, LogitsProcessorList, StoppingCriteriaList

    settings, tokenizer = rules.settings, rules.tokenizer
    texts = [episode.prompt + episode.tokens for episode in episodes]
    width = max(map(len, texts))
    pad: int = tokenizer.pad_token_id
    ids = np.full((len(texts), width), pad, np.int64)
    seen = np.zeros((len(texts), width), np.int64)
    for number, text in enumerate(texts):
        ids[number, width - len(text) :] = text
        seen[number, width - len(text) :] = 1
    names = PairNames(rules.grammar, [rules.callable(episode) for episode in episodes], width)
    left = max(settings.max_response_tokens - episode.written for episode in episodes)
    # Everything that would bend the distribution is switched off by name: a model brings its own
    # defaults along, and what is learnt from must be what was drawn from.
    shape = (
        {"do_sample": True, "temperature": settings.temperature, "top_k": 0, "top_p": 1.0}
        if sample
        else {"do_sample": False, "temperature": None, "top_k": None, "top_p": None}
    )
    config = GenerationConfig(
        max_new_tokens=left,
        pad_token_id=pad,
        eos_token_id=tokenizer.eos_token_id,
        repetition_penalty=1.0,
        use_cache=True,
        **shape,
    )
    written = model.generate(
        input_ids=torch.from_numpy(ids).to(model.device),
        attention_mask=torch.from_numpy(seen).to(model.device),
        generation_config=config,
        logits_processor=LogitsProcessorList([names]),
        stopping_criteria=StoppingCriteriaList([TurnEnds(names)]),
    )
    return [_until(row, tokenizer.eos_token_id) for row in written[:, width:].tolist()]


def _until(tokens: list[int], end: int) -> list[int]:
    """Up to the token that ends a text, with it."""
    return tokens[: tokens.index(end) + 1] if end in tokens else tokens
