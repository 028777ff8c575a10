"""What hypotheses are about: a protocol for models, and the backends that implement it."""
