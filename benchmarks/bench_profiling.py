"""How much of a full profile's routing few cells give, on the recorded tables: `docs/profiling.md`.

    python -m benchmarks.bench_profiling                # all tables, 20 seeds; writes the page
    python -m benchmarks.bench_profiling --quick        # 3 seeds, two shares; writes nothing

The tables lie in `../shared/data` beside the repository, or under the folder that `ATLAS_SHARED`
names. A seed draws the sampler and, five in turn, KMeans. Every sampler runs its share of the
train split's cells; the product's statistics and cluster router are made from those alone and route
the test split. Loss is against the same router from all cells, on the same clusters. Exits 1 where
a figure of the acceptance list misses; those named stretch are shown only.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import pickle
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from benchmarks.profiling_page import PAGE, curves, page
from benchmarks.profiling_trials import (
    CLUSTERS,
    KMEANS_SEEDS,
    Trial,
    mean_and_half_width,
    read_recorded,
    trials_of,
)

REPOSITORY = Path(__file__).resolve().parents[1]
TABLES = ("mathvista", "routellm", "routerbench", "routerdc", "tatqa")
SHARES = (0.05, 0.10, 0.15, 0.25, 0.35, 0.50)
SEEDS = 20


class Line(NamedTuple):
    """One line of the acceptance list."""

    what: str
    value: float
    half: float
    bound: float
    at_least: bool
    required: bool = True

    @property
    def passed(self) -> bool:
        low = self.value - (self.half if self.bound == 0.0 else 0.0)
        return low > self.bound if self.bound == 0.0 else _beyond(self)

    def __str__(self) -> str:
        verdict = "pass" if self.passed else "MISS" if self.required else "miss"
        sign = "≥" if self.at_least else "≤"
        sign = "interval above" if self.bound == 0.0 else sign
        stretch = "" if self.required else " (stretch)"
        return (
            f"{verdict}  {self.what}{stretch}: {self.value:+.2f} ± {self.half:.2f}, wanted"
            f" {sign} {self.bound:.2f}"
        )


def _beyond(line: Line) -> bool:
    return line.value >= line.bound if line.at_least else line.value <= line.bound


def main(argv: Sequence[str] | None = None) -> int:
    """Run every trial, print the acceptance list, write the page."""
    options = _options(argv)
    shared = Path(os.environ.get("ATLAS_SHARED") or REPOSITORY.parent / "shared") / "data"
    if not (shared / "outcomes").exists():
        print(f"There is no {shared}: put the recorded tables there or set ATLAS_SHARED.")
        return 2
    names = options.tables.split(",") if options.tables else list(TABLES)
    unknown = sorted(set(names) - set(TABLES))
    if unknown:
        print(f"There is no table {', '.join(unknown)}; tables are {', '.join(TABLES)}.")
        return 2
    seeds = 3 if options.quick else options.seeds
    shares = (0.15, 0.25) if options.quick else SHARES
    began = time.monotonic()
    trials = list(_run(shared, names, options.root, shares, seeds, options.jobs))
    took = time.monotonic() - began
    print(f"{len(trials):,} trials in {took:.0f} s")
    lines = list(acceptance(trials)) if set(names) == set(TABLES) else []
    for line in lines:
        print(line)
    whole = not options.quick and not options.tables and seeds == SEEDS
    if whole:
        curves(trials, REPOSITORY / "docs" / "pictures")
        text = PAGE.read_text(encoding="utf-8")
        PAGE.write_text(page(text, trials, [str(line) for line in lines]), encoding="utf-8")
        print(f"wrote {PAGE}")
    return int(any(line.required and not line.passed for line in lines))


def _run(
    shared: Path,
    names: Sequence[str],
    root: Path,
    shares: Sequence[float],
    seeds: int,
    jobs: int,
) -> Iterator[Trial]:
    # One thread a process; and a fork would copy locks that other threads hold.
    os.environ.update(OMP_NUM_THREADS="1", POLARS_MAX_THREADS="1")
    spawned = multiprocessing.get_context("spawn")
    with TemporaryDirectory() as folder, ProcessPoolExecutor(jobs, mp_context=spawned) as pool:
        waiting = []
        for name in names:
            path = Path(folder) / name
            path.write_bytes(pickle.dumps(read_recorded(shared / "outcomes" / name, root)))
            waiting += [
                (name, pool.submit(trials_of, path, k, kmeans, range(kmeans, seeds, every), shares))
                for every in [min(KMEANS_SEEDS, seeds)]
                for k in CLUSTERS
                for kmeans in range(every)
            ]
        began = time.monotonic()
        for number, (name, future) in enumerate(waiting, 1):
            yield from future.result()
            seconds = time.monotonic() - began
            note = f"{number} of {len(waiting)}: {name}, {seconds:.0f} s"
            print(note, file=sys.stderr, flush=True)


def acceptance(trials: Sequence[Trial]) -> Iterator[Line]:
    """The lines that profiling from few cells has to pass, each with its 95 % interval."""
    tables = sorted({trial.table for trial in trials})
    shares = {trial.share for trial in trials}

    def loss(k: int, share: float, *of: str) -> tuple[float, float]:
        return mean_and_half_width(trials, "adaptive", k, share, of, lambda t: -t.test_change)

    for k in CLUSTERS:
        yield Line(f"K = {k}, 25 %: mean loss over tables", *loss(k, 0.25, *tables), 0.25, False)
        for table in tables:
            most = 0.5 if k == 8 else 1.0
            yield Line(f"K = {k}, 25 %: loss on {table}", *loss(k, 0.25, table), most, False)
    if 0.35 in shares:
        for table in tables:
            yield Line(f"K = 16, 35 %: loss on {table}", *loss(16, 0.35, table), 0.5, False)
    for k in CLUSTERS:
        what = f"K = {k}, 15 %: mean loss over tables"
        yield Line(what, *loss(k, 0.15, *tables), 0.35, False, required=False)
    for k in CLUSTERS:
        value = mean_and_half_width(
            trials, "adaptive", k, 0.25, tables, lambda t: t.train_value, against="queries"
        )
        yield Line(f"K = {k}, 25 %: train value minus whole questions'", *value, 0.0, True)
        test = mean_and_half_width(
            trials, "adaptive", k, 0.25, tables, lambda t: t.test_change, against="queries"
        )
        yield Line(f"K = {k}, 25 %: test micro minus whole questions'", *test, 0.2, True)


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--tables", default="", help="names, separated by commas; all by default")
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--quick", action="store_true", help="3 seeds, shares 15 and 25 %%")
    parser.add_argument(
        "--root",
        type=Path,
        default=Path(os.environ.get("ATLAS_ROOT") or REPOSITORY / "warehouse" / "data"),
        help="embeddings are kept under it",
    )
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
