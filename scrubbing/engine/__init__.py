"""Compile a hypothesis to a plan, and run it."""
