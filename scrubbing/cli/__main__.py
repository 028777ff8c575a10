"""`python -m scrubbing.cli` is `scrub`."""

from scrubbing.cli import app

app(prog_name="scrub")
