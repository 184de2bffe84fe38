"""Learning multi-step policies from recorded outcomes."""
