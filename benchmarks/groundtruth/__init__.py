"""Models whose mechanism is known, because it was written into their weights."""
