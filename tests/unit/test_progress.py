"""Progress: nothing before two seconds, nothing where nobody looks."""

from __future__ import annotations

import sys

import pytest

from scrubbing import progress


class Display:
    """Stands in for rich's."""

    def __init__(self):
        self.calls = []

    def __getattr__(self, name):
        return lambda *arguments, **options: self.calls.append((name, options.get("completed")))


@pytest.fixture
def shown(monkeypatch):
    """A display, a clock, and somebody watching."""
    display, clock = Display(), [0.0]
    monkeypatch.setattr(progress, "_display", lambda: display)
    monkeypatch.setattr(progress, "_wanted", lambda: True)
    monkeypatch.setattr("scrubbing.progress.time.monotonic", lambda: clock[0])
    return display, clock


def test_short_tasks_show_nothing(shown):
    display, clock = shown
    with progress.bar("work", 3) as bar:
        for clock[0] in (0.5, 1.0, 2.0):
            bar.advance()
    assert display.calls == []


def test_long_tasks_show_what_is_done_and_tidy_up(shown):
    display, clock = shown
    with progress.bar("work", 9) as bar:
        bar.advance(2)
        clock[0] = 2.5
        bar.advance(3)
        bar.advance(1)
    assert display.calls == [("start", None), ("add_task", None), ("update", 5.0), ("update", 6.0), ("stop", None)]


def test_an_interrupted_task_is_tidied_up(shown):
    display, clock = shown

    def interrupted():
        with progress.bar("work", 9) as bar:
            clock[0] = 2.5
            bar.advance()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert display.calls[-1] == ("stop", None)


def test_nobody_is_watching_a_pipe(monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: False, raising=False)
    monkeypatch.delitem(sys.modules, "ipykernel", raising=False)
    assert not progress._wanted()
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    assert progress._wanted()


def test_the_real_display_goes_to_stderr(capsys):
    display = progress._display()
    display.start()
    display.add_task("work", total=2)
    display.stop()
    assert capsys.readouterr().out == ""
