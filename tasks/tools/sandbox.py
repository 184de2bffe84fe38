"""Runs a model-written Python program shut in, and brings back what it printed or why it failed.

Everything a run needs is passed in and out through unlinked in-memory files: the program goes in
as standard input, output and the error report come back from files that the file-size limit
bounds. So there is nothing to drain while a program runs, and a program that prints without end
meets its own limit instead of our memory. `docs/sandbox.md` says what each wall is for.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import marshal
import math
import os
import signal
import tempfile
import time
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.tools.isolation import REFUSED, WITH_FILTER, Tier, command, detect_tier
from tasks.tools.verdict import SandboxLimits, SandboxResult, exit_code, verdict

if TYPE_CHECKING:
    from collections.abc import Iterator

LONGEST_PROGRAM = 1_000_000
"""Characters; a longer program is refused unread."""
_REPORT_BYTES = 64_000
_PROCESSES_WITHOUT_FILTER = 64


class Sandbox:
    """Runs programs, at most `concurrency` at a time. Belongs to the event loop that uses it."""

    def __init__(
        self,
        limits: SandboxLimits | None = None,
        *,
        tier: Tier | None = None,
        unsafe: bool = False,
        concurrency: int | None = None,
    ) -> None:
        """Settle the limits and the tier.

        Args:
            limits: what one program may use.
            tier: the isolation to use; detected when not given.
            unsafe: consent to run unprotected where detection finds no sandbox.
            concurrency: programs at a time; the number of processors when not given.
        """
        self.limits = limits or SandboxLimits()
        self.tier = tier or detect_tier(unsafe)
        self._slots = asyncio.Semaphore(concurrency or os.cpu_count() or 1)

    async def run(self, program: str, *, stdin: str = "") -> SandboxResult:
        """Run one program to its end or its limit; never raises for what the program does.

        Args:
            program: Python source. The value of a last bare expression is printed.
            stdin: what the program reads from standard input.
        """
        if not self.tier.usable:
            return self._not_run(REFUSED, "sandbox_refused", self.tier.sentence)
        if len(program) + len(stdin) > LONGEST_PROGRAM:
            cause = f"the program is longer than {LONGEST_PROGRAM:,} characters"
            return self._not_run(self.tier.name, "too_long", cause)
        async with self._slots:
            try:
                return await self._run(program, stdin)
            except OSError as error:
                cause = f"the sandbox could not be started ({error.strerror or error})"
                return self._not_run(self.tier.name, "sandbox_failed", cause)

    async def _run(self, program: str, stdin: str) -> SandboxResult:
        with contextlib.ExitStack() as files:
            output, errors, report = (files.enter_context(_scratch_file()) for _ in range(3))
            request = files.enter_context(_scratch_file())
            os.write(request, self._request(program, stdin, report))
            os.lseek(request, 0, os.SEEK_SET)
            passed = [report]
            seccomp = None
            if self.tier.seccomp:
                seccomp = files.enter_context(_scratch_file())
                os.write(seccomp, self.tier.seccomp)
                os.lseek(seccomp, 0, os.SEEK_SET)
                passed.append(seccomp)
            scratch = self.limits.scratch_mb << 20
            line = command(self.tier, scratch_bytes=scratch, seccomp_fd=seccomp)
            started = time.perf_counter()
            code = await _run_to_end(
                [*line, "-c", _inside()], (request, output, errors), passed, self.limits.wall_s
            )
            duration = time.perf_counter() - started
            return self._read_result(code, duration, output, errors, report)

    def _request(self, program: str, stdin: str, report: int) -> bytes:
        size = {"RLIMIT_AS": self.limits.memory_mb << 20, "RLIMIT_FSIZE": self.limits.file_mb << 20}
        counts = {
            "RLIMIT_CPU": math.ceil(self.limits.cpu_s),
            "RLIMIT_NOFILE": self.limits.open_files,
            "RLIMIT_CORE": 0,
        }
        if self.tier.name != WITH_FILTER:
            counts["RLIMIT_NPROC"] = _PROCESSES_WITHOUT_FILTER
        request = {
            "program": program,
            "stdin": stdin,
            "report": report,
            "limits": size | counts,
        }
        # Format 2 is read by every Python inside, and keeps lone surrogates, which UTF-8 refuses.
        return marshal.dumps(request, 2)

    def _read_result(
        self, code: int | None, duration: float, output: int, errors: int, report: int
    ) -> SandboxResult:
        text, truncated = self._read_output(output)
        started, described = _read_report(report)
        code = exit_code(code)
        said = _read(errors, _REPORT_BYTES)
        kind, where, cause = verdict(code, duration, self.limits, described, said)
        if kind is not None and not started and kind != "timeout":
            kind, where = "sandbox_failed", None
            cause = f"the sandbox did not start: {said.strip()[-300:] or f'exit code {code}'}"
        return SandboxResult(
            text, kind is None, code, kind, where, cause, duration, self.tier.name, truncated
        )

    def _read_output(self, output: int) -> tuple[str, bool]:
        """The output and whether it was cut: a long one keeps its beginning and its end."""
        text = _read(output, self.limits.file_mb << 20)
        room = self.limits.output_chars
        if len(text) <= room:
            return text, False
        head, tail = text[: room * 2 // 3], text[-(room // 3) :]
        return (
            f"{head}\n… {len(text) - len(head) - len(tail):,} characters left out …\n{tail}",
            True,
        )

    def _not_run(self, tier: str, error_type: str, cause: str) -> SandboxResult:
        return SandboxResult("", False, None, error_type, None, cause, 0.0, tier)


async def _run_to_end(
    line: list[str], streams: tuple[int, int, int], passed: list[int], wall_s: float
) -> int | None:
    """Exit code of the command, or None after it was killed at the wall limit.

    However this ends, by limit, cancellation or error, the process group is killed; under
    bubblewrap the death of its outer process takes the whole process namespace along.
    """
    stdin, stdout, stderr = streams
    process = await asyncio.create_subprocess_exec(
        *line,
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        env={"PYTHONHASHSEED": "0"},
        cwd="/",
        pass_fds=passed,
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(wall_s):
            return await process.wait()
    except TimeoutError:
        return None
    finally:
        # Also after a normal end: an unprotected program may have left children behind.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        if process.returncode is None:
            await asyncio.shield(process.wait())


def _read_report(report: int) -> tuple[bool, dict[str, Any]]:
    """Whether the program was started, and what ended it. The program may have written here."""
    lines = _read(report, _REPORT_BYTES).splitlines()
    started = bool(lines) and lines[0] == "started"
    try:
        described = json.loads(lines[-1]) if len(lines) > 1 else {}
    except ValueError:
        described = {}
    return started, described if isinstance(described, dict) else {}


def _read(file: int, limit: int) -> str:
    return os.pread(file, limit, 0).decode("utf-8", errors="replace")


@contextlib.contextmanager
def _scratch_file() -> Iterator[int]:
    """A descriptor of an unlinked file, in memory where the system can."""
    if hasattr(os, "memfd_create"):
        file = os.memfd_create("atlas-sandbox", 0)
        os.set_inheritable(file, False)
    else:
        with tempfile.TemporaryFile() as temporary:
            file = os.dup(temporary.fileno())
    try:
        yield file
    finally:
        os.close(file)


@cache
def _inside() -> str:
    """The source of the program that wraps the model's."""
    return Path(__file__).with_name("inside.py").read_text(encoding="utf-8")
