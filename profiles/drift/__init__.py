"""Freshness of knowledge: has a pair changed since it was profiled, have the questions changed?

Pure: outcomes of canaries in, evidence out. `exceedance` is the exact test, `scan` the sequential
one, `metrics` what is watched of a pair, `canaries` the questions it is watched by, `population`
the drift of the queries, `informative` what to label next, `comparison` whether a new version
routes worse than the old one.
"""

from profiles.drift.canaries import CANARIES, WRONG_SHARE, choose_canaries
from profiles.drift.metrics import (
    LEVELS,
    NIGHT_LEVEL,
    CanaryHistory,
    Direction,
    Metric,
    Reading,
    read_metrics,
)
from profiles.drift.population import PopulationDrift, population_drift
from profiles.drift.scan import HISTORY, WINDOWS, Evidence, scan

__all__ = [
    "CANARIES",
    "HISTORY",
    "LEVELS",
    "NIGHT_LEVEL",
    "WINDOWS",
    "WRONG_SHARE",
    "CanaryHistory",
    "Direction",
    "Evidence",
    "Metric",
    "PopulationDrift",
    "Reading",
    "choose_canaries",
    "population_drift",
    "read_metrics",
    "scan",
]
