"""A pool file is read whole: a pool, or every problem with its line."""

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from profiles.fingerprint import build_pool
from profiles.pool import Limits, Pair, Pool
from profiles.pool_file import PoolError, load_pool, missing_keys, unpriced

GOOD = """\
name: shop
models:
  cedar:
    provider: openai
    name: cedar-large
    endpoint: https://api.example.com/v1/
    api_key_env: CEDAR_KEY
    prices: {input_usd: 0.10, output_usd: "0.40", cached_input_usd: 0.025}
    modality: [text, image]
    limits: {concurrency: 8, requests_per_minute: 500, timeout_s: 30.5, max_output_tokens: 256}
    parameters: {temperature: 0.0, reasoning: {effort: low}}
    description: the big one
  birch:
    provider: simulated
tools:
  none:
  search: {parameters: {corpus: corpus, key_env: SEARCH_KEY}, price_per_call_usd: 0.001}
pairs:
  exclude: ["birch@@search"]
"""


def write(folder: Path, text: str | bytes) -> Path:
    path = folder / "pool.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def load(folder: Path, text: str) -> Pool:
    return load_pool(write(folder, text))


def problems(folder: Path, text: str | bytes) -> list[str]:
    with pytest.raises(PoolError) as caught:
        load_pool(write(folder, text))
    return [str(problem).removeprefix(f"{folder}/") for problem in caught.value.problems]


def test_reads_every_field(tmp_path):
    pool = load(tmp_path, GOOD)

    cedar = pool.models["cedar"]
    assert ("shop", str(tmp_path / "pool.yaml")) == (pool.name, pool.source)
    assert (Pair("birch", "none"), Pair("cedar", "none"), Pair("cedar", "search")) == pool.pairs
    assert (Decimal("0.10"), Decimal("0.40"), Decimal("0.025")) == (
        cedar.prices.input_usd, cedar.prices.output_usd, cedar.prices.cached_input_usd,
    )  # fmt: skip
    assert "https://api.example.com/v1" == cedar.endpoint
    assert Limits(8, 500, None, 128_000, 256, 30.5) == cedar.limits
    assert {"temperature": 0.0, "reasoning": {"effort": "low"}} == cedar.parameters
    assert ("text", "image") == cedar.modality
    assert "birch" == pool.models["birch"].name
    assert not pool.models["birch"].prices.known
    assert Decimal("0.001") == pool.tools["search"].price_per_call_usd
    assert "none" == pool.tools["none"].kind


def test_the_tool_none_is_there_when_no_tools_are_named(tmp_path):
    pool = load(tmp_path, "name: a\nmodels: {m: {provider: simulated}}\n")

    assert (Pair("m", "none"),) == pool.pairs


def test_anchors_and_merges_are_resolved_and_written_out_values_win(tmp_path):
    text = """\
name: a
models:
  one: &base {provider: simulated, prices: {input_usd: 1, output_usd: 2}, description: x}
  two: {<<: *base, name: other, description: y}
"""
    pool = load(tmp_path, text)

    assert pool.models["one"].prices == pool.models["two"].prices
    assert ("other", "y") == (pool.models["two"].name, pool.models["two"].description)


def test_missing_keys_names_each_unset_variable_once(tmp_path):
    pool = load(tmp_path, GOOD)

    assert ["CEDAR_KEY", "SEARCH_KEY"] == missing_keys(pool, {"CEDAR_KEY": "  "})
    assert [] == missing_keys(pool, {"CEDAR_KEY": "x", "SEARCH_KEY": "y"})


def test_unpriced_lists_pairs_whose_model_or_tool_has_no_price(tmp_path):
    pool = load(tmp_path, GOOD.replace("price_per_call_usd: 0.001", "price_per_call_usd: null"))

    assert ["birch@@none", "cedar@@search"] == unpriced(pool)


