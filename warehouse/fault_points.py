"""Named places where a test may kill the process, as a power cut would.

`ATLAS_FAULT_POINT=after_claim:57` sends SIGKILL to the process the 57th time it passes
`after_claim`. Unset, which is always the case outside tests, a fault point costs one `if`.
"""

from __future__ import annotations

import os
import signal

POINTS = (
    "before_claim",
    "after_claim",
    "after_call",
    "before_settle",
    "before_commit",
    "after_commit",
    "before_round",
    "after_round",
    "before_publish",
    "before_latest",
    "after_publish",
    "in_migration",
)


class _Trigger:
    def __init__(self, setting: str) -> None:
        name, _, count = setting.partition(":")
        if name and name not in POINTS:
            raise ValueError(
                f"ATLAS_FAULT_POINT names {name!r}; the fault points are {', '.join(POINTS)}"
            )
        self.name = name
        self.left = int(count or "1") if name else 0


_trigger = _Trigger(os.environ.get("ATLAS_FAULT_POINT", ""))


def fault_point(name: str) -> None:
    """Die here if a test asked for it; otherwise do nothing."""
    if not _trigger.left or name != _trigger.name:
        return
    _trigger.left -= 1
    if not _trigger.left:
        os.kill(os.getpid(), signal.SIGKILL)
