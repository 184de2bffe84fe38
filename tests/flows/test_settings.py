"""Settings come from flag, environment, file or default, and every refusal says from where."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from flows.settings import (
    ALL_SETTINGS,
    EvaluateSettings,
    HomeSettings,
    ProfileSettings,
    RouteSettings,
    environment_name,
    flag_name,
)
from flows.settings_sources import SettingsError, load, unknown_variables

BACKLOG = {"backlog": "backlog.jsonl"}


def write(folder: Path, text: str) -> Path:
    path = folder / "atlas.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def problems(kind=RouteSettings, **sources):
    with pytest.raises(SettingsError) as caught:
        load(kind, environ=sources.pop("environ", {}), **sources)
    return caught.value.problems


def test_defaults_need_nothing_but_the_backlog():
    settings = load(RouteSettings, flags=BACKLOG, environ={})

    assert ("auto", "latest", 500, "resend", None) == (
        settings.router,
        settings.profile,
        settings.chunk_size,
        settings.in_doubt,
        settings.max_cost_usd,
    )
    assert Path("warehouse/data") == settings.root
    assert "sqlite:///mlruns/mlflow.db" == settings.mlflow_uri


def test_a_flag_beats_the_environment_which_beats_the_file_which_beats_the_default(tmp_path):
    config = write(tmp_path, "route:\n  alpha: 0.1\n  concurrency: 3\n  chunk_size: 7\n")
    environ = {"ATLAS_ALPHA": "0.2", "ATLAS_CONCURRENCY": "4"}

    settings = load(RouteSettings, flags={**BACKLOG, "alpha": 0.3}, config=config, environ=environ)

    assert (0.3, 4, 7, 0) == (
        settings.alpha,
        settings.concurrency,
        settings.chunk_size,
        settings.seed,
    )


def test_the_environment_can_name_the_file(tmp_path):
    config = write(tmp_path, "root: /srv/atlas\nroute:\n  backlog: b.csv\n")

    settings = load(RouteSettings, environ={"ATLAS_CONFIG": str(config)})

    assert (Path("/srv/atlas"), "b.csv") == (settings.root, settings.backlog)


def test_money_is_read_as_exact_decimals_from_everywhere(tmp_path):
    config = write(tmp_path, "route:\n  max_cost_usd: 20.10\n")

    by_file = load(RouteSettings, flags=BACKLOG, config=config, environ={})
    by_environment = load(RouteSettings, flags=BACKLOG, environ={"ATLAS_MAX_COST": "20.10"})

    assert Decimal("20.1") == by_file.max_cost_usd == by_environment.max_cost_usd


def test_one_file_serves_every_command(tmp_path):
    config = write(
        tmp_path,
        "runner: plain\nprofile:\n  questions: q.jsonl\n  clusters: 4\n"
        "evaluate:\n  directory: d\n  routers: [random, oracle]\n",
    )

    profile = load(ProfileSettings, config=config, environ={})
    evaluate = load(EvaluateSettings, config=config, environ={})

    assert ("plain", 4) == (profile.runner, profile.clusters)
    assert ("plain", ("random", "oracle")) == (evaluate.runner, evaluate.routers)


def test_routers_are_separated_by_commas_in_the_environment():
    environ = {"ATLAS_ROUTERS": "random, oracle", "ATLAS_DIRECTORY": "d"}

    assert ("random", "oracle") == load(EvaluateSettings, environ=environ).routers


def test_an_empty_variable_and_an_empty_yaml_value_are_not_set(tmp_path):
    config = write(tmp_path, "route:\n  limit:\n")

    settings = load(RouteSettings, flags=BACKLOG, config=config, environ={"ATLAS_LIMIT": ""})

    assert settings.limit is None


def test_an_empty_file_sets_nothing(tmp_path):
    config = write(tmp_path, "# nothing yet\n")

    assert HomeSettings() == load(HomeSettings, config=config, environ={})


def test_what_is_missing_is_asked_for_by_flag_variable_and_section():
    (problem,) = problems()

    assert (
        "backlog is missing: give --backlog, set ATLAS_BACKLOG, or write `backlog:` under "
        "`route:` in the --config file." == problem
    )


def test_a_refused_value_names_its_source(tmp_path):
    config = write(tmp_path, "route:\n  # a comment\n  chunk_size: 0\n")
    environ = {"ATLAS_ALPHA": "1.5"}
    flags = {**BACKLOG, "max_cost_usd": "much"}

    found = problems(flags=flags, config=config, environ=environ)

    assert (
        "alpha cannot be '1.5' in the environment (ATLAS_ALPHA): it must be 1.0 or less." in found
    )
    assert (
        "max_cost_usd cannot be 'much' on the command line (--max-cost): it must be a number."
        in found
    )
    assert f"chunk_size cannot be '0' in {config}, line 3: it must be 1 or more." in found


@pytest.mark.parametrize(
    ("environ", "wanted"),
    [
        pytest.param({"ATLAS_ALPHA": "nan"}, "it must be a finite number", id="nan"),
        pytest.param({"ATLAS_MAX_COST": "Infinity"}, "it must be a finite number", id="infinity"),
        pytest.param({"ATLAS_MAX_COST": "-1"}, "it must be 0 or more", id="negative-money"),
        pytest.param({"ATLAS_LIMIT": "1.5"}, "it must be a whole number", id="fraction"),
        pytest.param({"ATLAS_IN_DOUBT": "ask"}, "it must be 'resend' or 'hold'", id="choice"),
        pytest.param({"ATLAS_ALLOW_UNPRICED": "maybe"}, "it must be true or false", id="bool"),
        pytest.param({"ATLAS_NAME": "../up"}, "a run's name has 1 to 128", id="name"),
    ],
)
def test_values_that_make_no_sense_are_refused(environ, wanted):
    (problem,) = problems(flags=BACKLOG, environ=environ)

    assert wanted in problem


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("rooot: x\n", "1: rooot: is not a setting; did you mean `root`?", id="typo"),
        pytest.param("alpha: 1\n", "1: alpha: belongs into the section `route:`", id="no-section"),
        pytest.param(
            "route:\n  root: x\n", "2: route.root: belongs at the top", id="wrong-section"
        ),
        pytest.param("evaluate:\n  alfa: 1\n", "did you mean `alpha`", id="other-section"),
        pytest.param("route: 3\n", "must be a section", id="not-a-section"),
        pytest.param("- a\n", "must be `field: value` lines", id="list"),
        pytest.param("root: [\n", "is not YAML", id="syntax"),
        pytest.param("root: a\nroot: b\n", "given twice", id="twice"),
        pytest.param("root: &a [*a]\n", "contains itself", id="cycle"),
        pytest.param("route:\n  allow_unpriced: 2020-01-01\n", "date", id="date"),
    ],
)
def test_a_file_that_cannot_be_meant_is_refused_by_line(tmp_path, text, message):
    config = write(tmp_path, text)

    (problem,) = problems(flags=BACKLOG, config=config)

    assert problem.startswith(str(config))
    assert message in problem


def test_unreadable_files_are_refused(tmp_path):
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"\xff\xfe\x00")

    assert "not UTF-8" in problems(HomeSettings, config=binary)[0]
    assert "No such file" in problems(HomeSettings, config=tmp_path / "absent.yaml")[0]


def test_true_is_no_number(tmp_path):
    config = write(tmp_path, "route:\n  concurrency: true\n")

    (problem,) = problems(flags=BACKLOG, config=config)

    assert "true and false are no value for this field" in problem


def test_a_router_is_named_once():
    (problem,) = problems(EvaluateSettings, flags={"directory": "d", "routers": "a,a"})

    assert "a is named twice" in problem


def test_a_flag_nobody_knows_is_a_mistake_of_the_caller():
    assert ("alfa is not a setting of RouteSettings.",) == problems(flags={"alfa": 1})


def test_keys_and_passwords_are_never_repeated():
    environ = {"ATLAS_ALPHA": "sk-abcdefghijklmnop1234", "ATLAS_LIMIT": "postgres://me:pw@host/db"}

    text = "\n".join(problems(flags=BACKLOG, environ=environ))

    assert "sk-abc" not in text
    assert "pw" not in text


def test_public_settings_hide_passwords_of_addresses():
    settings = load(HomeSettings, flags={"mlflow_uri": "postgresql://u:pw@db:5432/m"}, environ={})

    assert "postgresql://…@db:5432/m" == settings.public()["mlflow_uri"]
    assert "pool.yaml" == load(RouteSettings, flags=BACKLOG, environ={}).public()["pool"]


def test_settings_are_frozen():
    settings = load(HomeSettings, environ={})

    with pytest.raises(ValueError, match="frozen"):
        settings.root = Path("elsewhere")  # type: ignore[misc]


@pytest.mark.parametrize("kind", ALL_SETTINGS, ids=lambda kind: kind.__name__)
def test_every_field_is_documented_and_has_twins(kind):
    for name, field in kind.model_fields.items():
        assert field.description, name
        assert flag_name(name).startswith("--")
        assert environment_name(name).startswith("ATLAS_")


@pytest.mark.parametrize("kind", ALL_SETTINGS, ids=lambda kind: kind.__name__)
def test_every_field_is_classified_once_for_the_identity_of_a_run(kind):
    classes = [kind.identity_fields, kind.resolved_fields, kind.runtime_fields]

    assert sorted(kind.model_fields) == sorted(name for names in classes for name in names)


def test_identity_leaves_the_budget_out():
    cheap = load(RouteSettings, flags={**BACKLOG, "max_cost_usd": 1}, environ={})
    dear = load(RouteSettings, flags={**BACKLOG, "max_cost_usd": 2}, environ={})

    assert cheap.identity() == dear.identity()
    assert 0.0 == cheap.identity()["alpha"]


def test_a_misspelt_variable_is_noticed_and_a_foreign_one_let_be():
    environ = {"ATLAS_MAX_COSTS": "1", "ATLAS_OPENAI_KEY": "x", "ATLAS_ALPHA": "0"}

    assert [("ATLAS_MAX_COSTS", "ATLAS_MAX_COST")] == unknown_variables(environ)
