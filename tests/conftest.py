"""For every test: property tests try the same examples, and no worker takes another one's core."""

from __future__ import annotations

import os

if "PYTEST_XDIST_WORKER" in os.environ:
    # There are as many workers as cores. Threads of one that wait for each other by spinning keep
    # the other from its work: a test of 12 s took 87 s.
    os.environ.setdefault("OMP_NUM_THREADS", "1")

from hypothesis import settings

settings.register_profile("repeatable", derandomize=True)
settings.load_profile("repeatable")
