"""Every router on the recorded tables, against the reference figures, and `docs/results.md`.

    python -m benchmarks.bench_recorded                     # all tables; writes docs/results.md
    python -m benchmarks.bench_recorded --only tatqa        # some tables; writes nothing
    python -m benchmarks.bench_recorded --part left-out     # one part; writes nothing
    python -m benchmarks.bench_recorded --check             # exits 1 if docs/results.md is stale

The tables lie in `../shared/data` beside the repository, or under the folder that `ATLAS_SHARED`
names. Each held-out question is routed as a real backlog through the recorded client (see
`tasks.evaluate`). The first run embeds 40,000 questions, which takes some minutes; they are kept.

Exits 1 where a figure lies farther from its reference than allowed: random, best single, dataset
best and oracle 0.1 point in macro and micro; `cluster-plain` for K = 8 and 16 at alpha 0, 0.5 point
in micro and 1.0 in macro. Exits 1, too, where a line of `benchmarks.acceptance` that is no stretch
misses.

Part `routed` is everything that is routed as backlogs, part `left-out` leaves every dataset out
once, two processes side by side (about 20 minutes on two cores, most of it for the 58 of routellm).
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from benchmarks.acceptance import Line, lines
from benchmarks.left_out import LeftOut, measure_left_out
from benchmarks.reference_figures import PER_CLUSTER, Figures, Reference, read_reference
from benchmarks.results_page import ALL_ON_PLAIN, CLUSTERS, Measurement, page
from tasks.evaluate.evaluate import EvaluateJob, Evaluation, evaluate
from tasks.evaluate.measure import SplitResult

REPOSITORY = Path(__file__).resolve().parents[1]
RESULTS = REPOSITORY / "docs" / "results.md"
BASELINES = ("random", "best-single", "dataset-best", "oracle", "knn")
CLUSTERED = (
    "cluster-plain",
    "cluster-plain+shrink",
    "cluster-plain+nmin",
    "cluster-plain+ood",
    "cluster-plain+kmeans",
    "cluster",
)
LEARNT = ("cluster", "predictor", "auto")
"""Routers of the profile as the product fits it, K chosen."""
EXACT = ("random", "best-single", "dataset-best", "oracle")
ALPHAS = tuple(tenths / 10 for tenths in range(11))
SEEDS = (0, 1, 2, 3, 4)


class Allowed(NamedTuple):
    """How far a figure may lie from its reference, in points."""

    macro: float
    micro: float


class Check(NamedTuple):
    """One figure beside its reference; `required` ones decide the exit code."""

    table: str
    split: str
    router: str
    found: Figures
    reference: Figures
    allowed: Allowed
    required: bool

    @property
    def passed(self) -> bool:
        """Whether it lies close enough; references are rounded to two digits."""
        return (
            abs(self.found.macro - self.reference.macro) <= self.allowed.macro
            and abs(self.found.micro - self.reference.micro) <= self.allowed.micro
        )


def main(argv: Sequence[str] | None = None) -> int:
    """Evaluate, compare, write."""
    options = _options(argv)
    shared = Path(os.environ.get("ATLAS_SHARED") or REPOSITORY.parent / "shared")
    readme = shared / "data" / "README.md"
    if not readme.exists():
        print(f"There is no {readme}: put the recorded tables there or set ATLAS_SHARED.")
        return 2
    known = read_reference(readme)
    names = options.only.split(",") if options.only else list(known)
    unknown = [name for name in names if name not in known]
    if unknown:
        print(f"{readme} has no figures of {', '.join(unknown)}; it has {', '.join(known)}.")
        return 2
    folders = [(name, shared / "data" / "outcomes" / name) for name in names]
    measurements: list[Measurement] = []
    left_out: list[LeftOut] = []
    if options.part != "left-out":
        measurements = [measure(name, at, options.root, known[name]) for name, at in folders]
    if options.part != "routed":
        left_out = measure_left_out(folders, options.root, processes=options.processes)
    judged = list(lines(measurements, left_out))
    missed = report([check for one in measurements for check in compared(one)])
    missed += report_lines(judged)
    if options.only or options.part != "all":
        return 1 if missed else 0
    text = page(measurements, left_out, judged)
    if options.check:
        stale = not RESULTS.exists() or RESULTS.read_text(encoding="utf-8") != text
        print(f"{RESULTS} {'is stale: run without --check' if stale else 'is up to date'}")
        return 1 if missed or stale else 0
    RESULTS.write_text(text, encoding="utf-8")
    print(f"wrote {RESULTS}")
    return 1 if missed else 0


def report_lines(judged: Sequence[Line]) -> int:
    """Print every line; the number of those that missed and are no stretch."""
    for line in judged:
        print(f"{line.verdict:12}{line.what}: {line.found} (wanted {line.wanted})")
    return sum(not line.passed and not line.stretch for line in judged)


def measure(
    name: str, folder: Path, root: Path, reference: Reference, encoder: str = "minilm"
) -> Measurement:
    """Evaluate every router on one table, then over KMeans seeds and, with costs, over alpha."""
    began = time.monotonic()
    routers = (*BASELINES, *_at_each_k(CLUSTERED), *LEARNT)
    job = EvaluateJob(folder, root, routers, clusters="auto", encoder=encoder)
    at_zero = _evaluate(job, name)
    by_alpha: dict[float, Evaluation] = {}
    if any(result.bill.cost_usd is not None for result in at_zero.results):
        priced = replace(job, routers=("best-single", PER_CLUSTER, "cluster@16"))
        by_alpha = {
            alpha: _sharing(at_zero, _evaluate(replace(priced, alpha=alpha), name))
            for alpha in ALPHAS
        }
    seeded = replace(job, routers=_at_each_k(("cluster-plain", ALL_ON_PLAIN, "cluster")), draws=1)
    by_seed = {
        seed: _sharing(at_zero, _evaluate(replace(seeded, seed=seed, kmeans_seed=seed), name))
        for seed in SEEDS
    }
    every = (at_zero, *by_alpha.values(), *by_seed.values())
    routed = sum(result.score.n for one in every for result in one.results)
    seconds = time.monotonic() - began
    print(f"{name}: routed {routed:,} questions in {seconds:.0f} s, fitting included", flush=True)
    return Measurement(name, at_zero, by_alpha, by_seed, reference)


def _sharing(first: Evaluation, other: Evaluation) -> Evaluation:
    """The other evaluation, holding the first one's table: sixteen copies would fill the memory."""
    return replace(other, table=first.table)


