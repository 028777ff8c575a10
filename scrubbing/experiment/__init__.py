"""Hypotheses run on a task with every baseline."""
