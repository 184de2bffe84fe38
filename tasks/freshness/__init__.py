"""Keeping knowledge fresh: canaries, drift, the gate, suggestions and feedback.

`canary_sets` chooses the questions a pair is watched by, `canary_run` asks them like a backlog,
`drift_state` works out from committed rows what they say, `gate` compares a new version with the
one in use, `query_drift` and `suggestions` look at past backlogs, `feedback` folds graded
production rows in, `refresh_run` and `history` keep and read the record of it all.
"""
