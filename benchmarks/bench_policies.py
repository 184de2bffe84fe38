"""Multi-step strategies on the recorded tables, into the generated part of `docs/policies.md`.

    python -m benchmarks.bench_policies                  # all tables; writes docs/policies.md
    python -m benchmarks.bench_policies --only tatqa     # some tables; writes nothing

The tables lie in `../shared/data` beside the repository, or under the folder that `ATLAS_SHARED`
names. A table without recorded answers is left out: there is nothing to compare. One seed, in
distribution. Exits 1 where a line of what has to be reached is missed.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.acceptance import Line
from benchmarks.policy_trials import PRICES, Trial, Trials, interval, run_trials
from tasks.embedder import cached_embedder
from tasks.evaluate.multi_step import QueryBudget
from tasks.evaluate.table import read_table
from tasks.learn.fit_policy import PolicySettings

if TYPE_CHECKING:
    from numpy.typing import NDArray

REPOSITORY = Path(__file__).resolve().parents[1]
PAGE = REPOSITORY / "docs" / "policies.md"
TABLES = ("tatqa", "routerbench", "mathvista", "routellm", "routerdc")
BEGIN = "<!-- generated: begin (benchmark of policies) -->"
END = "<!-- generated: end -->"
SHOWN = 4
"""Number of the price that accuracy, cost and calls are shown at."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the trials; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=TABLES, default=None)
    parser.add_argument("--root", type=Path, default=REPOSITORY / "warehouse" / "data")
    chosen = parser.parse_args(arguments)
    shared = Path(os.environ.get("ATLAS_SHARED") or REPOSITORY.parent / "shared")
    outcomes = shared / "data" / "outcomes"
    if not outcomes.is_dir():
        print(f"There is no {outcomes}: put the recorded tables there or set ATLAS_SHARED.")
        return 1
    made = []
    for name in chosen.only or TABLES:
        if not read_table(outcomes / name).outcomes.get_column("answer").count():
            print(f"{name}: no recorded answers, left out", file=sys.stderr)
            continue
        embedder = cached_embedder(chosen.root, "minilm", dtype="float32")
        try:
            made.append(
                run_trials(
                    outcomes / name, embedder, partial(_budgets, name), PolicySettings(),
                    lambda text: print(text, file=sys.stderr),
                )
            )  # fmt: skip
        finally:
            embedder.close()
    judged = list(lines(made))
    text = "\n".join([*page(made), *verdicts(judged)])
    print(text)
    if chosen.only is None:
        write(PAGE, text)
    return int(any(not line.passed and not line.stretch for line in judged))


def write(path: Path, text: str) -> None:
    """Put a text between the marks of a page."""
    whole = path.read_text(encoding="utf-8")
    before, rest = whole.split(BEGIN)
    after = rest.split(END)[1]
    path.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", encoding="utf-8")


def _budgets(name: str, unit_usd: float) -> tuple[QueryBudget, ...]:
    if name == "tatqa":
        return (QueryBudget(max_calls=2.0),)
    if name == "routerbench":
        # A unit of cost is a mean call of the dearest pair, gpt-4.
        return (QueryBudget(max_cost_usd=Decimal(f"{0.6 * unit_usd:.9f}")),)
    return ()


def page(trials: Sequence[Trials]) -> Iterator[str]:
    """The tables as Markdown."""
    yield (
        f"Test questions; accuracy, cost and calls at price {PRICES[SHOWN]:.3f} a unit of cost; "
        "utility is accuracy minus priced cost, its mean over ten prices from "
        f"{PRICES[0]:g} to {PRICES[-1]:g}, in points; the last column is the gain in utility over "
        "the cluster router with its 95 % interval (bootstrap over questions). One seed. "
        "*oracle* is told the scores."
    )
    for one in trials:
        yield f"\n### {one.table}\n"
        yield "| strategy | macro | micro | cost (units) | calls | utility | minus cluster |"
        yield "|---|---|---|---|---|---|---|"
        cluster = one.by_name["cluster"].utility()
        for name, trial in one.by_name.items():
            gain = _gain(trial.utility() - cluster) if name != "cluster" else "–"
            score = trial.score[SHOWN]
            yield (
                f"| {name} | {100 * _macro(score, one.datasets):.1f} | {100 * score.mean():.1f} | "
                f"{trial.cost[SHOWN].mean():.3f} | {trial.calls[SHOWN].mean():.2f} | "
                f"{100 * trial.utility().mean():.1f} | {gain} |"
            )
        for budget, played in one.budgeted.items():
            yield (
                f"\n`hybrid` within {budget} on train: micro {100 * played.score.mean():.1f}, "
                f"{played.calls.mean():.2f} calls, {played.cost.mean():.3f} units."
            )


def lines(trials: Sequence[Trials]) -> Iterator[Line]:
    """What has to be reached."""
    for one in trials:
        by = one.by_name
        hybrid, ppo, exact = by["hybrid"], by["policy-ppo"], by["policy"]
        for budget, played in one.budgeted.items():
            wanted, load = (
                (0.75, played.calls.mean() / 2.0)
                if one.table == "tatqa"
                else (0.869, played.cost.mean() / 0.6)
            )
            found = f"{100 * played.score.mean():.1f} at {load:.2f} of the budget"
            yield Line(
                f"{one.table}: hybrid within {budget}", found, f"≥ {100 * wanted:.1f} at ≤ 1.00",
                bool(played.score.mean() >= wanted and load <= 1.0),
            )  # fmt: skip
        if one.table in ("tatqa", "routerbench"):
            _, low, _ = _points(hybrid, by["cluster"])
            found = _gain(hybrid.utility() - by["cluster"].utility())
            yield Line(f"{one.table}: hybrid's utility − cluster", found, "interval > 0", low > 0)
            mean, _, _ = _points(hybrid, by["cascade"])
            found = _gain(hybrid.utility() - by["cascade"].utility())
            yield Line(f"{one.table}: hybrid's utility − cascade", found, "≥ −0.5", mean >= -0.5)
            mean, _, _ = _points(ppo, exact)
            found = _gain(ppo.utility() - exact.utility())
            yield Line(f"{one.table}: PPO − exact gradient", found, "≥ −1.0", mean >= -1.0)
        else:
            mean, _, _ = _points(hybrid, by["best-single"])
            found = _gain(hybrid.utility() - by["best-single"].utility())
            yield Line(f"{one.table}: hybrid − best single", found, "≥ −0.5", mean >= -0.5)


def verdicts(judged: Sequence[Line]) -> Iterator[str]:
    """What was reached, as Markdown."""
    yield "\n| to reach | found | wanted | |"
    yield "|---|---|---|---|"
    for line in judged:
        yield f"| {line.what} | {line.found} | {line.wanted} | {line.verdict} |"


def _points(one: Trial, other: Trial) -> tuple[float, float, float]:
    mean, low, high = interval(one.utility() - other.utility())
    return 100 * mean, 100 * low, 100 * high


def _gain(difference: NDArray[np.float64]) -> str:
    mean, low, high = interval(difference)
    return f"{100 * mean:+.1f} [{100 * low:+.1f}, {100 * high:+.1f}]"


def _macro(score: NDArray[np.float64], datasets: Sequence[str]) -> float:
    of = np.array(datasets)
    return float(np.mean([score[of == name].mean() for name in sorted(set(datasets))]))


if __name__ == "__main__":
    sys.exit(main())
