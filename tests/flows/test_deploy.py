"""`atlas deploy` as far as it goes without a server: what its files may say, and what not."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

DEPLOYMENTS = Path(__file__).parents[2] / "deployments"


@pytest.fixture
def deploy(atlas, monkeypatch):
    """Deploy a file of the folder, with no server named."""
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    monkeypatch.setattr("flows.verbs.deploy.api_url", lambda: None)

    def run(content, *words):
        atlas.write("prefect.yaml", yaml.safe_dump(content))
        return atlas("deploy", "--file", "prefect.yaml", *words)

    return run


def content(**changed):
    deployment = {
        "name": "backlog",
        "entrypoint": "flows.route_backlog.route_backlog",
        "schedules": [{"cron": "0 6 * * *"}],
        "work_pool": {"name": "atlas"},
        "parameters": {"settings": {"backlog": "backlog.jsonl"}},
    }
    return {"name": "atlas", "pull": None, "deployments": [deployment | changed]}


def test_the_shipped_files_are_accepted(atlas, monkeypatch):
    monkeypatch.setattr("flows.verbs.deploy.api_url", lambda: None)

    result = atlas("deploy", "--file", DEPLOYMENTS / "prefect.yaml", "--dry-run", "--json")

    assert 0 == result.code, result.err
    names = {(change["kind"], change["name"]) for change in result.json()}
    assert {
        ("work pool", "atlas"),
        ("deployment", "refresh-nightly/nightly"),
        ("deployment", "route-backlog/backlog"),
    } < names
    assert 3 == sum(kind == "automation" for kind, _ in names)
    assert {"unknown"} == {change["action"] for change in result.json()}


def test_shipped_deployments_run_one_at_a_time_and_refuse_a_second(atlas):
    from flows.deployments_file import read_deployments

    for deployment in read_deployments(DEPLOYMENTS / "prefect.yaml", {}).deployments:
        limit = deployment.concurrency_limit
        assert (1, "CANCEL_NEW") == (limit.limit, limit.collision_strategy)
        assert "atlas" in deployment.tags, "the automations look at this tag"


def test_shipped_automations_are_prefects_own_form(atlas):
    from prefect.events.schemas.automations import AutomationCore

    from flows.deployments_file import read_deployments

    env = {"ATLAS_NOTIFY_BLOCK": "00000000-0000-0000-0000-000000000001"}
    wanted = read_deployments(DEPLOYMENTS / "prefect.yaml", env)

    for automation in wanted.automations:
        assert AutomationCore.model_validate(automation).actions
    crashed, taken_up, _ = wanted.automations
    # The second finds the first by its name.
    assert crashed["name"] == taken_up["trigger"]["match"]["prefect.resource.name"]


def test_without_a_server_nothing_is_deployed_and_the_way_is_shown(deploy):
    result = deploy(content())

    assert 1 == result.code
    assert "No Prefect server is named" in result.err
    assert "next: atlas deploy --dry-run" in result.err


def test_variables_fill_placeholders_and_unset_ones_leave_their_line_out(deploy, monkeypatch):
    from flows.deployments_file import read_deployments

    settings = {"backlog": "{{ $ATLAS_BACKLOG_FILE }}", "pool": "{{ $ATLAS_NO_SUCH }}"}
    monkeypatch.setenv("ATLAS_BACKLOG_FILE", "monday.jsonl")
    result = deploy(content(parameters={"settings": settings}), "--dry-run")

    assert 0 == result.code, result.err
    assert "ATLAS_NO_SUCH is not set" in result.err
    (deployment,) = read_deployments(
        Path("prefect.yaml"), {"ATLAS_BACKLOG_FILE": "monday.jsonl"}
    ).deployments
    assert {"settings": {"backlog": "monday.jsonl"}} == deployment.parameters


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"entrypoint": "flows/route_backlog.py:route_backlog"}, "addressed by its module"),
        ({"entrypoint": "flows.route_backlog.no_such"}, "there is no flow"),
        ({"entrypoint": "flows.no_such.flow"}, "there is no flow"),
        ({"entrypoint": "flows.routing.route_session"}, "is not a Prefect flow"),
        ({"parameters": {}}, "parameters are refused"),
        ({"parameters": {"settings": {"backlog": "b", "alpa": 1}}}, "alpa"),
        ({"schedules": [{"cron": "0 6 * * *", "interval": 60}]}, "either cron or interval"),
        ({"schedules": [{}]}, "either cron or interval"),
        ({"schedules": [{"cron": "six o'clock"}]}, "cron"),
        ({"concurency_limit": 1}, "concurency_limit"),
        ({"concurrency_limit": {"limit": 0}}, "limit"),
        ({"work_pool": {}}, "work_pool.name"),
    ],
)
def test_what_cannot_be_meant_is_said_before_any_server_is_asked(deploy, changed, problem):
    result = deploy(content(**changed), "--dry-run")

    assert 2 == result.code
    assert problem in result.err
    assert "prefect.yaml" in result.err


def test_a_password_in_the_parameters_is_refused_and_not_repeated(deploy):
    settings = {"backlog": "b.jsonl", "mlflow_uri": "postgresql://me:hunter2@host/mlflow"}

    result = deploy(content(parameters={"settings": settings}), "--dry-run")

    assert 2 == result.code
    assert "into the environment of the worker" in result.err
    assert "hunter2" not in result.err + result.out


@pytest.mark.parametrize(
    ("text", "problem"),
    [("deployments: [", "is not YAML"), ("", "deployments"), ("- a\n", "prefect.yaml")],
)
def test_a_file_that_is_no_deployment_is_named(atlas, text, problem):
    atlas.write("prefect.yaml", text)

    result = atlas("deploy", "--file", "prefect.yaml", "--dry-run")

    assert 2 == result.code
    assert problem in result.err


def test_a_missing_file_is_named(atlas):
    result = atlas("deploy", "--file", "nowhere.yaml", "--dry-run")

    assert 2 == result.code
    assert "nowhere.yaml cannot be read" in result.err


def test_automations_that_are_no_list_are_refused(deploy, atlas):
    atlas.write("automations.yaml", "automations: {name: one}\n")

    result = deploy(content(), "--dry-run")

    assert 2 == result.code
    assert "automations.yaml must be one list" in result.err


def test_compose_checks_the_health_of_every_service_and_holds_no_secret():
    services = yaml.safe_load((DEPLOYMENTS / "compose.yaml").read_text(encoding="utf-8"))[
        "services"
    ]

    assert {"postgres", "prefect", "mlflow", "worker"} == set(services)
    for name, service in services.items():
        assert service["healthcheck"]["test"], name
        for value in service["environment"].values():
            assert "atlas:${POSTGRES_PASSWORD" in value or "://" not in value or "@" not in value
    assert (
        "password"
        not in (DEPLOYMENTS / "env.example")
        .read_text(encoding="utf-8")
        .lower()
        .split("postgres_password=", 1)[1]
        .split("\n", 1)[0]
    )
