"""The induction task: two-layer attention-only language models, on a generated language and on real text."""
