"""The command line."""

from __future__ import annotations

# In the order of the help.
from scrubbing.cli import (
    gating,
    reading,
    running,
    asking,
    checking,
    planning,
    searching,
    starting,
    importing,
    submitting,
)  # isort: skip
from scrubbing.cli.common import app

__all__ = [
    "app",
    "asking",
    "checking",
    "gating",
    "importing",
    "planning",
    "reading",
    "running",
    "searching",
    "starting",
    "submitting",
]
