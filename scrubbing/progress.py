"""Progress of anything that takes long: a bar after two seconds, or a line now and then where there is no terminal."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from importlib import import_module
from typing import Any

from scrubbing.printable import unheard, visible

DELAY = 2.0
"""Seconds before a bar appears."""
REDRAWN = 0.2
"""Seconds between two drawings of a bar in a notebook."""
EVERY = 30.0
"""Seconds between two lines, where nobody could see a bar."""


@dataclass
class Bar:
    """One task's progress. Tasks that run within another are shown beside it."""

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
        if _lines.quiet:
            return
        if not _watched():
            _lines.advanced(self, now)
        else:
            for one in _open:  # what a task is part of is older, and shown above it
                if one.shown is None and now - one.started > DELAY:
                    one.show()
        if self.shown is not None:
            self.shown.update(self.task, completed=self.done)

    def begin(self, what: str) -> None:
        """Say what is being done now, as one part of the task."""
        self.what = what
        if self.shown is not None:
            self.shown.update(self.task, description=visible(what))

    def show(self) -> None:
        """Show it, if it is not shown."""
        if self.shown is None:
            self.shown = next((one.shown for one in _open if one.shown is not None), None)
            if self.shown is None:
                self.shown = _display()
                self.shown.start()
            self.task = self.shown.add_task(visible(self.what), total=self.total, completed=self.done)

    def close(self) -> None:
        """Show it no longer."""
        if self.shown is not None and any(one.shown is not None for one in _open):
            self.shown.remove_task(self.task)
        elif self.shown is not None:
            self.shown.stop()


_open: list[Bar] = []
"""Tasks that go on, those that others run within first."""


@contextmanager
def bar(what: str, total: float) -> Generator[Bar]:
    """Show how far a task is, if it turns out to be long."""
    made = Bar(what, total, started=time.monotonic())
    _open.append(made)
    try:
        yield made
    finally:
        _open.remove(made)
        made.close()


class _Lines:
    """When a line was last written, over all tasks: a long run is one of many short ones."""

    def __init__(self) -> None:
        self._written = self._busy = float("-inf")
        self.quiet = False

    def advanced(self, of: Bar, now: float) -> None:
        if min(one.started for one in [of, *_open]) - self._busy > EVERY:
            self._written = of.started  # nothing ran for a while, so this is the beginning of something
        self._busy = now
        if now - self._written < EVERY:
            return
        self._written = now
        told = [f"{one.what}: {one.done:,.0f} of {one.total:,.0f} ({_share(one):.0%})" for one in _open or [of]]
        sys.stderr.write(unheard(visible("; ".join(told))) + "\n")
        sys.stderr.flush()


def quiet() -> None:
    """Show nothing in this process, whose work another one tells of."""
    _lines.quiet = True


def _share(of: Bar) -> float:
    return of.done / of.total if of.total else 1.0


_lines = _Lines()


def _watched() -> bool:
    """Whether a bar can be drawn anew in its place.

    Not in a terminal whose cursor does not move, nor beside the other jobs of a parallel make: each would erase lines
    that another one wrote.
    """
    shared = "jobserver" in os.environ.get("MAKEFLAGS", "")
    alone = sys.stderr.isatty() and os.environ.get("TERM") != "dumb" and not shared
    return alone or _in_notebook()


def _in_notebook() -> bool:
    return "ipykernel" in sys.modules


class _Cell:
    """Bars below a notebook's cell, as one output that is drawn anew, with the methods of rich's `Progress` used here.

    Rich's own need widgets there, which few kernels have.
    """

    def __init__(self) -> None:
        self._bars: dict[int, list[Any]] = {}
        self._output: Any = None
        self._drawn = float("-inf")

    def start(self) -> None:
        """Make the output."""
        self._output = _shown().display(_shown().HTML(""), display_id=True)

    def add_task(self, what: str, *, total: float, completed: float) -> int:
        """Show one more bar."""
        number = max(self._bars, default=0) + 1
        self._bars[number] = [what, total, completed]
        self._draw(at_once=True)
        return number

    def update(self, task: int, *, description: str | None = None, completed: float | None = None) -> None:
        """Change what a bar says."""
        one = self._bars[task]
        one[0], one[2] = description or one[0], one[2] if completed is None else completed
        self._draw()

    def remove_task(self, task: int) -> None:
        """Show a bar no longer."""
        del self._bars[task]
        self._draw(at_once=True)

    def stop(self) -> None:
        """Leave nothing."""
        self._bars.clear()
        self._draw(at_once=True)

    def _draw(self, at_once: bool = False) -> None:
        now = time.monotonic()
        if at_once or now - self._drawn > REDRAWN:
            self._drawn = now
            rows = [
                f'<progress value="{done}" max="{total}"></progress> {escape(what)}: {done:,.0f} of {total:,.0f}'
                for what, total, done in self._bars.values()
            ]
            self._output.update(_shown().HTML("<br>".join(rows)))


def _shown() -> Any:
    """What shows things below a cell; it comes with the kernel."""
    return import_module("IPython.display")


def _display() -> Any:
    if _in_notebook():
        return _Cell()
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    # What is measured has a name that somebody chose, which is not markup.
    columns = TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    return Progress(*columns, console=Console(stderr=True), transient=True)
