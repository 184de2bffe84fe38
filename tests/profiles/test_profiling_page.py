"""The profiling page: figures of the trials, paired by seed, below the prose that people wrote."""

import math

import numpy as np
import pytest

from benchmarks.bench_profiling import Line, acceptance
from benchmarks.profiling_page import BEGIN, curves, page
from benchmarks.profiling_trials import CLUSTERS, METHODS, Trial, mean_and_half_width

TABLES = ("easy", "hard")


def trials(adaptive=-0.1, queries=-0.6):
    rng = np.random.default_rng(0)
    made = []
    for table in TABLES:
        for k in CLUSTERS:
            for seed in range(6):
                luck = rng.normal(0, 5)  # of the seed's clusters: the same for every method
                for share in (0.15, 0.25, 0.35):
                    for method in METHODS:
                        change = adaptive if method == "adaptive" else queries
                        change += luck + rng.normal(0, 0.05)
                        value = 60 + change
                        made.append(
                            Trial(table, k, seed, share, method, change, value, value, share)
                        )
    return made


def test_a_paired_difference_leaves_out_the_luck_both_share():
    found = trials()

    alone = mean_and_half_width(found, "adaptive", 8, 0.25, TABLES, lambda t: t.test_change)
    paired = mean_and_half_width(
        found, "adaptive", 8, 0.25, TABLES, lambda t: t.test_change, against="queries"
    )

    assert abs(paired[0] - 0.5) < 0.1
    assert paired[1] < 0.1 < alone[1]


def test_the_interval_is_students_over_seeds():
    made = [Trial("easy", 8, s, 0.25, "adaptive", float(s), 0.0, 0.0, 0.25) for s in range(4)]

    mean, half = mean_and_half_width(made, "adaptive", 8, 0.25, ["easy"], lambda t: t.test_change)

    assert 1.5 == mean
    # t(3, .975) = 3.1824; standard deviation 1.2910 over √4
    assert pytest.approx(3.1824 * 1.2910 / 2, abs=1e-3) == half


def test_every_promise_is_a_line_that_passes_or_misses():
    good = list(acceptance(trials(adaptive=0.0)))
    bad = list(acceptance([t._replace(test_change=-9.0, train_value=0.0) for t in trials()]))

    assert 14 == len(good)
    assert not any(line.passed for line in bad)
    assert any(str(line).startswith("miss") and "(stretch)" in str(line) for line in bad)


@pytest.mark.parametrize(
    ("line", "passed"),
    [
        pytest.param(Line("loss", 0.2, 9.0, 0.25, False), True, id="below"),
        pytest.param(Line("loss", 0.3, 0.0, 0.25, False), False, id="above"),
        pytest.param(Line("gain", 0.3, 0.2, 0.0, True), True, id="interval-above-zero"),
        pytest.param(Line("gain", 0.3, 0.4, 0.0, True), False, id="interval-holds-zero"),
        pytest.param(Line("gain", math.nan, 0.4, 0.0, True), False, id="nothing-measured"),
    ],
)
def test_verdicts(line, passed):
    assert passed == line.passed


def test_the_page_keeps_its_prose_and_is_the_same_for_the_same_figures():
    text = f"# Title\n\nProse.\n\n{BEGIN}\n\nold figures\n"

    made = page(text, trials(), ["pass  something"])

    assert made.startswith(f"# Title\n\nProse.\n\n{BEGIN}\n")
    assert "old figures" not in made
    assert "pass  something" in made
    assert made == page(made, trials(), ["pass  something"])


def test_curves_are_the_same_bytes_for_the_same_figures(tmp_path):
    first = curves(trials(), tmp_path / "one").read_bytes()

    assert first == curves(trials(), tmp_path / "two").read_bytes()
    assert b"<svg" in first
