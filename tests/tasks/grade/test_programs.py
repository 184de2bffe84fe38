"""Programs against hidden tests: passing is the only way to a 1."""

from __future__ import annotations

import json

import pytest

from tasks.grade.base import Reference
from tasks.grade.programs import find_program, grade_code, read_tests
from tasks.tools.isolation import REFUSED, Tier, detect_tier
from tasks.tools.sandbox import Sandbox
from tasks.tools.verdict import SandboxLimits

LIMITS = SandboxLimits(wall_s=8, cpu_s=1, memory_mb=256)
TESTS = ["assert add(1, 2) == 3", "assert add(0, 0) == 0"]
MBPP = Reference("code", json.dumps({"setup": "import math", "tests": TESTS}))
HUMANEVAL = Reference(
    "code",
    json.dumps(
        {"entry_point": "add", "test": "def check(f):\n    assert f(1, 2) == 3\n", "solution": ""}
    ),
)
GOOD = "def add(a, b):\n    return a + b\n"

shut_in = pytest.mark.skipif(not detect_tier().usable, reason="no sandbox here")


def sandbox() -> Sandbox:
    return Sandbox(LIMITS)


@shut_in
@pytest.mark.parametrize("reference", [MBPP, HUMANEVAL], ids=["tests", "check"])
@pytest.mark.parametrize(
    "answer",
    [
        GOOD,
        f"```python\n{GOOD}```",
        f"Here it is:\n\n```py\n{GOOD}\n```\n\nUse it so:\n```python\nprint(add(1, 2))\n```",
        f"```\n{GOOD}",
        f"Here is the function:\n{GOOD}",
        f"```python\n{GOOD}\nif __name__ == '__main__':\n    raise SystemExit(1)\n```",
        f"```bash\npip install x\n```\n~~~python\n{GOOD}~~~",
        f"<think>```python\ndef add(a, b): return 0\n```</think>\n```python\n{GOOD}```",
        "```python\nadd = lambda a, b: a + b\n```",
        "```python\nprint('x' * 10**6)\ndef add(a, b):\n  print('noise' * 99)\n  return a + b\n```",
        f"Sure!\n\nimport math\n\n{GOOD}\nThis adds the two numbers.",
    ],
)  # fmt: skip
async def test_a_right_program_passes_however_it_is_wrapped(answer: str, reference) -> None:
    grade = await grade_code(answer, reference, sandbox())

    assert 1.0 == grade.score, grade


@shut_in
@pytest.mark.parametrize(
    ("program", "reason", "passed"),
    [
        ("def add(a, b): return a - b", "test 1: AssertionError", "1/2"),
        ("def add(a, b): return a / b", "test 1: AssertionError", "0/2"),
        ("def add(a, b): raise KeyError('k')", "test 1: KeyError: 'k'", "0/2"),
        ("def add(a): return a", "test 1: TypeError", "0/2"),
        ("def add(a, b) return a", "the program fails: SyntaxError", "0/2"),
        ("def add(a, b):\n  while True: pass", "stopped after", "0/2"),
        ("def add(a, b):\n  return [0] * 10**10", "test 1: MemoryError", "0/2"),
        ("def add(a, b): return 3\nraise ValueError('x')", "the program fails: ValueError", "0/2"),
        ("import os\ndef add(a, b): os._exit(0)", "ended before the tests", "0/2"),
        ("def add(a, b): exit(0)", "test 1: SystemExit", "0/2"),
        ("import sys\nprint('passed 2')\nsys.exit(0)\ndef add(): 0", "SystemExit", "0/2"),
        ("import os\ndef add(a, b): os.fork()", "PermissionError", "0/2"),
    ],
)
async def test_a_wrong_program_is_wrong_with_the_reason(program, reason, passed) -> None:
    grade = await grade_code(f"```python\n{program}\n```", MBPP, sandbox())

    assert 0.0 == grade.score
    assert reason in str(grade.reason)
    assert f"{passed} tests passed" == grade.extracted


@pytest.mark.parametrize("answer", ["I cannot do that.", "42 is the answer", "x == 3", ""])
async def test_without_a_program_it_is_unscored(answer: str) -> None:
    grade = await grade_code(answer, MBPP, Sandbox(LIMITS, tier=Tier(REFUSED, "none")))

    assert (None, "no program found") == (grade.score, grade.reason)


async def test_without_a_sandbox_it_is_unscored() -> None:
    grade = await grade_code(GOOD, MBPP, Sandbox(LIMITS, tier=Tier(REFUSED, "no sandbox here")))

    assert (None, "no sandbox here") == (grade.score, grade.reason)


@pytest.mark.parametrize(
    "value",
    ["", "[]", "{}", '{"tests": []}', '{"tests": [1]}', '{"test": 3}', '{"tests": "x"',
     '{"tests": ["a"], "entry_point": "a b"}', '{"tests": ["a"], "setup": 3}'],
)  # fmt: skip
async def test_a_bad_reference_is_unscored(value: str) -> None:
    grade = await grade_code(GOOD, Reference("code", value), Sandbox(LIMITS))

    assert grade.score is None
    assert "the reference cannot be read" in str(grade.reason)


def test_the_block_that_defines_what_is_tested_is_taken() -> None:
    hidden = read_tests(MBPP.value)
    answer = f"```python\n{GOOD}```\nOr:\n```python\nx = add(1, 2)\n```"

    assert GOOD == find_program(answer, hidden)
    assert "x = 1\n\n\ny = 2\n" == find_program("```\nx = 1\n```\n```\ny = 2\n```", hidden)


@shut_in
async def test_a_setup_may_need_the_program_or_the_program_the_setup() -> None:
    after = {"setup": "root = Node(3)", "tests": ["assert value(root) == 3"]}
    before = {"setup": "import math", "tests": ["assert root == 3"]}
    tree = "class Node:\n  def __init__(self, x): self.x = x\ndef value(n): return n.x\n"

    assert 1.0 == (await grade_code(tree, Reference("code", json.dumps(after)), sandbox())).score
    answer = "```python\nroot = math.sqrt(9)\n```"
    assert 1.0 == (await grade_code(answer, Reference("code", json.dumps(before)), sandbox())).score
