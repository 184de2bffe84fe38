"""Routers: decisions from knowledge, vectorised; a router never calls anything."""
