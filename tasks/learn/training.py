"""One training loop for every estimator: seeds, learning rate, early stopping, checkpoints.

Every iteration draws its randomness from (seed, iteration) alone and its learning rate from the
iteration's number, so that a training killed at any moment goes on from its last checkpoint to
bitwise the same weights.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np
import torch

from profiles.policies.network import PolicyNetwork
from tasks.learn.checkpoint import Checkpoint, fingerprint, load_checkpoint, save_checkpoint
from tasks.learn.rollout import BLOCK, greedy, play

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from profiles.policies.network import NetworkSettings
    from tasks.learn.environment import Environment

PRICES = (0.002, 0.3)
"""Range of prices that one training serves: points of accuracy for one unit of cost."""

Metrics = Mapping[str, float]


class Estimator(Protocol):
    """One way of estimating the policy gradient."""

    @property
    def settings(self) -> object:
        """Its constants: a dataclass whose representation names all of them."""
        ...

    @property
    def iterations(self) -> int:
        """How many there are."""
        ...

    def weights(self, network: PolicyNetwork) -> list[torch.nn.Parameter]:
        """What the optimizer is to be given of the network."""
        ...

    def iterate(
        self, network: PolicyNetwork, optimizer: torch.optim.Optimizer, iteration: int
    ) -> Metrics:
        """Improve the network once; randomness comes from torch's global generator."""
        ...


@dataclass(frozen=True, slots=True)
class Loop:
    """What the loop is told.

    Attributes:
        network: shape of the network.
        learning_rate: peak of the one-cycle schedule, or the first value of a falling line.
        schedule: `one_cycle` or `falling`.
        validation: share of the questions held out for early stopping.
        looks: how often validation is looked at, evenly apart.
        checkpoint: file to go on from and to write at every look; None keeps none.
    """

    network: NetworkSettings
    learning_rate: float
    weight_decay: float = 0.0
    schedule: str = "one_cycle"
    validation: float = 0.2
    looks: int = 12
    prices: tuple[float, float] = PRICES
    seed: int = 0
    checkpoint: Path | None = None


class Look(NamedTuple):
    """One look at a training."""

    iteration: int
    iterations: int
    validation_utility: float
    """Mean over ten prices of the greedy policy's utility on the validation questions."""
    metrics: Metrics


def train(
    environment: Environment,
    estimator: Estimator,
    loop: Loop,
    report: Callable[[Look], None] = lambda _look: None,
) -> PolicyNetwork:
    """Train, and return the last network that validation does not speak against.

    The last one whose mean utility lies within one standard error, question by question, of the
    best: a handful of validation questions would otherwise pick an early, undecided network by
    luck.

    Args:
        environment: of training questions, observed out of fold.
        estimator: improves the network, on the rows that `split_rows` gives to learn from.
        loop: everything else.
        report: told at every look.

    Raises:
        CheckpointError: the checkpoint is damaged or belongs to another training.
        ValueError: fewer than two questions have a pair that can be called.
    """
    _, hold = learning_rows(environment, loop.validation, loop.seed)
    total = estimator.iterations
    of = _fingerprint(environment, estimator, loop) if loop.checkpoint is not None else ""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(loop.seed)
        network = PolicyNetwork(loop.network)
        optimizer = torch.optim.AdamW(
            estimator.weights(network),
            loop.learning_rate,
            weight_decay=loop.weight_decay,
            fused=True,
        )
        best = torch.full((len(hold),), -math.inf, dtype=torch.float64)
        kept, done = _copy(network), 0
        if loop.checkpoint is not None and loop.checkpoint.exists():
            state = load_checkpoint(loop.checkpoint, network, optimizer, of)
            best, kept, done = state.best, state.kept, state.iteration
        looks = {max(1, round(total * (look + 1) / loop.looks)) for look in range(loop.looks)}
        for iteration in range(done + 1, total + 1):
            torch.manual_seed(_seed(loop.seed, iteration))
            rate = learning_rate(loop, iteration, total)
            for group in optimizer.param_groups:
                group["lr"] = rate
            metrics = estimator.iterate(network, optimizer, iteration)
            if iteration not in looks:
                continue
            reached = torch.from_numpy(utilities(network, environment, hold, loop.prices))
            if holds_its_own(reached, best):
                kept = _copy(network)
            if reached.mean() > best.mean():
                best = reached
            if loop.checkpoint is not None:
                state = Checkpoint(of, iteration, best, kept)
                save_checkpoint(loop.checkpoint, network, optimizer, state)
            told = {**metrics, "learning_rate": rate}
            report(Look(iteration, total, float(reached.mean()), told))
        # A network of its own: an estimator may have laid all weights of the other in one vector.
        result = PolicyNetwork(loop.network)
    result.load_state_dict(kept)
    return result.eval()


