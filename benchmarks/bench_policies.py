"""Multi-step strategies on the recorded tables, into the generated part of `docs/policies.md`.

    python -m benchmarks.bench_policies                       # all; writes docs/policies.md
    python -m benchmarks.bench_policies --tables tatqa        # some tables; writes nothing
    python -m benchmarks.bench_policies --quick               # one seed, nothing left out
    python -m benchmarks.bench_policies --ablations           # ablations and prices, too
    python -m benchmarks.bench_policies --only-page           # from what was measured before
    python -m benchmarks.bench_policies --tables tatqa --parts seed,left-out --fresh

The tables lie in `../shared/data` beside the repository, or under the folder that `ATLAS_SHARED`
names. What a part measured is kept under ROOT/benchmarks/policies and is not measured again, until
`--fresh` forgets those that the run is about: a run that was stopped goes on, and runs over
different tables or parts (one-step, seed-0, left-out-DATASET, ablations, prices) may go on side by
side, `--only-page` after them. Datasets are left out of the tables whose answers tell;
leaving out those of tables without answers tests one-step routers alone, which `docs/results.md`
does. Exits 1 where a line of what has to be reached is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from benchmarks.bench_recorded import report_lines
from benchmarks.policies_page import TABLES, lines, page
from benchmarks.policy_ablations import measure_ablations, measure_prices
from benchmarks.policy_parts import (
    Bench,
    Found,
    Grounds,
    kept,
    measure_left_out,
    measure_one_step,
    measure_seed,
    summary_of_table,
)
from tasks.embedder import cached_embedder
from tasks.evaluate.table import read_table

REPOSITORY = Path(__file__).resolve().parents[1]
PAGE = REPOSITORY / "docs" / "policies.md"
LEFT_OUT = ("tatqa", "routerbench")
"""Whose datasets are left out in turn; mathvista's five would add a fifth to the time."""
ABLATED = ("tatqa", "routerbench")
BEGIN = "<!-- generated: begin (benchmark of policies) -->"
END = "<!-- generated: end -->"


def main(argv: Sequence[str] | None = None) -> int:
    """Measure what is missing, judge, write; returns the exit code."""
    import torch

    options = _options(argv)
    torch.set_num_threads(1)
    shared = Path(os.environ.get("ATLAS_SHARED") or REPOSITORY.parent / "shared")
    outcomes = shared / "data" / "outcomes"
    if not outcomes.is_dir():
        print(f"There is no {outcomes}: put the recorded tables there or set ATLAS_SHARED.")
        return 2
    names = options.tables.split(",") if options.tables else list(TABLES)
    unknown = [name for name in names if name not in TABLES]
    if unknown:
        print(f"There is no table {', '.join(unknown)}; there are {', '.join(TABLES)}.")
        return 2
    store = options.root / "benchmarks" / "policies"
    bench = Bench(outcomes, seeds=1 if options.quick else options.seeds)
    tables, left, more = _measure(bench, store, names, options)
    judged = list(lines(tables, left, more))
    text = "\n".join(page(tables, left, more))
    missed = report_lines(judged)
    if options.tables or options.parts or options.quick:
        print(text)
    else:
        write(PAGE, text)
        print(f"wrote {PAGE}")
    return 1 if missed else 0


def _measure(
    bench: Bench, store: Path, names: Sequence[str], options: argparse.Namespace
) -> tuple[list[Found], list[Found], list[Found]]:
    """Tables, datasets left out, and the rest; with `--only-page` as far as they are there."""
    embedder = cached_embedder(options.root, "minilm", dtype="float32")
    grounds = Grounds(bench, embedder)

    asked = tuple(options.parts.split(","))

    def take(name: str, part: str, measure: Callable[[], Found]) -> Iterator[Found]:
        path = store / name / f"{part}.json"
        if options.only_page or not part.startswith(asked):
            yield from _stored(path)
            return
        if options.fresh:
            path.unlink(missing_ok=True)
        _say(f"{name}: {part}")
        yield kept(path, bench, measure, _say)

    tables: list[Found] = []
    left: list[Found] = []
    more: list[Found] = []
    try:
        for name in names:
            measure = partial(measure_one_step, bench, name, grounds, embedder)
            for alone in take(name, "one-step", measure):
                seeds: list[Found] = []
                for seed in range(bench.seeds):
                    seeds += take(
                        name, f"seed-{seed}", partial(measure_seed, bench, name, seed, grounds)
                    )
                if seeds:
                    tables.append(summary_of_table(name, alone, seeds))
        for name in names if not options.quick else ():
            for dataset in _datasets(bench, name) if name in LEFT_OUT else ():
                measure = partial(measure_left_out, bench, name, dataset, embedder)
                left += take(name, f"left-out-{dataset}", measure)
        for name in names:
            for part, extra in (("ablations", measure_ablations), ("prices", measure_prices)):
                if name in ABLATED and options.ablations:
                    more += take(name, part, partial(extra, bench, grounds, name, _say))
                else:
                    more += _stored(store / name / f"{part}.json")
    finally:
        embedder.close()
    return tables, left, more


def _stored(path: Path) -> Iterator[Found]:
    """What was measured before, if it was, whatever it was measured with."""
    if path.exists():
        yield json.loads(path.read_text(encoding="utf-8"))


def _datasets(bench: Bench, name: str) -> list[str]:
    """Datasets with training questions."""
    return sorted(set(read_table(bench.outcomes / name).rows("train").get_column("dataset")))


def write(path: Path, text: str) -> None:
    """Put a text between the marks of a page."""
    whole = path.read_text(encoding="utf-8")
    before, rest = whole.split(BEGIN)
    after = rest.split(END)[1]
    path.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", encoding="utf-8")


def _say(text: str) -> None:
    print(f"  {text}", file=sys.stderr, flush=True)


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--tables", default="", help="names, separated by commas; all by default")
    parser.add_argument(
        "--parts", default="", help="how the parts to measure begin, separated by commas; all"
    )
    parser.add_argument("--seeds", type=int, default=3, help="of what multi-step routers learn")
    parser.add_argument("--quick", action="store_true", help="one seed, nothing left out")
    parser.add_argument("--ablations", action="store_true", help="ablations and prices, too")
    parser.add_argument("--only-page", action="store_true", help="write, measure nothing")
    parser.add_argument("--fresh", action="store_true", help="measure anew what is there")
    parser.add_argument(
        "--root",
        type=Path,
        default=Path(os.environ.get("ATLAS_ROOT") or REPOSITORY / "warehouse" / "data"),
        help="embeddings and what was measured are kept under it",
    )
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
