"""Tables that a batch run writes: queries, decisions, attempts, answers, grades, dead letters."""

from __future__ import annotations

from warehouse.tables.columns import (
    Column,
    TableSchema,
    count,
    enum,
    flag,
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
from warehouse.tables.kinds import MONEY, NUMBER, TEXT, list_of, struct_of

ANSWER_STATUS = (
    "answered",
    "failed",
    "in_doubt",
    "skipped_budget",
    "skipped_cancelled",
    "skipped_provider",
)
ATTEMPT_STATUS = ("ok", "error", "unknown")
CHARGE_KIND = ("settled", "doubt", "free")
ERROR_CLASS = ("retryable", "row", "fatal")
GRADE_STATUS = ("scored", "unscored", "error")
OPERATION = ("chat", "embeddings", "execute_tool")
BILLING_MODE = ("standard", "batch", "local", "cached", "recorded")

_QUERY_ID = ident("query_id", "Hash of the normalised text and context.", required=True)
_CUSTOM_ID = ident("custom_id", "The user's id of the row, verbatim.", required=True)

QUERIES = TableSchema(
    name="queries",
    description="The rows of the backlog or labelled set as they were read.",
    grain="one row per query of a run, duplicates included",
    key=("run_id", "custom_id"),
    columns=(
        *identity(),
        _QUERY_ID,
        _CUSTOM_ID,
        count("row_index", "Position in the backlog, from 0.", required=True),
        text("prompt", "The text to answer.", required=True),
        text("context", "Text put before the prompt, such as a system message."),
        text("reference", "The gold answer, when labelled."),
        ident("grader", "The grader that reads the reference."),
        ident("dataset", "Name of the labelled set."),
        ident("split", "train, test or ood, when labelled."),
        text("source_uri", "The file the row came from."),
        count("source_row", "Line or row in that file, from 1."),
        ident("source_sha256", "Hash of that file."),
        moment("ingested_at", "When the row was read.", required=True),
        version(),
    ),
)

DECISIONS = TableSchema(
    name="decisions",
    description="Which pair was chosen for which query, and why.",
    grain="one row per routing decision; a fallback after a failed call is a row of its own",
    key=("run_id", "query_id", "step", "rank"),
    columns=(
        *identity(),
        _QUERY_ID,
        small("step", "Step of the trajectory; 0 for one-step routers.", required=True),
        ident("router", "Name of the router.", required=True),
        ident(
            "policy_name",
            "Registered policy, `name/version`; null where it was given by id or folder.",
        ),
        ident("policy_version", "Id of the policy, which its contents make; null without one."),
        ident("profile_id", "The profile the router knows the pool by."),
        number("alpha", "Weight of cost in [0, 1]; 0 is accuracy only."),
        small("cluster_id", "Nearest cluster; null without clusters, -1 for overall statistics."),
        number("cluster_distance", "Euclidean distance to its centroid."),
        flag("is_out_of_distribution", "Farther from its centroid than the training queries are."),
        ident("pair_id", "The chosen pair, `model@@tool`.", required=True),
        small("rank", "0 is the first choice, 1 the first fallback, and so on.", required=True),
        number("expected_score", "Score in [0, 1] the router expects of the pair."),
        money("expected_cost_usd", "Cost the router expects of the pair."),
        number("propensity", "Probability with which the pair was drawn."),
        Column(
            "chances",
            list_of(struct_of({"pair_id": TEXT, "chance": NUMBER})),
            "Every pair that could have been drawn, with its probability; null where one was "
            "certain, and in rows older than this column.",
        ),
        Column(
            "alternatives",
            list_of(struct_of({"pair_id": TEXT, "score": NUMBER, "cost_usd": MONEY})),
            "The next best pairs with what the router expects of them.",
        ),
        text("reason", "Why this pair, in a sentence.", required=True),
        moment("decided_at", "When it was decided.", required=True),
        version(),
    ),
)

TRAJECTORIES = TableSchema(
    name="trajectories",
    description="What multi-step rows did, and what was believed before each step.",
    grain="one row per step: a call, or at the end the answer",
    key=("run_id", "query_id", "step"),
    columns=(
        *identity(),
        _QUERY_ID,
        small("step", "Step of the trajectory, from 0.", required=True),
        ident("pair_id", "The pair that was called, `model@@tool`; null where it answered."),
        text(
            "answer_key",
            "Canonical form of what the pair answered, or of the answer given; null where the "
            "call failed or its answer cannot be compared.",
        ),
        number("confidence", "Probability of the leading answer before the step; 0 without one."),
        number("none_probability", "Probability that no answer gathered before it is right."),
        small("supporters", "Calls that had given the leading answer.", required=True),
        ident("strategy", "What decided: a policy's strategy, a cascade, a vote."),
        number("price", "Points of accuracy that a unit of cost is worth; null where unpriced."),
        moment("decided_at", "When the row was finished.", required=True),
        version(),
    ),
)

ATTEMPTS = TableSchema(
    name="attempts",
    description="Every provider or tool call, successful or not: the billing truth.",
    grain="one row per call",
    key=("attempt_id",),
    columns=(
        ident("attempt_id", "Unique id of the call.", required=True),
        *identity(),
        _QUERY_ID,
        _CUSTOM_ID,
        small("step", "Step of the trajectory; 0 for one-step routers.", required=True),
        small("call_index", "Position of the call inside the pair's execution.", required=True),
        small(
            "attempt_number",
            "1 for the first try of this call, 2 for its first retry.",
            required=True,
        ),
        ident("request_key", "Hash of the canonical request: the identity of paid work."),
        ident("request_id", "Idempotency key sent with the request."),
        ident("pair_id", "The pair it belongs to, `model@@tool`.", required=True),
        ident("request_model", "Model asked for.", otel="gen_ai.request.model"),
        ident("response_model", "Model that says it answered.", otel="gen_ai.response.model"),
        ident("provider_name", "Provider called.", otel="gen_ai.provider.name"),
        enum(
            "operation_name",
            OPERATION,
            "Kind of call.",
            required=True,
            otel="gen_ai.operation.name",
        ),
        ident("tool_name", "Tool that ran.", otel="gen_ai.tool.name"),
        ident("tool_call_id", "The model's id of the tool call.", otel="gen_ai.tool.call.id"),
        small("tool_exit_code", "Exit status of a program."),
        ident("tool_tier", "Isolation in force while the tool ran."),
        flag("tool_ok", "Whether the tool did what it was asked to."),
        text("tool_error_where", "Where the tool failed, such as `line 3`."),
        text("tool_error_cause", "Why the tool failed, in a sentence."),
        tokens(
            "input_tokens", "Input tokens, cached ones included.", otel="gen_ai.usage.input_tokens"
        ),
        tokens(
            "output_tokens", "Output tokens, reasoning included.", otel="gen_ai.usage.output_tokens"
        ),
        tokens(
            "cache_read_input_tokens",
            "Input tokens read from the provider's cache.",
            otel="gen_ai.usage.cache_read.input_tokens",
        ),
        tokens(
            "cache_creation_input_tokens",
            "Input tokens written to the provider's cache.",
            otel="gen_ai.usage.cache_creation.input_tokens",
        ),
        tokens(
            "reasoning_output_tokens",
            "Output tokens spent on reasoning.",
            otel="gen_ai.usage.reasoning.output_tokens",
        ),
        money("cost_usd", "What the call is charged with; null is an unknown price, 0 is free."),
        enum(
            "charge_kind",
            CHARGE_KIND,
            "doubt: the reservation kept for a request of unknown fate; free: nothing was charged.",
            required=True,
        ),
        ident("price_id", "The price list the cost was computed with."),
        enum("billing_mode", BILLING_MODE, "How the provider bills the call."),
        enum(
            "status", ATTEMPT_STATUS, "unknown: sent, and no whole answer came back.", required=True
        ),
        ident("error_type", "Short stable name of the error.", otel="error.type"),
        enum("error_class", ERROR_CLASS, "What can be done about the error."),
        text("error_message", "The error in a sentence."),
        small("http_status_code", "HTTP status code."),
        seconds("retry_after_s", "How long the provider asked to wait."),
        ident("finish_reason", "Why the model stopped.", otel="gen_ai.response.finish_reasons"),
        ident("response_id", "The provider's id of the response.", otel="gen_ai.response.id"),
        moment(
            "started_at",
            "When the call was sent; null where the process died before writing it down.",
        ),
        seconds(
            "duration_s",
            "From sending to the whole response.",
            otel="gen_ai.client.operation.duration",
        ),
        seconds("queue_s", "Waiting for the limiter and the budget before sending."),
        ident("prompt_template_sha", "Hash of the prompt template."),
        text("params_json", "Parameters of the request as JSON."),
        text("output_text", "What came back."),
        version(),
    ),
)

ANSWERS = TableSchema(
    name="answers",
    description="The answer to every row of the backlog, or why there is none.",
    grain="one row per (run_id, custom_id), duplicates included",
    key=("run_id", "custom_id"),
    columns=(
        *identity(),
        _CUSTOM_ID,
        _QUERY_ID,
        count("row_index", "Position in the backlog, from 0.", required=True),
        text("answer", "The answer; null unless answered."),
        enum(
            "status",
            ANSWER_STATUS,
            "in_doubt: asked, fate unknown; skipped_*: left for the same command to take up again.",
            required=True,
        ),
        ident("error_type", "Short stable name of the error.", otel="error.type"),
        text("error_message", "The error in a sentence."),
        ident("pair_id", "The pair that answered, or was tried last, `model@@tool`."),
        ident("model", "Key of its model in the pool."),
        ident("tool", "Key of its tool in the pool."),
        small("attempts", "Calls made for this row; 0 for a duplicate.", required=True),
        money("cost_usd", "Sum of its known charges; null if one is unknown; 0 for a duplicate."),
        money(
            "doubt_usd", "Charges kept for its requests of unknown fate; 0 where there are none."
        ),
        tokens("input_tokens", "Sum over its attempts."),
        tokens("output_tokens", "Sum over its attempts."),
        ident(
            "finish_reason",
            "Why the model stopped; null is unknown.",
            otel="gen_ai.response.finish_reasons",
        ),
        seconds("duration_s", "From the decision to the answer."),
        ident("router", "Name of the router."),
        ident("policy_version", "Id of the policy, which its contents make; null without one."),
        ident("profile_id", "The profile the router knows the pool by."),
        number(
            "confidence",
            "Probability that the answer is right, as a multi-step strategy judged it.",
        ),
        number("score", "Score in [0, 1]; null when unlabelled or unscored."),
        enum("grade_status", GRADE_STATUS, "Null when unlabelled."),
        ident("duplicate_of", "custom_id of the row with the same content that was really asked."),
        moment("answered_at", "When the row was finished.", required=True),
        version(),
    ),
)

GRADES = TableSchema(
    name="grades",
    description="What every grader said.",
    grain="one row per graded answer and grader",
    key=("grade_id",),
    columns=(
        ident("grade_id", "Unique id of the grade.", required=True),
        *identity(),
        ident("attempt_id", "The attempt that was graded, where it is one."),
        _QUERY_ID,
        ident("custom_id", "The user's id of the row, verbatim."),
        ident("pair_id", "The pair whose answer was graded."),
        ident("grader", "Name of the grader.", required=True),
        ident("grader_version", "Its version.", required=True),
        number("score", "Score in [0, 1]; null when unscored."),
        enum("grade_status", GRADE_STATUS, "unscored is never counted as wrong.", required=True),
        text("unscored_reason", "Why it could not be scored."),
        text("extracted", "What the grader read as the answer."),
        text("rationale", "A judge's explanation."),
        money("judge_cost_usd", "What judging cost; 0 without a judge."),
        moment("graded_at", "When it was graded.", required=True),
        version(),
    ),
)

DEAD_LETTERS = TableSchema(
    name="dead_letters",
    description="Rows of the backlog that could not be read as queries.",
    grain="one row per rejected row",
    key=("run_id", "source_uri", "source_row", "field"),
    columns=(
        *identity(chunk_required=False),
        text("source_uri", "The file.", required=True),
        count(
            "source_row",
            "Line or row in that file, from 1; 0 for the file as a whole.",
            required=True,
        ),
        ident("field", "The field at fault, where it is one."),
        ident("custom_id", "The user's id of the row, where it could be read."),
        ident("error_type", "Short stable name of the reason.", required=True),
        text("reason", "What is wrong and what to do, in a sentence.", required=True),
        text("raw_text", "The beginning of the row as it stands in the file."),
        moment("rejected_at", "When it was rejected.", required=True),
        version(),
    ),
)
