"""Progress: nothing before two seconds, and a line now and then where nobody looks."""

from __future__ import annotations

import sys
import types

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
    monkeypatch.setattr(progress, "_watched", lambda: True)
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
    assert display.calls == [("start", None), ("add_task", 5.0), ("update", 5.0), ("update", 6.0), ("stop", None)]


def test_a_task_within_another_is_shown_below_it(shown):
    display, clock = shown
    with progress.bar("all", 2) as outer:
        with progress.bar("first", 2) as inner:
            clock[0] = 1.0
            inner.advance()
            clock[0] = 2.5
            inner.advance()
        outer.advance()
        outer.begin("all: second")
        with progress.bar("second", 1) as inner:
            clock[0] = 3.0
            inner.advance()
    assert display.calls == [
        *(("start", None), ("add_task", 0.0), ("add_task", 2.0), ("update", 2.0), ("remove_task", None)),
        *(("update", 1.0), ("update", None), ("stop", None)),
    ]


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
    assert not progress._watched()
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.delenv("MAKEFLAGS", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert progress._watched()
    for name, value in (("TERM", "dumb"), ("MAKEFLAGS", " -j2 --jobserver-auth=3,4")):
        with monkeypatch.context() as here:
            here.setenv(name, value)
            assert not progress._watched(), name


def test_the_real_display_goes_to_stderr(capsys):
    display = progress._display()
    display.start()
    display.add_task("work", total=2)
    display.stop()
    assert capsys.readouterr().out == ""


@pytest.fixture
def log(monkeypatch, capsys):
    """What was written in a log, by the second, where there is no terminal."""
    clock = [1000.0]
    monkeypatch.setattr(progress, "_watched", lambda: False)
    monkeypatch.setattr(progress, "_lines", progress._Lines())
    monkeypatch.setattr("scrubbing.progress.time.monotonic", lambda: clock[0])
    return clock, lambda: capsys.readouterr().err


def test_a_line_now_and_then_without_a_terminal(log):
    clock, written = log
    with progress.bar("scrubbing [/INST]\x1b[2J", 4000) as bar:
        for _ in range(10):
            clock[0] += 10
            bar.advance(400)
    assert written().splitlines() == [
        f"scrubbing [/INST]\u241b[2J: {done:,} of 4,000 ({share}%)"
        for done, share in ((1200, 30), (2400, 60), (3600, 90))
    ]


def test_a_line_says_what_a_task_is_part_of(log):
    clock, written = log
    with progress.bar("all", 4) as outer:
        outer.advance()
        outer.begin("all: second")
        with progress.bar("second", 100) as inner:
            clock[0] += 40
            inner.advance(50)
    assert written() == "all: second: 1 of 4 (25%); second: 50 of 100 (50%)\n"


def test_many_short_tasks_are_one_long_run(log):
    clock, written = log
    for number in range(9):
        with progress.bar(f"task {number}", 1) as bar:
            clock[0] += 10
            bar.advance()
    assert written().splitlines() == [f"task {number}: 1 of 1 (100%)" for number in (2, 5, 8)]
    clock[0] += 1000
    with progress.bar("later", 2) as bar:  # what came before is over
        clock[0] += 10
        bar.advance()
        assert written() == ""
        clock[0] += 20
        bar.advance()
        assert written() == "later: 2 of 2 (100%)\n"


def test_a_line_is_no_command(log, monkeypatch):
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    clock, written = log
    with progress.bar("::stop-commands::x", 1) as bar:
        clock[0] += 60
        bar.advance()
    assert written() == "\u200b::stop-commands::x: 1 of 1 (100%)\n"


@pytest.mark.parametrize("name", ["[/INST]", "[bold]", ":smile:"])
def test_a_name_is_no_markup_in_the_bar(name):
    from rich.console import Console

    display = progress._display()
    task = display.add_task(name, total=2)
    console = Console(record=True, width=100)
    console.print(display.make_tasks_table([display.tasks[task]]))
    assert name in console.export_text()


def test_in_a_notebook_bars_are_one_output_that_is_drawn_anew_and_ends_empty(monkeypatch):
    """Without widgets, and with the names of tasks as text."""
    drawn, clock = [], [0.0]

    class Output:
        def update(self, page):
            drawn.append(page)

    def display(page, display_id):
        assert display_id
        drawn.append(page)
        return Output()

    kernel = types.ModuleType("IPython.display")
    kernel.HTML, kernel.display = str, display
    monkeypatch.setitem(sys.modules, "ipykernel", types.ModuleType("ipykernel"))
    monkeypatch.setitem(sys.modules, "IPython", types.ModuleType("IPython"))
    monkeypatch.setitem(sys.modules, "IPython.display", kernel)
    monkeypatch.setattr("scrubbing.progress.time.monotonic", lambda: clock[0])
    with progress.bar("all", 2) as outer:
        with progress.bar("a <b>", 4000) as inner:
            clock[0] = 2.5
            inner.advance(1000)
            for clock[0] in (2.6, 2.65, 2.8):
                inner.advance(500)
        outer.advance()
    assert drawn[0] == drawn[-1] == ""
    assert drawn[2].count("<progress") == 2
    assert "a &lt;b&gt;: 1,000 of 4,000" in drawn[2]
    assert "2,500 of 4,000" in drawn[3]  # what came within a fifth of a second is drawn with what follows
    assert drawn[-2].count("<progress") == 1
