"""The command as a whole: help, laziness, streams, exit codes, failures in sentences."""

from __future__ import annotations

import asyncio
import errno
import importlib
import json
import os
import subprocess
import sys

import pytest

from flows.cli import VERBS
from flows.failures import CommandError, explain, same_command
from flows.routing import run_async
from flows.settings import ProfileSettings, RouteSettings, environment_name, flag_name
from warehouse.errors import WarehouseError

FIXED = "fixed:small@@none"
HELPS = [
    *((verb,) for verb in VERBS),
    ("profile", "run"),
    ("profile", "import"),
    ("profile", "show"),
    ("runs", "list"),
    ("runs", "show"),
    ("runs", "retry"),
    ("runs", "cancel"),
    ("runs", "export"),
]


@pytest.mark.parametrize("words", HELPS, ids=" ".join)
def test_every_verb_has_help(atlas, words):
    result = atlas(*words, "--help")

    assert 0 == result.code
    assert f"Usage: atlas {' '.join(words)}" in result.out
    assert "--help" in result.out


@pytest.mark.parametrize("verb", VERBS)
def test_every_listed_verb_is_there(verb):
    assert importlib.import_module(f"flows.verbs.{verb}").app is not None


def test_help_lists_every_verb_with_a_line(atlas):
    result = atlas("--help")

    assert 0 == result.code
    assert list(VERBS) == [
        line.split()[0] for line in result.out.partition("Commands:\n")[2].splitlines() if line
    ]


@pytest.mark.parametrize(
    ("words", "settings", "argument"),
    [
        (("route",), RouteSettings, "backlog"),
        (("plan",), RouteSettings, "backlog"),
        (("profile", "run"), ProfileSettings, "questions"),
    ],
    ids=["route", "plan", "profile run"],
)
def test_every_setting_is_a_flag_that_names_its_variable(atlas, words, settings, argument):
    text = " ".join(atlas(*words, "--help").out.split())

    for name in set(settings.model_fields) - {argument}:
        assert f"{flag_name(name)}" in text
        assert environment_name(name) in text


def test_a_plain_route_never_imports_prefect_or_mlflow(atlas, backlog):
    program = """
import sys
from flows.cli import main
code = main(sys.argv[1:])
print(code, sorted({"prefect", "mlflow", "torch"} & set(sys.modules)), file=sys.stderr)
"""
    words = ["route", backlog(3), "--router", FIXED]
    result = subprocess.run(
        [sys.executable, "-c", program, *words],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        cwd=atlas.folder,
        capture_output=True,
        text=True,
        check=True,
    )

    assert "0 []" == result.stderr.splitlines()[-1]


def test_flows_are_exported_without_importing_anything():
    program = """
import sys
import flows
assert not {"prefect", "pydantic", "polars"} & set(sys.modules)
from flows import profile_pool, route_backlog
print(route_backlog.__module__, profile_pool.__module__, "prefect" in sys.modules)
"""
    result = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "ATLAS_RUNNER": "plain"},
        capture_output=True,
        text=True,
        check=True,
    )

    assert "flows.routing flows.profiling False\n" == result.stdout


def test_data_goes_to_standard_output_and_people_read_standard_error(atlas, backlog):
    result = atlas("route", backlog(3), "--router", FIXED, "--json")

    report = result.json()
    assert ("complete", 3, 0) == (report["status"], report["answered"], report["failed"])
    assert "3 queries" in result.err
    assert "next: atlas report" in result.err


def test_a_process_answers_like_the_entry_point(atlas, finished):
    result = atlas.process("runs", "list", "--json")

    assert 0 == result.code
    assert [finished] == [run["run_id"] for run in json.loads(result.out)]


def test_a_closed_standard_output_is_quiet(atlas, finished):
    read_end, write_end = os.pipe()
    os.close(read_end)
    process = subprocess.Popen(
        [sys.executable, "-m", "flows.cli", "tables", "attempts"],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        cwd=atlas.folder,
        stdout=write_end,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(write_end)
    _, errors = process.communicate(timeout=60)

    assert "" == errors


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("frobnicate",), "frobnicate"),
        (("route", "x.jsonl", "--no-such-flag"), "--no-such-flag"),
        (("runs", "show"), "NAME"),
        (("route", "x.jsonl", "--alpha", "7"), "alpha"),
        (("route",), "backlog"),
    ],
    ids=["verb", "flag", "argument", "value", "missing setting"],
)
def test_wrong_usage_is_exit_code_2(atlas, words, said):
    result = atlas(*words)

    assert 2 == result.code
    assert said.lower() in result.err.lower()


