"""`atlas route --explore`, then `atlas evaluate --off-policy`, on the real command line."""

from __future__ import annotations

import json

import pytest
import yaml

from flows.cli import main
from tests.tasks.off_policy.made_log import MadeLog
from warehouse.query import committed

FIXED = "fixed:calm@@none"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return MadeLog(tmp_path_factory.mktemp("verb"), n=200)


@pytest.fixture
def command(made, monkeypatch, capsys):
    """Runs a command in the made warehouse: exit code, standard output, standard error."""
    monkeypatch.setenv("ATLAS_ROOT", str(made.root))
    for name, setting in (("RUNNER", "plain"), ("TRACKING", "no"), ("ENCODER", "hashing")):
        monkeypatch.setenv(f"ATLAS_{name}", setting)

    def run(*words):
        code = main([str(word) for word in words])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def route(command, made, *words):
    small = made.small
    return command(
        "route", small.backlog_path, "--pool", small.pool_path, "--router", "cluster", *words
    )


def test_a_router_that_never_ran_is_valued_on_an_explored_run(command, made):
    code, _, err = route(
        command, made, "--explore", "0.8", "--explore-band", "1", "--name", "explored"
    )
    assert 0 == code, err
    code, out, err = command("evaluate", "--off-policy", "explored", "--routers", FIXED, "--json")

    assert 0 == code, err
    found = json.loads(out)
    truth = made.scores[:, 0].mean()
    for name, one in found["routers"][FIXED]["values"]["score"].items():
        assert one["low"] <= truth <= one["high"], name
    assert 200 == found["log"]["questions"]
    assert "200 labelled questions, of which 200 were left to chance" in err

    code, out, _ = command("evaluate", "--off-policy", "explored", "--routers", FIXED)
    assert 0 == code
    assert "switch-dr" in out
    assert "effective sample" in out


def test_thompson_draws_and_says_so(command, made):
    code, _, err = route(
        command, made, "--explore", "1", "--explorer", "thompson", "--explore-band", "1",
        "--limit", "40", "--name", "sampled",
    )  # fmt: skip

    assert 0 == code, err
    reasons = committed(made.root, "decisions", "sampled").collect().get_column("reason")
    assert reasons.str.starts_with("explored (thompson, 1 of the questions, band 1)").any()


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (("evaluate", "--off-policy", "nowhere"), 1, "there is no run 'nowhere'"),
        (("evaluate", "x", "--profile", "latest"), 1, "note: --profile counts with --off-policy"),
        (("evaluate", "--off-policy", "x", "--cells", "0.5"), 1, "nothing is made of --cells"),
        (("evaluate", "--off-policy", "x", "--figure", "f.png"), 2, "There is no --figure"),
        (("evaluate", "--off-policy", "x", "--routers", "orcale"), 2, "did you mean 'oracle'"),
        (("evaluate", "--off-policy", "x", "--routers", "oracle"), 2, "must be told"),
    ],
)
def test_what_cannot_be_meant_ends_in_a_sentence(command, words, code, sentence):
    ended, out, err = command(*words)

    assert (code, "") == (ended, out)
    assert sentence in err
    assert "Traceback" not in err


def test_a_run_without_exploration_ends_in_a_sentence(command, made):
    assert 0 == route(command, made, "--limit", "20", "--name", "certain")[0]
    code, out, err = command("evaluate", "--off-policy", "certain")

    assert (1, "") == (code, out)
    assert "every choice of certain was certain" in err


def test_exploring_with_a_router_that_knows_no_utility_is_refused(command, made):
    small = made.small
    code, _, err = command(
        "route", small.backlog_path, "--pool", small.pool_path, "--router", "random",
        "--explore", "0.1",
    )  # fmt: skip

    assert 1 == code
    assert "nothing to explore near the best one" in err


def test_exploring_with_a_policy_is_refused(command, made):
    code, _, err = route(command, made, "--explore", "0.1", "--policy", "champion")

    assert 2 == code
    assert "leave explore out" in err


@pytest.mark.long
def test_on_simulated_models_the_value_of_a_router_is_what_routing_with_it_came_to(
    tmp_path, monkeypatch, command
):
    monkeypatch.setenv("ATLAS_ROOT", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    assert 0 == command("init", ".", "--labelled", "60", "--backlog", "500", "--seed", "7")[0]
    pool = yaml.safe_load((tmp_path / "pool.yaml").read_text())
    pool["models"] = {key: pool["models"][key] for key in list(pool["models"])[:2]}
    pool["tools"] = {key: tool for key, tool in pool["tools"].items() if tool["kind"] == "none"}
    pool["pairs"] = {"include": ["*@@*"]}
    (tmp_path / "pool.yaml").write_text(yaml.safe_dump(pool, sort_keys=False))
    code, _, err = command("profile", "run", "labelled.parquet", "--clusters", "3")
    assert 0 == code, err
    explored = ("--router", "cluster", "--explore", "0.3", "--explore-band", "1")
    assert 0 == command("route", "backlog.jsonl", *explored, "--name", "explored")[0]

    pairs = [f"{model}@@{tool}" for model in pool["models"] for tool in pool["tools"]]
    targets = [f"fixed:{pair}" for pair in pairs]
    code, out, err = command(
        "evaluate", "--off-policy", "explored", "--routers", ",".join(targets), "--json"
    )
    assert 0 == code, err
    for number, target in enumerate(targets):
        name = f"truth-{number}"
        assert 0 == command("route", "backlog.jsonl", "--router", target, "--name", name)[0]
        truth = committed(tmp_path / "data", "answers", name).collect()
        values = json.loads(out)["routers"][target]["values"]
        for one in values["score"].values():
            assert one["low"] <= truth.get_column("score").mean() <= one["high"]
        spent = float(truth.get_column("cost_usd").cast(float).mean())
        for estimator in ("snips", "dr", "switch-dr"):
            assert values["cost_usd"][estimator]["low"] <= spent
            assert spent <= values["cost_usd"][estimator]["high"]
