"""Runs in MLflow. Tracking is a courtesy: when it fails, the paid run goes on."""

from tasks.tracking.base import NullTracker, Tracking
from tasks.tracking.tracker import Tracker, open_tracker

__all__ = ["NullTracker", "Tracker", "Tracking", "open_tracker"]