def test_every_problem_is_listed_at_once_with_its_line(tmp_path):
    text = """\
name: shop
modles: {}
models:
  cedar:
    provider: opnai
    prices: {input_usd: -1, output_usd: nan, input: 3}
    limits: {concurrency: 0, timeout_s: soon}
  a@@b: {provider: simulated, modality: [text, smell]}
tools:
  python: {unsafe: maybe}
"""

    assert [
        (
            "pool.yaml:2: modles: is not a known key (did you mean 'models'?); known are name,"
            " description, models, tools, pairs"
        ),
        (
            "pool.yaml:5: models.cedar.provider: 'opnai' is not known (did you mean 'openai'?);"
            " give one of openai, simulated, recorded, scripted"
        ),
        (
            "pool.yaml:6: models.cedar.prices.input: is not a known key"
            " (did you mean 'input_usd'?); known are input_usd, output_usd, cached_input_usd"
        ),
        (
            "pool.yaml:6: models.cedar.prices.input_usd: must not be negative; 0 is free,"
            " leave it out if unknown"
        ),
        (
            "pool.yaml:6: models.cedar.prices.output_usd: must be a number of dollars such as 0.15;"
            " leave it out if unknown"
        ),
        (
            "pool.yaml:7: models.cedar.limits.concurrency: must be a whole number of at least 1;"
            " leave it out for the default"
        ),
        (
            "pool.yaml:7: models.cedar.limits.timeout_s: must be a number of seconds above 0 and at"
            " most 86400"
        ),
        "pool.yaml:8: models.a@@b: a key must not contain '@@': it separates model and tool",
        (
            "pool.yaml:8: models.a@@b.modality: 'smell' is not known; known are text, image, audio,"
            " video"
        ),
        "pool.yaml:10: tools.python.unsafe: must be true or false",
    ] == problems(tmp_path, text)


MODEL = "name: a\nmodels:\n  m: {provider: simulated}\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("", "pool.yaml: is empty", id="empty"),
        pytest.param("# only a comment\n", "pool.yaml: is empty", id="comment-only"),
        pytest.param("[1, 2]", "must be a mapping with name", id="list"),
        pytest.param("just words", "must be a mapping with name", id="scalar"),
        pytest.param("a: b: c", "pool.yaml:1: is not YAML", id="not-yaml"),
        pytest.param("name: a\nmodels: {m: [", "is not YAML", id="torn"),
        pytest.param("name: a\n\tmodels: {}", "pool.yaml:2: is not YAML", id="tab"),
        pytest.param(b"PK\x03\x04\x00\x00", "is binary", id="binary"),
        pytest.param(b"name: a\nx: \xff\xfe", "pool.yaml:2: is not UTF-8", id="bad-utf8"),
        pytest.param("name: \x07", "characters YAML forbids", id="control-character"),
        pytest.param(MODEL + "---\nname: b\n", "a second document starts here", id="documents"),
        pytest.param("name: a\nname: b\n", "name: is given twice (first in line 1)", id="twice"),
        pytest.param(
            "name: a\nmodels:\n  m: &x {provider: simulated, parameters: {loop: *x}}\n",
            "an anchor contains itself",
            id="cycle",
        ),
        pytest.param(
            "name: a\nx: &k 1\ny: &k 2\n",
            "is not YAML (found duplicate anchor 'k'",
            id="anchor-twice",
        ),
        pytest.param("name: a\nmodels: {}\n", "models: needs at least one entry", id="no-models"),
        pytest.param("name: a\n", "models: needs at least one entry", id="models-absent"),
        pytest.param("name: a\nmodels: [m]\n", "models: needs at least one", id="models-a-list"),
        pytest.param("name: a\nmodels: {m: }\n", "models.m.provider: is missing", id="null-model"),
        pytest.param("name: a\nmodels: {m: 7}\n", "models.m: must be a mapping", id="model-is-7"),
        pytest.param("models: {m: {provider: simulated}}", "name: is missing", id="no-name"),
        pytest.param("name: ../up\n", "name: must be at most 64 letters", id="name-path"),
        pytest.param(
            "name: a\nmodels: {m: {provider: openai}}\n", "endpoint: is missing", id="no-endpoint"
        ),
        pytest.param(
            "name: a\nmodels: {m: {provider: openai, endpoint: ftp//x}}\n",
            "endpoint: is not a URL",
            id="endpoint-no-url",
        ),
        pytest.param(
            "name: a\nmodels: {m: {provider: openai, endpoint: 'http://h:99999/v1'}}\n",
            "endpoint: is not a URL",
            id="endpoint-port",
        ),
        pytest.param(
            "name: a\nmodels: {m: {provider: recorded, endpoint: 'http://h/v1'}}\n",
            "means nothing for a recorded model",
            id="endpoint-unused",
        ),
        pytest.param(
            "name: a\nmodels: {m: {provider: simulated, api_key_env: 9 lives}}\n",
            "must be the name of an environment variable",
            id="bad-variable",
        ),
        pytest.param(
            "name: a\nmodels: {m: {provider: simulated, prices: {input_usd: true}}}\n",
            "must be a number of dollars",
            id="price-true",
        ),
        pytest.param(
            "name: a\nmodels: {m: {provider: simulated, prices: {input_usd: 9e9}}}\n",
            "prices are per million tokens",
            id="price-huge",
        ),
        pytest.param(
            "name: a\nmodels: {m: {provider: simulated, prices: {input_usd: 1e-20}}}\n",
            "has more than 12 decimals",
            id="price-fine",
        ),
        pytest.param(
            "name: a\nmodels: {m: {provider: simulated, prices: 3}}\n",
            "models.m.prices: must be a mapping",
            id="prices-number",
        ),
        pytest.param(
            "name: a\nmodels: {m: {provider: simulated, limits: {max_output_tokens: 9999999}}}\n",
            "is more than `context_tokens`",
            id="output-over-context",
        ),
        pytest.param(
            "name: a\nmodels: {m: {provider: simulated, parameters: {day: 2020-01-01}}}\n",
            "put it in quotes",
            id="date",
        ),
        pytest.param(
            "name: a\nmodels: {m: {provider: simulated, parameters: {x: .nan}}}\n",
            "must be a finite number",
            id="nan-parameter",
        ),
        pytest.param(
            "name: a\nmodels: {m: {provider: simulated}, n: {provider: simulated, name: m}}\n",
            "models.n: is the same model as 'm'",
            id="twins",
        ),
        pytest.param(
            "name: a\nmodels: {'a b': {provider: simulated}}\n", "without blanks", id="blank-key"
        ),
        pytest.param(
            "name: a\nmodels: {'*': {provider: simulated}}\n", "without blanks", id="glob-key"
        ),
        pytest.param(
            "name: a\nmodels: {1: {provider: simulated}, ? [x] : {}}\n",
            "a key must be a plain word",
            id="list-key",
        ),
        pytest.param(MODEL + "tools: {abacus: {}}\n", "tools.abacus.kind: is missing", id="kind"),
        pytest.param(
            MODEL + "tools: {t: {kind: pyton}}\n", "did you mean 'python'?", id="unknown-kind"
        ),
        pytest.param(
            MODEL + "tools: {none: {unsafe: true}}\n", "for kind python only", id="unsafe-none"
        ),
        pytest.param(MODEL + "tools: {}\n", "tools: needs at least one entry", id="no-tools"),
        pytest.param(
            MODEL + "pairs: {exclude: ['m@@non']}\n",
            "pairs.exclude: 'm@@non' matches no pair (did you mean 'm@@none'?)",
            id="rule-matches-nothing",
        ),
        pytest.param(MODEL + "pairs: {exclude: '*'}\n", "the rules leave no pair", id="no-pairs"),
        pytest.param(MODEL + "pairs: {include: []}\n", "must be a list of words", id="no-rules"),
        pytest.param(
            MODEL + "pairs: {include: [[x]]}\n", "must be a list of words", id="rule-a-list"
        ),
        pytest.param(
            MODEL + "tools: {eye: {kind: search, modality: image}}\n",
            "'m@@eye': the tool needs image, which the model does not read",
            id="modality-mismatch",
        ),
    ],
)
def test_names_the_problem(tmp_path, text, expected):
    assert any(expected in problem for problem in problems(tmp_path, text))


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    with pytest.raises(PoolError, match=r"nowhere\.yaml: does not exist"):
        load_pool(tmp_path / "nowhere.yaml")
    with pytest.raises(PoolError, match="is a folder"):
        load_pool(tmp_path)


