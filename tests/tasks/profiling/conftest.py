"""One profiled folder, copied for every test that begins where a first profiling ended."""

from __future__ import annotations

import shutil

import pytest

from tests.tasks.profiling.bench import Bench


@pytest.fixture(scope="session")
def profiled_once(tmp_path_factory):
    """A folder in which 8 questions × 4 pairs are known."""
    bench = Bench(tmp_path_factory.mktemp("profiled"))
    report = bench.run()
    assert "complete" == report.run.state
    return bench.folder


@pytest.fixture
def profiled(profiled_once, tmp_path):
    """A copy of it to change."""
    folder = tmp_path / "copy"
    shutil.copytree(profiled_once, folder)
    return Bench(folder)
