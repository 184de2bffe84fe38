"""Long-lived helper processes for work that may hang or fill memory: killed, then started anew.

A slow import (sympy) is paid once a process; a question that overruns costs that process only.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

_ROOT = str(Path(__file__).resolve().parents[2])
_START_TIMEOUT_S = 120.0
_LONGEST_ANSWER = 4 << 20


class WorkerError(Exception):
    """The helper process died or could not be started: the question is not answered."""


class WorkerTimeoutError(WorkerError):
    """The question took longer than it may; the process was killed."""


class WorkerPool:
    """Up to `size` processes running one module. Belongs to the event loop that uses it."""

    def __init__(self, module: str, *, size: int, memory_mb: int = 1024) -> None:
        """Name the module; processes are started when they are first needed.

        Args:
            module: its `__main__` calls `tasks.tools.worker_loop.serve`.
            size: processes at a time.
            memory_mb: address space of each, in MiB.
        """
        self._module = module
        self._memory_mb = memory_mb
        self._slots = asyncio.Semaphore(size)
        self._idle: list[asyncio.subprocess.Process] = []

    async def ask(self, request: Mapping[str, Any], *, limit_s: float) -> dict[str, Any]:
        """The answer of one process to one question.

        Args:
            request: anything JSON can carry.
            limit_s: seconds from question to answer; the start of a process does not count.

        Raises:
            WorkerTimeoutError: it took longer; the process is gone.
            WorkerError: the process died (out of memory, say) or did not start.
        """
        line = json.dumps({**request, "limit_s": limit_s}).encode() + b"\n"
        async with self._slots:
            process = self._idle.pop() if self._idle else await self._start()
            try:
                async with asyncio.timeout(limit_s):
                    answer = await _exchange(process, line)
            except TimeoutError:
                await _kill(process)
                raise WorkerTimeoutError(f"took longer than {limit_s:g} s") from None
            except BaseException:
                # Cancelled, or dead: its next line would answer the wrong question.
                await _kill(process)
                raise
            self._idle.append(process)
            return answer

    async def close(self) -> None:
        """End every process."""
        while self._idle:
            await _kill(self._idle.pop())

    async def _start(self) -> asyncio.subprocess.Process:
        environment = {
            "PATH": os.environ.get("PATH", ""),
            "PYTHONPATH": _ROOT,
            "PYTHONHASHSEED": "0",
            "ATLAS_WORKER_MEMORY_MB": str(self._memory_mb),
        }
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            self._module,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env=environment,
            limit=_LONGEST_ANSWER,
            start_new_session=True,
        )
        try:
            async with asyncio.timeout(_START_TIMEOUT_S):
                await _exchange(process, b"")
        except TimeoutError:
            await _kill(process)
            raise WorkerError(f"{self._module} did not start") from None
        except BaseException:
            await _kill(process)
            raise
        return process


async def _exchange(process: asyncio.subprocess.Process, line: bytes) -> dict[str, Any]:
    """Write a line, read a line. A closed pipe, a torn line and nonsense are all a dead worker."""
    if process.stdin is None or process.stdout is None:
        raise WorkerError("the helper process has no pipes")
    try:
        process.stdin.write(line)
        await process.stdin.drain()
        answer = json.loads(await process.stdout.readline())
    except (OSError, ValueError, RuntimeError):
        raise WorkerError("the helper process died") from None
    if not isinstance(answer, dict):
        raise WorkerError("the helper process answered nonsense")
    return answer


async def _kill(process: asyncio.subprocess.Process) -> None:
    """Kill and reap, whatever state it is in."""
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    if process.stdin is not None:
        process.stdin.close()
    await asyncio.shield(process.wait())