def _at_each_k(routers: Sequence[str]) -> tuple[str, ...]:
    return tuple(f"{router}@{k}" for k in CLUSTERS for router in routers)


def _evaluate(job: EvaluateJob, name: str) -> Evaluation:
    def note(text: str) -> None:
        where = f"{name}, alpha {job.alpha:g}, seed {job.seed}"
        print(f"  {where}: {text}", file=sys.stderr, flush=True)

    return asyncio.run(evaluate(job, env={}, note=note))


def compared(measurement: Measurement) -> Iterator[Check]:
    """Every figure that has a reference, beside it."""
    results = {(r.split, r.choice.name): r for r in measurement.at_zero.results}
    for split, references in measurement.reference.splits.items():
        for router, reference in references.items():
            exact = router in EXACT
            yield Check(
                measurement.name,
                split,
                router,
                _figures(results[split, router]),
                reference,
                Allowed(0.1, 0.1) if exact else Allowed(1.0, 0.5),
                required=router != "knn",
            )
    for alpha, evaluation in measurement.by_alpha.items():
        priced = {(r.split, r.choice.name): r for r in evaluation.results}
        if alpha in measurement.reference.by_alpha:
            reference = measurement.reference.by_alpha[alpha]
            label = f"{PER_CLUSTER}, alpha {alpha:g}"
            found = _figures(priced["test", PER_CLUSTER])
            yield Check(measurement.name, "test", label, found, reference, Allowed(1.0, 0.5), False)


def _figures(result: SplitResult) -> Figures:
    cost = result.bill.cost_usd
    return Figures(
        100 * result.score.macro.value,
        100 * result.score.micro.value,
        None if cost is None else float(cost),
    )


def report(checks: Sequence[Check]) -> int:
    """Print every check; the number of required ones that missed."""
    if not checks:
        return 0
    width = max(len(check.router) for check in checks)
    for check in checks:
        verdict = "pass" if check.passed else "MISS" if check.required else "differs"
        print(
            f"{verdict:8}{check.table:12} {check.split:5} {check.router:{width}}"
            f"  macro {check.found.macro:6.2f} (reference {check.reference.macro:6.2f})"
            f"  micro {check.found.micro:6.2f} (reference {check.reference.micro:6.2f})"
            + ("" if check.required else "  for information")
        )
    required = [check for check in checks if check.required]
    missed = sum(not check.passed for check in required)
    print(f"{len(required) - missed} of {len(required)} required figures pass")
    return missed


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--only", "--tables", default="", help="tables, separated by commas; all by default"
    )
    parser.add_argument("--part", choices=("all", "routed", "left-out"), default="all")
    parser.add_argument("--processes", type=int, default=2, help="of part left-out")
    parser.add_argument(
        "--root",
        type=Path,
        default=Path(os.environ.get("ATLAS_ROOT") or REPOSITORY / "warehouse" / "data"),
        help="embeddings are kept under it",
    )
    parser.add_argument("--check", action="store_true", help="compare docs/results.md, not write")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
