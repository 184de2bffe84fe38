"""Lines that pass or miss follow the figures, and a dataset left out is really left out."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from benchmarks.acceptance import lines
from benchmarks.bench_recorded import report_lines
from benchmarks.left_out import Gain, LeftOut, measure_left_out
from benchmarks.results_page import _acceptance, _left_out
from tasks.report.comparison import Interval


def result(router, macro, micro, *, split="test", ece=0.02, n=3000, gain=None, by_dataset=None):
    score = SimpleNamespace(
        macro=Interval(macro, macro, macro),
        micro=Interval(micro, micro, micro),
        macro_gain=gain,
        n=n,
        by_dataset=by_dataset or {},
    )
    choice = SimpleNamespace(name=router)
    return SimpleNamespace(choice=choice, split=split, score=score, ece=ece)


def table(name, *results):
    return SimpleNamespace(name=name, at_zero=SimpleNamespace(results=results))


def judged(*tables, left_out=()):
    return {line.what: line for line in lines(tables, left_out)}


def test_harm_is_the_worst_figure_of_any_table_and_split():
    fine = table("one", result("best-single", 0.5, 0.5), result("predictor", 0.497, 0.51))
    harmed = table("two", result("best-single", 0.5, 0.5), result("predictor", 0.494, 0.51))

    good = judged(fine)["predictor against the best single pair, worst of 2 figures"]
    bad = judged(fine, harmed)["predictor against the best single pair, worst of 4 figures"]

    assert ("pass", "-0.30 (one test, macro)") == (good.verdict, good.found)
    assert ("MISS", "-0.60 (two test, macro)") == (bad.verdict, bad.found)


def test_calibration_counts_where_the_test_is_large():
    found = judged(
        table("big", result("best-single", 0.5, 0.5), result("auto", 0.5, 0.5, ece=0.031)),
        table("small", result("best-single", 0.5, 0.5), result("auto", 0.5, 0.5, ece=0.2, n=500)),
    )

    errors = {what: line.verdict for what, line in found.items() if "calibration" in what}
    assert {"auto, big test, expected calibration error": "MISS"} == errors


def test_routerdc_is_held_against_the_paper_on_its_own_three_sets():
    sets = {"math_prealgebra": 0.45, "mbpp": 0.46, "ceval": 0.47, "arc_easy": 0.0}
    found = judged(
        table(
            "routerdc",
            result("best-single", 0.5, 0.5),
            result("best-single", 0.5, 0.5, split="ood"),
            result("predictor", 0.581, 0.597),
            result("predictor", 0.541, 0.531, split="ood", by_dataset=sets),
        )
    )

    assert "46.00" == found["predictor, routerdc ood, the paper's three sets"].found
    assert "MISS" == found["predictor, routerdc ood micro"].verdict
    assert "pass" == found["predictor, routerdc test micro"].verdict
    stretch = next(line for line in found.values() if "published" in line.what)
    assert ("not reached", True) == (stretch.verdict, stretch.stretch)


@pytest.mark.parametrize(("low", "verdict"), [(0.001, "pass"), (-0.001, "MISS")])
def test_routellm_needs_its_interval_above_zero(low, verdict):
    gain = Interval(0.005, low, 0.01)
    found = judged(
        table("routellm", result("best-single", 0.5, 0.5), result("predictor", 0.5, 0.5, gain=gain))
    )

    line = found["predictor, routellm test macro against the best single pair"]
    assert verdict == line.verdict


def test_auto_is_held_against_the_better_of_the_two_on_average():
    def one(name, cluster, predictor, auto):
        return table(
            name,
            *(result(r, s, s) for r, s in
              (("best-single", 0.5), ("cluster", cluster), ("predictor", predictor),
               ("auto", auto))),
        )  # fmt: skip

    found = judged(one("a", 0.52, 0.50, 0.512), one("b", 0.50, 0.53, 0.53))

    gap = "auto against the better of `cluster` and predictor, mean macro over 2 splits"
    assert ("-0.40", "MISS") == (found[gap].found, found[gap].verdict)


def gains(value):
    return {
        router: Gain(value, value - 1, value + 1) for router in ("cluster", "predictor", "auto")
    }


def test_left_out_lines_name_the_worst_dataset(capsys):
    left = [
        LeftOut("a", "birds", 10, 50.0, gains(0.1), "cluster"),
        LeftOut("a", "sums", 10, 50.0, gains(-0.7), "cluster"),
    ]
    found = judged(left_out=left)

    line = found["predictor against the best single pair, worst of 2 datasets left out"]
    assert ("-0.70 (a sums)", "MISS") == (line.found, line.verdict)
    # What auto does there is told, but decides nothing: its clusters know no margin.
    assert 1 == report_lines(list(found.values()))
    assert "MISS" in capsys.readouterr().out
    page = "\n".join(_left_out(left))
    assert "| a | 2 | −0.30, −0.70 | −0.30, −0.70 | −0.30, −0.70 |" in page
    assert "| a, sums | 10 | 50.00 | −0.70 [−1.70, +0.30]" in page
    assert "| −0.70 (a sums) | ≥ −0.50 | MISS |" in _acceptance(list(found.values()))


def test_every_dataset_with_training_rows_is_left_out_once(table_folder, tmp_path):
    found = measure_left_out(
        [("tiny", table_folder)], tmp_path / "root", encoder="hashing", processes=1
    )

    assert [("birds", 12), ("sums", 12)] == [(one.dataset, one.n) for one in found]
    # What is best elsewhere knows nothing of the dataset that was left out.
    assert [0.0, 0.0] == [one.single for one in found]
    assert {"cluster", "predictor", "auto"} == set(found[0].gains)


def test_direct_decisions_score_what_routed_backlogs_score(table_folder, tmp_path):
    import asyncio

    from tasks.evaluate.evaluate import EvaluateJob, evaluate

    routers = ("best-single", "cluster@8")
    job = EvaluateJob(
        table_folder, tmp_path / "root", routers, encoder="hashing", leave_out="sums", draws=50
    )
    routed = asyncio.run(evaluate(job, env={})).as_json()
    (_, direct) = measure_left_out(
        [("tiny", table_folder)], tmp_path / "root", encoder="hashing", processes=1
    )

    assert pytest.approx(direct.single) == 100 * routed["best-single"]["left_out"]["micro"]
    assert pytest.approx(direct.gains["cluster"].value + direct.single) == (
        100 * routed["cluster@8"]["left_out"]["micro"]
    )
