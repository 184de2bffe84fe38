"""The command itself, run in this process or in one of its own, in a folder of its own."""

from __future__ import annotations

import contextlib
import io
import json
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

REPOSITORY = Path(__file__).parents[2]

POOL = """\
name: tiny
models:
  small: &small
    provider: scripted
    name: small
    prices: {input_usd: 1, output_usd: 2}
    limits: {max_output_tokens: 100}
    parameters: {answer: "Answer: 42"}
  large: {<<: *small, name: large}
tools:
  none: {kind: none}
"""


class Result(NamedTuple):
    """What a command line came to."""

    code: int
    out: str
    err: str

    def json(self):
        """Standard output as JSON."""
        return json.loads(self.out)


class Atlas:
    """Runs `atlas` in one folder, which has this pool file."""

    pool = POOL

    def __init__(self, folder):
        self.folder = folder

    def __call__(self, *words):
        """Run in this process, through the entry point of the installed command."""
        from flows.cli import main

        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = main([str(word) for word in words])
        return Result(code, out.getvalue(), err.getvalue())

    def start(self, *words, file_bytes=None, **environment):
        """Start a process of its own, which can write no file larger than `file_bytes`."""

        def limit():
            if file_bytes is not None:
                resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes, file_bytes))

        return subprocess.Popen(
            [sys.executable, "-m", "flows.cli", *map(str, words)],
            cwd=self.folder,
            env=os.environ | {"PYTHONPATH": str(REPOSITORY)} | environment,
            preexec_fn=limit,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def process(self, *words, **how):
        """Run in a process of its own, to its end."""
        with self.start(*words, **how) as process:
            out, err = process.communicate(timeout=60)
        return Result(process.returncode, out, err)

    def write(self, name, content):
        """Write a file of the folder and return its name."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            path.write_text(content, encoding="utf-8")
        return name

    def lines(self, name):
        """The lines of a text file of the folder."""
        return (self.folder / name).read_text(encoding="utf-8").splitlines()


@pytest.fixture
def atlas(tmp_path, monkeypatch):
    """The command in an empty folder: no settings from outside, no Prefect, no MLflow."""
    for name in [name for name in os.environ if name.startswith("ATLAS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("ATLAS_RUNNER", "plain")
    monkeypatch.setenv("ATLAS_TRACKING", "no")
    monkeypatch.setenv("ATLAS_ENCODER", "hashing")
    monkeypatch.chdir(tmp_path)
    command = Atlas(tmp_path)
    command.write("pool.yaml", POOL)
    return command


@pytest.fixture
def backlog(atlas):
    """Writes a backlog of so many questions and returns its name."""

    def write(rows, name="backlog.jsonl"):
        lines = (
            json.dumps({"custom_id": f"row-{number}", "prompt": f"What is item {number}?"})
            for number in range(rows)
        )
        return atlas.write(name, "\n".join(lines) + "\n")

    return write


@pytest.fixture
def finished(atlas, backlog):
    """A run named `done`, complete before whatever the test does."""
    result = atlas("route", backlog(4, "done.jsonl"), "--router", FIXED, "--name", "done")
    assert 0 == result.code, result.err
    return "done"


FIXED = "fixed:small@@none"
