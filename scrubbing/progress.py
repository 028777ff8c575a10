"""Progress bars for anything that takes longer than two seconds; nothing is shown or imported before that."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

DELAY = 2.0
"""Seconds before a bar appears."""


@dataclass
class Bar:
    """One task's progress."""

    what: str
    total: float
    done: float = 0.0
    started: float = 0.0
    shown: Any = None
    task: Any = None

    def advance(self, amount: float = 1.0) -> None:
        """Count some of the work as done."""
        self.done += amount
        if self.shown is None and time.monotonic() - self.started > DELAY and _wanted():
            self.shown = _display()
            self.shown.start()
            self.task = self.shown.add_task(self.what, total=self.total)
        if self.shown is not None:
            self.shown.update(self.task, completed=self.done)


@contextmanager
def bar(what: str, total: float) -> Iterator[Bar]:
    """Show how far a task is, if it turns out to be long and somebody is watching."""
    made = Bar(what, total, started=time.monotonic())
    try:
        yield made
    finally:
        if made.shown is not None:
            made.shown.stop()


def _wanted() -> bool:
    return sys.stderr.isatty() or "ipykernel" in sys.modules


def _display() -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    return Progress(*columns, console=Console(stderr=True), transient=True)
