"""Progress of anything that takes long: a bar after two seconds, or a line now and then where there is no terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from scrubbing.printable import unheard, visible

DELAY = 2.0
"""Seconds before a bar appears."""
EVERY = 30.0
"""Seconds between two lines, where nobody could see a bar."""


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
        now = time.monotonic()
        if not _watched():
            _lines.advanced(self, now)
        elif self.shown is None and now - self.started > DELAY:
            self.shown = _display()
            self.shown.start()
            self.task = self.shown.add_task(visible(self.what), total=self.total)
        if self.shown is not None:
            self.shown.update(self.task, completed=self.done)


@contextmanager
def bar(what: str, total: float) -> Generator[Bar]:
    """Show how far a task is, if it turns out to be long."""
    made = Bar(what, total, started=time.monotonic())
    try:
        yield made
    finally:
        if made.shown is not None:
            made.shown.stop()


class _Lines:
    """When a line was last written, over all tasks: a long run is one of many short ones."""

    def __init__(self) -> None:
        self._written = self._busy = float("-inf")

    def advanced(self, of: Bar, now: float) -> None:
        if of.started - self._busy > EVERY:  # nothing ran for a while, so this is the beginning of something
            self._written = of.started
        self._busy = now
        if now - self._written < EVERY:
            return
        self._written = now
        share = of.done / of.total if of.total else 1.0
        line = f"{of.what}: {of.done:,.0f} of {of.total:,.0f} ({share:.0%})"
        sys.stderr.write(unheard(visible(line)) + "\n")
        sys.stderr.flush()


_lines = _Lines()


def _watched() -> bool:
    return sys.stderr.isatty() or "ipykernel" in sys.modules


def _display() -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    # What is measured has a name that somebody chose, which is not markup.
    columns = TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    return Progress(*columns, console=Console(stderr=True), transient=True)
