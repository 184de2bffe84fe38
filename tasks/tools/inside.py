"""What runs inside the sandbox, around the model's program.

The text of this file is handed to the sandbox's interpreter with `-c`. Standard input is one
marshalled dictionary: `program`, `stdin`, the resource limits, and the file descriptor the report
goes to. The report is lines: `started` before the program's first line, and one JSON object if an
exception ended it.

It imports what is compiled into the interpreter and nothing else: `os`, `json`, `ast` and `typing`
take longer to import than most programs take to run, and every program would pay for them.
"""

import _ast
import builtins
import io
import marshal
import posix
import resource
import sys
from _json import encode_basestring_ascii

NAME = "program.py"


def limit_resources(limits: dict[str, int]) -> None:
    """Lower the limits of this process for good: soft and hard alike, never above today's."""
    for name, value in limits.items():
        what = getattr(resource, name, None)
        if what is None:
            continue
        ceiling = resource.getrlimit(what)[1]
        bound = value if ceiling == resource.RLIM_INFINITY else min(value, ceiling)
        try:
            resource.setrlimit(what, (bound, bound))
        except (OSError, ValueError):
            # macOS knows RLIMIT_AS but does not take it; the wall limit still holds there.
            continue


def execute(program: str) -> None:
    """Run the program as `__main__`; the value of a last bare expression is printed."""
    flags: int = _ast.PyCF_ONLY_AST
    tree = compile(program, NAME, "exec", flags, dont_inherit=True)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], _ast.Expr) else None
    main = type(sys)("__main__")
    sys.modules["__main__"] = main
    exec(compile(tree, NAME, "exec", dont_inherit=True), main.__dict__)  # noqa: S102
    if isinstance(last, _ast.Expr):
        shown = compile(_ast.Expression(last.value), NAME, "eval", dont_inherit=True)
        value = eval(shown, main.__dict__)  # noqa: S307
        if value is not None:
            print(repr(value))  # noqa: T201


def describe(error: BaseException) -> str:
    """Type, line in the program, and cause of what ended it, as one JSON object.

    Written out by hand: `traceback` takes longer to import than most programs take to run, and
    after a MemoryError there may be no room for it.
    """
    line = error.lineno if isinstance(error, SyntaxError) else None
    step = error.__traceback__
    while step is not None:
        if step.tb_frame.f_code.co_filename == NAME:
            line = step.tb_lineno
        step = step.tb_next
    name = type(error).__name__
    try:
        said = str(error.msg if isinstance(error, SyntaxError) else error)
    except Exception:
        said = ""
    cause = f"{name}: {said.strip()}" if said.strip() else name
    where = "null" if line is None else str(line)
    kind, why = encode_basestring_ascii(name), encode_basestring_ascii(cause[:1000])
    return f'{{"type": {kind}, "line": {where}, "cause": {why}}}'


def run(program: str, report: int) -> int:
    """Run, report what ended it, and return the exit code."""
    posix.write(report, b"started\n")
    try:
        execute(program)
        sys.stdout.flush()
    except SystemExit as stop:
        if stop.code is None or isinstance(stop.code, int):
            return stop.code or 0
        print(stop.code, file=sys.stderr)  # noqa: T201
        return 1
    except BaseException as error:
        posix.write(report, describe(error).encode() + b"\n")
        return 1
    return 0


def main() -> None:
    """Read the request, lower the limits, run."""
    request = marshal.loads(sys.stdin.buffer.read())  # noqa: S302
    sys.stdin = io.StringIO(request["stdin"])
    for name in list(posix.environ):
        posix.unsetenv(name)
    posix.environ.clear()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    sys.argv = [NAME]
    # `site`, which is left out, is what usually provides them.
    vars(builtins).update(exit=sys.exit, quit=sys.exit)
    report = request["report"]
    program = request["program"]
    limit_resources(request["limits"])
    del request
    code = run(program, report)
    try:
        sys.stdout.flush()
    except OSError:
        posix._exit(code or 1)
    sys.exit(code)


if __name__ == "__main__":
    main()
