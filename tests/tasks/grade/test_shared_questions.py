"""References of real question sets grade right against themselves."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from tasks.grade.base import Reference
from tasks.grade.graders import Graders
from tasks.tools.isolation import detect_tier

QUESTIONS = Path(__file__).resolve().parents[4] / "shared" / "data" / "questions"

pytestmark = [
    pytest.mark.shared,
    pytest.mark.slow,
    pytest.mark.skipif(not QUESTIONS.exists(), reason="no question sets in ../shared/data"),
]


def sample(name: str, count: int) -> list[dict[str, Any]]:
    import polars as pl

    rows = pl.read_parquet(QUESTIONS / f"{name}.parquet").to_dicts()
    return random.Random(0).sample(rows, min(count, len(rows)))


def gold(row: dict[str, Any]) -> str:
    text = row["reference"]
    if row["grader"] == "exact" and text.startswith('["'):
        return json.loads(text)[0]
    # Answers are looked for line by line.
    return text.replace("\n", " ")


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("aqua", 508),
        ("gsm8k", 400),
        ("gsm_hard", 400),
        ("svamp", 300),
        ("aime24", 30),
        ("amc23", 40),
        ("math", 300),
        ("nq_open", 400),
        ("hotpotqa", 400),
        ("webquestions", 300),
    ],
)
async def test_every_reference_is_right_in_every_dress(name: str, count: int) -> None:
    graders = Graders()
    missed = []
    for row in sample(name, count):
        for dress in (
            "{}",
            "The answer is {}.",
            "Let me think.\n\nAnswer: {}",
            "So \\boxed{{{}}}.",
        ):
            answer = dress.format(gold(row))
            grade = await graders.grade(answer, Reference(row["grader"], row["reference"]))
            if grade.score != 1:
                missed.append((answer, row["reference"], grade))
    await graders.close()

    assert [] == missed


@pytest.mark.skipif(not detect_tier().usable, reason="no sandbox here")
@pytest.mark.parametrize("name", ["humaneval", "mbpp"])
async def test_solutions_pass_their_tests_and_broken_ones_do_not(name: str) -> None:
    graders = Graders()
    wrong = []
    for row in sample(name, 20):
        solution = json.loads(row["reference"])["solution"]
        program = row["text"] + solution if name == "humaneval" else solution
        reference = Reference("code", row["reference"])
        right = await graders.grade(f"```python\n{program}\n```", reference)
        broken = await graders.grade(
            f"```python\n{program.replace('return', 'return None,')}\n```", reference
        )
        if (right.score, broken.score) != (1.0, 0.0):
            wrong.append((row["query_id"], right, broken))
    await graders.close()

    assert [] == wrong
