"""The generated part of `docs/policies.md`, and what the benchmark has to reach."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from benchmarks.acceptance import Line
from benchmarks.policy_parts import SHOWN
from benchmarks.policy_trials import PRICES, Interval

Found = Mapping[str, Any]
ORDER = (
    "random", "best-single", "cluster", "knn", "predictor", "auto", "majority",
    "cascade: best three until two agree", "cascade: cheapest, then the best until 0.8 sure",
    "cascade", "policy-ppo", "policy", "hybrid", "dataset look-up", "oracle",
)  # fmt: skip
TABLES = ("tatqa", "routerbench", "mathvista", "routellm", "routerdc")
SIGNAL = ("tatqa", "routerbench")
"""Tables whose answers tell; on the others nothing is to be gained, and nothing must be lost."""
WANTED = {"tatqa": (75.0, 2.0), "routerbench": (86.9, 0.6)}
"""Micro accuracy on test, and calls or the dearest pair's dollars that it may take."""
STRETCH = (87.2, 0.5)
"""Routerbench: within 0.2 of gpt-4 always (87.4), at half of its dollars."""
POINTS = 0.5
"""That a guarded choice may lie below a more cautious one."""


def page(tables: Sequence[Found], left: Sequence[Found], more: Sequence[Found]) -> Iterator[str]:
    """Everything that was measured, as Markdown."""
    judged = list(lines(tables, left, more))
    yield "| to reach | found | wanted | |"
    yield "|---|---|---|---|"
    for line in judged:
        yield f"| {line.what} | {line.found} | {line.wanted} | {line.verdict} |"
    if tables:
        yield from _explained()
    yield from _missing(tables, left, more)
    for found in tables:
        yield from _table(found)
    if left:
        yield from _left_out(left)
    for found in more:
        yield from _more(found)


def _explained() -> Iterator[str]:
    yield (
        f"\nTest questions. Accuracy, cost and calls at price {PRICES[SHOWN]:.3f}, close to the "
        "default of 0.01; *utility* is accuracy minus priced cost, its mean over ten prices from "
        f"{PRICES[0]:g} to {PRICES[-1]:g}, in points. Intervals are 95 %, by bootstrap over "
        "questions of the mean over seeds; the spread over seeds stands in the last column. "
        "`cluster` is K = 16, the mean of ten seeds; *dataset look-up* is told the dataset and "
        "*oracle* the scores."
    )


def _missing(
    tables: Sequence[Found], left: Sequence[Found], more: Sequence[Found]
) -> Iterator[str]:
    """What a run that was stopped has not come to."""
    known = {found["table"] for found in tables}
    missing = [name for name in TABLES if name not in known]
    missing += [] if left else ["datasets left out"]
    missing += [] if more else ["ablations"]
    if missing:
        yield f"\nNot measured yet: {', '.join(missing)}."


def _table(found: Found) -> Iterator[str]:
    unit = found["unit_usd"]
    said = "a unit of cost is a call" if unit != unit else f"a unit of cost is ${unit:.6f}"
    seeds = f"; seeds {len(found['took'])}" if found["took"] else ""
    yield f"\n### {found['table']} ({found['n']:,} questions; {said}{seeds})\n"
    if not found["comparable"]:
        yield (
            "Few right answers are recorded: `hybrid` decides as `auto`, and the routers that "
            "compare answers are left out.\n"
        )
    yield "| router | macro | micro | cost | calls | utility | minus cluster | minus best single | seeds |"  # noqa: E501
    yield "|---|---|---|---|---|---|---|---|---|"
    for name in ORDER:
        row = found["rows"].get(name)
        if row is None:
            continue
        micro = row["micro"][SHOWN]
        low, high = min(row["seeds"]), max(row["seeds"])
        seeds = f"{low:.1f}–{high:.1f}" if len(row["seeds"]) > 1 else "–"
        yield (
            f"| {name} | {row['macro'][SHOWN]:.1f} | {micro[0]:.1f} [{micro[1]:.1f}, "
            f"{micro[2]:.1f}] | {row['cost'][SHOWN]:.3f} | {row['calls'][SHOWN]:.2f} | "
            f"{row['utility'][0]:.1f} | {_gain(row, 'cluster')} | {_gain(row, 'best-single')} | "
            f"{seeds} |"
        )
    for seed, took in enumerate(found["took"]):
        yield f"\nSeed {seed}: `hybrid` took, by rising price, {_runs(took)}."
    if "budget" in found:
        yield from _budget(found["budget"])
    if found["seconds"]:
        slowest = max(found["seconds"])
        yield f"\nPPO took at most {slowest:.0f} s of one core a seed."


def _runs(took: Sequence[str]) -> str:
    parts: list[list[str]] = []
    for name in took:
        if parts and parts[-1][0] == name:
            parts[-1].append(name)
        else:
            parts.append([name])
    return ", ".join(f"{part[0]} ({len(part)})" for part in parts)


def _budget(budget: Found) -> Iterator[str]:
    yield f"\nWithin {budget['words']} on train (what test then took stands in the table):\n"
    yield "| router | macro | micro | cost | calls | minus cluster in the budget |"
    yield "|---|---|---|---|---|---|"
    for name, row in budget["rows"].items():
        gain = str(Interval(*row["gain"])) if "gain" in row else "–"
        yield (
            f"| {name} | {row['macro']:.1f} | {row['micro'][0]:.1f} [{row['micro'][1]:.1f}, "
            f"{row['micro'][2]:.1f}] | {row['cost']:.3f} | {row['calls']:.2f} | {gain} |"
        )


