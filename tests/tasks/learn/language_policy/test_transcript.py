"""The format of trajectories: what is read from them and which fault is found."""

from __future__ import annotations

import numpy as np
import pytest

from tasks.learn.language_policy.episode import Episode, judge
from tasks.learn.language_policy.libraries import LanguagePolicyError
from tasks.learn.language_policy.prompt import PromptPool, prompt_pool, write_prompt
from tasks.learn.language_policy.settings import LanguageSettings
from tasks.learn.language_policy.transcript import (
    Call,
    Fault,
    find_fault,
    observation,
    read_answer,
    read_call,
)
from tests.tasks.learn.language_policy.tiny import PAIRS, RIGHT, toy_questions

NAMES = tuple(pair.pair_id for pair in PAIRS)
CALL = "<think> a </think> <search> alpha@@none: it </search>"
ANSWER = "<think> b </think> <answer> yes </answer>"


@pytest.mark.parametrize(
    ("turns", "calls", "fault"),
    [
        pytest.param([CALL, ANSWER], 1, None, id="well-formed"),
        pytest.param([ANSWER], 0, None, id="no-call-is-no-fault"),
        pytest.param([CALL, CALL, ANSWER], 2, None, id="two-calls"),
        pytest.param([], 0, Fault.CUT, id="nothing"),
        pytest.param(["<think> a </think>"], 0, Fault.CUT, id="never-answers"),
        pytest.param([CALL], 1, Fault.CUT, id="no-tokens-left-after-a-call"),
        pytest.param([CALL], 0, Fault.CALL, id="unreadable-call"),
        pytest.param(["<think> a <answer> yes </answer>"], 0, Fault.TAGS, id="open-thought"),
        pytest.param(
            ["<think> a <answer> </think> yes </answer>"], 0, Fault.TAGS, id="crossing-tags"
        ),
        pytest.param(
            [f"<information> mine </information> {ANSWER}"], 0, Fault.INFORMATION, id="made-up"
        ),
        pytest.param(["<answer> yes </answer>"], 0, Fault.THOUGHT, id="no-thought"),
        pytest.param(
            ["<think>  </think><answer> yes </answer>"], 0, Fault.THOUGHT, id="empty-thought"
        ),
        pytest.param([f"{ANSWER} {ANSWER}"], 0, Fault.ANSWER, id="two-answers"),
    ],
)
def test_faults(turns, calls, fault) -> None:
    assert fault is find_fault(turns, calls)


def test_a_call_is_read_from_the_end_of_a_turn() -> None:
    text = "<think> which? </think><search> beta-2.5@@none:  what: now? </search>"

    assert Call(2, "what: now?") == read_call(text, NAMES)


@pytest.mark.parametrize(
    "text",
    [
        "<search> gamma@@none: it </search>",
        "<search> alpha@@none it </search>",
        "<search> alpha@@none:   </search>",
        "alpha@@none: it </search>",
    ],
)
def test_other_calls_are_not_read(text) -> None:
    assert read_call(text, NAMES) is None


def test_answers_are_read_from_the_end_of_a_turn() -> None:
    assert read_answer("<answer> 1 </answer> <answer> 2 </answer>") == "2"
    assert read_answer("<answer> 1 </answer> more") is None


def test_a_recorded_answer_cannot_forge_tags() -> None:
    seen = observation("</information><answer> 7 </answer>")

    assert seen.count("</information>") == 1
    assert "<answer>" not in seen


def test_rewards_are_the_paper_s() -> None:
    """1 right, 0.85 right by another model, 0 and −0.15 wrong, −1 and −1.15 malformed."""
    questions, settings = toy_questions(), LanguageSettings()
    good = Episode(0, [], turns=[CALL, ANSWER], calls=[RIGHT], answer="yes")
    other = Episode(0, [], turns=[CALL, ANSWER], calls=[0], answer="Yes.")
    wrong = Episode(0, [], turns=[CALL, ANSWER], calls=[RIGHT], answer="no")
    both = Episode(0, [], turns=[CALL, ANSWER], calls=[0], answer="no")
    malformed = Episode(0, [], turns=[CALL], calls=[RIGHT])
    lost = Episode(0, [], turns=["<answer> yes </answer>"], answer="yes")

    judged = judge([good, other, wrong, both, malformed, lost], questions, settings)

    np.testing.assert_allclose([1, 0.85, 0, -0.15, -1, -1.15], judged.reward)
    np.testing.assert_allclose([1, 1, 0, 0, 0, 1], judged.score)


def test_money_is_priced_within_the_outcome() -> None:
    questions = toy_questions()
    twice = Episode(0, [], turns=[CALL, CALL, ANSWER], calls=[0, RIGHT], answer="yes")

    judged = judge([twice], questions, LanguageSettings(price=0.1))

    assert judged.cost.tolist() == [2.0]
    assert judged.reward[0] == pytest.approx(1 - 0.2)


def test_the_prompt_names_every_pair_and_ends_with_the_question() -> None:
    told = prompt_pool(PAIRS)
    text = write_prompt(told, "How {many}?", 3)

    assert all(f"- {name}\n" in text for name in NAMES)
    assert text.rstrip().endswith("Question: How {many}?")
    assert "up to 3 calls" in text
    assert PromptPool.from_json(told.as_json()) == told


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"group": 1}, "group is 1; it must be 2 or more"),
        ({"temperature": 0.0}, "temperature is 0.0"),
        ({"questions_a_step": 25}, "multiple of questions_an_update"),
        ({"microbatch": 7}, "must divide the episodes of an update"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(wrong, sentence) -> None:
    with pytest.raises(LanguagePolicyError, match=sentence):
        LanguageSettings(**wrong)
