"""The documented command, from a table to a registered policy."""

from __future__ import annotations

import importlib.util
import json

import polars as pl
import pytest

from tasks.learn.language_policy import prompt
from tasks.learn.language_policy.command import main
from tests.tasks.learn.language_policy.tiny import PAIRS, save_base, toy_questions

pytestmark = [
    pytest.mark.long,
    pytest.mark.filterwarnings("ignore"),  # MLflow and its dependencies warn about each other
    pytest.mark.skipif(
        importlib.util.find_spec("trl") is None,
        reason="the extra llm is not installed: pip install 'atlas-routing[llm]'",
    ),
]


@pytest.fixture
def table(tmp_path):
    questions = toy_questions(6)
    folder = tmp_path / "table"
    folder.mkdir()
    pl.DataFrame(
        {
            "query_id": questions.query_ids,
            "text": questions.texts,
            "dataset": questions.datasets,
            "split": ["train"] * 4 + ["test"] * 2,
        }
    ).write_parquet(folder / "queries.parquet")
    cells = [(row, column) for row in range(6) for column in range(len(PAIRS))]
    pl.DataFrame(
        {
            "query_id": [questions.query_ids[row] for row, _ in cells],
            "model": [PAIRS[column].model for _, column in cells],
            "tool": [PAIRS[column].tool for _, column in cells],
            "score": [questions.scores[cell] for cell in cells],
            "cost_usd": [0.01] * len(cells),
            "input_tokens": pl.Series([None] * len(cells), dtype=pl.Int64),
            "output_tokens": pl.Series([None] * len(cells), dtype=pl.Int64),
            "answer": [questions.answers[row][column] for row, column in cells],
        }
    ).write_parquet(folder / "outcomes.parquet")
    return folder


def test_a_table_becomes_a_registered_policy(table, tmp_path, monkeypatch, capsys) -> None:
    from tasks.learn.language_policy.registered import LanguageRegistry
    from tasks.registry.registry import PolicyRegistry

    monkeypatch.setattr(prompt, "_LAYOUT", "Question: {question}\n")
    base = save_base(tmp_path / "base")
    store = f"sqlite:///{tmp_path / 'mlflow.db'}", str(tmp_path / "artifacts")
    numbers = (
        "--steps 1 --questions-a-step 2 --questions-an-update 2 --group 2 --microbatch 4 "
        "--max-calls 1 --max-response-tokens 8 --adapter-rank 2"
    )

    code = main(
        [str(table), "--out", str(tmp_path / "out"), "--base", str(base), *numbers.split(),
         "--mlflow-uri", store[0], "--artifacts", store[1]]
    )  # fmt: skip

    assert code == 0
    told = json.loads(capsys.readouterr().out)
    assert told["results"]["test"]["questions"] == 2
    assert told["results"]["test"]["best_single_accuracy"] == 1.0
    registry = LanguageRegistry(*store)
    (version,) = registry.versions()
    assert version.policy_id == told["policy"]
    assert version.tags["kind"] == "language"
    home = registry.fetch_folder(version, tmp_path / "elsewhere")
    assert home.name == version.policy_id
    written = tmp_path / "out" / version.policy_id
    assert registry.register_folder(written, card={}) == version
    # A compact policy's champion can never be a language policy by mistake.
    assert PolicyRegistry(*store).versions() == []


def test_what_cannot_be_done_is_a_sentence(table, tmp_path, capsys) -> None:
    assert main([str(table), "--out", str(tmp_path), "--group", "1"]) == 1
    assert "group is 1; it must be 2 or more" in capsys.readouterr().err
    assert main([str(tmp_path / "none"), "--out", str(tmp_path)]) == 1
    assert "there is no folder" in capsys.readouterr().err
