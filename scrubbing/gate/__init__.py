"""Holding explanations to what was accepted: policy, snapshots, verdicts, and what moved."""
