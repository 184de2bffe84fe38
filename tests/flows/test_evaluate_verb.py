"""`atlas evaluate` on the real command line: figures on standard output, sentences on error."""

from __future__ import annotations

import json
import os

import polars as pl
import pytest

from flows.cli import main
from flows.evaluating import evaluate_job, evaluation_session
from flows.settings import EvaluateSettings

MODELS = ("a", "b")


@pytest.fixture(autouse=True)
def _own_home(tmp_path, monkeypatch):
    for name in [name for name in os.environ if name.startswith("ATLAS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("ATLAS_ROOT", str(tmp_path / "root"))
    monkeypatch.setenv("ATLAS_RUNNER", "plain")
    monkeypatch.setenv("ATLAS_TRACKING", "false")
    monkeypatch.setenv("ATLAS_ENCODER", "hashing")


@pytest.fixture
def table(tmp_path):
    """Ten questions; model a is right on even ones, b on the others, at twice the price."""
    folder = tmp_path / "table"
    folder.mkdir()
    queries = [
        {
            "query_id": f"q{number}",
            "text": f"{'even stars' if number % 2 == 0 else 'odd fish'} {number}",
            "dataset": "all",
            "split": "train" if number < 6 else "test",
        }
        for number in range(10)
    ]
    outcomes = [
        {
            "query_id": f"q{number}",
            "model": model,
            "tool": "none",
            "score": float(number % 2 == place),
            "cost_usd": 0.001 * (1 + place),
            "input_tokens": 1,
            "output_tokens": 1,
            "answer": model,
        }
        for number in range(10)
        for place, model in enumerate(MODELS)
    ]
    pl.DataFrame(queries).write_parquet(folder / "queries.parquet")
    pl.DataFrame(outcomes).write_parquet(folder / "outcomes.parquet")
    return folder


def test_json_has_every_promised_figure_by_router_and_split(table, capsys):
    code = main(["evaluate", str(table), "--routers", "random,oracle", "--json"])

    said = capsys.readouterr()
    figures = json.loads(said.out)
    assert (0, {"random", "oracle"}) == (code, set(figures))
    assert {"n", "macro", "micro", "micro_low", "micro_high", "macro_low", "macro_high"} < set(
        figures["oracle"]["test"]
    )
    assert {"cost_usd", "calls", "decisions_per_s"} < set(figures["oracle"]["test"])
    assert (4, 1.0, 0.5) == (
        figures["oracle"]["test"]["n"],
        figures["oracle"]["test"]["micro"],
        figures["random"]["test"]["micro"],
    )
    assert "micro_realised" in figures["random"]["test"]
    assert "test: 4 questions through oracle" in said.err


def test_a_table_for_people_is_the_data_without_json(table, capsys):
    code = main(["evaluate", str(table), "--routers", "best-single,cluster,oracle"])

    said = capsys.readouterr()
    assert 0 == code
    assert "evaluate table · alpha 0" in said.out
    assert "test: n = 4 questions of 1 dataset" in said.out
    assert "decisions per second" in said.out


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["nowhere"], 1, "there is no folder nowhere"),
        (["TABLE", "--routers", "orcale"], 2, "did you mean 'oracle'"),
        (["TABLE", "--routers", "oracle,oracle"], 2, "oracle is named twice"),
        (["TABLE", "--alpha", "2"], 2, "it must be 1"),
        (["TABLE", "--clusters", "0"], 2, "it must be 1 or more"),
        (["TABLE", "--clusters", "many"], 2, "it must be a whole number, or auto"),
        (["TABLE", "--cells", "0"], 2, "greater than 0"),
        (["TABLE", "--sampler", "some"], 2, "'adaptive', 'queries' or 'cells'"),
        (["TABLE", "--leave-out", "al"], 2, "did you mean 'all'"),
        (["TABLE", "--leave-out", "all"], 2, "nothing to learn from"),
        ([], 2, "directory is missing"),
    ],
)
def test_what_cannot_be_meant_ends_in_a_sentence(table, capsys, arguments, code, words):
    typed = [str(table) if word == "TABLE" else word for word in arguments]

    ended = main(["evaluate", *typed])

    said = capsys.readouterr()
    assert (code, "") == (ended, said.out)
    assert words in said.err
    assert "Traceback" not in said.err


def test_a_missing_cell_ends_in_a_sentence_naming_it(table, capsys):
    path = table / "outcomes.parquet"
    lost = (pl.col("query_id") == "q7") & (pl.col("model") == "a")
    pl.read_parquet(path).filter(~lost).write_parquet(path)

    code = main(["evaluate", str(table), "--routers", "fixed:a@@none"])

    assert 1 == code
    assert "'q7', pair 'a@@none'" in capsys.readouterr().err


@pytest.mark.parametrize("costs", [True, False])
def test_the_figure_is_a_png_with_or_without_costs(table, tmp_path, capsys, costs):
    if not costs:
        path = table / "outcomes.parquet"
        unknown = pl.lit(None, pl.Float64).alias("cost_usd")
        pl.read_parquet(path).with_columns(unknown).write_parquet(path)
    drawn = tmp_path / "figure.png"

    code = main(["evaluate", str(table), "--routers", "best-single,oracle", "--figure", str(drawn)])

    assert 0 == code
    assert drawn.read_bytes().startswith(b"\x89PNG")
    assert str(drawn) in capsys.readouterr().err


def test_a_kept_folder_holds_the_backlogs(table, tmp_path, capsys):
    kept = tmp_path / "kept"

    assert 0 == main(["evaluate", str(table), "--routers", "oracle", "--keep", str(kept)])

    assert (kept / "ledger.db").exists()
    assert (kept / "answers").is_dir()


def test_settings_reach_the_job(table):
    settings = EvaluateSettings(directory=table, alpha=0.5, clusters=3, seed=4, kmeans_seed=5)

    job = evaluate_job(settings)

    assert (0.5, 3, 4, 5, table) == (
        job.alpha,
        job.clusters,
        job.seed,
        job.kmeans_seed,
        job.directory,
    )


@pytest.mark.slow
def test_an_evaluation_is_tracked_with_figures_and_pictures(table, tmp_path):
    import mlflow

    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    settings = EvaluateSettings(
        directory=table,
        root=tmp_path / "root",
        routers=("best-single", "oracle"),
        mlflow_uri=uri,
        artifacts=str(tmp_path / "artifacts"),
        tracking=True,
        progress="never",
    )

    evaluation_session(settings)

    client = mlflow.MlflowClient(tracking_uri=uri)
    experiment = client.get_experiment_by_name("atlas")
    (run,) = client.search_runs([experiment.experiment_id])
    assert "evaluate-table" == run.info.run_name
    assert 1.0 == run.data.metrics["test/oracle/micro"]
    assert ["figures/test.png"] == [
        one.path for one in client.list_artifacts(run.info.run_id, "figures")
    ]


@pytest.mark.flow
@pytest.mark.slow
def test_the_flow_gives_what_the_plain_runner_gives(table, tmp_path, monkeypatch):
    from prefect.testing.utilities import prefect_test_harness

    from flows.evaluate_routers import as_markdown, evaluate_routers

    settings = EvaluateSettings(
        directory=table,
        root=tmp_path / "root",
        routers=("cluster", "oracle"),
        tracking=False,
        progress="never",
    )
    plain = evaluation_session(settings)
    with prefect_test_harness(server_startup_timeout=120):
        flowed = evaluate_routers(settings)

    for evaluation in (plain, flowed):
        assert 1.0 == evaluation.as_json()["oracle"]["test"]["micro"]
    assert "evaluate table" in as_markdown(flowed)
