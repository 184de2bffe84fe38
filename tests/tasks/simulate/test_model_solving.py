"""Simulated models really solve what they read, with the tools given, and err plausibly."""

import contextlib
import io
import json
import re
import time
from collections import defaultdict
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from profiles.pool_file import load_pool
from tasks.call.base import CallOrigin, ChatRequest, FunctionSchema, Message
from tasks.generate.benchmark import KINDS, questions
from tasks.generate.corpus import passages, write_corpus
from tasks.generate.world import build_world
from tasks.simulate.client import build_models, make_models
from tasks.simulate.knowledge import Knowledge
from tasks.simulate.model import SimulatedModel
from tasks.simulate.parameters import SimulatedParameters, Skills, ToolUse
from tasks.tools.calculator import evaluate_exactly, read_arguments
from tasks.tools.corpus import load_index
from tasks.tools.expression import ExpressionError
from tasks.tools.search import Snippet, describe

SEED = 6
DEMO = Path(__file__).parents[3] / "profiles" / "pools" / "demo.yaml"
SCHEMAS = {
    name: FunctionSchema(name, "A tool.", {"type": "object"})
    for name in ("calculator", "python", "search")
}
BEST_TOOL = {"lookups": "search", "stories": "calculator", "bignum": "python"}


def _run_program(source):
    output = io.StringIO()
    try:
        with contextlib.redirect_stdout(output):
            exec(compile(source, "program", "exec"), {"__name__": "__main__"})
    except Exception as error:
        return f"{output.getvalue()}\nError at line 1: {type(error).__name__}: {error}"
    return output.getvalue().strip()


def _calculate(arguments):
    try:
        tree, kind, precision, _ = read_arguments(arguments)
    except ExpressionError as error:
        return f"Error: {error}"
    result = evaluate_exactly(tree, kind, precision)
    return "Error: needs algebra" if result is None else result.output


class Bench:
    """Runs a model with a tool on an item: real calculator and search, programs in process."""

    def __init__(self, folder):
        write_corpus(folder, build_world(SEED), SEED)
        self.index = load_index(folder)
        self.knowledge = Knowledge((one.title, one.text) for one in self.index.passages)
        self.tools = {
            "calculator": _calculate,
            "python": lambda arguments: _run_program(arguments["program"]),
            "search": lambda arguments: describe(
                [Snippet(*one) for one in self.index.search(arguments["query"], 3)]
            ),
        }

    def answer(self, model, tool, text):
        """(final text, input tokens, output tokens) of one conversation."""
        messages = [Message("system", "Answer the question."), Message("user", text)]
        functions = (SCHEMAS[tool],) if tool in SCHEMAS else ()
        tokens = [0, 0]
        for _ in range(5):
            request = ChatRequest(
                model.name, tuple(messages), 2048, CallOrigin("", "", ""), functions=functions
            )
            response = model.complete(request).response
            tokens[0] += response.usage.input_tokens
            tokens[1] += response.usage.output_tokens
            if not response.tool_calls:
                return response.text, *tokens
            messages.append(Message("assistant", response.text, tool_calls=response.tool_calls))
            for call in response.tool_calls:
                output = self.tools[tool](json.loads(call.arguments))
                messages.append(Message("tool", output, tool_call_id=call.id))
        raise AssertionError("a model called its tool more than four times")


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    return Bench(tmp_path_factory.mktemp("corpus"))


@pytest.fixture(scope="module")
def items():
    return list(islice(questions(SEED), 540))


def _is_right(item, text):
    if item.grader == "code":
        program = re.search(r"```python\n(.*?)```", text, re.DOTALL)
        tests = "\n".join(json.loads(item.reference)["tests"])
        return program is not None and _run_program(f"{program.group(1)}\n{tests}") == ""
    answer = text.rsplit("Answer: ", 1)[-1].strip()
    accepted = json.loads(item.reference) if item.reference[0] == "[" else [item.reference]
    if item.grader == "numeric":
        try:
            return abs(float(answer) - float(accepted[0])) <= 1e-6 * max(1, abs(float(accepted[0])))
        except ValueError:
            return False
    return answer in accepted


