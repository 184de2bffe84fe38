"""A trained language policy played over recorded questions: accuracy, cost, calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tasks.learn.language_policy.episode import Episode, Judged, Rules, judge
from tasks.learn.language_policy.libraries import LanguagePolicyError
from tasks.learn.language_policy.pair_names import Grammar
from tasks.learn.language_policy.rollout import Prompts, roll_out
from tasks.learn.rollout import Played

if TYPE_CHECKING:
    from tasks.learn.language_policy.policy_folder import LanguagePolicy
    from tasks.learn.language_policy.prompt import PromptPool
    from tasks.learn.language_policy.questions import RecordedQuestions


class LanguagePlayed(NamedTuple):
    """How a policy's episodes ended, one a question."""

    episodes: list[Episode]
    judged: Judged
    played: Played
    """The same as other strategies are compared by; a malformed trajectory answers nothing."""

    def measures(self) -> dict[str, float]:
        """Means over the questions."""
        return {
            "accuracy": float(self.played.score.mean()),
            "cost": float(self.played.cost.mean()),
            "calls": float(self.played.calls.mean()),
            "well_formed": float(self.judged.well_formed.mean()),
        }


def play_language_policy(
    policy: LanguagePolicy, questions: RecordedQuestions, *, pool: PromptPool | None = None
) -> LanguagePlayed:
    """Let a policy route recorded questions, its likeliest token each time.

    Args:
        policy: decides.
        questions: every one is played; those without a callable pair are answered without calls.
        pool: tells a policy of pairs it was not trained with; None is the pool of its training.

    Raises:
        LanguagePolicyError: the questions are about other pairs than the pool.
    """
    told = pool or policy.pool
    if told.pairs != questions.names:
        odd = sorted(set(told.pairs) ^ set(questions.names))
        msg = (
            f"the policy was told of other pairs than the questions have: {', '.join(odd[:5])};"
            " tell it of these pairs (`pool`), or train again"
        )
        raise LanguagePolicyError(msg)
    grammar = Grammar(policy.tokenizer, questions.names)
    rules = Rules(questions, grammar, policy.tokenizer, policy.settings)
    prompts = Prompts(rules, told)
    rows = list(range(len(questions)))
    tokens = [prompts.tokens(row) for row in rows]
    episodes = roll_out(policy.model, tokens, rows, rules, sample=False)
    judged = judge(episodes, questions, policy.settings)
    earned = np.where(judged.well_formed, judged.score, 0.0)
    leader = np.array([_leader(episode, questions) for episode in episodes], np.int64)
    return LanguagePlayed(episodes, judged, Played(earned, judged.cost, judged.calls, leader))


def _leader(episode: Episode, questions: RecordedQuestions) -> int:
    """A called pair that gave the answer; -1 where the policy wrote one of its own."""
    if episode.answer is None or episode.fault is not None:
        return -1
    givers = questions.givers(episode.row, episode.answer, episode.calls)
    return next((pair for pair in givers if pair in episode.calls), -1)
