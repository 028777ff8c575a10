"""Losses, and what fraction of one is recovered."""
