"""Verbs of the `atlas` command, one module a verb or family; `flows.cli` imports them on demand."""
