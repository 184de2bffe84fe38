"""Evaluation: routers on recorded outcomes, every figure from a backlog that was really routed.

`table` reads and checks a table of recorded outcomes, `router_names` says which routers can be
asked for, `fit` learns from its `train` rows, `backlog` routes a held-out split through the
recorded client, `measure` reads the committed answers back, and `evaluate` puts them together.
`importing` makes a profile from such a table, `exporting` makes such a table from a profile run.
"""
