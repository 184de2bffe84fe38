"""Tables that a profiling run writes: outcomes, clusters, cluster statistics."""

from __future__ import annotations

from warehouse.tables.columns import (
    Column,
    TableSchema,
    count,
    enum,
    ident,
    identity,
    moment,
    money,
    number,
    seconds,
    small,
    text,
    tokens,
    version,
)
from warehouse.tables.kinds import SINGLE, TEXT, list_of
from warehouse.tables.routing import GRADE_STATUS

_PROFILE_ID = ident("profile_id", "The profile, one immutable version.", required=True)
_PAIR = (
    ident("pair_id", "The pair, `model@@tool`.", required=True),
    ident("model", "Key of its model in the pool.", required=True),
    ident("tool", "Key of its tool in the pool.", required=True),
)

OUTCOMES = TableSchema(
    name="outcomes",
    description="The graded result of one pair on one labelled query.",
    grain="one row per (query, pair) cell of a profile",
    key=("run_id", "query_id", "pair_id"),
    columns=(
        *identity(),
        ident("query_id", "Hash of the normalised text and context.", required=True),
        ident("dataset", "Name of the labelled set."),
        ident("split", "train, test or ood."),
        *_PAIR,
        number("score", "Score in [0, 1]; null when unscored."),
        enum("grade_status", GRADE_STATUS, "unscored is never counted as wrong.", required=True),
        text("unscored_reason", "Why it could not be scored."),
        text("answer", "The answer; null where none came or none was recorded."),
        money("cost_usd", "Sum over its attempts; null if one is unknown."),
        tokens("input_tokens", "Sum over its attempts."),
        tokens("output_tokens", "Sum over its attempts."),
        small("calls", "Calls made for this cell."),
        seconds("duration_s", "From the first call to the answer."),
        ident(
            "error_type", "Short stable name of the error, when the call failed.", otel="error.type"
        ),
        ident("cell_key", "Short hash of the query and of all versions below: the cell itself."),
        ident("query_version", "Hash of the text and context that were asked."),
        ident("reference_version", "Hash of the gold answer it was graded by."),
        ident(
            "prompt_version",
            "Version of the pair's instructions; before schema version 2, of all prompts together.",
        ),
        ident("model_version", "Version of the model: endpoint, name, parameters, revision."),
        ident("tool_version", "Version of the tool: kind, parameters, corpus, its own version."),
        ident("grader_version", "Version of the grader; another one grades the answer again."),
        ident("prices_version", "Prices behind `cost_usd`; null where several were paid."),
        ident("answer_run_id", "The run that paid for the answer, where this one only graded it."),
        moment("created_at", "When the answer came; grading again keeps it.", required=True),
        version(),
    ),
)

CLUSTERS = TableSchema(
    name="clusters",
    description="The clusters of a profile.",
    grain="one row per cluster of a profile",
    key=("profile_id", "cluster_id"),
    columns=(
        *identity(chunk_required=False),
        _PROFILE_ID,
        small("cluster_id", "Number of the cluster, from 0.", required=True),
        Column(
            "centroid",
            list_of(SINGLE),
            "Mean embedding of its training queries, one number a dimension.",
            required=True,
        ),
        count("size", "Training queries in it.", required=True),
        Column("top_terms", list_of(TEXT), "Words that set it apart."),
        Column("example_query_ids", list_of(TEXT), "Training queries nearest to its centroid."),
        ident("embedding_model", "Name of the encoder.", required=True),
        ident("embedding_revision", "Fingerprint of the encoder: weights, dtype, length."),
        count("fit_seed", "Seed of the clustering."),
        Column("fit_commit_ids", list_of(TEXT), "Commits of the outcomes it was fitted on."),
        version(),
    ),
)

CLUSTER_STATS = TableSchema(
    name="cluster_stats",
    description="What a profile knows of every pair in every cluster.",
    grain="one row per (profile, cluster, pair); cluster -1 holds the pair's overall statistics",
    key=("profile_id", "cluster_id", "pair_id"),
    columns=(
        *identity(chunk_required=False),
        _PROFILE_ID,
        small("cluster_id", "Number of the cluster, from 0; -1 is overall.", required=True),
        *_PAIR,
        count("n", "Observed cells.", required=True),
        count("n_scored", "Of these, scored.", required=True),
        count("n_unscored", "Of these, unscored.", required=True),
        number("score_mean", "Mean score of the scored cells."),
        number("score_low", "Lower end of its 95 % Wilson interval."),
        number("score_high", "Upper end of its 95 % Wilson interval."),
        number("score_shrunk", "Posterior mean accuracy; fair between unequal counts."),
        number("score_posterior_low", "Lower end of its central 95 % credible interval."),
        number("score_posterior_high", "Upper end of its central 95 % credible interval."),
        number("best_probability", "Posterior probability that the pair is the best of the row."),
        number("n_effective", "Scored cells after decay; null where they were not weighted."),
        money("cost_mean_usd", "Mean cost of a query; null if a cell's price is unknown."),
        money("cost_p90_usd", "90th percentile of a query's cost."),
        number("input_tokens_mean", "Mean input tokens of a query.", unit="token"),
        number("output_tokens_mean", "Mean output tokens of a query.", unit="token"),
        number("input_tokens_p50", "Median input tokens of a query.", unit="token"),
        number("input_tokens_p90", "90th percentile of a query's input tokens.", unit="token"),
        number("output_tokens_p50", "Median output tokens of a query.", unit="token"),
        number("output_tokens_p90", "90th percentile of a query's output tokens.", unit="token"),
        seconds("duration_p50_s", "Median duration of a query."),
        seconds("duration_p95_s", "95th percentile of a query's duration."),
        number("error_rate", "Share of cells whose call failed."),
        version(),
    ),
)
