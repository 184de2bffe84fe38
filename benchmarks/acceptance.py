"""What predictor and `auto` have to reach on the recorded tables, as lines that pass or miss."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from benchmarks.left_out import LeftOut
from benchmarks.results_page import Measurement
from tasks.evaluate.measure import SplitResult

HARM = -0.5
"""Points that a guarded router may lie below the best single pair, on any figure."""
PAPER_OOD = ("math_prealgebra", "mbpp", "ceval")
LARGE = 2000
"""Test questions from which on calibration is judged."""


class Line(NamedTuple):
    """One thing to reach; `stretch` ones decide nothing."""

    what: str
    found: str
    wanted: str
    passed: bool
    stretch: bool = False

    @property
    def verdict(self) -> str:
        """One word."""
        return "pass" if self.passed else "not reached" if self.stretch else "MISS"


Results = dict[tuple[str, str, str], SplitResult]


def lines(measurements: Sequence[Measurement], left_out: Sequence[LeftOut]) -> Iterator[Line]:
    """Every line that these measurements can decide."""
    results: Results = {
        (one.name, r.split, r.choice.name): r for one in measurements for r in one.at_zero.results
    }
    yield from _no_harm(results)
    yield from _no_harm_left_out(left_out)
    yield from _routerdc(results)
    yield from _routellm(results)
    yield from _calibration(results)
    yield from _auto(results)


def _points(result: SplitResult, figure: str) -> float:
    return 100 * float(getattr(result.score, figure).value)


def _no_harm(results: Results) -> Iterator[Line]:
    for router in ("predictor", "auto"):
        gains = [
            (_points(own, figure) - _points(results[table, split, "best-single"], figure),
             f"{table} {split}, {figure}")
            for (table, split, name), own in results.items()
            if name == router
            for figure in ("macro", "micro")
        ]  # fmt: skip
        if gains:
            worst, where = min(gains)
            yield Line(
                f"{router} against the best single pair, worst of {len(gains)} figures",
                f"{worst:+.2f} ({where})",
                f"≥ {HARM:+.2f}",
                worst >= HARM,
            )


def _no_harm_left_out(left_out: Sequence[LeftOut]) -> Iterator[Line]:
    for router in ("predictor", "auto") if left_out else ():
        worst, where = min(
            (one.gains[router].value, f"{one.table} {one.dataset}") for one in left_out
        )
        yield Line(
            f"{router} against the best single pair, worst of {len(left_out)} datasets left out",
            f"{worst:+.2f} ({where})",
            f"≥ {HARM:+.2f}",
            worst >= HARM,
            stretch=router == "auto",
        )


def _routerdc(results: Results) -> Iterator[Line]:
    test = results.get(("routerdc", "test", "predictor"))
    ood = results.get(("routerdc", "ood", "predictor"))
    if test is None or ood is None:
        return
    paper = 100 * float(np.mean([ood.score.by_dataset[name] for name in PAPER_OOD]))
    macro = _points(test, "macro")
    yield _at_least("predictor, routerdc test macro", macro, 58.0)
    yield _at_least("predictor, routerdc test micro", _points(test, "micro"), 59.7)
    yield _at_least("predictor, routerdc ood macro", _points(ood, "macro"), 54.0)
    yield _at_least("predictor, routerdc ood micro", _points(ood, "micro"), 53.2)
    yield _at_least("predictor, routerdc ood, the paper's three sets", paper, 45.5)
    yield Line(
        "predictor above the published RouterDC in distribution and out of it at once",
        f"{macro:.2f} and {paper:.2f}",
        "> 58.54 and > 45.85",
        macro > 58.54 and paper > 45.85,
        stretch=True,
    )


def _at_least(what: str, found: float, wanted: float) -> Line:
    return Line(what, f"{found:.2f}", f"≥ {wanted:.2f}", round(found, 9) >= wanted)


def _routellm(results: Results) -> Iterator[Line]:
    test = results.get(("routellm", "test", "predictor"))
    if test is None or test.score.macro_gain is None:
        return
    value, low, high = (100 * float(figure) for figure in test.score.macro_gain)
    yield Line(
        "predictor, routellm test macro against the best single pair",
        f"{value:+.2f} [{low:+.2f}, {high:+.2f}]",
        "≥ +0.40, interval above 0",
        value >= 0.4 and low > 0,
    )


def _calibration(results: Results) -> Iterator[Line]:
    for (table, split, router), own in results.items():
        if router in ("predictor", "auto") and split == "test" and own.score.n >= LARGE:
            error = float("nan") if own.ece is None else 100 * own.ece
            yield Line(
                f"{router}, {table} test, expected calibration error",
                f"{error:.2f}",
                "≤ 3.00",
                error <= 3.0,
            )


def _auto(results: Results) -> Iterator[Line]:
    for cluster in ("cluster", "cluster@8"):
        for figure in ("macro", "micro"):
            gaps = [
                _points(own, figure)
                - max(_points(results[table, split, r], figure) for r in (cluster, "predictor"))
                for (table, split, name), own in results.items()
                if name == "auto" and (table, split, cluster) in results
            ]
            if gaps:
                mean = float(np.mean(gaps))
                yield Line(
                    f"auto against the better of `{cluster}` and predictor, mean {figure} over"
                    f" {len(gaps)} splits",
                    f"{mean:+.2f}",
                    "≥ -0.30",
                    mean >= -0.3,
                )
