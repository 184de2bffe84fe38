"""How often the drift test cries wolf, and how soon it finds a drop, in simulations of known truth.

`python -m benchmarks.drift_power` prints the two tables of `docs/freshness.md`. A pair has 50
canaries. Before the drop canary i is answered wrong with probability q_i: `even` gives every canary
the same q, `flaky` gives nine tenths of the wrong answers to one canary in ten. Three drops of ten
points are told apart:

* `broken`: exactly 5 of the 50 are wrong from some night on, every night;
* `sampled`: every canary breaks for good with probability 0.1, so that chance decides whether the
  50 canaries show the drop of the pair at all (fewer than 2 break in 3 % of the draws);
* `transient`: every answer is wrong with a further probability of 0.1, each night anew.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from profiles.drift.exceedance import BROKEN_SHARE, _law
from profiles.drift.metrics import LEVELS
from profiles.drift.scan import HISTORY, WINDOWS, WORTH_TESTING, scan
from profiles.statistics import wilson

CANARIES = 50
DROP = 0.1
LEVEL = LEVELS["accuracy", "down"]
KINDS = ("broken", "sampled", "transient")


class FalseAlarms(NamedTuple):
    """How many of the simulated pairs ever raised an alarm though nothing changed."""

    noise: float
    shape: str
    pairs: int
    nights: int
    alarmed: int
    tested: int
    """Nights whose exact test was worked out; the others were far from an alarm."""


def wrong_rates(noise: float, shape: str) -> NDArray[np.float64]:
    """(m,) probability of a wrong answer per canary, `noise` on average."""
    rates = np.full(CANARIES, noise)
    if shape == "flaky":
        few = CANARIES // 10
        rates[:few] = min(0.9 * noise * CANARIES / few, 0.5)
        rates[few:] = 0.1 * noise * CANARIES / (CANARIES - few)
    return rates


def false_alarms(
    noise: float, shape: str, *, pairs: int, nights: int, seed: int = 0
) -> FalseAlarms:
    """Simulate pairs that never change; an alarm ends a pair's simulation."""
    rng = np.random.default_rng(seed)
    wrong = rng.random((nights, pairs, CANARIES)) < wrong_rates(noise, shape)
    counts = np.concatenate([np.zeros((1, pairs, CANARIES), np.int16), wrong]).cumsum(
        axis=0, dtype=np.int16
    )
    alive = np.ones(pairs, np.bool_)
    tested = 0
    for night in range(2, nights + 1):
        start = max(0, night - HISTORY)
        for pair in np.flatnonzero(alive & _worth_testing(counts, start, night)):
            tested += 1
            if scan(wrong[start:night, pair].astype(np.float64), LEVEL).alarm:
                alive[pair] = False
    return FalseAlarms(noise, shape, pairs, nights, int((~alive).sum()), tested)


def _worth_testing(counts: NDArray[np.int16], start: int, night: int) -> NDArray[np.bool_]:
    """(pairs,) whether `scan` could work out a tail: its own two conditions, for all pairs."""
    runs = night - start
    total = (counts[night] - counts[start]).astype(np.int64)
    worth = np.zeros(len(total), np.bool_)
    share = total / runs
    for width in WINDOWS:
        if width >= runs:
            break
        recent = (counts[night] - counts[night - width]).astype(np.int64)
        tells = (total > 0) & (total < runs)
        mean = (width * share * tells).sum(axis=1)
        variance = width * share * (1 - share) * (runs - width) / (runs - 1)
        deviation = np.sqrt((variance * tells).sum(axis=1))
        excess = (recent * tells).sum(axis=1) - mean
        worth |= (deviation > 0) & (excess >= (WORTH_TESTING - 1e-9) * deviation)
        table = _log_ratios(runs, width)
        worth |= (table[total, recent] * tells).sum(axis=1) >= WORTH_TESTING - 1e-9
    return worth


