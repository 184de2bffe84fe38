"""Simulated models as endpoints: deterministic, blind to labels, honest about tokens and time."""

import ast
import json
from decimal import Decimal
from pathlib import Path

import pytest

from profiles.pool import ModelSpec, Prices
from tasks.call.base import CallOrigin, ChatRequest, FunctionSchema, Message
from tasks.call.errors import FatalError, Fate
from tasks.simulate.client import SimulatedClient, make_models
from tasks.simulate.knowledge import Knowledge
from tasks.simulate.mind import Mind
from tasks.simulate.model import SimulatedModel
from tasks.simulate.parameters import ParametersError, SimulatedParameters, read_parameters

QUESTION = "Greta has 40 apples. Greta sells 12 of them. How many apples does Greta have now?"
CALCULATOR = FunctionSchema("calculator", "Evaluates one expression.", {"type": "object"})
PYTHON = FunctionSchema("python", "Runs a program.", {"type": "object"})


def _parameters(**skills):
    everything = dict.fromkeys(
        ("arithmetic", "algebra", "dates", "lookup", "tables", "code", "logic", "choice"), 1.0
    )
    return SimulatedParameters.model_validate(
        {
            "skills": everything | {"mental": 1.0, "recall": 1.0} | skills,
            "tool_use": {"calculator": 1.0, "python": 1.0, "search": 1.0},
        }
    )


def _request(text=QUESTION, *, functions=(), messages=(), name="m", **changes):
    settings = {"max_output_tokens": 1024, "origin": CallOrigin("q", "k", "t")} | changes
    start = (Message("system", "Answer."), Message("user", text))
    return ChatRequest(name, (*start, *messages), functions=functions, **settings)


def _model(seed=0, **skills):
    return SimulatedModel("m", _parameters(**skills), seed=seed)


def test_the_same_request_gets_the_same_reply():
    assert _model(arithmetic=0.5).complete(_request()) == _model(arithmetic=0.5).complete(
        _request()
    )


def test_the_origin_of_a_request_changes_nothing():
    other = CallOrigin("another", "key", "tool", 3)

    assert _model().complete(_request()) == _model().complete(_request(origin=other))


def test_another_seed_or_name_has_other_luck():
    questions = [QUESTION.replace("40", str(number)) for number in range(40, 90)]
    half = _parameters(arithmetic=0.5)
    answers = {
        key: [model.complete(_request(text)).response.text for text in questions]
        for key, model in {
            "base": SimulatedModel("m", half, seed=0),
            "seed": SimulatedModel("m", half, seed=1),
            "name": SimulatedModel("n", half, seed=0),
        }.items()
    }

    assert 3 == len({tuple(texts) for texts in answers.values()})


def test_sampling_takes_the_requests_seed_into_account_only_above_temperature_zero():
    model = _model(arithmetic=0.5)
    cold = {model.complete(_request(seed=seed)).response.text for seed in range(20)}
    warm = {
        model.complete(_request(seed=seed, temperature=0.7)).response.text for seed in range(20)
    }

    assert 1 == len(cold)
    assert len(warm) > 1


