"""What runs in the sandbox around a candidate program: the setup, the program, the hidden tests.

The text of this file is put before one call of `main`; it imports the standard library alone.
The verdict is one line behind a random token, written to the real standard output after the last
test, so that neither printing nor ending early passes for success.
"""

from __future__ import annotations

import io
import json
import sys
from typing import Any


def describe(error: BaseException) -> str:
    """Name and message of an error, in one short line."""
    try:
        said = " ".join(str(error).split())
    except Exception:
        said = ""
    name = type(error).__name__
    return (f"{name}: {said}" if said else name)[:300]


def run_program(setup: str, program: str, names: dict[str, Any]) -> str | None:
    """Setup and program, in the order that works; None, or what went wrong.

    Setups are imports that a program relies on, or data made of classes that it defines.
    """
    first: str | None = setup
    try:
        exec(compile(setup, "setup.py", "exec"), names)  # noqa: S102
        first = None
    except BaseException:
        names.clear()
        names["__name__"] = "candidate"
    try:
        exec(compile(program, "answer.py", "exec"), names)  # noqa: S102
        if first is not None:
            exec(compile(first, "setup.py", "exec"), names)  # noqa: S102
    except BaseException as error:
        return f"the program fails: {describe(error)}"
    return None


def run_test(source: str, names: dict[str, Any], entry_point: str | None) -> str | None:
    """One hidden test; None when it passed, what went wrong otherwise."""
    names.pop("check", None)
    try:
        exec(compile(source, "test.py", "exec"), names)  # noqa: S102
        if entry_point is not None and callable(names.get("check")):
            names["check"](names[entry_point])
    except BaseException as error:
        return describe(error)
    return None


def main(payload: str) -> None:
    """Run everything and write the verdict."""
    request = json.loads(payload)
    output, sys.stdout = sys.stdout, io.StringIO()
    token, tests = request["token"], request["tests"]
    names: dict[str, Any] = {"__name__": "candidate"}
    passed = 0
    failure = run_program(request["setup"], request["program"], names)
    if failure is not None:
        tests = []
    for number, test in enumerate(tests, start=1):
        problem = run_test(test, names, request["entry_point"])
        if problem is None:
            passed += 1
        elif failure is None:
            failure = f"test {number}: {problem}"
        # What a program prints is of no interest, and must not fill its memory.
        sys.stdout = io.StringIO()
    sys.stdout = output
    print(f"\n{token}{json.dumps({'passed': passed, 'failure': failure})}")  # noqa: T201