def _left_out(left: Sequence[Found]) -> Iterator[str]:
    yield (
        "\n### Datasets left out\n\nAll questions of the dataset, which nothing was learnt from; "
        "mean utility over ten prices, in points. One seed, clusters the mean of three.\n"
    )
    yield (
        "| table | left out | n | best single | cluster | cascade | policy | hybrid | "
        "hybrid minus cluster | hybrid minus best single |"
    )
    yield "|---|---|---|---|---|---|---|---|---|---|"
    for one in left:
        rows = one["rows"]
        figures = " | ".join(
            f"{rows[name]['utility'][0]:.1f}" if name in rows else "–"
            for name in ("best-single", "cluster", "cascade", "policy", "hybrid")
        )
        yield (
            f"| {one['table']} | {one['dataset']} | {one['n']:,} | {figures} | "
            f"{_gain(rows['hybrid'], 'cluster')} | {_gain(rows['hybrid'], 'best-single')} |"
        )


def _more(found: Found) -> Iterator[str]:
    """A table of named rows that a part brings itself."""
    yield f"\n### {found['title']}\n\n{found['text']}\n"
    yield f"| {' | '.join(found['head'])} |"
    yield f"|{'---|' * len(found['head'])}"
    for cells in found["body"]:
        yield f"| {' | '.join(cells)} |"


def _gain(row: Found, other: str) -> str:
    return str(Interval(*row["gains"][other])) if other in row["gains"] else "–"


def lines(
    tables: Sequence[Found], left: Sequence[Found], more: Sequence[Found] = ()
) -> Iterator[Line]:
    """What has to be reached, as far as it was measured."""
    above = []
    for found in tables:
        name, rows = found["table"], found["rows"]
        hybrid = rows["hybrid"]
        if name not in SIGNAL:
            gain = hybrid["gains"]["best-single"]
            what = f"{name}: hybrid's utility minus best single"
            yield _at_least(what, gain, -POINTS)
            continue
        if "budget" in found:
            yield from _within(name, found)
        gain = hybrid["gains"]["cluster"]
        what = f"{name}: hybrid's utility minus cluster"
        yield Line(what, str(Interval(*gain)), "interval above 0", gain[1] > 0)
        gain = hybrid["gains"]["cascade"]
        above.append(gain[0] > 0)
        yield _at_least(f"{name}: hybrid's utility minus cascade chosen on train", gain, -POINTS)
        gain = rows["policy-ppo"]["gains"]["policy"]
        yield _at_least(f"{name}: utility of PPO minus exact gradient", gain, -1.0)
        slowest = max(found["seconds"])
        what = f"{name}: seconds of one core, PPO, slowest seed"
        yield Line(what, f"{slowest:.0f}", "≤ 60", slowest <= 60)
    if len(above) == len(SIGNAL):
        found_above = f"{sum(above)} of {len(above)}"
        what = "hybrid's utility above the cascade chosen on train, tables"
        yield Line(what, found_above, "≥ 1", any(above))
    if left:
        gains = [(one["rows"]["hybrid"]["gains"]["cluster"][0], one) for one in left]
        mean = sum(gain for gain, _ in gains) / len(gains)
        what = f"hybrid minus cluster, mean of {len(gains)} datasets left out"
        yield Line(what, f"{mean:+.2f}", "≥ 0", mean >= 0)
        worst, one = min(gains, key=lambda pair: pair[0])
        what = f"hybrid minus cluster, worst of {len(gains)} datasets left out"
        where = f"{worst:+.2f} ({one['table']} {one['dataset']})"
        yield Line(what, where, "≥ -2.00", worst >= -2.0)
    for found in more:
        if "front" in found:
            worst = found["front"]["worst"]
            what = f"{found['front']['table']}: one policy for all prices minus one of each price"
            yield Line(f"{what}, worst", f"{worst:+.2f}", "≥ -1.00", worst >= -1.0)


def _within(name: str, found: Found) -> Iterator[Line]:
    """Accuracy at a budget, and against clusters at the same one."""
    wanted, most = WANTED[name]
    row = found["budget"]["rows"]["hybrid"]
    load = row["calls"] if name == "tatqa" else row["cost"]
    unit = "calls" if name == "tatqa" else "of the dearest pair's dollars"
    told = f"{row['micro'][0]:.1f} at {load:.2f} {unit}"
    yield Line(
        f"{name}: hybrid within {found['budget']['words']} on train", told,
        f"≥ {wanted:.1f} at ≤ {most:.2f}", row["micro"][0] >= wanted and load <= most,
    )  # fmt: skip
    gain = row["gain"]
    what = f"{name}: the same, minus cluster in the budget"
    yield Line(what, str(Interval(*gain)), "interval above 0", gain[1] > 0)
    if name == "routerbench":
        passed = row["micro"][0] >= STRETCH[0] and load <= STRETCH[1]
        wants = f"≥ {STRETCH[0]:.1f} at ≤ {STRETCH[1]:.2f}"
        yield Line(f"{name}: equal to gpt-4 at half of its dollars", told, wants, passed, True)


def _at_least(what: str, gain: Sequence[float], least: float) -> Line:
    return Line(what, str(Interval(*gain)), f"≥ {least:+.1f}", gain[0] >= least)
