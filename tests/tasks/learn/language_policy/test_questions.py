"""Recorded questions keep the rules of the offline environment."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from tasks.evaluate.table import read_table
from tasks.learn.language_policy.episode import Episode, Rules, judge
from tasks.learn.language_policy.libraries import LanguagePolicyError
from tasks.learn.language_policy.pair_names import Grammar
from tasks.learn.language_policy.prompt import prompt_pool
from tasks.learn.language_policy.questions import read_questions
from tasks.learn.language_policy.rollout import Prompts
from tasks.learn.language_policy.settings import LanguageSettings
from tasks.learn.recorded import RecordedAnswers, code_keys
from tests.tasks.learn.language_policy.tiny import PAIRS, tiny_tokenizer, toy_questions
from tests.tasks.learn.test_environment import made_environment


def test_an_answer_is_worth_what_those_who_gave_it_scored() -> None:
    made = toy_questions()
    answers = (("12", "12.0", "7"), *made.answers[1:])
    scores = made.scores.copy()
    scores[0] = [1.0, 0.5, 0.0]
    questions = replace(made, answers=answers, scores=scores, references=("7.5",) * len(made))

    assert questions.score(0, "twelve is 12", []) == 0.0
    assert questions.score(0, "12", []) == 0.75
    assert questions.score(0, "12", [1]) == 0.5
    assert questions.score(0, "7", [0]) == 0.0
    assert questions.score(0, "7.5", []) == 1.0
    assert questions.score(0, "", []) == 0.0


def test_every_tool_of_an_optimal_model_is_optimal() -> None:
    made = toy_questions()
    scores = made.scores.copy()
    scores[0], scores[1] = [0.0, 1.0, 0.0], [0.0, 0.0, 0.0]
    questions = replace(made, scores=scores)

    assert questions.optimal(0).tolist() == [True, True, False]
    assert not questions.optimal(1).any()


def test_the_same_calls_earn_and_cost_what_they_do_in_the_exact_environment() -> None:
    """An answer by the aggregator's leader is worth the same with and without words."""
    random = np.random.default_rng(3)
    n, pairs = 30, len(PAIRS)
    words = [[str(random.integers(4)) for _ in range(pairs)] for _ in range(n)]
    scores = random.random((n, pairs))
    costs = random.random((n, pairs))
    questions = replace(
        toy_questions(n), answers=tuple(map(tuple, words)), scores=scores, costs=costs,
        graders=("numeric",) * n,
    )  # fmt: skip
    recorded = RecordedAnswers(
        code_keys([list(row) for row in questions.keys]), scores, costs, np.full((n, pairs), 0.5),
        random.normal(size=(n, 8)), np.full(pairs, 0.5), np.full(pairs, 0.05), np.eye(pairs), 1.0,
    )  # fmt: skip
    environment = made_environment(recorded, calls=2)

    for state, slots in enumerate(environment.lattice.slots.tolist()):
        called = [slot for slot in slots if slot >= 0]
        leader = environment.observations.leader[:, state].tolist()
        episodes = [
            Episode(row, [], calls=called, answer=words[row][leader[row]] if called else None)
            for row in range(n)
        ]
        judged = judge(episodes, questions, LanguageSettings())
        np.testing.assert_allclose(
            environment.answer_reward[:, state].numpy(), judged.score, rtol=1e-6
        )
        np.testing.assert_allclose(costs[:, called].sum(axis=1), judged.cost)


def test_a_long_question_is_cut_and_counted_and_a_long_pool_refused() -> None:
    questions = replace(toy_questions(2), texts=("Is it? " * 300, "Is it?"))
    tokenizer = tiny_tokenizer()
    settings = LanguageSettings(max_prompt_tokens=900)
    rules = Rules(questions, Grammar(tokenizer, questions.names), tokenizer, settings)
    prompts = Prompts(rules, prompt_pool(PAIRS))

    long, short = prompts.tokens(0), prompts.tokens(1)

    assert len(short) < 800 < len(long) <= 900
    assert prompts.cut == {0}
    assert tokenizer.decode(short).rstrip().endswith("Question: Is it?")
    small = Prompts(rules._replace(settings=LanguageSettings(max_prompt_tokens=64)), prompts._pool)
    with pytest.raises(LanguagePolicyError, match="before any question"):
        small.tokens(1)


def test_a_long_answer_is_cut_before_the_policy_reads_it() -> None:
    made = toy_questions(1)
    tokenizer = tiny_tokenizer()
    questions = replace(made, answers=(("no " * 50 + "é", None, "yes"),))
    settings = LanguageSettings(max_observation_tokens=20)
    rules = Rules(questions, Grammar(tokenizer, questions.names), tokenizer, settings)

    for pair, read in ((0, "no no"), (1, "The call failed: there is no answer.")):
        episode = Episode(0, [])
        text = f"<think> x </think><search> {PAIRS[pair].pair_id}: it </search>"
        rules.take_turn(episode, tokenizer.encode(text, add_special_tokens=False))
        seen = [t for t, own in zip(episode.tokens, episode.own, strict=True) if not own]
        assert episode.calls == [pair]
        assert read in tokenizer.decode(seen)
        assert len(tokenizer.encode(tokenizer.decode(seen), add_special_tokens=False)) < 60


def _table(folder, answers):
    pl.DataFrame(
        {
            "query_id": ["a", "b", "c"],
            "text": ["1+1?", "2+2?", "3+3?"],
            "dataset": ["sums"] * 3,
            "split": ["train", "train", "test"],
            "reference": ["2", None, "6"],
            "grader": ["numeric", "numeric", None],
        }
    ).write_parquet(folder / "queries.parquet")
    pl.DataFrame(
        {
            "query_id": ["a", "a", "b", "c"],
            "model": ["m", "n", "m", "n"],
            "tool": ["none"] * 4,
            "score": [1.0, 0.0, None, 1.0],
            "cost_usd": [0.2, 0.4, 0.2, 0.8],
            "input_tokens": pl.Series([None] * 4, dtype=pl.Int64),
            "output_tokens": pl.Series([None] * 4, dtype=pl.Int64),
            "answer": pl.Series(answers, dtype=pl.String),
        }
    ).write_parquet(folder / "outcomes.parquet")
    return read_table(folder)


def test_a_table_is_read_by_split_with_costs_in_training_units(tmp_path) -> None:
    splits = read_questions(_table(tmp_path, ["2", "3", "4", "6"]))

    train, test = splits["train"], splits["test"]
    assert train.query_ids == ("a", "b")
    assert train.answers == (("2", "3"), ("4", None))
    assert [train.legal(0), train.legal(1), test.legal(0)] == [{0, 1}, set(), {1}]
    assert train.cost_unit_usd == pytest.approx(0.4)
    np.testing.assert_allclose([[0.5, 2.0]], test.costs)
    assert test.graders == (None,)


def test_a_table_without_answers_is_refused(tmp_path) -> None:
    with pytest.raises(LanguagePolicyError, match="records no answers"):
        read_questions(_table(tmp_path, [None] * 4))
