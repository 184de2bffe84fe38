"""Batch runs: a backlog in, answers and costs out, crash-safe and inside a budget.

`run` opens or resumes a run and walks its chunks; `chunk` works one chunk from staged queries to
committed files; `answer` finds one query's answer; `rows` says what is written of it.
"""