def test_no_module_of_the_models_imports_the_generator():
    root = Path(__file__).parents[3] / "tasks" / "simulate"
    imported = {
        name
        for path in root.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        for name in (
            [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else [one.name for one in node.names]
            if isinstance(node, ast.Import)
            else []
        )
    }

    assert [] == [name for name in imported if name.startswith("tasks.generate")]


def test_an_answer_ends_with_the_answer_line():
    assert "Answer: 28" == _model().complete(_request()).response.text.splitlines()[-1]


def test_an_offered_calculator_is_called_with_an_expression():
    response = _model().complete(_request(functions=(CALCULATOR,))).response
    arguments = json.loads(response.tool_calls[0].arguments)

    assert ("calculator", "tool_calls", "") == (
        response.tool_calls[0].name,
        response.finish_reason,
        response.text,
    )
    assert {"expression": "40 - 12", "kind": "numeric", "precision": 15} == arguments


def test_the_result_of_a_tool_is_what_the_model_answers():
    model = _model()
    call = model.complete(_request(functions=(CALCULATOR,))).response.tool_calls
    messages = (
        Message("assistant", "", tool_calls=call),
        Message("tool", "31", tool_call_id=call[0].id),
    )
    response = model.complete(_request(functions=(CALCULATOR,), messages=messages)).response

    assert "Answer: 31" == response.text.splitlines()[-1]
    assert () == response.tool_calls


def test_a_program_that_fails_is_corrected_once_at_most():
    parameters = SimulatedParameters.model_validate(
        {
            "skills": {"arithmetic": 1.0, "mental": 1.0},
            "tool_use": {"python": 0.5},
        }
    )
    rounds = []
    for number in range(60):
        model = SimulatedModel(f"m{number}", parameters)
        messages: list[Message] = []
        for used in range(5):
            response = model.complete(
                _request(functions=(PYTHON,), messages=tuple(messages))
            ).response
            if not response.tool_calls:
                rounds.append(used)
                break
            call = response.tool_calls
            messages.append(Message("assistant", "", tool_calls=call))
            messages.append(
                Message("tool", "Error at line 1: NameError: no", tool_call_id=call[0].id)
            )

    assert 60 == len(rounds)
    assert {0, 1, 2} == set(rounds)


def test_a_model_that_may_call_no_more_answers():
    model = _model()
    call = model.complete(_request(functions=(CALCULATOR,))).response.tool_calls
    messages = (
        Message("assistant", "", tool_calls=call),
        Message("tool", "Error: no more calls", tool_call_id=call[0].id),
    )
    response = model.complete(_request(messages=messages)).response

    assert ((), "stop") == (response.tool_calls, response.finish_reason)
    assert response.text.endswith("Answer: 28")


@pytest.mark.parametrize("text", ["", "What is love?", "\x00", "?" * 5000, "Tell me the", "A) B)"])
def test_what_cannot_be_understood_is_admitted(text):
    assert "Answer: unknown" in _model().complete(_request(text)).response.text


def test_usage_counts_input_by_length_and_output_by_verbosity():
    short = _model().complete(_request()).response.usage
    longer = _model().complete(_request(QUESTION + " " * 400)).response.usage

    assert 100 == longer.input_tokens - short.input_tokens
    assert short.output_tokens >= 1
    assert 0 <= short.reasoning_output_tokens <= short.output_tokens


def test_the_output_limit_cuts_the_answer_and_says_so():
    response = _model().complete(_request(max_output_tokens=2)).response

    assert "length" == response.finish_reason
    assert 2 == response.usage.output_tokens
    assert len(response.text) <= 8


def test_latency_is_positive_and_grows_with_the_median():
    def total(median):
        parameters = SimulatedParameters.model_validate({"latency_s": {"median": median}})
        model = SimulatedModel("m", parameters)
        return sum(
            model.complete(_request(QUESTION.replace("40", str(n)))).latency_s
            for n in range(40, 60)
        )

    assert 0 < total(0.1) < total(1.0)


def test_skill_is_about_the_share_of_average_questions():
    minds = [Mind(0, "m", f"question {number}") for number in range(4000)]
    shares = {
        skill: sum(mind.manages(skill, 0.0, "read") for mind in minds) / len(minds)
        for skill in (0.0, 0.2, 0.5, 0.8, 1.0)
    }

    assert (0.0, 1.0) == (shares[0.0], shares[1.0])
    assert [pytest.approx(share, abs=0.09) for share in (0.2, 0.5, 0.8)] == [
        shares[0.2],
        shares[0.5],
        shares[0.8],
    ]


def test_nothing_is_remembered_without_a_corpus():
    text = "Who is mayor of Torvale?"
    known = Knowledge([("Torvale", "The mayor of Torvale is Alda Quist.")])
    with_corpus = SimulatedModel("m", _parameters(), knowledge=known)

    assert "Alda Quist" in with_corpus.complete(_request(text)).response.text
    assert "Alda Quist" not in _model().complete(_request(text)).response.text


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"skills": {"maths": 0.5}}, "parameters.skills.maths: there is no such parameter"),
        ({"skills": {"logic": 1.5}}, "parameters.skills.logic: input should be less than"),
        ({"tool_use": {"python": "often"}}, "parameters.tool_use.python: input should be a valid"),
        ({"latency_s": {"median": 0}}, "parameters.latency_s.median: input should be greater"),
        ({"verbosity": 0.5}, "parameters.verbosity: input should be greater"),
        ({"tokens_per_second": float("nan")}, "parameters.tokens_per_second"),
    ],
)
def test_senseless_parameters_are_named(given, said):
    with pytest.raises(ParametersError) as caught:
        read_parameters("aster", given)

    assert f"simulated model 'aster': {said}" in str(caught.value)


def _spec(key, provider="simulated", **parameters):
    return ModelSpec(
        key, provider, f"{key}-name", Prices(Decimal(1), Decimal(1)), parameters=parameters
    )


def test_problems_of_all_models_are_listed_at_once():
    with pytest.raises(ParametersError) as caught:
        make_models([_spec("a", verbosity=0), _spec("b", speed=1)])

    assert 2 == len(str(caught.value).splitlines())


async def test_the_client_answers_by_the_providers_name_and_waits_by_its_scale():
    waited = []

    async def sleep(seconds):
        waited.append(seconds)

    models = {"a": _spec("a"), "b": _spec("b", provider="openai")}
    client = SimulatedClient(models, seed=1, latency_scale=0.5, sleep=sleep)
    response = await client.complete(_request(name="a-name"))
    direct = make_models(models.values(), seed=1)["a-name"].complete(_request(name="a-name"))
    await client.close()

    assert direct.response == response
    assert [direct.latency_s * 0.5] == waited


async def test_the_client_never_waits_at_scale_zero():
    async def sleep(seconds):
        raise AssertionError

    client = SimulatedClient({"a": _spec("a")}, sleep=sleep)

    assert "a-name" == (await client.complete(_request(name="a-name"))).response_model


async def test_an_unknown_model_is_fatal_and_free():
    client = SimulatedClient({"a": _spec("a")})

    with pytest.raises(FatalError, match="no simulated model 'zeta'; known are a-name") as caught:
        await client.complete(_request(name="zeta"))
    assert (Fate.REFUSED, 404) == (caught.value.fate, caught.value.http_status)
