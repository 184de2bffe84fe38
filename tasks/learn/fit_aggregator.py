"""Training the aggregator, and what it says of questions it was not trained on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional

from profiles.policies.aggregator import Aggregator, AggregatorSettings
from tasks.learn.environment import Observations, evidence_of, observe
from tasks.learn.recorded import TARGET, RecordedAnswers

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from profiles.policies.lattice import Lattice


@dataclass(frozen=True, slots=True)
class AggregatorTraining:
    """How the aggregator is trained.

    Attributes:
        sets_per_question: random called sets a question and epoch, their size drawn evenly.
        folds: of the out-of-fold observations on training rows.
    """

    network: AggregatorSettings = field(default_factory=AggregatorSettings)
    epochs: int = 30
    sets_per_question: int = 8
    batch: int = 1024
    learning_rate: float = 3e-3
    weight_decay: float = 1e-2
    folds: int = 5
    seed: int = 0


def fit_aggregator(
    recorded: RecordedAnswers, lattice: Lattice, training: AggregatorTraining | None = None
) -> Aggregator:
    """Learn which answer is right, by cross-entropy over the distinct answers and "none".

    The target is the answer that is recorded as right; "none" where no answer gathered is.

    Args:
        recorded: training questions.
        lattice: of called sets, over the same pairs.
        training: how.
    """
    training = training or AggregatorTraining()
    generator = torch.Generator().manual_seed(training.seed)
    with torch.random.fork_rng():
        torch.manual_seed(training.seed)
        aggregator = Aggregator(training.network)
        optimizer = torch.optim.AdamW(
            aggregator.parameters(), training.learning_rate, weight_decay=training.weight_decay
        )
        per_epoch = -(-len(recorded) * training.sets_per_question // training.batch)
        steps = training.epochs * per_epoch
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, training.learning_rate, total_steps=steps
        )
        aggregator.train()
        for _ in range(steps):
            rows = torch.randint(len(recorded), (training.batch,), generator=generator)
            slots = _random_sets(lattice, training.batch, generator)
            loss = _loss(aggregator, recorded, rows, slots)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
    return aggregator.eval()


def out_of_fold(
    recorded: RecordedAnswers,
    lattice: Lattice,
    fold: NDArray[np.int64],
    training: AggregatorTraining | None = None,
) -> Observations:
    """Observations of every question by an aggregator that was not trained on its fold.

    Args:
        recorded: training questions.
        lattice: of called sets.
        fold: (n,) fold of every question.
        training: how.
    """
    parts: list[tuple[NDArray[np.int64], Observations]] = []
    for number in np.unique(fold):
        held = np.flatnonzero(fold == number)
        aggregator = fit_aggregator(recorded.rows(fold != number), lattice, training)
        parts.append((held, observe(recorded.rows(held), lattice, aggregator)))
    order = np.argsort(np.concatenate([held for held, _ in parts]))
    back = torch.from_numpy(order)
    return Observations(
        torch.cat([part.states for _, part in parts])[back],
        torch.cat([part.leader for _, part in parts])[back],
        torch.cat([part.confidence for _, part in parts])[back],
    )


def _random_sets(lattice: Lattice, count: int, generator: torch.Generator) -> Tensor:
    """(count, T) slots of called sets: their size even from 1 to T, then any set of that size."""
    calls = torch.randint(1, lattice.max_calls + 1, (count,), generator=generator)
    share = torch.rand(count, generator=generator)
    first = torch.tensor([lattice.level(c).start for c in range(lattice.max_calls + 1)])
    last = torch.tensor([lattice.level(c).stop for c in range(lattice.max_calls + 1)])
    chosen = first[calls] + (share * (last - first)[calls]).long()
    return torch.from_numpy(lattice.slots)[chosen]


def _loss(aggregator: Aggregator, recorded: RecordedAnswers, rows: Tensor, slots: Tensor) -> Tensor:
    number = rows.numpy()
    column = slots.clamp(min=0).numpy()
    scores = torch.from_numpy(np.nan_to_num(recorded.scores[number[:, None], column]))
    evidence, components = evidence_of(recorded, rows, slots)
    logits = aggregator(evidence, components)
    right = evidence.leads & (scores > TARGET)
    none = torch.tensor(slots.shape[1])
    target = torch.where(right.any(1), right.int().argmax(1), none)
    loss: Tensor = functional.cross_entropy(logits, target)
    return loss
