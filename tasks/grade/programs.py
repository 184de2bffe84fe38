"""Programs: taken out of the answer, run against hidden tests in the sandbox.

The reference is a JSON object: `tests` (a list of statements, each of which must not raise) or
`test` (source that defines `check(candidate)`, or asserts by itself), and optionally `setup`
(source run before the program) and `entry_point` (the function `check` is given).
"""

from __future__ import annotations

import ast
import builtins
import json
import re
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.grade.base import Grade, Reference
from tasks.grade.extract import drop_reasoning

if TYPE_CHECKING:
    from tasks.tools.sandbox import Sandbox

VERSION = "code-1"

_MOST_LINES = 300
_FENCE = re.compile(r"^[ \t]*(```+|~~~+)[ \t]*([\w+-]*)[^\n]*\n(.*?)(?:^[ \t]*\1|\Z)", re.S | re.M)


@dataclass(frozen=True, slots=True)
class HiddenTests:
    """The tests of one reference."""

    tests: tuple[str, ...]
    setup: str = ""
    entry_point: str | None = None


async def grade_code(answer: str, reference: Reference, sandbox: Sandbox) -> Grade:
    """1 when every hidden test passes, 0 otherwise; `extracted` says how many did.

    Unscored when the reference cannot be read, no program is found in the answer, or the sandbox
    cannot run it. A program that fails, hangs or ends early is 0, with the reason.
    """
    try:
        hidden = read_tests(reference.value)
    except ValueError as error:
        return Grade(None, "code", VERSION, f"the reference cannot be read: {error}")
    program = find_program(answer, hidden)
    if program is None:
        return Grade(None, "code", VERSION, "no program found")
    token = secrets.token_hex(16)
    result = await sandbox.run(_harness(program, hidden, token))
    if not result.program_ran:
        return Grade(None, "code", VERSION, result.error_cause)
    verdict = _read_verdict(result.output, token)
    if verdict is None:
        cause = result.error_cause or "the program ended before the tests did"
        return Grade(0.0, "code", VERSION, cause, f"0/{len(hidden.tests)} tests passed")
    passed, failure = verdict
    score = float(passed == len(hidden.tests))
    return Grade(score, "code", VERSION, failure, f"{passed}/{len(hidden.tests)} tests passed")


def read_tests(value: str) -> HiddenTests:
    """The tests in a reference.

    Raises:
        ValueError: not a JSON object, or without tests; the message says which.
    """
    try:
        raw: Any = json.loads(value)
    except ValueError:
        raise ValueError("it is not JSON") from None
    if not isinstance(raw, dict):
        raise ValueError("it is not a JSON object")
    entry = raw.get("entry_point")
    tests = raw.get("tests", raw.get("test"))
    tests = [tests] if isinstance(tests, str) else tests
    if not isinstance(tests, list) or not tests or not all(isinstance(t, str) for t in tests):
        raise ValueError("it needs 'tests' (a list of statements) or 'test' (source)")
    if entry is not None and not (isinstance(entry, str) and entry.isidentifier()):
        raise ValueError("'entry_point' is not a name")
    setup = raw.get("setup") or ""
    if not isinstance(setup, str):
        raise ValueError("'setup' is not text")
    return HiddenTests(tuple(tests), setup, entry)


def find_program(answer: str, hidden: HiddenTests) -> str | None:
    """The program in an answer, None when there is none.

    The last fenced block that defines what the tests call; else all Python blocks together; else,
    without a fence, the code between the prose. A block is taken even when it does not
    parse: a broken program is a wrong answer, not an unreadable one.
    """
    text = drop_reasoning(answer)
    blocks = [
        match[3]
        for match in _FENCE.finditer(text)
        if match[2].lower() in {"", "python", "py", "python3"}
    ]
    wanted = _wanted_names(hidden)
    for block in reversed(blocks):
        if wanted & _defined_names(block):
            return block
    if blocks:
        return "\n\n".join(blocks)
    return _unfenced(text)


def _wanted_names(hidden: HiddenTests) -> set[str]:
    """Names the tests call: the entry point, or every called name that is not built in."""
    if hidden.entry_point is not None:
        return {hidden.entry_point}
    names = set()
    for test in hidden.tests:
        names |= set(re.findall(r"\b([A-Za-z_]\w*)\s*\(", test))
    return names - set(dir(builtins))


def _defined_names(source: str) -> set[str]:
    try:
        body = ast.parse(source).body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        # Broken, and yet it may be the block that was meant.
        return set(re.findall(r"^(?:async\s+)?(?:def|class)\s+(\w+)", source, re.M))
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    names = {node.name for node in body if isinstance(node, kinds)}
    for node in body:
        if isinstance(node, ast.Assign):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return names


def _unfenced(text: str) -> str | None:
    """The code in an answer without fences: from its first line of code to its last.

    Prose around it is left out line by line; None when what remains is no program.
    """
    match = re.search(r"^(?:from|import|def|class|@|async)\b.*", text, re.M | re.S)
    lines = match[0].splitlines()[:_MOST_LINES] if match else []
    while lines:
        source = "\n".join(lines) + "\n"
        try:
            ast.parse(source)
        except (SyntaxError, ValueError, MemoryError, RecursionError):
            lines.pop()
            continue
        return source if _defined_names(source) else None
    return None


def _harness(program: str, hidden: HiddenTests, token: str) -> str:
    payload = {
        "setup": hidden.setup,
        "program": program,
        "tests": hidden.tests,
        "entry_point": hidden.entry_point,
        "token": token,
    }
    source = Path(__file__).with_name("harness.py").read_text(encoding="utf-8")
    return f"{source}\n\nmain({json.dumps(json.dumps(payload))})\n"


def _read_verdict(output: str, token: str) -> tuple[int, str | None] | None:
    """(tests passed, first failure) from the line only the harness can write."""
    for line in reversed(output.splitlines()):
        if line.startswith(token):
            try:
                verdict = json.loads(line.removeprefix(token))
            except ValueError:
                return None
            return int(verdict["passed"]), verdict["failure"]
    return None
