"""The `atlas` command: verbs loaded on demand, one place where every failure becomes a sentence."""

from __future__ import annotations

import gc
import importlib
import os
import sys
import traceback
from collections.abc import Sequence
from typing import Any

import typer
from typer.core import TyperGroup
from typer.main import get_command as as_command

from flows.console import say
from flows.failures import OK, explain, same_command

VERBS = {
    "demo": "Everything once over on an embedded pool: no key, some minutes.",
    "init": "Write an example pool, labelled questions and a backlog.",
    "doctor": "Check versions, keys, prices, sandbox, services and disk.",
    "profile": "Learn which pair is best for which kind of question.",
    "refresh": "Keep that knowledge fresh: new cells, drift, a gated version.",
    "drift": "Show what the canaries of past nights said of every pair.",
    "train": "Train a multi-step policy on the recorded answers of a profile.",
    "policy": "List trained policies, promote the better one, or go back.",
    "plan": "Price a backlog as low, expected and high; spends nothing.",
    "route": "Answer a backlog, each question by its best pair.",
    "runs": "List, show, retry, cancel and export batch runs.",
    "report": "Say what a run did, beside what other routers would have done.",
    "evaluate": "Compare routers on a table of recorded outcomes.",
    "deploy": "Register schedules and automations with a Prefect server.",
    "simulate": "Serve simulated models over HTTP.",
    "tables": "Describe the tables that ATLAS writes.",
}
"""Every verb with its one line of help; `flows.verbs.<verb>.app` is the verb itself."""

DEBUG_VARIABLE = "ATLAS_DEBUG"


class LazyVerbs(TyperGroup):
    """Knows every verb by name and imports only the one that is typed."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ANN401, ARG002
        """Names of all verbs, in the order of a first visit."""
        return list(VERBS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ANN401, ARG002
        """The verb of that name, or None."""
        if cmd_name not in VERBS:
            return None
        command = as_command(importlib.import_module(f"flows.verbs.{cmd_name}").app)
        command.name = cmd_name
        return command

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401, ARG002
        """List the verbs without importing one."""
        with formatter.section("Commands"):
            formatter.write_dl(list(VERBS.items()))


app = typer.Typer(cls=LazyVerbs, rich_markup_mode=None, no_args_is_help=True)


def _version(wanted: bool) -> None:
    if wanted:
        from tasks.version import code_version

        typer.echo(f"atlas {code_version()}")
        raise typer.Exit


@app.callback()
def _atlas(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Show the version and exit."
    ),
) -> None:
    """Profile every (model, tool) pair of a pool, then route backlogs to the best pair per query.

    Every flag has an ATLAS_* variable of the same name. The same command resumes what it began.
    """


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit code; see `flows.failures` for the codes."""
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        as_command(app).main(args=words, prog_name="atlas")
    except SystemExit as end:
        return _quietly(end.code if isinstance(end.code, int) else OK)
    except BrokenPipeError:
        return _quietly(OK)
    except (Exception, KeyboardInterrupt) as error:
        if os.environ.get(DEBUG_VARIABLE, "") not in ("", "0"):
            traceback.print_exception(error)
        failure = explain(error, words)
        say(f"error: {failure.sentence}")
        say(f"next: {failure.then or same_command(words)}")
        return _quietly(failure.exit_code)
    return _quietly(OK)


def _quietly(code: int) -> int:
    """Flush standard output; whoever closed it has read enough."""
    try:
        sys.stdout.flush()
    except (BrokenPipeError, ValueError):
        devnull = os.open(os.devnull, os.O_WRONLY)
        os.dup2(devnull, sys.stdout.fileno())
        os.close(devnull)
    return code


def command() -> None:
    """The `atlas` command: `main`, in a process of its own.

    A short command allocates much and frees nothing: collecting its garbage as often as Python
    does by default, and once more at the end, would take a fifth of its time.
    """
    gc.set_threshold(50_000, 20, 20)
    code = main()
    gc.freeze()
    sys.exit(code)


if __name__ == "__main__":
    command()
