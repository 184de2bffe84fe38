"""The child's side of `tasks.tools.worker`: answer JSON lines until the parent goes away."""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    Handler = Callable[[dict[str, Any]], dict[str, Any]]

_GRACE_S = 2.0


def serve(load: Callable[[], Handler]) -> None:
    """Import what is needed, say `ready`, then answer one line of JSON for every line read.

    Args:
        load: does the slow imports and returns the function that answers. Called once, after
            the memory limit of `ATLAS_WORKER_MEMORY_MB` is set.
    """
    memory = int(os.environ.get("ATLAS_WORKER_MEMORY_MB", "0")) << 20
    if memory and sys.platform.startswith("linux"):
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    # Libraries may print; the pipe to the parent is for answers only.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    handle = load()
    _send(answers, {"ready": True})
    for line in sys.stdin:
        request = json.loads(line)
        # A parent killed in mid-question cannot stop us: the default action of SIGPROF does.
        signal.setitimer(signal.ITIMER_PROF, float(request["limit_s"]) + _GRACE_S)
        try:
            answer = handle(request)
        except MemoryError:
            answer = {"error": "the calculation needs too much memory", "type": "memory"}
        except RecursionError:
            answer = {"error": "the calculation is nested too deeply", "type": "too_large"}
        signal.setitimer(signal.ITIMER_PROF, 0)
        _send(answers, answer)


def _send(answers: Any, answer: dict[str, Any]) -> None:  # noqa: ANN401
    answers.write(json.dumps(answer) + "\n")
    answers.flush()
