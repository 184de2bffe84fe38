"""Simulated models and the embedded OpenAI-compatible server they are served by."""
