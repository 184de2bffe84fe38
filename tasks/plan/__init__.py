"""Planning: what a backlog would cost and how long it would take, before anything is spent.

`result` is what a plan says, `backlog` walks what is left to do, `estimates` turns a profile into
sums with intervals, `worst_case` knows what calls may cost at most, `plan` puts them together.
"""
