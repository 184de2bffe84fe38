"""`atlas profile plan|list|publish|diff`: what people and programs are told, free of charge."""

from __future__ import annotations

import json

import pytest

from tasks.profiling.store import latest_id

PAIRS = ("large@@none", "small@@none")


@pytest.fixture
def labelled(atlas):
    """Twelve questions with answers, eight of them to learn from."""
    lines = [
        {"text": f"What is {n} times six?", "split": "train" if n < 8 else "test",
         "reference": "42" if n % 3 else str(n), "grader": "numeric"}
        for n in range(12)
    ]  # fmt: skip
    return atlas.write("labelled.jsonl", "".join(json.dumps(line) + "\n" for line in lines))


@pytest.fixture
def profiled(atlas, labelled):
    """The same, profiled once; the id of the version."""
    result = atlas("profile", "run", labelled, "--clusters", "2")
    assert 0 == result.code, result.err
    return latest_id(atlas.folder / "warehouse/data")


def test_a_plan_prices_what_is_missing_and_spends_nothing(atlas, labelled):
    result = atlas("profile", "plan", labelled, "--json")
    plan = result.json()

    assert (0, 24, {"missing": 24}, False) == (
        result.code, plan["cells"], plan["reasons"], plan["nothing_to_do"],
    )  # fmt: skip
    assert float(plan["cost_usd"]["low"]) <= float(plan["cost_usd"]["expected"])
    assert float(plan["cost_usd"]["expected"]) <= float(plan["cost_usd"]["high"])
    assert [12, 12] == [pair["cells"] for pair in plan["pairs"]]
    assert not (atlas.folder / "warehouse/data/outcomes").exists()


def test_a_plan_needs_no_key(atlas, labelled):
    pool = atlas.folder / "pool.yaml"
    text = pool.read_text().replace("name: large", "name: large, api_key_env: NO_SUCH_KEY")
    pool.write_text(text.replace("provider: scripted", "provider: openai\n    endpoint: http://x"))

    assert 0 == atlas("profile", "plan", labelled).code


def test_a_plan_of_what_is_known_says_that_there_is_nothing_to_do(atlas, labelled, profiled):
    assert "nothing to do: every cell is known" in atlas("profile", "plan", labelled).out
    again = atlas("profile", "run", labelled, "--clusters", "2")
    assert "nothing was asked and nothing was spent" in again.err


def test_a_plan_expects_what_was_seen(atlas, labelled, profiled):
    pool = atlas.folder / "pool.yaml"
    pool.write_text(pool.read_text() + "  calculator: {kind: calculator}\n")
    plan = atlas("profile", "plan", labelled, "--json").json()
    shown = atlas("profile", "plan", labelled).out
    pool.write_text(pool.read_text().replace("  calculator: {kind: calculator}\n", ""))
    pool.write_text(pool.read_text().replace("name: large", "name: large-2"))
    moved = atlas("profile", "plan", labelled, "--json").json()

    assert {"missing": 24} == plan["reasons"]
    assert "never run" in shown
    assert {"model": 12} == moved["reasons"]
    large = next(pair for pair in moved["pairs"] if pair["pair_id"] == "large@@none")
    assert ("borrowed", 12) == (large["basis"], large["cells"])


def test_a_plan_of_a_budget_stays_inside_it(atlas, labelled):
    plan = atlas("profile", "plan", labelled, "--budget", "50%", "--json").json()

    assert (16, 8.0, 8) == (plan["cells"], plan["allowance"], plan["left_out"])
    assert 8 == plan["calls"]["expected"]


def test_a_budget_that_cannot_be_read_is_refused_before_anything(atlas, labelled):
    result = atlas("profile", "run", labelled, "--budget", "a lot")

    assert 2 == result.code
    assert "write dollars such as 5.00" in result.err


def test_versions_are_listed_with_who_and_why(atlas, labelled, profiled):
    shown = atlas("profile", "list").out
    told = atlas("profile", "list", "--json").json()

    assert profiled in shown
    assert "latest" in shown
    assert [(profiled, True)] == [(v["profile_id"], v["latest"]) for v in told["versions"]]
    assert ["saved", "latest"] == [entry["event"] for entry in told["history"]]


def test_an_earlier_version_comes_back_with_a_reason(atlas, labelled, profiled):
    atlas("profile", "run", labelled, "--clusters", "3")
    root = atlas.folder / "warehouse/data"
    newer = latest_id(root)
    result = atlas("profile", "publish", profiled, "--reason", "three are too many")

    assert (0, profiled) == (result.code, latest_id(root))
    assert newer != profiled
    assert "three are too many" in atlas("profile", "list").out
    again = atlas("profile", "publish", profiled, "--reason", "again")
    assert "in use already" in again.err


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("profile-none", "--reason", "x"), 1, "no profile 'profile-none'"),
        (("latest", "--reason", "x"), 2, "name the version by its id"),
        (("profile-none",), 2, "--reason"),
        (("profile-none", "--reason", " "), 2, "must say why"),
    ],
)
def test_a_publication_that_cannot_be_meant_moves_nothing(atlas, profiled, words, code, said):
    result = atlas("profile", "publish", *words)

    assert code == result.code
    assert said in result.err
    assert profiled == latest_id(atlas.folder / "warehouse/data")


def test_a_difference_names_winners_pairs_and_prices(atlas, labelled, profiled):
    pool = atlas.folder / "pool.yaml"
    pool.write_text(
        pool.read_text().replace("name: large", 'name: large, parameters: {answer: "Answer: 3"}')
        + "\n"
    )
    pool.write_text(pool.read_text().replace("input_usd: 1,", "input_usd: 3,"))
    atlas("profile", "run", labelled, "--clusters", "2")
    told = atlas("profile", "diff", profiled, "--json").json()
    shown = atlas("profile", "diff", profiled).out
    moves = {pair["pair_id"]: pair for pair in told["pairs"]}

    assert (8, 0) == (told["questions"], told["questions_added"])
    assert moves["large@@none"]["accuracy"]["value"] < 0
    assert {"value": 0.0, "low": 0.0, "high": 0.0} == moves["small@@none"]["accuracy"]
    assert {("large input", "1", "3"), ("small input", "1", "3")} == {
        (one["what"], one["before_usd"], one["after_usd"]) for one in told["prices"]
    }
    assert "small input: 1.00 → 3.00" in shown


def test_a_version_differs_from_itself_in_nothing(atlas, profiled):
    assert "nothing differs" in atlas("profile", "diff", profiled).out


def test_a_plan_of_a_paused_run_counts_what_is_left(atlas, labelled):
    stopped = atlas("profile", "run", labelled, "--max-cost", "0.0009", "--chunk-size", "4")
    plan = atlas("profile", "plan", labelled, "--chunk-size", "4", "--json").json()

    assert 3 == stopped.code, stopped.err
    assert 0 < plan["cells"] < 24
    assert 24 == plan["cells"] + plan["known"]
