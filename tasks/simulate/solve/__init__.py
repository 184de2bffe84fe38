"""What simulated models can read: one module a kind of question, from the English text alone."""
