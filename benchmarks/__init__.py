"""Tasks, their ladders of hypotheses, and speed."""