def _uniform(level):
    return SimulatedParameters(
        skills=Skills(**dict.fromkeys(Skills.model_fields, level)),
        tool_use=ToolUse(**dict.fromkeys(ToolUse.model_fields, level)),
    )


def _shares(bench, items, level, tools):
    model = SimulatedModel("m", _uniform(level), knowledge=bench.knowledge)
    right = defaultdict(list)
    for item in items:
        text, *_ = bench.answer(model, tools.get(item.dataset, "python"), item.text)
        right[item.dataset].append(_is_right(item, text))
    return {kind: sum(marks) / len(marks) for kind, marks in right.items()}


def test_a_perfect_model_with_the_right_tool_solves_every_kind(bench, items):
    facts = [one for one in items if one.dataset == "choices"]
    others = [one for one in items if one.dataset != "choices"]
    shares = _shares(bench, others, 1.0, BEST_TOOL)
    recalled = SimulatedModel("m", _uniform(1.0), knowledge=bench.knowledge)
    right = [_is_right(one, bench.answer(recalled, "none", one.text)[0]) for one in facts]
    shares["choices"] = sum(right) / len(right)

    assert set(KINDS) == set(shares)
    assert {} == {kind: share for kind, share in shares.items() if share < 0.97}


def test_a_perfect_model_needs_no_tool(bench, items):
    tools = dict.fromkeys(KINDS, "none")
    shares = _shares(bench, items, 1.0, tools)

    assert {} == {kind: share for kind, share in shares.items() if share < 0.97}


@pytest.mark.parametrize("tool", ["none", "calculator", "python", "search"])
def test_a_model_without_skill_is_mostly_wrong(bench, items, tool):
    shares = _shares(bench, items[:270], 0.0, dict.fromkeys(KINDS, tool))

    assert {} == {kind: share for kind, share in shares.items() if share > 0.45}
    assert sum(shares.values()) / len(shares) < 0.25


def test_a_model_is_given_nothing_but_the_text(bench, items):
    model = SimulatedModel("m", _uniform(1.0))
    first = [bench.answer(model, "none", item.text)[0] for item in items[:60]]
    # The same texts under wrong labels: what a model cannot see cannot matter.
    relabelled = [item._replace(dataset="x", reference="y", grader="exact") for item in items[:60]]

    assert first == [bench.answer(model, "none", item.text)[0] for item in relabelled]


def test_wrong_answers_have_the_form_of_right_ones(bench, items):
    model = SimulatedModel("m", _uniform(0.15), knowledge=bench.knowledge)
    form = {"numeric": r"-?\d+(?:\.\d+)?|unknown", "choice": r"[A-E]"}
    shaped = []
    for item in items:
        if item.grader in form and item.dataset != "lookups":
            text = bench.answer(model, "none", item.text)[0]
            answer = text.rsplit("Answer: ", 1)[-1]
            shaped.append(re.fullmatch(form[item.grader], answer) is not None)

    assert sum(shaped) / len(shaped) > 0.98


def test_wrong_numbers_stay_near_the_right_ones_often(bench, items):
    model = SimulatedModel("m", _uniform(0.3))
    ratios = []
    for item in items:
        if item.dataset not in ("stories", "tables") or item.grader != "numeric":
            continue
        answer = bench.answer(model, "none", item.text)[0].rsplit("Answer: ", 1)[-1]
        right = float(item.reference)
        if re.fullmatch(r"-?\d+(?:\.\d+)?", answer) and right and float(answer) != right:
            ratios.append(abs(float(answer) / right))

    assert sum(0.1 < ratio < 10 for ratio in ratios) / len(ratios) > 0.7


