"""Runs in shards: what is measured is divided, measured by other processes or machines, and put together again."""
