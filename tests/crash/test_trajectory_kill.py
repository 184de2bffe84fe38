"""`kill -9` anywhere in a run of many steps, then the same command: every promise of a run of one
step, and trajectories that are whole.

A row in flight may have paid for two of its three calls. The resumed run must look at those first,
in their order, and send neither again. What a provider was asked is counted by the provider.
"""

from __future__ import annotations

import json
import os
import random
import select
import signal
import subprocess
import sys
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from profiles.build_profile import build_profile
from profiles.clusters import ClusterSettings
from profiles.policies.policy import CASCADE, POLICY
from profiles.policies.policy_file import write_policy
from profiles.pool_file import load_pool
from profiles.profile import ProfileSettings
from tasks.embedder import cached_embedder
from tasks.grade.answer_key import answer_key
from tasks.profiling.store import publish_profile
from tests.crash.conftest import FAULTS, HERE, Referee
from tests.crash.promises import check, settled
from tests.tasks.small_policies import small_policy
from warehouse.ledger import open_ledger
from warehouse.query import answers, attempts, committed

pytestmark = [pytest.mark.crash, pytest.mark.slow]

REPOSITORY = Path(__file__).parents[2]
ROWS = 500
CALLS = 1_100
"""Fewer than any run makes: every question is asked of two models, every third of a third."""
MODELS = ("doubter", "first", "second")
POOL = """\
name: crash
models:
  first: &model
    provider: openai
    endpoint: {url}
    name: first
    prices: {{input_usd: "1", output_usd: "2"}}
    limits: {{concurrency: 32, max_output_tokens: 64, timeout_s: 20}}
  doubter: {{<<: *model, name: doubter}}
  second: {{<<: *model, name: second}}
tools:
  none: {{kind: none}}
"""
SESSIONS, KILLS = 5, 4
MOMENTS = [
    sorted(random.Random(20260401 + session).sample(range(CALLS), KILLS))
    for session in range(SESSIONS)
]
"""Requests that the provider had received when a run was killed: twenty of them."""
SEED = 2
"""Of the policy's weights: untrained ones that ask two or three pairs, as answers agree."""
ORDER = ("first@@none", "doubter@@none", "second@@none")


def question(row):
    return f"Question {row}: how long is this? {'x' * (row % 11)}"


