"""The command line."""

from __future__ import annotations

from scrubbing.cli import gating, reading, running, searching, starting
from scrubbing.cli.common import app

__all__ = ["app", "gating", "reading", "running", "searching", "starting"]
