"""The benchmark reads its references, misses when a figure is off, and writes the same page."""

from __future__ import annotations

import pytest

from benchmarks import bench_recorded, results_page
from benchmarks.bench_recorded import compared, main, measure, report
from benchmarks.reference_figures import PER_CLUSTER, Figures, read_reference
from benchmarks.results_page import page

README = """
### tiny

**tiny, test** (8 queries; birds 4, sums 4)

| router | macro | micro | mean cost, $ | macro minus single, 95 % | pairs used |
|---|---|---|---|---|---|
| random | 50.00 | 50.00 | 0.002 |  |  |
| single (big + none) | 50.00 | 50.00 | 0.001 |  | 1 |
| single micro (small + none) | 1.00 | 1.00 | 0.001 |  | 1 |
| dataset | 100.00 | 100.00 | 0.002 | +50.00 | 2 |
| oracle | {oracle} | 100.00 | 0.002 | +50.00 | 2 |

Cluster K = 16 over random states 0-9: macro 53.75 ± 0.36, micro 53.18 ± 0.48 (standard deviation).

| alpha | macro | micro | mean cost, $ | pairs used |
|---|---|---|---|---|
| 0.0 | 82.54 | 86.99 | 0.004903 | 2 |

| pair (tiny, test) | birds | macro | micro |
|---|---|---|---|
| big + none | 57.95 | 43.13 | 49.51 |

**tiny, ood** (4 queries)

| router | macro | micro |
|---|---|---|
| random | 50.00 | 50.00 |

## Something else

| router | macro | micro |
|---|---|---|
| nothing | 1 | 2 |
"""


@pytest.fixture
def readme(tmp_path):
    def write(oracle="100.00"):
        path = tmp_path / "README.md"
        path.write_text(README.format(oracle=oracle), encoding="utf-8")
        return path

    return write


def _measured(table_folder, tmp_path, reference):
    return measure("tiny", table_folder, tmp_path / "root", reference, encoder="hashing")


def test_references_are_read_by_table_split_and_router(readme):
    found = read_reference(readme())["tiny"]

    assert {"test", "ood"} == set(found.splits)
    assert {"random", "best-single", "dataset-best", "oracle"} == set(found.splits["test"])
    assert Figures(50.0, 50.0, 0.001) == found.splits["test"]["best-single"]
    assert Figures(50.0, 50.0) == found.splits["ood"]["random"]
    assert {0.0: Figures(82.54, 86.99, 0.004903)} == found.by_alpha
    assert {"test": (0.36, 0.48)} == found.spread


def test_a_readme_without_figures_is_refused(tmp_path):
    (tmp_path / "README.md").write_text("# nothing here\n")

    with pytest.raises(ValueError, match="holds no table of reference figures"):
        read_reference(tmp_path / "README.md")


@pytest.mark.slow
def test_page_and_verdicts_follow_the_figures(table_folder, tmp_path, readme, capsys, monkeypatch):
    monkeypatch.setattr(bench_recorded, "ALPHAS", (1.0,))
    monkeypatch.setattr(bench_recorded, "SEEDS", (0, 1))
    for module in (bench_recorded, results_page):
        monkeypatch.setattr(module, "CLUSTERS", (2,))
    first = _measured(table_folder, tmp_path, read_reference(readme())["tiny"])
    again = first._replace(reference=read_reference(readme("99.80"))["tiny"])

    text = page([first])
    assert text == page([again]).replace("99.80 / 100.00", "100.00 / 100.00")
    assert "| oracle (told the scores) | 100.00 [100.00, 100.00] | 100.00" in text
    assert "### tiny, test: n = 8 (birds 4, sums 4)" in text
    assert "### tiny, ood: n = 4 (far-birds 2, far-sums 2)" in text
    assert "| tiny, test | 2 |" in text
    assert f"`{PER_CLUSTER}`: macro" in text
    assert 0 == report(list(compared(first)))
    assert 1 == report(list(compared(again)))
    said = capsys.readouterr().out
    assert "MISS    tiny" in said
    assert "5 of 5 required figures pass" in said


def test_without_the_tables_it_says_where_they_should_be(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("ATLAS_SHARED", str(tmp_path))

    assert 2 == main([])
    assert str(tmp_path / "data" / "README.md") in capsys.readouterr().out