def _log_ratios(runs: int, width: int) -> NDArray[np.float64]:
    """(runs + 1, width + 1) log of the likelihood ratio of (exceeded, recent exceeded)."""
    key = (runs, width)
    if key not in _TABLES:
        table = np.zeros((runs + 1, width + 1))
        for exceeded in range(1, runs):
            low, null, broken = _law(runs, exceeded, width)
            row = np.log1p(BROKEN_SHARE * (broken / null - 1.0))
            table[exceeded, low : low + len(row)] = row
        _TABLES[key] = table
    return _TABLES[key]


_TABLES: dict[tuple[int, int], NDArray[np.float64]] = {}


def detection(
    noise: float, shape: str, kind: str, *, history: int, runs: int, horizon: int = 5, seed: int = 0
) -> NDArray[np.float64]:
    """(horizon,) share of simulated drops found by each night after the drop.

    Args:
        noise: mean wrong rate before.
        shape: `even` or `flaky`.
        kind: one of `KINDS`.
        history: nights before the drop.
        runs: simulated pairs.
        horizon: nights after the drop.
        seed: of everything.
    """
    rng = np.random.default_rng(seed)
    rates = wrong_rates(noise, shape)
    found = np.zeros(horizon)
    for _ in range(runs):
        nights = (rng.random((history + horizon, CANARIES)) < rates).astype(np.float64)
        nights[history:] = np.maximum(nights[history:], _drop(kind, horizon, rng))
        for day in range(horizon):
            if scan(nights[: history + day + 1], LEVEL).alarm:
                found[day:] += 1
                break
    return found / runs


def _drop(kind: str, horizon: int, rng: np.random.Generator) -> NDArray[np.float64]:
    if kind == "transient":
        return (rng.random((horizon, CANARIES)) < DROP).astype(np.float64)
    if kind == "sampled":
        broken = rng.random(CANARIES) < DROP
    else:
        chosen = rng.choice(CANARIES, round(DROP * CANARIES), replace=False)
        broken = np.isin(np.arange(CANARIES), chosen)
    return np.broadcast_to(broken.astype(np.float64), (horizon, CANARIES))


def false_alarm_table(rows: Sequence[FalseAlarms]) -> str:
    """The figures as a Markdown table."""
    lines = [
        "| wrong answers before | pairs × nights | pairs that ever alarmed | 95 % | per night |",
        "|---|---|---|---|---|",
    ]
    for row in rows:
        low, high = wilson(np.array(float(row.alarmed)), np.array(float(row.pairs)))
        lines.append(
            f"| {100 * row.noise:g} % {row.shape} | {row.pairs:,} × {row.nights:,} "
            f"| {row.alarmed} ({100 * row.alarmed / row.pairs:.2f} %) "
            f"| {100 * float(low):.2f}…{100 * float(high):.2f} % "
            f"| {row.alarmed / (row.pairs * row.nights):.1e} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=1_000)
    parser.add_argument("--nights", type=int, default=1_000)
    parser.add_argument("--runs", type=int, default=400)
    given = parser.parse_args()
    cases = [(n, s) for n in (0.01, 0.02, 0.05, 0.2) for s in ("even", "flaky")]
    done = [
        false_alarms(noise, shape, pairs=given.pairs, nights=given.nights, seed=number)
        for number, (noise, shape) in enumerate(cases)
    ]
    print(false_alarm_table(done), end="\n\n")
    print("| wrong answers before | nights of history | drop | night 1 | 2 | 3 | 5 |")
    print("|---|---|---|---|---|---|---|")
    for noise, shape in [(0.0, "even"), *cases[:6]]:
        for history in (10, 30):
            for kind in KINDS:
                found = detection(noise, shape, kind, history=history, runs=given.runs)
                shown = " | ".join(f"{found[day]:.2f}" for day in (0, 1, 2, 4))
                print(f"| {100 * noise:g} % {shape} | {history} | {kind} | {shown} |", flush=True)


if __name__ == "__main__":
    main()
