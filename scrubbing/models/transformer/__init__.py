"""Transformers as weights and a family spec, their nodes evaluated one at a time."""
