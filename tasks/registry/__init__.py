"""Versions of policies in MLflow's model registry: register, resolve, fetch, mark."""
