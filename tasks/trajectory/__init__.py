"""Multi-step rows: what one is to follow, who is asked for its next step, how far it has come."""
