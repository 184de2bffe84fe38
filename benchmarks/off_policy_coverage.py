"""How often the intervals of off-policy estimators hold the truth, on simulated logs.

Every log has its own questions, draws and rewards; the truth is known, because the questions come
in groups whose mean rewards are given. `python -m benchmarks.off_policy_coverage` prints, per case
and estimator, the share of intervals that hold it and their mean width: the table of
docs/off-policy.md.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tasks.off_policy.estimators import ESTIMATORS, Outcome, Sample, evaluate

Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class Case:
    """A world of G groups of questions and P pairs, and a log's size.

    `rewards` is "score" (0 or 1) or "cost" (gamma, skewed). `chances`, `target`, `means` and
    `model` are (G, P); the model is what an estimator believes, and wrong.
    """

    name: str
    n: int
    chances: Matrix
    target: Matrix
    means: Matrix
    model: Matrix
    rewards: str = "score"

    @property
    def truth(self) -> float:
        return float((self.target * self.means).sum(axis=1).mean())


def made_case(
    name: str, n: int, *, rate: float, pairs: int = 4, skew: float = 0.0, share: float = 1.0,
    rewards: str = "score", groups: int = 12, seed: int = 0,
) -> Case:  # fmt: skip
    """A case whose log explores a share `rate` of its questions.

    Args:
        name: of the case.
        n: questions of a log.
        rate: explored share; the rest takes one pair of the group.
        pairs: P.
        skew: 0 explores uniformly; above, the chances of exploring fall like e^(−skew·place).
        share: part of the groups in which the target takes another pair than the log's own.
        rewards: see `Case`.
        groups: G.
        seed: of the world.
    """
    rng = np.random.default_rng(seed)
    means = rng.uniform(0.2, 0.95, (groups, pairs))
    if rewards == "cost":
        means = means * 0.01 * rng.uniform(1, 4, pairs)
    own = means.argmax(axis=1)
    explored = np.exp(-skew * np.arange(pairs))
    explored = np.stack([rng.permutation(explored / explored.sum()) for _ in range(groups)])
    chances = rate * explored
    chances[np.arange(groups), own] += 1.0 - rate
    other = (own + rng.integers(1, pairs, groups)) % pairs
    moved = np.arange(groups) < share * groups
    target = np.eye(pairs)[np.where(moved, other, own)]
    # Half as far from the pair's mean over groups as the truth: a model that learnt too little.
    model = 0.5 * means + 0.5 * means.mean(axis=0) * rng.uniform(0.8, 1.1, pairs)
    return Case(name, n, chances, target, means, np.minimum(model, 1.0), rewards)


def rare_case(n: int = 1500, groups: int = 60) -> Case:
    """One group in sixty, whose pair the log draws once in a thousand: only a switch can tell."""
    case = made_case("rare", n, rate=0.4, share=0.5, groups=groups, seed=1)
    wanted = int(case.target[0].argmax())
    case.chances[0] = (1.0 - 0.001) / (case.chances.shape[1] - 1)
    case.chances[0, wanted] = 0.001
    return case


CASES = (
    made_case("uniform draws", 400, rate=1.0),
    made_case("epsilon 0.3", 1500, rate=0.3, share=0.5),
    made_case("epsilon 0.05", 8000, rate=0.05, share=0.25),
    made_case("skewed chances", 2500, rate=0.5, skew=0.8),
    made_case("skewed, dear", 2500, rate=0.5, skew=0.8, rewards="cost"),
    rare_case(),
)


class Coverage(NamedTuple):
    """Of one estimator over many logs: share of intervals that hold the truth, width and bias."""

    estimator: str
    logs: int
    refused: int
    covered: float
    width: float
    bias: float


def simulate(case: Case, rng: np.random.Generator) -> tuple[Sample, Outcome]:
    """One log of the case."""
    group = rng.integers(0, len(case.means), case.n)
    chances = case.chances[group]
    pair = (rng.random(case.n)[:, None] >= chances.cumsum(axis=1)).sum(axis=1)
    pair = np.minimum(pair, chances.shape[1] - 1)
    mean = case.means[group, pair]
    if case.rewards == "cost":
        reward = rng.gamma(0.7, mean / 0.7)
        spread = float(reward.max())
    else:
        reward = (rng.random(case.n) < mean).astype(np.float64)
        spread = 1.0
    sample = Sample(pair, chances, case.target[group])
    return sample, Outcome(reward, case.model[group], spread)


def coverage(case: Case, logs: int, *, draws: int = 400, seed: int = 0) -> list[Coverage]:
    """Every estimator on so many logs of a case."""
    rng = np.random.default_rng(seed)
    held: dict[str, list[tuple[float, float, float]]] = {name: [] for name in ESTIMATORS}
    refused = dict.fromkeys(ESTIMATORS, 0)
    for _ in range(logs):
        found = evaluate(*simulate(case, rng), draws=draws, seed=seed)
        for one in found.estimates:
            if one.interval is None:
                refused[one.name] += 1
            else:
                held[one.name].append(tuple(one.interval))
    rows = []
    for name in ESTIMATORS:
        value, low, high = np.array(held[name] or [(np.nan,) * 3]).T
        covered = ((low <= case.truth) & (case.truth <= high)).mean()
        rows.append(
            Coverage(
                name, logs, refused[name], float(covered), float((high - low).mean()),
                float(value.mean() - case.truth),
            )
        )  # fmt: skip
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--logs", type=int, default=1000)
    parser.add_argument("--draws", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    print(f"| case | questions | truth | {' | '.join(ESTIMATORS)} |")
    print("|---|---|---|" + "---|" * len(ESTIMATORS))
    for case in CASES:
        rows = coverage(case, asked.logs, draws=asked.draws, seed=asked.seed)
        told = " | ".join(_cell(row) for row in rows)
        print(f"| {case.name} | {case.n:,} | {case.truth:.4g} | {told} |", flush=True)


def _cell(row: Coverage) -> str:
    """Held intervals in percent and their mean width; "refused" where every log was."""
    if row.refused == row.logs:
        return "refused"
    some = f", {row.refused} refused" if row.refused else ""
    return f"{100 * row.covered:.1f} % ({row.width:.3g}{some})"


if __name__ == "__main__":
    main()