def test_a_file_that_is_too_large_is_not_read(tmp_path):
    assert ["pool.yaml: is 5,000,000 bytes; this is not a pool file"] == problems(
        tmp_path, b"a" * 5_000_000
    )


def test_aliases_of_aliases_do_not_unfold_for_ever(tmp_path):
    levels = "".join(f"      l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]\n" for n in range(1, 12))
    text = "name: a\nmodels:\n  m:\n    provider: simulated\n    parameters:\n      l0: &l0 [x]\n"
    text += levels

    assert any("unfolds to more than" in problem for problem in problems(tmp_path, text))


SECRET = "sk-" + "proj-abcDEF123456789abcDEF"


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(
            f"name: a\nmodels: {{m: {{provider: simulated, api_key: {SECRET}}}}}", id="key"
        ),
        pytest.param(f"{MODEL}# {SECRET}\n", id="comment"),
        pytest.param(
            f"name: a\nmodels: {{m: {{provider: simulated, api_key_env: {SECRET}}}}}", id="env"
        ),
        pytest.param(f"name: a\nmodels: {{{SECRET}: {{provider: x}}}}", id="as-model-key"),
        pytest.param(f"name: a\nmodels: {{m: {{provider: {SECRET}}}}}", id="as-provider"),
        pytest.param(f"{MODEL}pairs: {{exclude: [{SECRET}]}}\n", id="as-rule"),
        pytest.param(f"{SECRET}: [", id="syntax-error"),
        pytest.param(
            "name: a\nmodels: {m: {provider: openai, endpoint: 'https://u:hunter2@h/v1'}}", id="url"
        ),
        pytest.param(
            "name: a\nmodels: {m: {provider: simulated, parameters: {password: hunter2}}}",
            id="parameter",
        ),
    ],
)
def test_a_secret_in_the_file_is_refused_and_never_repeated(tmp_path, text):
    said = "\n".join(problems(tmp_path, text))

    assert "key" in said
    assert SECRET not in said
    assert "hunter2" not in said


