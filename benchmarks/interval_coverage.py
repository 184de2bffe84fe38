"""Do nominal 95 % intervals hold the truth 95 % of the time? Made worlds whose truth is known.

    python -m benchmarks.interval_coverage            # a few minutes
    python -m benchmarks.interval_coverage --worlds 20

Every world draws a number of clusters, pairs and questions, accuracies (pair + cluster + what is
particular to both), and answers whose correctness goes together on one question, as easy and hard
questions make it. Each sampler then runs its share of the cells, the product's own
`cluster_statistics` is asked for intervals, and we count how many hold the accuracy that the world
was made with. Exits 1 where a required coverage lies outside 93 to 97 %.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from profiles.allocation import AllocationSettings, allocate_offline
from profiles.outcomes import OutcomeMatrices
from profiles.statistics import Statistics, cluster_statistics

Matrix = NDArray[np.float64]
WITHIN = (0.93, 0.97)
DESIGNS = (
    ("everything", "queries", 1.0),
    ("whole questions, 25 %", "queries", 0.25),
    ("single cells, 25 %", "cells", 0.25),
    ("adaptive, 25 %", "adaptive", 0.25),
    ("adaptive, 15 %", "adaptive", 0.15),
)
_SIZES = ((1, 4, "1-4"), (5, 19, "5-19"), (20, 99, "20-99"), (100, 10**9, "100+"))


class World(NamedTuple):
    truth: Matrix
    """(K, P) accuracies."""
    labels: NDArray[np.int64]
    scores: Matrix
    """(n, P), 0 or 1."""


class Coverage(NamedTuple):
    held: int
    of: int

    @property
    def share(self) -> float:
        return self.held / self.of if self.of else float("nan")


def make_world(rng: np.random.Generator) -> World:
    """One world; the ranges are those of the recorded tables."""
    from scipy.special import ndtri

    k, pairs = int(rng.integers(4, 17)), int(rng.integers(2, 22))
    n = int(rng.integers(40, 240)) * k
    particular = rng.choice([0.02, 0.05, 0.1])
    truth = (
        rng.uniform(0.3, 0.75)
        + rng.uniform(0.03, 0.15) * rng.standard_normal((1, pairs))
        + rng.uniform(0.03, 0.15) * rng.standard_normal((k, 1))
        + particular * rng.standard_normal((k, pairs))
    )
    truth = np.clip(truth, 0.03, 0.97)
    labels = rng.choice(k, size=n, p=rng.dirichlet(np.full(k, 5.0)))
    together = rng.uniform(0.0, 0.6)
    latent = np.sqrt(together) * rng.standard_normal((n, 1)) + np.sqrt(
        1.0 - together
    ) * rng.standard_normal((n, pairs))
    return World(truth, labels, (latent < ndtri(truth)[labels]).astype(np.float64))


def observed(scores: Matrix, mask: NDArray[np.bool_]) -> OutcomeMatrices:
    nothing = np.full(scores.shape, np.nan)
    return OutcomeMatrices(
        np.where(mask, scores, np.nan), nothing, nothing, nothing, nothing, mask, ~mask & mask
    )


def simulate(worlds: int, seed: int = 0) -> dict[tuple[str, str], Coverage]:
    """Coverage by (design, kind of interval), over all cells of all worlds."""
    held: dict[tuple[str, str], int] = defaultdict(int)
    of: dict[tuple[str, str], int] = defaultdict(int)
    for number in range(worlds):
        rng = np.random.default_rng((seed, number))
        world = make_world(rng)
        for design, sampler, share in DESIGNS:
            mask = allocate_offline(
                sampler,
                scores=world.scores,
                labels=world.labels,
                share=share,
                seed=number,
                settings=AllocationSettings(epsilon=0.0, rounds=20),
            )
            k = len(world.truth)
            found = cluster_statistics(world.labels, k, observed(world.scores, mask))
            for kind, inside in _judged(found, world):
                held[design, kind] += int(inside.sum())
                of[design, kind] += inside.size
    return {key: Coverage(held[key], of[key]) for key in of}


def _judged(found: Statistics, world: World) -> list[tuple[str, NDArray[np.bool_]]]:
    truth, n = world.truth, found.n_scored[:-1]
    sizes = np.bincount(world.labels, minlength=len(truth))
    overall = sizes @ truth / sizes.sum()
    inside = (found.score_posterior_low[:-1] <= truth) & (truth <= found.score_posterior_high[:-1])
    wilson = (found.score_low[:-1] <= truth) & (truth <= found.score_high[:-1])
    known = n.sum(axis=0) > 0
    whole = (found.score_posterior_low[-1] <= overall) & (overall <= found.score_posterior_high[-1])
    first = np.argmax(found.score_shrunk[:-1], axis=1)
    rows = np.arange(len(truth))
    judged = [
        ("posterior", inside[:, known]),
        ("posterior, winners", inside[rows, first]),
        ("posterior, overall", whole[known]),
        ("Wilson", wilson[n > 0]),
    ]
    for low, high, label in _SIZES:
        some = (n >= low) & (n <= high)
        judged += [(f"posterior, n {label}", inside[some]), (f"Wilson, n {label}", wilson[some])]
    return [(kind, part) for kind, part in judged if part.size]


def required(design: str, kind: str) -> bool:
    """Posterior intervals under every design; Wilson's where a pair's questions are not chosen."""
    return kind == "posterior" or (kind == "Wilson, n 20-99" and not design.startswith("adaptive"))


def main(argv: Sequence[str] | None = None) -> int:
    """Simulate, print, judge."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--worlds", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(argv)
    missed = 0
    for (design, kind), coverage in simulate(options.worlds, options.seed).items():
        verdict = ""
        if required(design, kind):
            good = WITHIN[0] <= coverage.share <= WITHIN[1]
            missed += not good
            verdict = "pass" if good else "MISS"
        print(f"{design:24} {kind:26} {100 * coverage.share:5.1f} %  n {coverage.of:7} {verdict}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
