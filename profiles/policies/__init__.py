"""Multi-step policies: which pair to call next, when to stop, and what to answer."""
