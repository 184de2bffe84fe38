"""A refresh's promises: only what is due is asked, drift is acted on, and no night is half done."""

from __future__ import annotations

import json
from contextlib import closing
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from flows.refresh_report import refresh_facts, refresh_text
from flows.refreshing import refresh_session
from flows.settings import RefreshSettings
from tasks.call.base import Usage
from tasks.call.scripted import ScriptedClient
from tasks.freshness.history import freshness_history, refresh_history
from tasks.profiling.store import latest_id
from tests.instant_clock import InstantClock
from warehouse.errors import LedgerBusyError
from warehouse.ledger import open_ledger
from warehouse.run_lock import run_lock

MODEL = """\
  {key}:
    provider: scripted
    name: model-{key}
    prices: {{input_usd: "1", output_usd: "2"}}
    limits: {{max_output_tokens: 100}}
    parameters: {{answer: "told by the test"}}
"""
USAGE = Usage(200, 20)
QUESTIONS = 100
TRAIN = 70
EVENING = datetime(2026, 11, 20, 3, tzinfo=UTC)


class WorldClock(InstantClock):
    """A clock that begins each night where the world's night is."""

    def __init__(self, world):
        super().__init__()
        self.world = world

    def now(self):
        return self.world.night + timedelta(minutes=1, seconds=self.elapsed)


class World:
    """A pool whose models answer as the test says, night after night."""

    def __init__(self, folder, monkeypatch):
        self.folder, self.root = folder, folder / "data"
        self.night = EVENING
        self.clients = {}
        self.wrong = {}
        monkeypatch.setattr("tasks.batch.equip.build_clients", self._build)
        monkeypatch.setattr("tasks.batch.equip.SystemClock", lambda: WorldClock(self))
        # Fitting the predictor takes longer than everything else here, and no test looks at it.
        monkeypatch.setattr("profiles.build_profile._predictor", lambda _texts, _grouping: None)
        self.pool("good", "fair")
        self.questions(QUESTIONS)

    def pool(self, *keys):
        models = "".join(MODEL.format(key=key) for key in keys)
        text = f"name: test\nmodels:\n{models}tools:\n  none: {{kind: none}}\n"
        (self.folder / "pool.yaml").write_text(text, encoding="utf-8")

    def questions(self, count, train=TRAIN):
        rows = [
            {"text": f"{'river' if n % 2 else 'sum'} {n} {'shore' if n % 2 else 'plus'}",
             "dataset": "water" if n % 2 else "sums", "reference": "1", "grader": "numeric",
             "split": "train" if n < train else "test"}
            for n in range(count)
        ]  # fmt: skip
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        (self.folder / "labelled.jsonl").write_text(lines, encoding="utf-8")

    def _build(self, pool, **_kwargs):
        for key in pool.models:
            self.clients.setdefault(key, ScriptedClient(default=self._answer, usage=USAGE))
        return {key: self.clients[key] for key in pool.models}

    def _answer(self, request):
        """Model `good` is always right, `fair` on water; what the test calls wrong is wrong."""
        model = request.origin.model
        text = request.messages[-1].content
        number = int("".join(c for c in text.split()[-2] if c.isdigit()) or 0)
        right = model != "fair" or number % 2 == 1
        if number % 100 < self.wrong.get(model, 0):
            right = False
        return "Answer: 1" if right else "Answer: 2"

    def asked(self):
        """Requests since the last call."""
        total = sum(len(client.requests) for client in self.clients.values())
        for client in self.clients.values():
            client.requests.clear()
        return total

    def settings(self, **changed):
        values = {
            "questions": str(self.folder / "labelled.jsonl"),
            "pool": self.folder / "pool.yaml",
            "root": self.root,
            "encoder": "hashing",
            "clusters": 2,
            "canaries": 20,
            "first_night_runs": 6,
            "tracking": False,
            "runner": "plain",
            "progress": "never",
        }
        return RefreshSettings(**(values | changed))

    def refresh(self, **changed):
        return refresh_session(self.settings(**changed), env={}, clock=lambda: self.night)

    def next_night(self, **changed):
        self.night += timedelta(days=1)
        return self.refresh(**changed)

    def states(self, kind):
        with closing(open_ledger(self.root, read_only=True)) as ledger:
            return {run.run_id: run.state for run in ledger.runs() if run.kind == kind}


@pytest.fixture
def world(tmp_path, monkeypatch):
    return World(tmp_path, monkeypatch)


