"""The blocks of reports: sections of facts, tables, sentences and trees, which every outlet lays out in its own way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from scrubbing.numbers import PLAIN, Form
from scrubbing.records.schema import Number
from scrubbing.report.correspondence import Correspondence
from scrubbing.report.drawing import Distribution, Front, Scale, Scatter
from scrubbing.report.pictures import Graph

Emphasis = Literal["", "strong", "dim", "warn"]


@dataclass(frozen=True)
class Fact:
    """One statement of a report: its label, its text, and the number behind it.

    Example:
        >>> Fact("seconds", "12.3 s", "wall clock of the run", name="seconds", value=12.3).text
        '12.3 s'
    """

    label: str
    """What the fact is about. In a table the heads say so, and the label only names the row's first cell."""
    text: str
    """The text to show, with its unit, and with its interval where there is one."""
    words: str = ""
    """Explanation of the fact, shown where there is room."""
    name: str = ""
    """Name of the fact's column in data frames, and its key on the page; empty to leave it out of both."""
    value: bool | int | float | str | None = None
    """The value behind the text, for programs."""
    low: float | None = None
    high: float | None = None
    short: str = ""
    """Shorter text for lines that are too narrow for the interval; empty for the same text."""
    emphasis: Emphasis = ""
    warning: str = ""
    """A warning to show beside the fact, in few words; where there is no room, `!` is shown instead."""
    link: str = ""
    """Name of the entry of a page that the fact links to."""

    @classmethod
    def of(cls, label: str, number: Number | None, form: Form = PLAIN, words: str = "", **more: str) -> Fact:
        """A fact from a number of a record, formatted by `form`; a dash where the number is None."""
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
    """A list of facts, one below the other, with label, text and explanation."""

    facts: Sequence[Fact]
    title: str = ""


@dataclass(frozen=True)
class Table:
    """A table of facts, in rows under common heads."""

    title: str
    heads: Sequence[str]
    rows: Sequence[Sequence[Fact | str]]
    caption: str = ""
    """Sentence that says how to read the table."""
    wordy: Sequence[str] = ()
    """Heads of further columns, beside the first, that hold words rather than numbers."""


@dataclass(frozen=True)
class Listing(Table):
    """A long table of single inputs, which a page can sort and filter; the other outlets leave it to the file."""


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
    anchor: str = ""
    """Name by which facts of a page link to these."""


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
    """Preformatted text, such as JSON. Outlets with little room leave out text that is meant for programs."""

    title: str
    text: str
    machine: bool = False


Chart = Scale | Scatter | Distribution | Front | Graph | Correspondence
"""Drawn on the page only, beside a table with the same numbers."""
Block = Facts | Table | Listing | Sentences | Tree | Grid | Source | Chart


@dataclass(frozen=True)
class Section:
    """A part of a report under a title."""

    name: str
    """Stable name of one word, which identifies the section within a record's report."""
    title: str
    blocks: Sequence[Block]