@pytest.fixture(scope="module")
def referee():
    """A provider with faults on that takes little time, so that twenty kills do."""
    command = [sys.executable, str(HERE / "referee.py"), FAULTS, "0.002"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        yield Referee(process.stdout.readline().strip())
        process.terminate()


class Expedition:
    """One warehouse with a profile and policies, and the command that routes by one of them."""

    def __init__(self, folder, referee):
        self.folder, self.root, self.referee = folder, folder / "data", referee
        (folder / "pool.yaml").write_text(POOL.format(url=referee.url), encoding="utf-8")
        lines = [{"custom_id": f"row-{n}", "prompt": question(n)} for n in range(ROWS)]
        (folder / "backlog.jsonl").write_text(
            "".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8"
        )
        self.profile = self._profile()
        places = [pair.pair_id for pair in self.profile.pairs]
        order = tuple(places.index(pair_id) for pair_id in ORDER)
        self.policies = {
            kind: small_policy(self.profile, strategy=kind, order=order, seed=SEED)
            for kind in (CASCADE, POLICY)
        }
        for kind, policy in self.policies.items():
            write_policy(policy, folder / kind)
        self._forker = subprocess.Popen(
            [sys.executable, str(HERE / "forker.py")],
            cwd=folder,
            env=os.environ | {"PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def _profile(self):
        """A profile of a few questions like the backlog's."""
        pool = load_pool(self.folder / "pool.yaml")
        texts = [question(row) for row in range(ROWS, ROWS + 24)]
        ids = [f"train-{row}" for row in range(len(texts))]
        outcomes = [
            {"query_id": one, "model": pair.model, "tool": pair.tool, "score": float(n % 3 > 0),
             "cost_usd": 0.0001, "input_tokens": 10, "output_tokens": 10}
            for n, one in enumerate(ids) for pair in pool.pairs
        ]  # fmt: skip
        embedder = cached_embedder(self.root, "hashing")
        profile = build_profile(
            queries=pl.DataFrame(
                {"query_id": ids, "text": texts, "dataset": "made", "split": "train"}
            ),
            outcomes=pl.DataFrame(outcomes),
            embeddings=embedder(texts),
            pairs=pool.pairs,
            pool_fingerprint=pool.fingerprint,
            encoder_fingerprint=embedder.fingerprint,
            created_at=datetime(2026, 1, 1, tzinfo=UTC),
            settings=ProfileSettings(
                ClusterSettings(2, n_init=1), predictor=False, selection=False
            ),
        )
        publish_profile(self.root, profile)
        return profile

    def start(self, name, kind, fault_point=""):
        """Begin or resume the run; returns its process id."""
        argv = [
            "route", "backlog.jsonl", "--pool", "pool.yaml", "--root", "data",
            "--policy", f"./{kind}", "--encoder", "hashing", "--runner", "plain", "--no-tracking",
            "--name", name, "--concurrency", "48", "--chunk-size", "200", "--progress", "never",
        ]  # fmt: skip
        command = {"argv": argv, "fault_point": fault_point, "log": str(self.folder / "log")}
        self._forker.stdin.write(json.dumps(command) + "\n")
        self._forker.stdin.flush()
        return int(self._forker.stdout.readline())

    def ended(self, wait_s):
        """Whether the process ends within so many seconds."""
        return bool(select.select([self._forker.stdout], [], [], wait_s)[0])

    def end(self):
        """The exit code of the process, when it ends."""
        assert self.ended(120), "the run hangs"
        return int(self._forker.stdout.readline())

    def finish(self, name, kind):
        """The same command again, to its end."""
        self.start(name, kind)
        assert 0 == self.end(), (self.folder / "log").read_text(encoding="utf-8")[-2000:]

    def known(self, name):
        """What is settled now, and what the provider has counted."""
        return settled(self.root, name), self.referee.served()

    def close(self):
        self._forker.stdin.close()
        self._forker.wait(timeout=60)


@pytest.fixture(scope="module")
def expedition(tmp_path_factory, referee):
    made = Expedition(tmp_path_factory.mktemp("expedition"), referee)
    yield made
    made.close()


def check_trajectories(expedition, name, policy):
    """Steps 0..n−1 and an answer at the end; a step for every request, in the order of claims."""
    steps, calls, claims = defaultdict(list), defaultdict(dict), defaultdict(list)
    for row in committed(expedition.root, "trajectories", name).sort("step").collect().to_dicts():
        steps[row["query_id"]].append(row)
    for row in attempts(expedition.root, name).collect().to_dicts():
        calls[row["query_id"]].setdefault(row["pair_id"], set()).add(row["step"])
    ledger = open_ledger(expedition.root)
    paid = {(r.query_id, r.pair_id) for r in ledger.requests(name) if r.state == "settled"}
    for request in ledger.requests(name):
        claims[request.query_id].append(request.pair_id)
    ledger.close()
    rows = answers(expedition.root, name).collect().to_dicts()
    texts = {f"row-{n}": question(n) for n in range(ROWS)}
    for row in rows:
        walked = steps.pop(row["query_id"])
        asked = [step["pair_id"] for step in walked[:-1]]
        assert list(range(len(walked))) == [step["step"] for step in walked]
        assert walked[-1]["pair_id"] is None
        assert claims[row["query_id"]] == asked, "a step for every request, in their order"
        assert {pair_id: {n} for n, pair_id in enumerate(asked)} == calls[row["query_id"]]
        for step in walked[:-1]:
            said = f"Answer: {len(texts[row['custom_id']])}"
            if step["pair_id"] == "doubter@@none" and len(texts[row["custom_id"]]) % 3 == 0:
                said = "Answer: 0"
            was_paid = (row["query_id"], step["pair_id"]) in paid
            assert (answer_key(said) if was_paid else None) == step["answer_key"]
        assert row["pair_id"] in asked
        assert (policy.policy_id, walked[-1]["confidence"]) == (
            row["policy_version"], row["confidence"],
        )  # fmt: skip
    assert {} == steps
    decided = committed(expedition.root, "decisions", name).collect()
    assert len(decided) == sum(len(asked) for asked in claims.values())
    assert {policy.policy_id} == set(decided["policy_version"])
    return claims


def check_run(expedition, name, kind, *known):
    """All promises, after kills at which `known` was settled and served."""
    served = expedition.referee.served()
    for before in known:
        check(expedition.root, name, ROWS, served, *before)
    return check_trajectories(expedition, name, expedition.policies[kind])


@pytest.mark.parametrize("session", range(SESSIONS))
def test_kills_at_random_moments_lose_nothing_and_repeat_nothing(expedition, session):
    kind = POLICY if session == 0 else CASCADE
    name, start = f"random-{session}", expedition.referee.received()
    known = []
    for moment in MOMENTS[session]:
        process = expedition.start(name, kind)
        while not expedition.ended(0.01) and expedition.referee.received() - start < moment:
            pass
        os.kill(process, signal.SIGKILL)
        assert -signal.SIGKILL == expedition.end()
        known.append(expedition.known(name))

    expedition.finish(name, kind)

    claims = check_run(expedition, name, kind, *known)
    assert {2, 3} <= {len(asked) for asked in claims.values()}


@pytest.mark.parametrize(
    "fault_point",
    [
        "before_claim:700", "after_claim:650", "after_call:800", "before_settle:600",
        "before_commit:2", "after_commit:1",
    ],
)  # fmt: skip
def test_a_kill_at_a_fault_point_loses_nothing_and_repeats_nothing(expedition, fault_point):
    name = fault_point.replace(":", "-").replace("_", "-")
    expedition.start(name, CASCADE, fault_point)
    assert -signal.SIGKILL == expedition.end()
    before = expedition.known(name)
    assert before[0], "nothing was settled before the kill"

    expedition.finish(name, CASCADE)

    check_run(expedition, name, CASCADE, before)
