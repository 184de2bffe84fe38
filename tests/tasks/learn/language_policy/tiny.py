"""A language model of some thousand weights, and a tokenizer made from our own text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from profiles.pool import Pair
from tasks.learn.language_policy.prompt import prompt_pool, write_prompt
from tasks.learn.language_policy.questions import RecordedQuestions

PAIRS = (Pair("alpha", "none"), Pair("alpha", "python"), Pair("beta-2.5", "none"))
RIGHT = 2
"""The pair that always answers right in `toy_questions`."""


def toy_questions(n: int = 8) -> RecordedQuestions:
    """One pair always says yes, which is right; the others say no."""
    scores = np.zeros((n, len(PAIRS)))
    scores[:, RIGHT] = 1.0
    answers = tuple(
        tuple("yes" if pair == RIGHT else "no" for pair in range(len(PAIRS))) for _ in range(n)
    )
    return RecordedQuestions(
        query_ids=tuple(f"q{row}" for row in range(n)),
        datasets=("toy",) * n,
        texts=tuple(f"Is {row} a number?" for row in range(n)),
        graders=("exact",) * n,
        references=(None,) * n,
        pairs=PAIRS,
        answers=answers,
        scores=scores,
        costs=np.ones_like(scores),
        cost_unit_usd=0.001,
    )


def transcript(pair: int, answer: str) -> list[tuple[str, bool]]:
    """A well-formed trajectory: texts, and whether the policy writes them."""
    return [
        (f"<think> ask </think>\n<search> {PAIRS[pair].pair_id}: it </search>", True),
        (f"\n\n<information> {answer} </information>\n\n", False),
        (f"<think> so </think>\n<answer> {answer} </answer>", True),
    ]


def tiny_tokenizer(size: int = 420) -> Any:
    """Byte-level, as Qwen's is; merges learnt from prompts and transcripts."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=["<|pad|>", "<|end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    text = [write_prompt(prompt_pool(PAIRS), "Is 1 a number?", 2)]
    for pair in range(len(PAIRS)):
        text += ["".join(part for part, _ in transcript(pair, word)) for word in ("yes", "no")] * 40
    made.train_from_iterator(text, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=made, pad_token="<|pad|>", eos_token="<|end|>", padding_side="left"
    )


def tiny_model(tokenizer: Any) -> Any:
    """Qwen2 with two layers, random."""
    from transformers import Qwen2Config, Qwen2ForCausalLM

    torch.manual_seed(0)
    return Qwen2ForCausalLM(
        Qwen2Config(
            vocab_size=len(tokenizer),
            hidden_size=64,
            intermediate_size=128,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=2048,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )


def save_base(folder: Path) -> Path:
    """A base whose text is random, in the layout of transformers."""
    tokenizer = tiny_tokenizer()
    tiny_model(tokenizer).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def save_taught_base(folder: Path, steps: int = 150) -> Path:
    """A base that keeps the format and calls any pair: what the trained policy starts from."""
    tokenizer = tiny_tokenizer()
    model = tiny_model(tokenizer)
    optimiser = torch.optim.AdamW(model.parameters(), lr=3e-3)
    random = np.random.default_rng(0)
    questions = toy_questions()
    for _ in range(steps):
        rows = [_lesson(tokenizer, questions, random) for _ in range(8)]
        width = max(len(tokens) for tokens, _ in rows)
        tokens = torch.tensor([t + [tokenizer.pad_token_id] * (width - len(t)) for t, _ in rows])
        labels = torch.tensor([own + [-100] * (width - len(own)) for _, own in rows])
        seen = torch.tensor([[1] * len(t) + [0] * (width - len(t)) for t, _ in rows])
        loss = model(input_ids=tokens, attention_mask=seen, labels=labels).loss
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def _lesson(
    tokenizer: Any, questions: RecordedQuestions, random: np.random.Generator
) -> tuple[list[int], list[int]]:
    row, pair = int(random.integers(len(questions))), int(random.integers(len(PAIRS)))
    prompt = write_prompt(prompt_pool(PAIRS), questions.texts[row], 2)
    tokens = tokenizer.encode(prompt, add_special_tokens=False)
    labels = [-100] * len(tokens)
    for text, own in transcript(pair, str(questions.answers[row][pair])):
        part = tokenizer.encode(text, add_special_tokens=False)
        tokens, labels = tokens + part, labels + (part if own else [-100] * len(part))
    return tokens, labels
