"""Two recorded tables, routed as real backlogs, come to the figures published with them."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from benchmarks.reference_figures import read_reference
from tasks.evaluate.evaluate import EvaluateJob, evaluate

SHARED = Path(os.environ.get("ATLAS_SHARED") or Path(__file__).parents[3] / "shared") / "data"
README = SHARED / "README.md"
EXACT = ("random", "best-single", "dataset-best", "oracle")
CLUSTERED = ("cluster-plain@8", "cluster-plain@16")

pytestmark = [
    pytest.mark.shared,
    pytest.mark.slow,
    pytest.mark.skipif(
        not README.exists(), reason=f"the recorded tables are not there ({README} is missing)"
    ),
]


def _points(folder, root, routers, split="test"):
    job = EvaluateJob(folder, root, routers, draws=50)
    figures = asyncio.run(evaluate(job, env={})).as_json()
    return {router: figures[router][split] for router in routers}


@pytest.mark.parametrize("name", ["mathvista", "routerbench", "tatqa"])
def test_baselines_equal_the_reference_to_a_tenth_of_a_point(name, tmp_path):
    reference = read_reference(README)[name].splits["test"]

    found = _points(SHARED / "outcomes" / name, tmp_path, EXACT)

    for router, figures in found.items():
        assert pytest.approx(reference[router].macro, abs=0.1) == 100 * figures["macro"], router
        assert pytest.approx(reference[router].micro, abs=0.1) == 100 * figures["micro"], router
        if reference[router].cost_usd is not None:
            assert pytest.approx(reference[router].cost_usd, abs=1e-6) == figures["cost_usd"]


def test_plain_clusters_lie_within_half_a_point_of_the_reference(pytestconfig):
    # Embeddings outlive the run: a thousand questions take a while on a small machine.
    root = pytestconfig.cache.mkdir("recorded-tables")
    reference = read_reference(README)["mathvista"].splits["test"]

    found = _points(SHARED / "outcomes" / "mathvista", root, CLUSTERED)

    for router, figures in found.items():
        assert pytest.approx(reference[router].macro, abs=1.0) == 100 * figures["macro"], router
        assert pytest.approx(reference[router].micro, abs=0.5) == 100 * figures["micro"], router
