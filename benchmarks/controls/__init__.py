"""Controls of every hypothesis that we ship: on weights that mean nothing, and among random hypotheses of its size."""
