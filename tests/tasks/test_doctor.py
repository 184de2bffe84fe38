"""The doctor finds what a run would stumble over, says what to do, and changes nothing."""

from __future__ import annotations

import http.server
import sqlite3
import subprocess
import sys
import threading
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

import tasks.doctor as doctor
from profiles.pool import Limits, ModelSpec, Pair, Pool, Prices, ToolSpec
from tasks.doctor import Check, Subject, diagnose
from tasks.report.checks_table import checks_table
from tasks.services import mlflow_service, prefect_service
from warehouse.ledger import open_ledger

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def subject(tmp_path):
    return Subject(
        root=tmp_path / "data",
        mlflow_uri=f"sqlite:///{tmp_path}/mlflow.db",
        environ={"PREFECT_HOME": str(tmp_path)},
    )


@pytest.fixture
def server():
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200 if self.path == "/api/health" else 503)
            self.end_headers()

        def log_message(self, *_arguments):
            return

    running = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"http://127.0.0.1:{running.server_port}"
    running.shutdown()
    thread.join()
    running.server_close()


def make_pool(**changes):
    model = ModelSpec(
        key="m",
        provider="openai",
        name="m",
        prices=Prices(Decimal(1), Decimal(2)),
        endpoint="http://127.0.0.1:1/v1",
        api_key_env="MY_PROVIDER_KEY",
        limits=Limits(),
    )
    model = replace(model, **changes)
    tools = {"none": ToolSpec("none", "none"), "python": ToolSpec("python", "python")}
    pairs = (Pair("m", "none"), Pair("m", "python"))
    return Pool("example", {"m": model}, tools, pairs, fingerprint="f")


def by_name(checks):
    return {check.name: check for check in checks}


def test_a_healthy_installation_is_ready_and_left_untouched(subject, tmp_path):
    pool = next((REPOSITORY / "profiles" / "pools").glob("*.yaml"))

    checks = by_name(diagnose(replace(subject, pool=pool)))

    assert {
        "python", "packages", "settings", "pool", "keys", "prices", "sandbox", "encoder",
        "warehouse", "ledger", "prefect", "mlflow",
    } == set(checks)  # fmt: skip
    assert {"ok"} == {c.status for name, c in checks.items() if name != "sandbox"}
    assert [] == list(tmp_path.iterdir())


def test_every_finding_that_is_not_well_says_what_to_do(subject):
    bad = replace(
        subject,
        pool=Path("nowhere.yaml"),
        encoder="some/model",
        mlflow_uri="http://127.0.0.1:9",
        environ={"PREFECT_API_URL": "http://127.0.0.1:9/api"},
        misspelt=[("ATLAS_ROOTS", "ATLAS_ROOT")],
    )

    unwell = [check for check in diagnose(bad) if check.status != "ok"]

    assert {"settings", "pool", "encoder", "prefect", "mlflow"} <= {check.name for check in unwell}
    assert all(check.remedy for check in unwell)


def test_a_pool_file_with_problems_lists_them_all(tmp_path):
    path = tmp_path / "pool.yaml"
    path.write_text("name: x\nmodels: {}\ncolour: red\n")

    check, pool = doctor.check_pool(path)

    assert pool is None
    assert "fail" == check.status
    assert "colour" in check.detail
    assert f"{path}:3" in check.detail


def test_missing_keys_are_named_and_present_ones_are_not_shown():
    missing = doctor.check_keys(make_pool(), {})
    present = doctor.check_keys(make_pool(), {"MY_PROVIDER_KEY": "sk-very-secret-indeed"})

    assert ("fail", "not set: MY_PROVIDER_KEY") == (missing.status, missing.detail)
    assert ("ok", "set: MY_PROVIDER_KEY") == (present.status, present.detail)


def test_unknown_prices_are_a_warning_and_free_ones_are_known():
    unknown = doctor.check_prices(make_pool(prices=Prices(None, None)))
    free = doctor.check_prices(make_pool(prices=Prices(Decimal(0), Decimal(0))))

    assert "warn" == unknown.status
    assert "unknown for 2 pairs: m@@none, m@@python" == unknown.detail
    assert "ok" == free.status


@pytest.mark.parametrize(
    ("name", "unsafe", "pool", "status"),
    [
        ("bubblewrap+seccomp", False, make_pool(), "ok"),
        ("unsafe", True, make_pool(), "warn"),
        ("refused", False, make_pool(), "fail"),
        ("refused", False, None, "warn"),
    ],
)
def test_without_a_sandbox_only_a_pool_that_runs_programs_fails(
    monkeypatch, name, unsafe, pool, status
):
    from tasks.tools import isolation

    tier = isolation.Tier(name, "a sentence")
    monkeypatch.setattr(isolation, "detect_tier", lambda unsafe=False: tier)

    assert status == doctor.check_sandbox(pool).status


def test_packages_out_of_range_and_missing_ones_are_named(monkeypatch):
    wanted = ["prefect>=99", "no-such-package>=1", "numpy>=1", 'never>=1; extra == "x"']
    monkeypatch.setattr(doctor.importlib.metadata, "requires", lambda _name: wanted)

    check = doctor.check_packages()

    assert "fail" == check.status
    assert "no-such-package is missing" in check.detail
    assert ">=99" in check.detail
    assert "numpy" not in check.detail
    assert "never" not in check.detail


