"""What ended a command: one sentence, what to type next, and the exit code.

    0  done                       3  stopped at the budget; the same command resumes
    1  error                      4  more rows failed than --fail-on-error allows
    2  wrong usage or settings    5  the gate refused a policy; the champion stays
                              130  stopped by Ctrl-C or SIGTERM; the same command resumes

Error classes are matched by name, so that explaining one imports none of the modules behind them.
"""

from __future__ import annotations

import os
import shlex
import sqlite3
import sys
import tempfile
import traceback
from collections.abc import Iterator, Sequence
from typing import NamedTuple

OK, ERROR, USAGE, BUDGET, ROWS_FAILED, REFUSED, INTERRUPTED = 0, 1, 2, 3, 4, 5, 130


class Failure(NamedTuple):
    """How a command failed; `then` is what to type next, None to repeat the command."""

    sentence: str
    then: str | None
    exit_code: int


class UsageError(Exception):
    """What was typed cannot be meant; exit code 2."""


class CommandError(Exception):
    """A verb cannot do what was asked.

    Args:
        sentence: what happened.
        then: what to type next; None is the same command again.
    """

    def __init__(self, sentence: str, then: str | None = None) -> None:
        super().__init__(sentence)
        self.then = then


_THEN: dict[str, tuple[str | None, int]] = {
    "flows.failures.UsageError": ("atlas {verb} --help", USAGE),
    "flows.demo.DemoFailedError": (None, ERROR),
    "flows.settings_sources.SettingsError": ("atlas {verb} --help", USAGE),
    "flows.deployments_file.DeploymentsFileError": (None, USAGE),
    "flows.deploying.DeployError": (None, ERROR),
    "warehouse.errors.LedgerBusyError": ("atlas runs list", ERROR),
    "warehouse.errors.LedgerVersionError": ("atlas doctor", ERROR),
    "warehouse.errors.WarehouseError": (None, ERROR),
    "tasks.read.errors.ReadError": (None, ERROR),
    "tasks.freshness.suggestions.SuggestionError": ("atlas profile suggest --help", ERROR),
    "tasks.batch.equip.PoolNotReadyError": ("atlas doctor{pool}", ERROR),
    "tasks.learn.promotion.RollbackError": ("atlas policy list", ERROR),
    "tasks.profiling.store.ProfileNotFoundError": ("atlas profile run QUESTIONS{pool}", ERROR),
    "tasks.profiling.profile.ProfileIncompleteError": (None, ERROR),
    "tasks.call.recorded.RecordedTableError": (None, ERROR),
    "tasks.importing.errors.ImportUsageError": ("atlas {verb} --help", USAGE),
    "tasks.importing.errors.UnclearLogError": ("atlas {verb} --help", ERROR),
    "tasks.importing.errors.LogError": (None, ERROR),
    "tasks.evaluate.backlog.EvaluationStoppedError": (None, ERROR),
    "tasks.off_policy.log.OffPolicyError": ("atlas evaluate --help", ERROR),
    "tasks.call.build.ClientSetupError": (None, ERROR),
    "tasks.call.errors.CallError": (None, ERROR),
    "tasks.tools.registry.ToolConfigError": ("atlas doctor{pool}", ERROR),
    "tasks.encoders.EmbeddingError": (None, ERROR),
    "tasks.registry.versions.PolicyNotFoundError": ("atlas policy list", ERROR),
    "tasks.registry.versions.RegistryError": (None, ERROR),
    "tasks.learn.checkpoint.CheckpointError": (None, ERROR),
    "tasks.simulate.faults.FaultsError": ("atlas simulate --help", USAGE),
    "tasks.simulate.parameters.ParametersError": (None, ERROR),
    "tasks.report.other_routers.AgainstError": ("atlas report --help", USAGE),
    "tasks.simulate.served.ServedFileError": (None, ERROR),
    "tasks.simulate.server.ServerStartError": (None, ERROR),
    "tasks.evaluate.training.LeaveOutError": ("atlas evaluate --help", USAGE),
    "profiles.errors.RouterNameError": ("atlas {verb} --help", USAGE),
    "profiles.errors.KnowledgeError": (None, ERROR),
}
"""By class: what to type next, and the exit code. `{verb}` and `{pool}` are the verb
and the pool option that were typed."""

_PREFECT_IS_DOWN = ("Failed to reach API at", "ephemeral Prefect API server")
"""What Prefect says, in a RuntimeError, when it has no server; httpx is its client's own."""


