"""What shows itself in notebooks: how is said by `scrubbing.report`, on a higher floor, which is found when asked."""

from __future__ import annotations

import importlib


def as_text(record: object) -> str:
    """A record as the terminal shows it, in 80 columns."""
    return str(importlib.import_module("scrubbing.report.terminal").as_text(record))


class Shown:
    """Base of what a notebook shows as more than its `repr`."""

    def _repr_html_(self) -> str:
        return str(importlib.import_module("scrubbing.report.notebook").html(self))