def test_an_old_python_is_refused():
    assert "fail" == doctor.check_python((3, 10, 4)).status


def test_a_tree_that_was_never_installed_is_told_how():
    assert "Run `make install`." == doctor.check_packages("atlas-that-is-not-there").remedy


def test_a_root_that_is_a_file_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")

    check = doctor.check_folder(tmp_path / "file" / "data")

    assert "fail" == check.status
    assert "cannot be written" in check.detail


@pytest.mark.parametrize(("free", "status"), [(10**12, "ok"), (10**9, "warn"), (10**7, "fail")])
def test_a_full_disk_is_noticed_before_a_run(tmp_path, monkeypatch, free, status):
    usage = type(doctor.shutil.disk_usage(tmp_path))(10**13, 0, free)
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _path: usage)

    assert status == doctor.check_folder(tmp_path / "not" / "yet").status
    assert not (tmp_path / "not").exists()


def test_a_ledger_is_read_and_a_damaged_or_newer_one_is_a_finding(tmp_path):
    open_ledger(tmp_path).close()
    assert ("ok", "0 runs") == doctor.check_ledger(tmp_path)[1:3]

    with sqlite3.connect(tmp_path / "ledger.db") as connection:
        connection.execute("update meta set value = '999' where key = 'ledger_version'")
    newer = doctor.check_ledger(tmp_path)
    assert "fail" == newer.status
    assert "999" in newer.detail

    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "ledger.db").write_bytes(b"nothing like a database" * 200)
    assert "fail" == doctor.check_ledger(tmp_path / "bad").status


def test_encoders_are_judged_without_loading_one():
    code = (
        "import sys; from tasks.doctor import check_encoder;"
        "print([check_encoder(n).status for n in ('minilm', 'hashing', '.', 'a/b')],"
        "'torch' in sys.modules)"
    )

    shown = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )

    assert "['ok', 'ok', 'ok', 'warn'] False\n" == shown.stdout


def test_a_prefect_server_is_asked_for_its_health(server, tmp_path):
    healthy = prefect_service({"PREFECT_API_URL": f"{server}/api"}, used=True)
    sick = prefect_service({"PREFECT_API_URL": f"{server}/other"}, used=True)
    unused = prefect_service({"PREFECT_API_URL": f"{server}/other"}, used=False)

    assert ("ok", "fail", "ok") == (healthy.status, sick.status, unused.status)
    assert "status 503" in sick.detail


def test_the_address_in_prefects_active_profile_counts(server, tmp_path):
    (tmp_path / "profiles.toml").write_text(
        f'active = "mine"\n[profiles.mine]\nPREFECT_API_URL = "{server}/api"\n'
    )

    service = prefect_service({"PREFECT_HOME": str(tmp_path)}, used=True)

    assert f"server at {server}/api" == service.detail


@pytest.mark.parametrize("text", ["", "active = 3", "not toml [", 'active = "a"\n[profiles.b]\n'])
def test_without_an_address_prefect_is_embedded(tmp_path, text):
    (tmp_path / "profiles.toml").write_text(text)

    assert "embedded" in prefect_service({"PREFECT_HOME": str(tmp_path)}, used=True).detail


def test_mlflow_is_embedded_reachable_or_a_warning(server, tmp_path):
    (tmp_path / "text.db").write_text("I am no database at all")
    addresses = {
        f"sqlite:///{tmp_path}/new/mlflow.db": "ok",
        f"sqlite:///{tmp_path}/text.db": "warn",
        f"sqlite:///{tmp_path}": "warn",
        f"{server}/api": "ok",
        f"http://me:hushhush@{server.removeprefix('http://')}": "warn",
        "nonsense://me:hushhush@host/db": "warn",
    }

    services = {address: mlflow_service(address) for address in addresses}

    assert addresses == {address: service.status for address, service in services.items()}
    assert "hushhush" not in repr(list(services.values()))
    assert "ok" == mlflow_service(None).status


def test_a_check_that_breaks_is_a_finding(subject, monkeypatch):
    def broken():
        raise RuntimeError("no idea, key sk-abcdefghijklmnopqrst")

    monkeypatch.setattr(doctor, "check_packages", broken)

    check = by_name(diagnose(subject))["packages"]

    assert "fail" == check.status
    assert "RuntimeError" in check.detail
    assert "sk-abc" not in check.detail


def test_the_table_marks_what_to_look_at_and_ends_with_a_verdict():
    checks = [
        Check("python", "ok", "3.12"),
        Check("prices", "warn", "unknown for 1 pair", "Write them down."),
        Check("keys", "fail", "not set: KEY", "Set it."),
    ]

    assert (
        "doctor\n\n"
        "ok    python  3.12\n"
        "look  prices  unknown for 1 pair\n"
        "              → Write them down.\n"
        "FAIL  keys    not set: KEY\n"
        "              → Set it.\n\n"
        "not ready: keys\n"
    ) == checks_table(checks).plain()
    assert checks_table(checks[:2]).plain().endswith("ready; worth a look: prices\n")
    assert checks_table(checks[:1]).plain().endswith("ready\n")
