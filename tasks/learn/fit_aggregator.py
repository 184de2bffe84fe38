"""Training the aggregator, and what it says of questions it was not trained on."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional

from profiles.policies.aggregator import Aggregator, AggregatorSettings
from profiles.policies.evidence import Evidence
from tasks.learn.environment import Observations, evidence_of, observe
from tasks.learn.recorded import TARGET, RecordedAnswers

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from profiles.policies.lattice import Lattice

_KEPT = 500_000
"""Sets of questions whose evidence is kept, about a quarter of a kilobyte each."""
_BLOCK = 256
"""Questions whose sets are worked out at once."""
_EVIDENCE = tuple(field.name for field in fields(Evidence))


@dataclass(frozen=True, slots=True)
class AggregatorTraining:
    """How the aggregator is trained.

    Attributes:
        sets_per_question: random called sets a question and epoch, their size drawn evenly.
        batch: sets a step, fewer where the questions are so few that `least_steps` is not reached:
            after 90 steps on 270 questions the confidences were 12 points too low, after 300 of
            the same draws 3.
        folds: of the out-of-fold observations on training rows.
    """

    network: AggregatorSettings = field(default_factory=AggregatorSettings)
    epochs: int = 30
    sets_per_question: int = 8
    batch: int = 1024
    least_steps: int = 300
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
        drawn = len(recorded) * training.sets_per_question
        batch = max(1, min(training.batch, drawn * training.epochs // training.least_steps))
        steps = training.epochs * -(-drawn // batch)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, training.learning_rate, total_steps=steps
        )
        examples = _Examples(recorded, lattice)
        aggregator.train()
        for _ in range(steps):
            rows = torch.randint(len(recorded), (batch,), generator=generator)
            loss = _loss(aggregator, examples, rows, _random_sets(lattice, len(rows), generator))
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
    """(count,) called sets: their size even from 1 to T, then any set of that size."""
    calls = torch.randint(1, lattice.max_calls + 1, (count,), generator=generator)
    share = torch.rand(count, generator=generator)
    first = torch.tensor([lattice.level(c).start for c in range(lattice.max_calls + 1)])
    last = torch.tensor([lattice.level(c).stop for c in range(lattice.max_calls + 1)])
    return first[calls] + (share * (last - first)[calls]).long()


class _Examples:
    """Evidence and right answer of questions in called sets.

    A question comes up in the same sets again and again, so that all of them are worked out at
    once, unless they are too many to keep.
    """

    def __init__(self, recorded: RecordedAnswers, lattice: Lattice) -> None:
        self._recorded = recorded
        self._slots = torch.from_numpy(lattice.slots)
        self._kept: tuple[Evidence, Tensor] | None = None
        n, size = len(recorded), len(lattice)
        if n * size <= _KEPT:
            sets = torch.arange(size)
            parts = [
                self._made(block.repeat_interleave(size), sets.repeat(len(block)))
                for block in torch.split(torch.arange(n), _BLOCK)
            ]
            evidence = Evidence(
                *(torch.cat([getattr(part[0], name) for part in parts]) for name in _EVIDENCE)
            )
            self._kept = evidence, torch.cat([part[1] for part in parts])
        self._components = torch.from_numpy(recorded.components).float()

    def __call__(self, rows: Tensor, sets: Tensor) -> tuple[Evidence, Tensor, Tensor]:
        """Evidence of B questions in a set each, their components, and (B,) right slots.

        The slot after the last stands for "none of them".
        """
        if self._kept is None:
            evidence, target = self._made(rows, sets)
            return evidence, self._components[rows], target
        at = rows * len(self._slots) + sets
        evidence, target = self._kept
        chosen = Evidence(*(getattr(evidence, name)[at] for name in _EVIDENCE))
        return chosen, self._components[rows], target[at]

    def _made(self, rows: Tensor, sets: Tensor) -> tuple[Evidence, Tensor]:
        slots = self._slots[sets]
        column = slots.clamp(min=0).numpy()
        scores = np.nan_to_num(self._recorded.scores[rows.numpy()[:, None], column])
        evidence, _ = evidence_of(self._recorded, rows, slots)
        right = evidence.leads & (torch.from_numpy(scores) > TARGET)
        none = torch.tensor(slots.shape[1])
        return evidence, torch.where(right.any(1), right.int().argmax(1), none)


def _loss(aggregator: Aggregator, examples: _Examples, rows: Tensor, sets: Tensor) -> Tensor:
    evidence, components, target = examples(rows, sets)
    loss: Tensor = functional.cross_entropy(aggregator(evidence, components), target)
    return loss