def explain(error: BaseException, argv: Sequence[str]) -> Failure:
    """The failure that an exception means to a person; unknown ones are saved to a file."""
    for leaf in _leaves(error):
        known = _known(leaf, argv)
        if known is not None:
            return known
    first = next(_leaves(error))
    return Failure(
        f"ATLAS met an error it does not know, {type(first).__name__}: {_one_line(first)}. "
        f"Its traceback is in {_save(error)}; please report it. Nothing already committed is lost.",
        None,
        ERROR,
    )


def same_command(argv: Sequence[str]) -> str:
    """The command as it was typed, without passwords and keys."""
    return shlex.join(["atlas", *(_clean(word) for word in argv)])


def _leaves(error: BaseException) -> Iterator[BaseException]:
    """The errors inside groups, in order; an error that is no group is its own leaf."""
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error


def _known(error: BaseException, argv: Sequence[str]) -> Failure | None:
    if isinstance(error, KeyboardInterrupt):
        return Failure("Stopped. What was committed is kept.", None, INTERRUPTED)
    if isinstance(error, RuntimeError) and any(mark in str(error) for mark in _PREFECT_IS_DOWN):
        return _prefect(error, argv)
    if isinstance(error, CommandError):
        return Failure(str(error), error.then, ERROR)
    for kind in type(error).__mro__:
        name = f"{kind.__module__}.{kind.__qualname__}"
        if name in _THEN:
            then, code = _THEN[name]
            if then is not None:
                then = then.format(verb=_verb(argv), pool=_pool(argv))
            return Failure(_clean(str(error)), then, code)
        if name == "httpx.TransportError":
            return _prefect(error, argv)
        if name == "sqlalchemy.exc.SQLAlchemyError":
            return _database(error)
        if kind is OSError:
            assert isinstance(error, OSError)
            return _system(error)
    if isinstance(error, sqlite3.Error):
        return _database(error)
    return None


def _verb(argv: Sequence[str]) -> str:
    families = ("profile", "runs", "policy")
    words = [word for word in argv[:2] if not word.startswith("-")]
    return " ".join(words[: 2 if words and words[0] in families else 1])


def _pool(argv: Sequence[str]) -> str:
    """The pool option as it was typed, with a space before it; empty if it was not."""
    for number, word in enumerate(argv):
        if word.startswith("--pool="):
            return f" {shlex.quote(word)}"
        if word == "--pool" and number + 1 < len(argv):
            return f" --pool {shlex.quote(argv[number + 1])}"
    return ""


def _prefect(error: BaseException, argv: Sequence[str]) -> Failure:
    sentence = (
        f"Prefect's server does not answer ({_one_line(error).rstrip('.')}). Start it with "
        "`prefect server start`, unset PREFECT_API_URL to use an embedded one, or go without."
    )
    return Failure(sentence, f"{same_command(argv)} --runner plain", ERROR)


def _database(error: BaseException) -> Failure:
    cause = getattr(error, "orig", None) or error
    text = _one_line(cause)
    if "locked" in text:
        sentence = "The ledger is locked by another process. Wait for it to end."
    elif "server closed the connection" in text or "connection failed" in text:
        sentence = (
            "The ledger's server went away. Look at it and at ATLAS_LEDGER_URL; when it is back, "
            "the same command goes on."
        )
    elif "full" in text:
        sentence = "The disk is full: the ledger could not be written. Free some space."
    elif "readonly" in text or "read-only" in text:
        sentence = "The ledger may not be written to. Change the permissions of the --root folder."
    else:
        sentence = f"The ledger cannot be used: {text}. Check the disk and the --root folder."
    return Failure(f"{sentence} Nothing already committed is lost.", None, ERROR)


def _system(error: OSError) -> Failure:
    import errno

    remedy = "Check the path and its permissions."
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        remedy = "The disk is full: free some space."
    elif error.errno == errno.EROFS:
        remedy = "The disk is read-only: choose another folder with --root."
    where = f" ({error.filename})" if error.filename else ""
    cause = error.strerror or _one_line(error)
    return Failure(
        f"The system refused: {cause}{where}. {remedy} Nothing already committed is lost.",
        None,
        ERROR,
    )


def _one_line(error: object) -> str:
    return _clean(" ".join(str(error).split()))[:300] or "no message"


def _clean(text: str) -> str:
    """The text without keys and passwords."""
    from tasks.tracking.redaction import without_secrets

    return without_secrets(text)


def _save(error: BaseException) -> str:
    """Write the traceback where only this user can read it; where that is."""
    text = _clean("".join(traceback.format_exception(error)))
    try:
        handle, path = tempfile.mkstemp(prefix="atlas-error-", suffix=".txt")
        with os.fdopen(handle, "w", encoding="utf-8", errors="replace") as file:
            file.write(f"python {sys.version}\n{text}")
    except OSError as refused:
        return f"no file, because {refused.strerror}"
    return path
