"""A provider that counts, a backlog, and the real command line to kill."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROWS = 2_000
FAULTS = (
    "rate_limit=0.03,retry_after=0.05,server_error=0.02,reset=0.01,truncate=0.005,malformed=0.005"
)
POOL = """\
name: crash
models:
  first: &model
    provider: openai
    endpoint: {url}
    name: first
    prices: {{input_usd: "1", output_usd: "2"}}
    limits: {{concurrency: 32, max_output_tokens: 64, timeout_s: 20}}
  second: {{<<: *model, name: second}}
tools:
  none: {{kind: none}}
"""


@dataclass
class Referee:
    """The provider's own count of what it was asked."""

    url: str

    def served(self):
        """{idempotency key: {"received": n, "answered": n, ...}}."""
        with urllib.request.urlopen(self.url.removesuffix("/v1") + "/requests") as reply:
            counts = json.load(reply)
        return counts.get("requests", counts)

    def received(self):
        """How many requests have come in so far."""
        with urllib.request.urlopen(self.url.removesuffix("/v1") + "/requests/summary") as reply:
            return json.load(reply)["received"]


@pytest.fixture(scope="module")
def referee():
    """One provider for a module's tests, with faults on; runs differ by name."""
    command = [sys.executable, str(HERE / "referee.py"), FAULTS, "0.004"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        yield Referee(process.stdout.readline().strip())
        process.terminate()


@pytest.fixture
def atlas(tmp_path, referee, request):
    """Start `atlas route` on a backlog of 2,000 rows; the same command every time."""
    (tmp_path / "pool.yaml").write_text(POOL.format(url=referee.url), encoding="utf-8")
    with (tmp_path / "backlog.jsonl").open("w", encoding="utf-8") as file:
        for row in range(ROWS):
            line = {"custom_id": f"row-{row}", "prompt": f"Question {row}: how long is this?"}
            file.write(json.dumps(line) + "\n")
    name = "run-" + "".join(c if c.isalnum() else "-" for c in request.node.name)[-80:]
    command = [
        sys.executable, "-m", "flows.cli", "route", "backlog.jsonl",
        "--pool", "pool.yaml", "--root", "data", "--router", "fixed:first@@none",
        "--runner", "plain", "--no-tracking", "--name", name, "--concurrency", "48",
    ]  # fmt: skip

    def start(fault_point=""):
        return subprocess.Popen(
            command,
            cwd=tmp_path,
            env=os.environ | {"ATLAS_FAULT_POINT": fault_point},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )

    start.root, start.name = tmp_path / "data", name
    return start
