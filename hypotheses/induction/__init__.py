"""Induction in two-layer attention-only language models."""
