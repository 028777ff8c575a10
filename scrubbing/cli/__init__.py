"""The command line."""

from __future__ import annotations

# In the order of the help.
from scrubbing.cli import (  # isort: skip
    starting,
    checking,
    planning,
    running,
    asking,
    searching,
    gating,
    reading,
    importing,
    submitting,
)
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
