"""Python's cyclic garbage collector, less often while a batch runs.

By default it looks for cycles at every 700 objects that outlive their making. A run makes hundreds
of them a request, almost all freed by reference counting; the looking took 5 % of its processor
time, in pauses that every connection waits for.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

THRESHOLDS = (50_000, 20, 100)
"""Of the three generations, see `gc.set_threshold`. Cycles wait for some megabytes of others."""


@contextmanager
def rare_collections() -> Iterator[None]:
    """Collect rarely inside; a collector that is off or rarer already is left as it is."""
    before = gc.get_threshold()
    if 0 < before[0] < THRESHOLDS[0]:
        gc.set_threshold(*THRESHOLDS)
    try:
        yield
    finally:
        gc.set_threshold(*before)
