"""Verbs that only look answer at once: what each of them must never import.

An import is what a start costs: 0.2 s for SQLAlchemy, 4 s for MLflow. Counting modules says so on
any machine; a clock would only say how busy it is.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from flows.cli import VERBS

SLOW = {
    "prefect", "mlflow", "torch", "sentence_transformers", "sklearn", "scipy", "sympy", "pandas",
    "matplotlib", "sqlalchemy", "alembic", "aiohttp", "asyncio", "pyarrow", "httpx",
}  # fmt: skip
"""What no look at tables and profiles needs; a ledger on a server needs SQLAlchemy."""
FRAMES = {"polars", "numpy"}
"""What reading rows of Parquet needs, and nothing else does."""

WITHOUT_FRAMES = [
    ["--help"],
    ["--version"],
    *([verb, "--help"] for verb in VERBS),
    *(["profile", verb, "--help"] for verb in ("plan", "run", "import", "show", "list", "diff")),
    *(["policy", verb, "--help"] for verb in ("list", "show", "promote", "rollback")),
    *(["runs", verb, "--help"] for verb in ("list", "show", "retry", "cancel", "export")),
    ["runs", "list"],
    ["runs", "list", "--json"],
    ["runs", "show", "done"],
    ["runs", "show", "done", "--in-doubt"],
    ["profile", "list"],
    ["policy", "list"],
    ["tables"],
    ["tables", "answers", "--json"],
]
WITH_FRAMES = [
    ["drift"],
    ["report", "done"],
    ["report", "done", "--json"],
    ["report", "routed"],
    ["profile", "show"],
    ["profile", "show", "--json"],
    ["profile", "diff", "latest", "latest"],
]

PROGRAM = """
import json, sys
from flows.cli import main
found = {}
for words in json.loads(sys.argv[1]):
    code = main(words)
    found[" ".join(words)] = [code, sorted(set(json.loads(sys.argv[2])) & set(sys.modules))]
print(json.dumps(found), file=sys.stderr)
"""


def imported(atlas, commands, modules):
    """Exit code of every command, and which of the modules are there once it is done.

    All run in one process, one after the other: the first command with a module brought it.
    """
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(commands), json.dumps(sorted(modules))],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        cwd=atlas.folder,
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(result.stderr.splitlines()[-1])


def test_looking_imports_nothing_heavy(atlas, finished):
    found = imported(atlas, WITHOUT_FRAMES, SLOW | FRAMES)

    assert {" ".join(words): [0, []] for words in WITHOUT_FRAMES} == found


def test_the_doctor_looks_for_modules_without_importing_them(atlas, finished):
    (_, modules), *_ = imported(atlas, [["doctor"]], SLOW | FRAMES).values()

    assert [] == modules


@pytest.fixture
def routed(atlas, finished):
    """A profile, and a run that was routed by it."""
    lines = [
        {"text": f"What is {n} times six?", "split": "train" if n < 8 else "test",
         "reference": "42" if n % 3 else str(n), "grader": "numeric"}
        for n in range(12)
    ]  # fmt: skip
    labelled = atlas.write("labelled.jsonl", "\n".join(map(json.dumps, lines)))
    for words in (
        ["profile", "run", labelled, "--clusters", "2"],
        ["route", "done.jsonl", "--name", "routed", "--router", "cluster"],
    ):
        result = atlas(*words)
        assert 0 == result.code, result.err


def test_reading_rows_imports_polars_and_nothing_else(atlas, routed):
    found = imported(atlas, WITH_FRAMES, SLOW)

    assert {" ".join(words): [0, []] for words in WITH_FRAMES} == found
