"""What each part of a policy is worth, and what training for one price alone would gain.

Every variant trains aggregator and network anew on the training questions and plays the test
questions at the ten prices, one seed. The full policy is trained by the same lines.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from benchmarks.policy_parts import Bench, Found, Ground, Grounds, Say
from benchmarks.policy_trials import PRICES, Questions, Trial, interval
from profiles.policies.lattice import build_lattice
from profiles.policies.network import PAIR_FEATURES
from profiles.policies.plurality import Plurality
from profiles.policies.priors import fit_components, query_priors
from tasks.learn.environment import Environment, observe
from tasks.learn.exact_gradient import train_exact
from tasks.learn.fit_aggregator import fit_aggregator, out_of_fold
from tasks.learn.fit_policy import PolicySettings, recorded_training
from tasks.learn.recorded import RecordedAnswers, candidate_pairs
from tasks.learn.rewards import selection_reward
from tasks.learn.rollout import greedy, play
from tasks.learn.training import price_grid

if TYPE_CHECKING:
    from profiles.policies.network import PolicyNetwork

Change = Callable[[RecordedAnswers], RecordedAnswers]
ALONE = PRICES[1:9:2]
"""Prices that networks of their own are trained for."""


class Variant:
    """One way of training on the training questions and of seeing the test questions.

    Args:
        data: of both splits, over the same pairs.
        settings: of the fit.
        calls: T.
        change: made to the answers of both splits.
        votes: judge answers by plain votes.
    """

    def __init__(
        self,
        data: tuple[RecordedAnswers, RecordedAnswers],
        settings: PolicySettings,
        *,
        calls: int | None = None,
        change: Change = lambda recorded: recorded,
        votes: bool = False,
    ) -> None:
        train, test = (change(part) for part in data)
        self.settings = settings
        self._calls = calls or settings.max_calls
        lattice = build_lattice(train.pairs, self._calls)
        if votes:
            self._judge: Any = Plurality()
            observed = observe(train, lattice, self._judge)
        else:
            fold = np.random.default_rng(settings.seed).permutation(len(train))
            fold %= settings.aggregator.folds
            observed = out_of_fold(train, lattice, fold, settings.aggregator)
            self._judge = fit_aggregator(train, lattice, settings.aggregator)
        self.train = Environment(train, lattice, observed)
        self.test = self.stage(test)

    def again(self) -> Variant:
        """The same once more, for a change that the aggregator does not see."""
        twin = copy.copy(self)
        for name in ("train", "test"):
            one: Environment = getattr(self, name)
            setattr(twin, name, Environment(one.recorded, one.lattice, one.observations))
        return twin

    def stage(self, recorded: RecordedAnswers) -> Environment:
        """Other questions, or other pairs, as the aggregator sees them."""
        lattice = build_lattice(recorded.pairs, self._calls)
        return Environment(recorded, lattice, observe(recorded, lattice, self._judge))

    def network(self, prices: tuple[float, float] | None = None) -> PolicyNetwork:
        """One network, for all prices or for those given."""
        exact = replace(self.settings.exact, seed=self.settings.seed)
        return train_exact(self.train, replace(exact, prices=prices) if prices else exact)


def played(network: PolicyNetwork, environment: Environment) -> Trial:
    """Every question at every price."""
    rows = np.arange(len(environment.recorded))
    return Trial.over_prices(
        [play(environment, rows, greedy(network, environment, price)) for price in PRICES]
    )


def measure_ablations(bench: Bench, grounds: Grounds, name: str, say: Say) -> Found:
    """Utility without one part after the other."""
    data = both_splits(grounds[name], bench.settings)
    trials = {}
    for what, trial in _variants(data, bench.settings):
        say(f"{name}: {what}")
        trials[what] = trial
    full = next(iter(trials.values())).utility()
    body: list[list[str]] = []
    for what, trial in trials.items():
        gain = str(interval(trial.utility() - full)) if trial.utility() is not full else "–"
        body.append(
            [what, f"{100 * trial.utility().mean():.1f}", gain if body else "–"]
            + [f"{100 * trial.score[at_price].mean():.1f} at {trial.calls[at_price].mean():.2f}"
               for at_price in (0, 3, 5)]
        )  # fmt: skip
    prices = [f"accuracy at calls, price {PRICES[at_price]:.3f}" for at_price in (0, 3, 5)]
    return {
        "title": f"Ablations on {name}",
        "text": "The exact gradient, one seed, no guard; test questions, mean utility in points.",
        "head": ["variant", "utility", "minus the full policy", *prices],
        "body": body,
    }


def measure_prices(bench: Bench, grounds: Grounds, name: str, say: Say) -> Found:
    """The network of all prices against networks that were trained for one each."""
    variant = Variant(both_splits(grounds[name], bench.settings), bench.settings)
    common = played(variant.network(), variant.test)
    rows = np.arange(len(variant.test.recorded))
    body, gains = [], []
    for price in ALONE:
        say(f"{name}: price {price:.4f} alone")
        own = variant.network((price, price))
        alone = play(variant.test, rows, greedy(own, variant.test, price))
        number = PRICES.index(price)
        both = common.score[number] - price * common.cost[number]
        gain = interval(both - (alone.score - price * alone.cost))
        gains.append(gain.mean)
        body.append([
            f"{price:.4f}", f"{100 * both.mean():.1f}", f"{100 * alone.utility(price):.1f}",
            str(gain),
        ])  # fmt: skip
    return {
        "title": f"One policy for all prices on {name}",
        "text": "Utility of the test questions at a price, in points; one seed.",
        "head": ["price", "one network for all prices", "trained for this price", "difference"],
        "body": body,
        "front": {"table": name, "worst": min(gains)},
    }


def both_splits(at: Ground, settings: PolicySettings) -> tuple[RecordedAnswers, RecordedAnswers]:
    """Training and test questions over the candidate pairs."""
    train, questions = at.profile.train, at.questions
    assert train is not None
    components = fit_components(train.embeddings, settings.components)
    whole = recorded_training(at.profile, train, at.keys, components)
    prices = price_grid(settings.exact.prices)
    chosen = candidate_pairs(whole.scores, whole.costs, prices, settings.candidates)
    return whole.columns(chosen), _seen(whole, questions, at).columns(chosen)


def _seen(whole: RecordedAnswers, questions: Questions, at: Ground) -> RecordedAnswers:
    components = fit_components(at.profile.train.embeddings, whole.components.shape[1])  # type: ignore[union-attr]
    return replace(
        whole,
        keys=questions.keys,
        scores=questions.scores,
        costs=questions.costs,
        priors=query_priors(at.profile, questions.texts, questions.embeddings),
        components=components.of(questions.embeddings),
    )


def _variants(
    data: tuple[RecordedAnswers, RecordedAnswers], settings: PolicySettings
) -> Iterator[tuple[str, Trial]]:
    """Every variant by its name, the full policy first."""
    full = Variant(data, settings)
    yield "the full policy", played(full.network(), full.test)
    selecting = full.again()
    selecting.train.answer_reward = selecting.train.answer_reward + _selected(selecting.train)
    yield (
        "with the paper's R_sel (the full policy is without)",
        played(selecting.network(), selecting.test),
    )
    hot = full.again()
    for environment in (hot.train, hot.test):
        one_hot(environment)
    yield "one-hot pairs instead of features", played(hot.network(), hot.test)
    for what, change in (
        ("without answers: no two agree", without_answers),
        ("without query features: no embedding, one prior a pair", without_questions),
    ):
        variant = Variant(data, settings, change=change)
        yield what, played(variant.network(), variant.test)
    votes = Variant(data, settings, votes=True)
    yield "plain majority instead of the aggregator", played(votes.network(), votes.test)
    for calls in (1, 2):
        variant = Variant(data, settings, calls=calls)
        yield (
            f"at most {calls} call{'s' * (calls > 1)} instead of 4",
            played(variant.network(), variant.test),
        )
    yield from _new_pair(data, settings)


def _new_pair(
    data: tuple[RecordedAnswers, RecordedAnswers], settings: PolicySettings
) -> Iterator[tuple[str, Trial]]:
    """The best single pair, unknown in training."""
    best = int(data[0].accuracy.argmax())
    others = np.delete(np.arange(data[0].pairs), best)
    fewer = (data[0].columns(others), data[1].columns(others))
    variant = Variant(fewer, settings)
    network = variant.network()
    yield "without the best pair", played(network, variant.test)
    yield "the best pair added at test, not retrained", played(network, variant.stage(data[1]))


def one_hot(environment: Environment) -> None:
    """Pairs as positions: no feature of theirs, nor how they err together."""
    pairs = torch.eye(environment.recorded.pairs, len(PAIR_FEATURES))
    environment.show_pairs(pairs)


def without_answers(recorded: RecordedAnswers) -> RecordedAnswers:
    """Every answer differs from every other."""
    columns = np.arange(recorded.pairs)
    return replace(recorded, keys=np.where(recorded.keys >= 0, columns, -1))


def without_questions(recorded: RecordedAnswers) -> RecordedAnswers:
    """Every question looks the same before a call."""
    return replace(
        recorded,
        priors=np.broadcast_to(recorded.accuracy, recorded.priors.shape).copy(),
        components=np.zeros_like(recorded.components),
    )


def _selected(environment: Environment) -> torch.Tensor:
    """(n, S) R_sel where an answer is given: the optimal pair solves the question most cheaply."""
    recorded, members = environment.recorded, environment.lattice.members
    scores = np.nan_to_num(recorded.scores)
    worth = np.where(scores > 0, scores - 1e-6 * recorded.costs.mean(axis=0), -np.inf)
    best = worth.max(axis=1, keepdims=True)
    optimal = (worth >= best - 1e-12) & np.isfinite(worth)
    shape = (len(recorded), *members.shape)
    last = np.zeros(shape[:2], np.int64)
    called = np.broadcast_to(members[None], shape)
    reward = selection_reward(called, last, np.broadcast_to(optimal[:, None], shape))
    return torch.from_numpy(reward).float()