def _fingerprint(environment: Environment, estimator: Estimator, loop: Loop) -> str:
    """Of everything that decides where a training goes."""
    settings = repr((type(estimator).__name__, estimator.settings, replace(loop, checkpoint=None)))
    data = {
        "states": environment.observations.states,
        "rewards": environment.answer_reward,
        "costs": environment.costs,
        "available": environment.available,
        "priors": torch.from_numpy(environment.recorded.priors),
        "components": torch.from_numpy(environment.recorded.components),
        "accuracy": torch.from_numpy(environment.recorded.accuracy),
        "correlation": torch.from_numpy(environment.recorded.correlation),
    }
    return fingerprint(settings, data)


def learning_rate(loop: Loop, iteration: int, total: int) -> float:
    """Of one iteration, counted from 1.

    `one_cycle` rises for three tenths of the way from a twenty-fifth of the peak and falls to
    nothing, both along a cosine (Smith and Topin, 2018); `falling` is a line to nothing.
    """
    if loop.schedule == "falling":
        return loop.learning_rate * (1 - (iteration - 1) / total)
    rise = max(1.0, 0.3 * total)
    if iteration <= rise:
        return _cosine(loop.learning_rate / 25, loop.learning_rate, iteration / rise)
    return _cosine(
        loop.learning_rate,
        loop.learning_rate / 250_000,
        (iteration - rise) / (max(1.0, total - rise)),
    )


def _cosine(start: float, end: float, way: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * min(way, 1.0))) / 2


def _seed(seed: int, iteration: int) -> int:
    return int(np.random.SeedSequence((seed, iteration)).generate_state(1)[0])


def _copy(network: PolicyNetwork) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}


def split_rows(n: int, validation: float, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows to learn from and rows to stop by, drawn by seed."""
    order = np.random.default_rng(seed).permutation(n)
    held = max(1, round(n * validation))
    return np.sort(order[held:]), np.sort(order[:held])


def learning_rows(
    environment: Environment, validation: float, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Questions to learn from and to stop by: those where at least one pair can be called.

    Raises:
        ValueError: there are fewer than two of them.
    """
    usable = np.flatnonzero(environment.available.any(dim=1).numpy())
    if len(usable) < 2:
        msg = (
            f"{len(usable)} of {len(environment.recorded)} questions have a scored outcome of any"
            " candidate pair; a policy needs at least two to learn from"
        )
        raise ValueError(msg)
    learn, hold = split_rows(len(usable), validation, seed)
    return usable[learn], usable[hold]


def random_log_prices(count: int, prices: tuple[float, float]) -> Tensor:
    """(count,) natural logarithms of prices, even between the logarithms of both ends."""
    low, high = torch.tensor(prices).log().tolist()
    return torch.empty(count).uniform_(low, high)


def price_grid(prices: tuple[float, float] = PRICES, count: int = 10) -> NDArray[np.float64]:
    """Prices evenly apart in logarithm, both ends among them."""
    return np.exp(np.linspace(np.log(prices[0]), np.log(prices[1]), count))


def holds_its_own(reached: Tensor, best: Tensor) -> bool:
    """Whether utilities (n,) lie within one standard error of the best ones, paired by question."""
    behind = best - reached
    if not bool(torch.isfinite(behind).all()):
        return True
    error = behind.std() / math.sqrt(len(behind)) if len(behind) > 1 else torch.tensor(0.0)
    return bool(behind.mean() <= error)


def utilities(
    network: PolicyNetwork,
    environment: Environment,
    rows: NDArray[np.int64],
    prices: tuple[float, float] = PRICES,
) -> NDArray[np.float64]:
    """(n,) the greedy policy's utility on each question, the mean over ten prices."""
    grid = price_grid(prices)
    number, price = np.tile(rows, len(grid)), np.repeat(grid, len(rows))
    reached = []
    for start in range(0, len(number), BLOCK):
        block = slice(start, start + BLOCK)
        act = greedy(network, environment, price[block])
        played = play(environment, number[block], act)
        reached.append(played.score - price[block] * played.cost)
    mean: NDArray[np.float64] = np.concatenate(reached).reshape(len(grid), -1).mean(axis=0)
    return mean