def test_the_first_refresh_runs_everything_and_puts_the_first_version_into_use(world):
    outcome = world.refresh()

    assert ("complete", True, 200) == (outcome.status, outcome.published, outcome.cells_run)
    assert 2 * 20 * 6 == outcome.canaries_run
    assert 200 + 240 == world.asked() == outcome.spent.calls
    assert latest_id(world.root) == outcome.profile_id
    assert "first version" in outcome.gate.sentence


def test_a_second_refresh_of_the_day_asks_nothing_and_says_so(world):
    world.refresh()
    world.asked()
    again = world.refresh()

    assert 0 == world.asked()
    assert again.nothing_to_do
    assert (0, 0, Decimal(0)) == (again.cells_run, again.canaries_run, again.spent.cost_usd)
    assert "no canaries were due" in refresh_text(again)


def test_a_night_with_nothing_new_asks_its_canaries_only_and_is_on_record(world):
    world.refresh()
    world.asked()
    outcome = world.next_night()

    assert 2 * 20 == world.asked() == outcome.canaries_run
    assert outcome.nothing_to_do
    assert outcome.gate_was_idle
    assert not outcome.alarms
    rows = refresh_history(world.root)
    assert ["2026-11-20", "2026-11-21"] == rows.get_column("night").to_list()
    assert [200, 0] == rows.get_column("cells_run").to_list()
    assert [True, True] == rows.get_column("published").to_list()
    assert {"accuracy", "refusal", "length", "latency"} <= set(
        freshness_history(world.root).get_column("metric").to_list()
    )


def test_drift_runs_the_cells_of_that_pair_again_and_gives_it_new_canaries(world):
    first = world.refresh()
    world.asked()
    world.wrong["good"] = 60
    outcome = world.next_night()

    assert [("good@@none", "accuracy")] == [(a.pair_id, a.metric) for a in outcome.alarms]
    assert ("good@@none",) == outcome.stale_pairs
    assert QUESTIONS == outcome.cells_run
    assert first.profile_id != outcome.profile_id
    nights = freshness_history(world.root)
    alarmed = nights.filter(nights["alarm"])
    assert [("good@@none", "accuracy", "down")] == list(
        alarmed.select("pair_id", "metric", "direction").iter_rows()
    )
    assert "accuracy went down" in refresh_text(outcome)
    world.asked()
    calm = world.next_night()

    # The drifted pair has new canaries, chosen by its new outcomes: what is new is normal now.
    assert 20 * 6 + 20 == world.asked()
    assert (0, ()) == (calm.cells_run, calm.alarms)


def test_a_new_model_costs_its_own_cells_and_its_first_canaries(world):
    world.refresh()
    world.asked()
    world.pool("good", "fair", "new")
    outcome = world.next_night()

    assert QUESTIONS == outcome.cells_run
    assert 2 * 20 + 20 * 6 == outcome.canaries_run
    assert QUESTIONS + 160 == world.asked()
    assert outcome.published


def test_a_budget_stops_the_refresh_and_a_higher_one_finishes_it(world):
    stopped = world.refresh(max_cost_usd=Decimal("0.01"))

    assert "paused_budget" == stopped.status
    assert {"paused_budget"} == set(world.states("refresh").values())
    assert None is latest_id(world.root)
    asked = world.asked()
    done = world.refresh(max_cost_usd=Decimal(5))

    assert ("complete", True, stopped.run_id) == (done.status, done.resumed, done.run_id)
    assert 200 + 240 == asked + world.asked()
    assert done.spent.cost_usd <= Decimal(5)


@pytest.mark.slow
@pytest.mark.parametrize(
    "broken",
    [
        "flows.refreshing.judge_version",
        "flows.refreshing.set_latest",
        "flows.refreshing.close_refresh",
        "tasks.freshness.night.commit_rows",
        "flows.refreshing.run_canaries",
    ],
)
def test_a_refresh_that_dies_between_two_steps_is_finished_by_the_same_command(
    world, monkeypatch, broken
):
    dies_and_is_finished(world, monkeypatch, broken)


def dies_and_is_finished(world, monkeypatch, broken):
    world.refresh()
    world.wrong["good"] = 60
    world.night += timedelta(days=1)
    world.asked()

    def die(*_args, **_kwargs):
        raise OSError("the machine is gone")

    with monkeypatch.context() as patch:
        patch.setattr(broken, die)
        with pytest.raises(OSError, match="gone"):
            world.refresh()
    outcome = world.refresh()

    assert ("complete", True) == (outcome.status, outcome.resumed)
    assert ("good@@none",) == outcome.stale_pairs
    assert 2 * 20 + QUESTIONS == world.asked() == outcome.spent.calls
    assert {"complete"} == set(world.states("refresh").values())
    assert 2 == len(refresh_history(world.root))


