"""Profiling: which cells (query × pair) are missing, run like a backlog, and what they teach."""