def test_the_environment_and_the_configuration_file_set_what_flags_do(atlas, backlog, monkeypatch):
    atlas.write("atlas.yaml", "route:\n  router: fixed:large@@none\n  chunk_size: 2\n")
    monkeypatch.setenv("ATLAS_NAME", "from-the-environment")

    result = atlas("route", backlog(3), "--config", "atlas.yaml", "--json")

    assert "from-the-environment" == result.json()["run_id"]
    shown = atlas("runs", "show", "from-the-environment", "--json").json()
    assert ("fixed:large@@none", 2) == (
        shown["settings"]["router"],
        shown["settings"]["chunk_size"],
    )


def test_an_unknown_error_is_one_sentence_and_a_file(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    failure = explain(ZeroDivisionError("sk-abcdefghijklmnop1234 divided"), ["route", "x"])

    (saved,) = tmp_path.glob("atlas-error-*.txt")
    assert 1 == failure.exit_code
    assert str(saved) in failure.sentence
    assert "ZeroDivisionError" in saved.read_text()
    assert "sk-abc" not in failure.sentence + saved.read_text()
    assert 0o600 == saved.stat().st_mode & 0o777


def test_a_known_error_inside_a_group_is_found():
    group = ExceptionGroup(
        "chunks", [ExceptionGroup("rows", [WarehouseError("The disk is gone.")])]
    )

    assert ("The disk is gone.", None, 1) == explain(group, ["route"])


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "/data/x"), "disk is full"),
        (OSError(errno.EROFS, "Read-only file system", "/data/x"), "read-only"),
        (PermissionError(errno.EACCES, "Permission denied", "/data/x"), "/data/x"),
    ],
    ids=["full", "read-only", "permission"],
)
def test_what_the_system_refuses_is_said_with_a_remedy(error, said):
    failure = explain(error, ["route"])

    assert 1 == failure.exit_code
    assert said in failure.sentence


@pytest.mark.parametrize(
    "text",
    [
        "Failed to reach API at http://127.0.0.1:9/api/",
        "Timed out while attempting to connect to ephemeral Prefect API server.",
    ],
)
def test_without_a_prefect_server_the_way_without_prefect_is_named(text):
    failure = explain(RuntimeError(text), ["route", "x.jsonl"])

    assert (1, "atlas route x.jsonl --runner plain") == (failure.exit_code, failure.then)
    assert "PREFECT_API_URL" in failure.sentence


async def test_a_session_runs_inside_a_running_loop_too():
    async def work():
        await asyncio.sleep(0)
        return 42

    async def broken():
        raise WarehouseError("The disk is gone.")

    assert 42 == run_async(work())
    with pytest.raises(WarehouseError, match="gone"):
        run_async(broken())


def test_database_errors_hide_their_parameters():
    from sqlalchemy.exc import OperationalError

    error = OperationalError("INSERT …", {"payload": "secret answer"}, Exception("disk full"))

    failure = explain(error, ["route"])

    assert "disk is full" in failure.sentence
    assert "secret" not in failure.sentence


def test_the_command_to_repeat_shows_no_password():
    command = same_command(["route", "x", "--mlflow-uri", "postgresql://me:hush@db/mlflow"])

    assert "hush" not in command
    assert "db/mlflow" in command


def test_a_command_error_names_what_to_type():
    failure = explain(CommandError("There is no run.", "atlas runs list"), ["runs", "show", "x"])

    assert ("There is no run.", "atlas runs list", 1) == failure


def test_debug_shows_the_traceback(atlas, monkeypatch):
    monkeypatch.setenv("ATLAS_DEBUG", "1")

    result = atlas("runs", "list")

    assert 1 == result.code
    assert "Traceback" in result.err


def test_tables_are_described(atlas):
    assert "answers" in atlas("tables").out
    columns = atlas("tables", "answers", "--json").json()
    assert {"custom_id", "cost_usd"} <= {column["name"] for column in columns}


def test_init_refuses_a_folder_in_use_and_leaves_it_alone(atlas):
    atlas.write("mine/notes.txt", "keep me")

    result = atlas("init", "mine")

    assert 1 == result.code
    assert "--force" in result.err
    assert ["notes.txt"] == [path.name for path in (atlas.folder / "mine").iterdir()]


def test_doctor_looks_at_everything_and_fails_on_a_broken_pool(atlas, monkeypatch):
    monkeypatch.setenv("ATLAS_MAX_COSTS", "3")

    healthy = {check["name"]: check for check in atlas("doctor", "--json").json()}
    atlas.write("broken.yaml", "name: x\n")
    broken = atlas("doctor", "--pool", "broken.yaml")

    assert {"python", "pool", "keys", "prices", "sandbox", "ledger", "prefect"} <= set(healthy)
    assert "ok" == healthy["pool"]["status"]
    assert "ATLAS_MAX_COST" in healthy["settings"]["detail"]
    assert 1 == broken.code
    assert "models" in broken.out
