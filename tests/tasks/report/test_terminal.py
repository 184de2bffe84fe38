"""What a terminal shows, word for word, and never wider than it is."""

from __future__ import annotations

import io
import shlex
from dataclasses import replace

import pytest
from rich.console import Console

from tasks.report.layout import Commands, cells
from tasks.report.profile_table import profile_table
from tasks.report.terminal import plan_table, route_panel, routers_table


def assert_fits(text, width):
    assert [] == [line for line in text.splitlines() if cells(line) > width]


def on_terminal(document, width=80):
    stream = io.StringIO()
    console = Console(file=stream, width=width, force_terminal=True, color_system="standard")
    console.print(document.rich(width))
    return stream.getvalue()


def test_the_panel_of_a_stopped_run(route_facts, golden):
    golden("route_stopped.txt", route_panel(route_facts).plain())


def test_the_panel_of_a_plain_complete_run(route_facts, golden):
    facts = replace(
        route_facts, state="complete", answered=10_000, failed=0, pending=0, in_doubt=0,
        resumed=0, cached=0, bad_rows=0, doubt_usd=0, max_cost_usd=None, planned_usd=None,
        input_tokens=None, output_tokens=None, pairs=(), versus=None, errors=None,
        sandbox_tier=None, next_commands=("atlas runs export 2026-11-20-a1b2",),
    )  # fmt: skip

    golden("route_complete.txt", route_panel(facts).plain())


def test_the_table_of_routers(evaluation_facts, golden):
    golden("routers.txt", routers_table(evaluation_facts).plain())


def test_the_table_of_a_profile(profile_facts, golden):
    golden("profile.txt", profile_table(profile_facts).plain())


def test_one_cluster_of_a_profile(profile_facts, golden):
    golden("profile_cluster.txt", profile_table(profile_facts, cluster=5).plain())


def test_the_table_of_a_plan(plan_facts, golden):
    golden("plan.txt", plan_table(plan_facts).plain())


def test_a_cluster_that_is_not_there_is_refused(profile_facts):
    with pytest.raises(ValueError, match="has no cluster 8: its clusters are 0 to 7"):
        profile_table(profile_facts, cluster=8)


@pytest.mark.parametrize("width", [80, 100])
def test_nothing_is_wider_than_the_terminal(
    route_facts, evaluation_facts, profile_facts, plan_facts, width
):
    long = replace(
        route_facts, source="数据/" * 40, router="r" * 200, next_commands=("atlas " + "word " * 40,)
    )
    documents = [
        route_panel(long),
        routers_table(evaluation_facts),
        profile_table(profile_facts),
        profile_table(profile_facts, cluster=0),
        plan_table(plan_facts),
    ]

    for document in documents:
        assert_fits(document.plain(width), width)


def test_a_terminal_shows_the_same_words_in_a_frame(route_facts):
    document = route_panel(route_facts)

    shown = Console(file=io.StringIO(), width=80)
    shown.print(document.rich(80))
    framed = [line.strip("│ ") for line in shown.file.getvalue().splitlines()]

    words = [line.strip() for line in document.plain(76).splitlines()[2:]]
    assert [line for line in words if line] == [line for line in framed[1:-1] if line]


def test_colour_tells_a_stopped_run_from_a_complete_one(route_facts):
    stopped = on_terminal(route_panel(route_facts))
    complete = on_terminal(route_panel(replace(route_facts, state="complete")))

    assert "\x1b[33m" in stopped
    assert "\x1b[32mcomplete" in complete


def test_names_cannot_steer_the_terminal(route_facts):
    facts = replace(route_facts, source="a\x1b[2Jb\u202ec\nd", run_id="x\x07y")

    text = route_panel(facts).plain()

    assert "a\ufffd[2Jb\ufffdc d" in text
    assert "\x1b" not in text + on_terminal(route_panel(facts)).replace("\x1b[", "")
    assert "\x07" not in text


def test_a_long_command_can_still_be_pasted():
    command = "atlas route 'my  backlog file.parquet' --name a --max-cost 25 --alpha 0.3"

    lines = ["".join(span.text for span in line) for line in Commands([command]).lines(40)]
    pasted = "\n".join(lines).removeprefix("next: ").replace("\\\n", " ")

    assert shlex.split(command) == shlex.split(pasted)
    assert len(lines) > 1


def test_a_profile_without_any_score_is_shown_without_inventing_any(profile_facts):
    profile = profile_facts.profile
    blank = replace(
        profile.statistics,
        n_scored=profile.statistics.n_scored * 0,
        score_mean=profile.statistics.score_mean * float("nan"),
        cost_mean_usd=profile.statistics.cost_mean_usd * float("nan"),
    )

    text = profile_table(replace(profile_facts, profile=replace(profile, statistics=blank))).plain()

    assert "nan" not in text
    assert "0.00" not in text