def test_a_refresh_that_dies_before_an_alarm_is_declared_is_finished(world, monkeypatch):
    dies_and_is_finished(world, monkeypatch, "tasks.freshness.night.Watch.declare")


@pytest.mark.slow
def test_a_refresh_that_dies_before_midnight_keeps_its_night(world, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("flows.refreshing.judge_version", lambda *_a, **_k: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            world.refresh()
    world.night += timedelta(days=1)
    outcome = world.refresh()

    assert ("refresh-2026-11-20", "2026-11-20") == (outcome.run_id, outcome.night)
    assert 20 * 2 == world.refresh().canaries_run


def test_a_damaged_version_in_use_is_replaced_and_told(world):
    first = world.refresh(canaries=0)
    (world.root / "profiles" / first.profile_id / "profile.json").write_text("{")
    world.questions(QUESTIONS, train=TRAIN - 5)
    outcome = world.next_night(canaries=0)

    assert outcome.published
    assert latest_id(world.root) == outcome.profile_id != first.profile_id
    assert "cannot be read" in outcome.gate.sentence


def test_questions_that_cannot_be_read_leave_no_refresh_behind(world):
    with pytest.raises(Exception, match="does not exist"):
        world.refresh(questions=str(world.folder / "elsewhere.jsonl"))

    assert {} == world.states("refresh")


def test_two_refreshes_at_once_are_refused(world):
    world.root.mkdir(parents=True)
    with run_lock(world.root, "refresh"), pytest.raises(LedgerBusyError, match="refresh"):
        world.refresh()


def test_a_worse_version_is_held_back_and_the_old_one_stays_in_use(world, monkeypatch):
    first = world.refresh()
    from tasks.freshness import gate

    worse = gate.compare

    def pretend(old, new, same, **settings):
        return worse(old, new - 0.3, same & False, **settings)

    monkeypatch.setattr(gate, "compare", pretend)
    world.questions(QUESTIONS, train=TRAIN - 5)
    outcome = world.next_night()

    assert (False, "refuse") == (outcome.published, outcome.gate.verdict)
    assert first.profile_id == latest_id(world.root)
    saved = list((world.root / "profiles" / "gates").glob("*.json"))
    assert any(
        json.loads(path.read_text())["comparison"]["verdict"] == "refuse"
        for path in saved
        if outcome.profile_id in path.name
    )
    assert "stays in use" in refresh_text(outcome)


def test_canaries_can_be_left_out(world):
    world.refresh(canaries=0)

    assert 200 == world.asked()
    assert {} == world.states("canary")


def test_the_facts_are_plain_json(world):
    from flows.console import _as_text

    facts = json.loads(json.dumps(refresh_facts(world.refresh()), default=_as_text))

    assert facts["published"]
    assert 2 == len(facts["drift"])


def test_a_refresh_that_trains_says_what_became_of_the_policy(world, monkeypatch):
    from flows.refresh_policy import PolicyNews

    asked = []

    def train(settings, profile, *, in_use):
        asked.append((profile.profile_id, in_use))
        return PolicyNews(None, None, "version 7 was trained and is refused")

    monkeypatch.setattr("flows.refresh_policy.refresh_policy", train)
    silent = world.refresh(canaries=0)
    told = world.next_night(canaries=0, train=True)

    assert silent.policy is None
    assert "policy    " not in refresh_text(silent)
    assert [(told.profile_id, True)] == asked
    assert "policy    version 7 was trained and is refused" in refresh_text(told)
    assert "version 7 was trained and is refused" == refresh_facts(told)["policy"]["sentence"]
    kept = refresh_history(world.root).get_column("policy_json").to_list()
    assert (None, 1) == (kept[0], len([one for one in kept if one]))


@pytest.mark.long
@pytest.mark.filterwarnings("ignore")
def test_a_refresh_trains_registers_and_judges_a_policy_without_a_hand(world):
    """Everything real: answers that were asked, a training, MLflow's registry, the gate."""
    where = {
        "mlflow_uri": f"sqlite:///{world.folder / 'mlflow.db'}",
        "artifacts": str(world.folder / "artifacts"),
    }
    outcome = world.refresh(canaries=0, train=True, **where)

    version = outcome.policy.trained
    assert (1, outcome.profile_id) == (version.version, version.profile_id)
    assert outcome.policy.promotion.refused
    assert "28 held-out questions in distribution can be compared" in outcome.policy.sentence
    assert "at least 100 are needed" in " ".join(refresh_text(outcome).split())

    again = world.next_night(canaries=0, train=True, **where)

    assert again.policy.promotion is None
    assert "the gate said: refused" in again.policy.sentence
