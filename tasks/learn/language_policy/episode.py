"""One trajectory of a language policy over a recorded question."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tasks.learn.language_policy.pair_names import Constraint, Grammar, Walk
from tasks.learn.language_policy.transcript import (
    Fault,
    find_fault,
    observation,
    read_answer,
    read_call,
)
from tasks.learn.rewards import atlas_reward, priced_utility, selection_reward

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from transformers import PreTrainedTokenizerBase

    from tasks.learn.language_policy.questions import RecordedQuestions
    from tasks.learn.language_policy.settings import LanguageSettings

FAILED = "The call failed: there is no answer."
"""What the policy reads where a pair's call failed when the answers were recorded."""


@dataclass(slots=True)
class Episode:
    """One trajectory, as far as it has come.

    Attributes:
        row: of the question.
        prompt: its tokens.
        tokens: of everything after the prompt, observations included.
        own: for each of `tokens`, whether the policy wrote it.
        constraints: what could have come, by position in `tokens`, where not anything could.
        turns: what the policy wrote, one text a turn.
        calls: pairs called, in order.
        answer: the text it answered with; None without one.
        over: whether nothing more is to come.
    """

    row: int
    prompt: list[int]
    tokens: list[int] = field(default_factory=list)
    own: list[bool] = field(default_factory=list)
    constraints: dict[int, Constraint] = field(default_factory=dict)
    turns: list[str] = field(default_factory=list)
    calls: list[int] = field(default_factory=list)
    answer: str | None = None
    over: bool = False

    @property
    def fault(self) -> Fault | None:
        """What is wrong with its format."""
        return find_fault(self.turns, len(self.calls))

    @property
    def mask(self) -> list[int]:
        """For each of `tokens`, 1 where the policy chose it: the tokens that are learnt from.

        Observations are not its choice, and neither is a token that had no alternative.
        """
        forced = {place for place, limit in self.constraints.items() if limit.forced}
        return [int(own and place not in forced) for place, own in enumerate(self.own)]

    @property
    def written(self) -> int:
        """Tokens the policy wrote so far."""
        return sum(self.own)


class Rules(NamedTuple):
    """What episodes are played by."""

    questions: RecordedQuestions
    grammar: Grammar
    tokenizer: PreTrainedTokenizerBase
    settings: LanguageSettings

    def callable(self, episode: Episode) -> frozenset[int]:
        """Pairs that the next turn may call; none once all calls are made."""
        if len(episode.calls) >= self.settings.max_calls:
            return frozenset()
        return self.questions.legal(episode.row) - set(episode.calls)

    def take_turn(self, episode: Episode, tokens: Sequence[int]) -> None:
        """Take what the policy wrote in one turn, and give it what was recorded.

        Args:
            episode: that is not over; changed in place.
            tokens: of the turn, at least one; all after the first end of a tag is dropped, and so
                is what exceeds the tokens that are left.
        """
        left = self.settings.max_response_tokens - episode.written
        walk = Walk(self.grammar, self.callable(episode))
        turn: list[int] = []
        for token in tokens[:left]:
            limit = walk.constraint()
            if limit is not None:
                episode.constraints[len(episode.tokens) + len(turn)] = limit
            walk.advance(token)
            turn.append(token)
            if walk.ended:
                break
        episode.tokens += turn
        episode.own += [True] * len(turn)
        text = self._text(turn)
        episode.turns.append(text)
        call = read_call(text, self.grammar.names) if text.endswith("</search>") else None
        if call is None:
            episode.answer = read_answer(text)
            episode.over = True
            return
        episode.calls.append(call.pair)
        self._observe(episode, call.pair)
        episode.over = episode.written >= self.settings.max_response_tokens

    def _observe(self, episode: Episode, pair: int) -> None:
        """Append what the pair answered."""
        recorded = self.questions.answers[episode.row][pair] or FAILED
        most = self.settings.max_observation_tokens
        tokens = self.tokenizer.encode(recorded, add_special_tokens=False)
        if len(tokens) > most:
            # A character may be several tokens; half of one is no text.
            recorded = self._text(tokens[:most]).rstrip("\N{REPLACEMENT CHARACTER}")
        tokens = self.tokenizer.encode(observation(recorded), add_special_tokens=False)
        episode.tokens += tokens
        episode.own += [False] * len(tokens)

    def _text(self, tokens: Sequence[int]) -> str:
        text: str = self.tokenizer.decode(
            tokens, skip_special_tokens=False, clean_up_tokenization_spaces=False
        )
        return text


class Judged(NamedTuple):
    """What episodes earned; every array is (B,)."""

    reward: NDArray[np.float64]
    """R_fmt + γ·(R_out − price × cost) + ξ·R_sel."""
    well_formed: NDArray[np.bool_]
    score: NDArray[np.float64]
    """R_out: what the answer is worth, whatever the format."""
    selection: NDArray[np.float64]
    """R_sel."""
    cost: NDArray[np.float64]
    """Of all calls, in units."""
    calls: NDArray[np.float64]

    def measures(self) -> Mapping[str, float]:
        """Means over the episodes, by the names they are logged under."""
        return {
            "reward": float(self.reward.mean()),
            "R_fmt": float(np.where(self.well_formed, 0.0, -1.0).mean()),
            "R_out": float(self.score.mean()),
            "R_sel": float(self.selection.mean()),
            "cost": float(self.cost.mean()),
            "calls": float(self.calls.mean()),
        }


def judge(
    episodes: Sequence[Episode], questions: RecordedQuestions, settings: LanguageSettings
) -> Judged:
    """What finished episodes earned, by the equations of `tasks.learn.rewards`."""
    pairs = len(questions.pairs)
    called = np.zeros((len(episodes), pairs), np.bool_)
    for number, episode in enumerate(episodes):
        called[number, episode.calls] = True
    last = np.array([episode.calls[-1] if episode.calls else -1 for episode in episodes], np.int64)
    optimal = np.array([questions.optimal(episode.row) for episode in episodes])
    cost = np.array([questions.costs[e.row, e.calls].sum() for e in episodes], np.float64)
    score = np.array(
        [0.0 if e.answer is None else questions.score(e.row, e.answer, e.calls) for e in episodes]
    )
    well_formed = np.array([episode.fault is None for episode in episodes])
    selection = selection_reward(called, last, optimal, settings.reward)
    worth = priced_utility(score, cost, settings.price)
    return Judged(
        reward=atlas_reward(well_formed, worth, selection, settings.reward),
        well_formed=well_formed,
        score=score,
        selection=selection,
        cost=cost,
        calls=called.sum(axis=1).astype(np.float64),
    )