def test_look_ups_need_the_search(bench, items):
    lookups = [item for item in items if item.dataset == "lookups"]
    parameters = _uniform(1.0).model_copy(update={"skills": Skills(lookup=1.0, recall=0.03)})
    model = SimulatedModel("m", parameters, knowledge=bench.knowledge)

    def share(tool):
        marks = [_is_right(one, bench.answer(model, tool, one.text)[0]) for one in lookups]
        return sum(marks) / len(marks)

    assert share("search") > 0.95
    assert max(share("none"), share("calculator"), share("python")) < 0.15


def test_self_checks_make_programs_better(bench, items):
    tasks = [item for item in items if item.dataset == "programs"]
    parameters = _uniform(0.5).model_copy(
        update={"tool_use": ToolUse(python=0.9), "skills": Skills(code=0.3)}
    )
    model = SimulatedModel("m", parameters)

    def right(tool):
        return sum(_is_right(one, bench.answer(model, tool, one.text)[0]) for one in tasks)

    assert right("python") > right("none")


def test_an_answer_takes_well_under_a_millisecond_of_processor_time(bench, items):
    model = SimulatedModel("m", _uniform(0.6), knowledge=bench.knowledge)
    requests = [
        ChatRequest("m", (Message("user", one.text),), 1024, CallOrigin("", "", ""))
        for one in items
    ]
    start = time.process_time()
    for request in requests:
        model.complete(request)

    assert (time.process_time() - start) / len(requests) < 0.002


def _matrix(bench, items, pool, models):
    """Scores and costs, one row an item and one column a pair."""
    scores = np.zeros((len(items), len(pool.pairs)))
    costs = np.zeros_like(scores)
    for row, item in enumerate(items):
        for column, pair in enumerate(pool.pairs):
            spec = pool.models[pair.model]
            text, read, wrote = bench.answer(models[spec.name], pair.tool, item.text)
            scores[row, column] = _is_right(item, text)
            costs[row, column] = read * float(spec.prices.input_usd or 0)
            costs[row, column] += wrote * float(spec.prices.output_usd or 0)
    return scores, costs


@pytest.mark.slow
def test_the_demo_pool_leaves_room_for_routing(bench, items):
    """No pair is best everywhere, no kind belongs to one pair, and nobody knows everything."""
    pool = load_pool(DEMO)
    models = make_models(pool.models.values(), knowledge=bench.knowledge)
    scores, costs = _matrix(bench, items, pool, models)
    kinds = np.array([item.dataset for item in items])
    train = np.arange(len(items)) % 5 < 3
    held_out = scores[~train]
    single = held_out[:, scores[train].mean(0).argmax()].mean()
    best = {kind: scores[train & (kinds == kind)].mean(0).argmax() for kind in KINDS}
    by_kind = np.mean([scores[row, best[kinds[row]]] for row in np.flatnonzero(~train)])

    assert 0.30 < held_out.mean() < 0.55
    assert held_out.mean() + 0.05 < single < 0.70
    assert single + 0.08 < by_kind < 0.92
    assert by_kind + 0.04 < held_out.max(1).mean() < 0.99
    assert len(set(best.values())) >= 5
    assert costs.mean(0).max() > 20 * costs.mean(0).min()
    assert all(0 < scores[kinds == kind].mean() < 1 for kind in KINDS)


def test_models_of_a_pool_are_keyed_by_their_providers_name(tmp_path):
    write_corpus(tmp_path / "corpus", build_world(SEED), SEED)
    pool = load_pool(DEMO)
    models = build_models(pool, tmp_path)

    assert {spec.name for spec in pool.models.values()} == set(models)


def test_the_corpus_tells_what_can_be_known(bench):
    world = build_world(SEED)
    town = world.by_kind["town"][0]

    assert town.facts["mayor"] == bench.knowledge.fact("mayor", town.name)
    assert bench.knowledge.fact("mayor", "Nowhere") is None
    assert len(passages(world, SEED)) > 300
