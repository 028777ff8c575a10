"""What a report is made of: sections of facts, tables, sentences and trees, which every outlet lays out in its way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from scrubbing.numbers import PLAIN, Form
from scrubbing.records.schema import Number
from scrubbing.report.drawing import Scale, Scatter
from scrubbing.report.pictures import Graph

Emphasis = Literal["", "strong", "dim", "warn"]


@dataclass(frozen=True)
class Fact:
    """One thing that is said: what it is, how it reads, and the number behind it.

    Example:
        >>> Fact("seconds", "12.3 s", "wall clock of the run", name="seconds", value=12.3).text
        '12.3 s'
    """

    label: str
    """What it is. In a table the heads say so, and the label only names the row's first cell."""
    text: str
    """How it reads, with its unit, and with its interval where it has one."""
    words: str = ""
    """What it means, for where there is room."""
    name: str = ""
    """Column of the data frame, and key on the page; without one it is in neither."""
    value: bool | int | float | str | None = None
    """The same for a program."""
    low: float | None = None
    high: float | None = None
    short: str = ""
    """How it reads where a line is too narrow for its interval; the text where this is empty."""
    emphasis: Emphasis = ""
    warning: str = ""
    """What must be said beside it, in few words; where there is no room, a `!` stands for it."""
    link: str = ""
    """Name of the entry of a page that it leads to."""

    @classmethod
    def of(cls, label: str, number: Number | None, form: Form = PLAIN, words: str = "", **more: str) -> Fact:
        """From a number of a record, written in a form; a dash where there is none."""
        if number is None:
            return cls(label, MISSING, words, **more)  # pyright: ignore[reportArgumentType]
        text = form.interval(number.value, number.low, number.high)
        ends = {"value": number.value, "low": number.low, "high": number.high}
        shown: dict[str, float | str | None] = {
            name: None if end is None else end + 0.0 for name, end in ends.items()
        }  # no minus zero
        shown["short"] = form.one(number.value)
        return cls(label, text, words, **{**shown, **more})  # pyright: ignore[reportArgumentType]


MISSING = "–"
"""Stands where there is nothing to show."""


@dataclass(frozen=True)
class Facts:
    """Facts under each other: label, text and what it means."""

    facts: Sequence[Fact]
    title: str = ""


@dataclass(frozen=True)
class Table:
    """Rows of facts under common heads."""

    title: str
    heads: Sequence[str]
    rows: Sequence[Sequence[Fact | str]]
    caption: str = ""
    """How to read it."""
    wordy: Sequence[str] = ()
    """Heads of columns that hold words rather than numbers, beside the first."""


def left_out(intervals: Sequence[str], columns: Sequence[str]) -> str:
    """Said under a table that an outlet had to shorten: heads of columns without intervals, and of those left out."""
    told = [f"For want of room without intervals: {', '.join(intervals)}."] if intervals else []
    told += [f"For want of room left out: {', '.join(columns)}."] if columns else []
    return " ".join(told)


@dataclass(frozen=True)
class Sentences:
    """Sentences; notes are what a reader must know before quoting a number."""

    lines: Sequence[str]
    kind: Literal["note", "plain", "pass", "fail", "inconclusive"] = "plain"


@dataclass(frozen=True)
class Twig:
    """One claim, what it held, and the claims below it."""

    line: str
    held: Sequence[Fact] = ()
    below: Sequence[Twig] = field(default_factory=tuple)
    node: str = ""
    """Short, for a drawing."""
    variable: str = ""


@dataclass(frozen=True)
class Tree:
    """The claims of a hypothesis."""

    title: str
    twigs: Sequence[Twig]


@dataclass(frozen=True)
class Grid:
    """The nodes of a model in rows, each with the letter of its state."""

    title: str
    rows: Sequence[tuple[str, Sequence[tuple[str, str]]]]
    """Name of a row, and its nodes as (name, state)."""
    legend: Sequence[tuple[str, str, str]]
    """State, letter, and what it means."""

    @property
    def letters(self) -> dict[str, str]:
        """Letter of each state."""
        return {state: letter for state, letter, _ in self.legend}


@dataclass(frozen=True)
class Source:
    """Text as it is, such as JSON. Outlets with little room leave out what is for programs."""

    title: str
    text: str
    machine: bool = False


Chart = Scale | Scatter | Graph
"""Drawn on the page only, beside a table with the same numbers."""
Block = Facts | Table | Sentences | Tree | Grid | Source | Chart


@dataclass(frozen=True)
class Section:
    """A part of a report under a title."""

    name: str
    """Stable, one word; sections of one record are told apart by it."""
    title: str
    blocks: Sequence[Block]
