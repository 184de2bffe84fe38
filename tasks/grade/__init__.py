"""Graders: a score in [0, 1], or unscored with a reason; never wrong by parse failure."""
