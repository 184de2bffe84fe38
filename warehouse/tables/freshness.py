"""Tables that a refresh writes: canaries, their outcomes, what they say of drift, refreshes."""

from __future__ import annotations

from dataclasses import replace

from warehouse.tables.columns import (
    TableSchema,
    count,
    enum,
    flag,
    ident,
    identity,
    moment,
    money,
    number,
    small,
    text,
    version,
)
from warehouse.tables.knowledge import OUTCOMES

METRIC = ("accuracy", "refusal", "length", "latency", "price")
DIRECTION = ("up", "down")
VERDICT = ("pass", "refuse", "too little data")

_SET_ID = ident("set_id", "The canaries of one pair, until they are chosen anew.", required=True)
_PAIR_ID = ident("pair_id", "The pair, `model@@tool`.", required=True)
_NIGHT = ident("night", "The day of the refresh in UTC, `2026-11-20`.", required=True)

CANARY_OUTCOMES = replace(
    OUTCOMES,
    name="canary_outcomes",
    description="The graded result of one pair on one canary in one night; no part of a profile.",
    grain="one row per (canary run, query, pair)",
    # A canary is always asked: there is no earlier answer to grade again.
    columns=tuple(column for column in OUTCOMES.columns if column.name != "answer_run_id"),
)

CANARIES = TableSchema(
    name="canaries",
    description="The questions that a pair is asked again every night.",
    grain="one row per question of a set of canaries",
    key=("set_id", "query_id"),
    columns=(
        *identity(),
        _SET_ID,
        _PAIR_ID,
        ident("query_id", "The question.", required=True),
        small("position", "Place in the set, from 0.", required=True),
        ident("profile_id", "The profile whose outcomes it was chosen by.", required=True),
        small("cluster_id", "Its cluster in that profile."),
        number("score_then", "Its score then; no part of what is tested."),
        ident("versions", "Hash of the pair's prompt, model and tool versions.", required=True),
        count("seed", "Seed of the choice.", required=True),
        moment("chosen_at", "When it was chosen.", required=True),
        version(),
    ),
)

DRIFT = TableSchema(
    name="drift",
    description="What the canaries of a night say of every metric of every pair.",
    grain="one row per (night, set of canaries, metric)",
    key=("night", "set_id", "metric"),
    columns=(
        *identity(),
        _NIGHT,
        _SET_ID,
        _PAIR_ID,
        enum("metric", METRIC, "What is watched.", required=True),
        enum("direction", DIRECTION, "Where the stronger evidence points."),
        number("value", "Share right, share refused, tokens, seconds or dollars tonight."),
        number("low", "Lower end of its 95 % interval."),
        number("high", "Upper end of its 95 % interval."),
        count("n", "Canaries behind it.", required=True),
        number("baseline", "The same over the earlier nights; null on the first."),
        count("nights", "Earlier runs it was compared with.", required=True),
        small("window", "Width in nights of the strongest evidence; 0 is none."),
        number("p_value", "Exact p-value of the scan over all widths."),
        number("e_value", "Likelihood ratio against no change; 1 on average without one."),
        number("level", "An alarm is raised at a p-value of this or less."),
        flag("alarm", "Whether it drifted."),
        moment("measured_at", "When it was worked out.", required=True),
        version(),
    ),
)

REFRESHES = TableSchema(
    name="refreshes",
    description="Every refresh: what it ran, what it cost, what it decided.",
    grain="one row per refresh",
    key=("run_id",),
    columns=(
        *identity(),
        _NIGHT,
        ident("old_profile_id", "The version in use before; null before the first."),
        ident("profile_id", "The version that was fitted."),
        flag("published", "Whether it came into use."),
        enum("gate", VERDICT, "The gate's verdict; null where the knowledge is the same."),
        text("reason", "Why, in a sentence.", required=True),
        text("gate_json", "The gate's figures as JSON."),
        text("queries_json", "How recent backlogs differ from the profile, as JSON."),
        text("policy_json", "The policy trained and what its gate said, as JSON; null if none."),
        count("cells_run", "Cells run, canaries not counted.", required=True),
        count("cells_known", "Cells that needed no call.", required=True),
        count("canaries_run", "Canary questions asked.", required=True),
        count("calls", "Calls made for cells and canaries, retries included.", required=True),
        count("alarms", "Metrics that drifted.", required=True),
        money("cost_usd", "What all of it cost, doubt included."),
        moment("started_at", "When it began.", required=True),
        moment("ended_at", "When it ended.", required=True),
        version(),
    ),
)
