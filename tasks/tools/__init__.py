"""Tools a model can be paired with."""