def test_the_fingerprint_changes_with_what_can_change_an_answer_or_a_price(tmp_path):
    base = load(tmp_path, GOOD).fingerprint
    changes = {
        "name: cedar-large": "name: cedar-small",
        "https://api.example.com/v1/": "https://api.example.org/v1",
        'output_usd: "0.40"': "output_usd: 0.41",
        "effort: low": "effort: high",
        "max_output_tokens: 256": "max_output_tokens: 512",
        "corpus: corpus": "corpus: other",
        "price_per_call_usd: 0.001": "price_per_call_usd: 0.002",
        'exclude: ["birch@@search"]': 'exclude: ["birch@@none"]',
        "[text, image]": "[text]",
    }

    changed = {load(tmp_path, GOOD.replace(old, new)).fingerprint for old, new in changes.items()}

    assert len(changes) == len(changed)
    assert base not in changed


def test_the_fingerprint_ignores_everything_else(tmp_path):
    base = load(tmp_path, GOOD).fingerprint
    same = {
        "the big one": "the bigger one",
        "CEDAR_KEY": "OTHER_KEY",
        "concurrency: 8": "concurrency: 9",
        "name: shop": "name: stall",
        "input_usd: 0.10": "input_usd: 0.1",
        "[text, image]": "[image, text]",
        "api.example.com/v1/": "api.example.com/v1",
    }

    assert {base} == {
        load(tmp_path, GOOD.replace(old, new)).fingerprint for old, new in same.items()
    }


def test_a_pool_built_from_values_has_sorted_pairs_and_the_same_fingerprint(tmp_path):
    pool = load(tmp_path, GOOD)

    built = build_pool(pool.name, pool.models, pool.tools, pool.pairs[::-1], pool.source)

    assert pool == built
    assert pool == replace(built, models=dict(reversed(pool.models.items())))


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=300) | st.binary(max_size=300))
def test_whatever_is_in_the_file_there_is_a_pool_or_a_pool_error(tmp_path_factory, content):
    folder = tmp_path_factory.mktemp("fuzz")
    raw = content.encode("utf-8", "replace") if isinstance(content, str) else content

    with pytest.raises(PoolError) as caught:
        load_pool(write(folder, raw))

    assert caught.value.problems


LINES = GOOD.splitlines(keepends=True)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from([*LINES, "  ? x\n", "- 1\n", "  m: &a {b: *a}\n"]), max_size=30))
def test_shuffled_lines_never_break_the_reader(tmp_path_factory, lines):
    path = write(tmp_path_factory.mktemp("fuzz"), "".join(lines))

    found: list[object] = []
    try:
        found += load_pool(path).pairs
    except PoolError as error:
        found += error.problems

    assert found


def test_revisions_versions_and_prompts_are_read_and_change_the_fingerprint(tmp_path):
    plain = "name: p\nmodels:\n  a: {provider: scripted, name: a}\ntools:\n  none: {kind: none}\n"
    path = tmp_path / "pool.yaml"
    path.write_text(plain)
    before = load_pool(path)
    path.write_text(
        plain.replace("name: a}", "name: a, revision: 2026-05}").replace(
            "kind: none}", 'kind: none, version: "2", prompt: " Be brief. "}'
        )
    )
    pool = load_pool(path)

    assert ("2026-05", "2", "Be brief.") == (
        pool.models["a"].revision, pool.tools["none"].version, pool.tools["none"].prompt,
    )  # fmt: skip
    assert ("", "", None) == (
        before.models["a"].revision, before.tools["none"].version, before.tools["none"].prompt,
    )  # fmt: skip
    assert before.fingerprint != pool.fingerprint


def test_a_prompt_for_a_recorded_tool_is_refused(tmp_path):
    path = tmp_path / "pool.yaml"
    path.write_text(
        "name: p\nmodels:\n  a: {provider: recorded, name: a}\n"
        "tools:\n  none: {kind: recorded, prompt: Hello}\n"
    )

    with pytest.raises(PoolError, match="nobody is asked"):
        load_pool(path)
