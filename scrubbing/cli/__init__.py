"""The command line."""

from __future__ import annotations

from scrubbing.cli import gating, reading, running, starting
from scrubbing.cli.common import app

__all__ = ["app", "gating", "reading", "running", "starting"]
