"""What intervals and verdicts cover, by simulation; see `python -m benchmarks.statistics --help`."""
