"""Whatever a model prefers, only legal pairs can be written after `<search>`."""

from __future__ import annotations

import functools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.learn.language_policy.libraries import LanguagePolicyError
from tasks.learn.language_policy.pair_names import Grammar, PairNames, TurnEnds, Walk
from tests.tasks.learn.language_policy.tiny import PAIRS, tiny_tokenizer

NAMES = tuple(pair.pair_id for pair in PAIRS)
thorough = settings(deadline=None, max_examples=25)


@functools.cache
def grammar() -> Grammar:
    """A tokenizer with single tokens for parts of tags, and some that run over their ends."""
    tokenizer = tiny_tokenizer()
    tokenizer.add_tokens(["></", "><search> x", ">\n", "<search>", "search> alpha", "> alpha@@"])
    return Grammar(tokenizer, NAMES)


def written(tokens: list[int]) -> str:
    return "".join(grammar().pieces[token] for token in tokens)


@st.composite
def preferences(draw):
    """A seed, the pairs that may be called, and how much more tag pieces are liked."""
    legal = draw(st.sets(st.integers(0, len(NAMES) - 1)))
    return draw(st.integers(0, 2**32 - 1)), frozenset(legal), draw(st.floats(0, 12))


def drawn(seed: int, legal: frozenset[int], liked: float, length: int = 60) -> list[int]:
    """A random sequence that a model which likes tags would write under the constraint."""
    random = np.random.default_rng(seed)
    pieces = grammar().pieces
    likes = np.array([liked if set(p) & set("<>/") or "search" in p else 0.0 for p in pieces])
    names = PairNames(grammar(), [legal], start=0)
    tokens: list[int] = []
    for _ in range(length):
        scores = torch.from_numpy(likes + random.gumbel(size=len(pieces)))[None].float()
        # A model completes the tag that it began, or nothing would ever be called.
        for tag in ("<search>", "</search>"):
            tail = next(
                (k for k in range(len(tag) - 1, 0, -1) if written(tokens).endswith(tag[:k])), 0
            )
            if tail and random.random() < 0.8:
                whole = [n for n, p in enumerate(pieces) if p and tag[tail:].startswith(p)]
                scores[0, whole] += 40
        ids = torch.tensor([tokens], dtype=torch.int64)
        allowed = names(ids, scores)
        assert allowed.isfinite().any()
        tokens.append(int(allowed.argmax()))
    return tokens


@thorough
@given(preferences())
def test_after_search_stands_a_legal_pair_or_its_beginning(preference) -> None:
    seed, legal, liked = preference
    text = written(drawn(seed, legal, liked))

    openings = [f" {NAMES[pair]}:" for pair in legal]
    for after in text.split("<search>")[1:]:
        assert any(after.startswith(name) or name.startswith(after) for name in openings)


def test_a_model_that_wants_to_search_does() -> None:
    """The property above would be empty if `<search>` were never completed."""
    texts = [written(drawn(seed, frozenset({0, 2}), 8.0)) for seed in range(20)]

    names = [text.split("<search>", 1)[1].split(":")[0] for text in texts if "<search>" in text]
    assert len(names) >= 10
    assert {" alpha@@none", " beta-2.5@@none"} == {n for n in names if "@@" in n and "one" in n}


@thorough
@given(st.integers(0, 2**32 - 1))
def test_search_cannot_be_completed_where_nothing_is_legal(seed) -> None:
    assert "<search>" not in written(drawn(seed, frozenset(), 8.0))


@thorough
@given(st.integers(0, 2**32 - 1))
def test_the_ends_of_turns_are_ends_of_tokens(seed) -> None:
    tokens = drawn(seed, frozenset({1}), 8.0)

    walk = Walk(grammar(), {1})
    for place, token in enumerate(tokens):
        walk.advance(token)
        text = written(tokens[: place + 1])
        assert walk.ended == text.endswith(("</search>", "</answer>"))
        for tag in ("<search>", "</search>", "</answer>"):
            assert text.count(tag) == sum(
                written(tokens[: k + 1]).endswith(tag) for k in range(place + 1)
            )


def test_a_replayed_walk_permits_what_was_drawn() -> None:
    for seed in range(10):
        walk = Walk(grammar(), {0, 1})
        for token in drawn(seed, frozenset({0, 1}), 8.0):
            limit = walk.constraint()
            assert limit is None or limit.permits(token)
            walk.advance(token)


def test_rows_of_a_batch_have_their_own_pairs_and_stops() -> None:
    tokenizer = tiny_tokenizer()
    made = Grammar(tokenizer, NAMES)
    begun = tokenizer.encode("<think> x </think> <search>", add_special_tokens=False)
    prompt = tokenizer.encode("<search>", add_special_tokens=False)
    ids = torch.tensor([prompt + begun, prompt + begun])
    names = PairNames(made, [{2}, {0, 1}], start=len(prompt))

    allowed = names(ids, torch.zeros(2, len(tokenizer))).isfinite()

    beta = tokenizer.encode(" beta-2.5@@none:", add_special_tokens=False)
    assert allowed[0].nonzero()[:, 0].tolist() == [beta[0]]
    assert not allowed[1, beta[0]]
    assert TurnEnds(names)(ids, None).tolist() == [False, False]


def test_names_that_cannot_be_told_apart_are_refused() -> None:
    with pytest.raises(LanguagePolicyError, match="cannot be told apart"):
        Grammar(tiny_tokenizer(), ("m@@t", "m@@t:fast"))
