"""What a sandboxed program may use, and what became of it."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class SandboxLimits:
    """What one program may use.

    Attributes:
        wall_s: seconds of real time, then the whole process tree is killed.
        cpu_s: seconds of processor time.
        memory_mb: address space of the process, in MiB.
        file_mb: largest file it may write, output included, in MiB.
        scratch_mb: size of its one writable folder, in MiB.
        open_files: file descriptors.
        output_chars: characters of output kept; the middle of a longer one is left out.
    """

    wall_s: float = 10.0
    cpu_s: float = 10.0
    memory_mb: int = 512
    file_mb: int = 8
    scratch_mb: int = 16
    open_files: int = 64
    output_chars: int = 20_000


@dataclass(frozen=True, slots=True)
class SandboxResult:
    """What became of one program.

    Attributes:
        output: what it printed.
        ok: whether it ran to its end without an error.
        exit_code: its exit code, negative the signal that ended it; None when it never ran.
        error_type: error | exit | timeout | memory | output_limit | crashed | too_long |
            sandbox_failed | sandbox_refused, None when ok. In the last two it was not the
            program that failed.
        error_where: `line 3` of the program, when known.
        error_cause: the last line of the traceback, or a sentence.
        duration_s: seconds of real time.
        tier: the isolation in force.
        truncated: whether `output` is shorter than what was printed.
    """

    output: str
    ok: bool
    exit_code: int | None
    error_type: str | None
    error_where: str | None
    error_cause: str | None
    duration_s: float
    tier: str
    truncated: bool = False

    @property
    def program_ran(self) -> bool:
        """Whether the verdict is about the program and not about the sandbox."""
        return self.error_type not in {"sandbox_failed", "sandbox_refused"}


def verdict(
    code: int | None,
    duration: float,
    limits: SandboxLimits,
    described: dict[str, Any],
    said: str,
) -> tuple[str | None, str | None, str | None]:
    """(error type, where, cause) of a finished program; all None when it succeeded."""
    if code is None:
        return "timeout", None, f"stopped after {limits.wall_s:g} s of real time"
    if code in {-signal.SIGXCPU, -signal.SIGKILL} and duration + 1 >= limits.cpu_s:
        return "timeout", None, f"stopped after {limits.cpu_s:g} s of processor time"
    if described:
        line = described.get("line")
        where = f"line {line}" if isinstance(line, int) else None
        kind = {"MemoryError": "memory"}.get(str(described.get("type")), "error")
        cause = str(described.get("cause"))
        if kind == "error" and "[Errno 27]" in cause:
            kind = "output_limit"
        return kind, where, cause
    if code < 0:
        return "crashed", None, f"ended by signal {-code} ({_signal_name(-code)})"
    if code > 0:
        last = said.strip().rsplit("\n", 1)[-1][:300]
        return "exit", None, f"exit code {code}" + (f": {last}" if last else "")
    return None, None, None


def exit_code(code: int | None) -> int | None:
    """Bubblewrap reports a signal as 128 + its number; make it negative as Python does."""
    if code is not None and 128 < code < 128 + signal.NSIG:
        return 128 - code
    return code


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return "unknown"
