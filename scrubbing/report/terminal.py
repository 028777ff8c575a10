"""Records in the terminal: the view laid out with rich. Whatever is in a record is text here, never markup."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from io import StringIO
from textwrap import wrap
from typing import Any

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.panel import Panel
from rich.table import Table as RichTable
from rich.text import Text

from scrubbing.printable import visible
from scrubbing.records.schema import RunRecord
from scrubbing.report.view import (
    Entry,
    Facts,
    Grid,
    Section,
    Sentences,
    Source,
    Table,
    Tree,
    Twig,
    overview,
    scope,
    view,
)
from scrubbing.report.view.blocks import Emphasis, Fact, left_out

_STYLES: dict[Emphasis, str] = {"": "", "strong": "bold", "dim": "dim", "warn": "bold"}
_LEAST, _MOST, _GAP = 12, 40, 1
"""Columns that words get at least, that names get at most before they fold, and that stand between others."""


def record_view(record: RunRecord | Entry) -> RenderableType:
    """Everything about one record. What to know before quoting it comes first."""
    entry = record if isinstance(record, Entry) else Entry(record)
    return _laid_out_record(entry, view(entry))


def _laid_out_record(entry: Entry, sections: Sequence[Section]) -> RenderableType:
    """Name, claim and scope, then what a gate said and the notes, then everything else as the view has it."""
    first = [section for section in sections if section.name in ("verdict", "notes")]
    parts: list[RenderableType] = [plain(entry.record.hypothesis, "bold"), plain(entry.record.claim)]
    parts += [plain(told)] if (told := scope(entry.record)) else []
    for section in [*first, *(one for one in sections if one not in first)]:
        parts += [Text(""), section_view(section)]
    return Group(*parts)


def as_text(record: RunRecord | Entry, columns: int = 80) -> str:
    """Everything about one record as plain text of so many columns."""
    console = Console(file=StringIO(), width=columns, markup=False, emoji=False, highlight=False)
    with console.capture() as captured:
        console.print(record_view(record))
    return "\n".join(line.rstrip() for line in captured.get().splitlines())


def verdict_view(record: RunRecord | Entry) -> RenderableType:
    """The verdict on one record, what it rests on, and, first, what to know before quoting it."""
    entry = record if isinstance(record, Entry) else Entry(record)
    wanted = ("tested", "rest", "beyond", "notes")
    return _laid_out_record(entry, [section for section in view(entry) if section.name in wanted])


def ladder_view(records: Sequence[RunRecord | Entry], title: str) -> RenderableType:
    """Notes, then a table of several records, a row each, and what they have in common."""
    section = overview([one if isinstance(one, Entry) else Entry(one) for one in records])
    return Group(plain(title, "bold"), *_spaced(_laid_out(section.blocks)))


def section_view(section: Section) -> RenderableType:
    """One section under its title."""
    return Group(plain(section.title, "bold underline"), *_spaced(_laid_out(section.blocks)))


def listing_view(table: Table) -> str:
    """A table as plain text: rich takes a second for a thousand rows."""
    rows = [list(table.heads), *([_of(cell).text for cell in row] for row in table.rows)]
    cells = [[plain(cell).plain for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if 0 < i < len(row) - 1 else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in cells
    )


def plain(text: str, style: str = "") -> Text:
    """Text as it is, without markup, and with control characters that are shown and not sent."""
    return Text(visible(text), style=style)


def _spaced(parts: Sequence[RenderableType]) -> Iterator[RenderableType]:
    for i, part in enumerate(parts):
        if i:
            yield Text("")
        yield part


def _laid_out(blocks: Sequence[Any]) -> list[RenderableType]:
    """The blocks that words can show; charts have their numbers in tables."""
    return [part for block in blocks if type(block) in _LAYOUTS for part in _LAYOUTS[type(block)](block)]


def _facts(facts: Facts) -> Iterator[RenderableType]:
    table = RichTable(box=None, padding=(0, 2, 0, 0), show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    table.add_column(overflow="fold", style="dim")
    for fact in facts.facts:
        if fact.text:
            table.add_row(plain(fact.label), plain(fact.text, _STYLES[fact.emphasis]), plain(fact.words))
    yield Group(*([plain(facts.title)] if facts.title else []), table)


def _sentences(sentences: Sentences) -> Iterator[RenderableType]:
    mark = {"note": "! ", "plain": ""}.get(sentences.kind, "")
    lines = [Text.assemble((mark, "bold"), plain(line)) for line in sentences.lines]
    yield Group(*lines)


def _tree(tree: Tree) -> Iterator[RenderableType]:
    yield Panel(_Branches(tree.twigs), title=plain(tree.title), title_align="left", border_style="dim")


@dataclass(frozen=True)
class _Branches:
    """A tree that is a tree at any width: what is too long goes on below itself, beside the bars of its branch."""

    twigs: Sequence[Twig]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield plain("\n".join(lines(self.twigs, options.max_width)))


def lines(twigs: Sequence[Twig], width: int | None = None) -> Iterator[str]:
    """A tree as text, what each claim held below it.

    Args:
        twigs: the claims at its root.
        width: characters of a line; None for as many as it takes.
    """

    def broken(text: str, first: str, more: str) -> Iterator[str]:
        if width is None:
            yield first + text
            return
        room = max(_LEAST, width - len(more))  # deeper than that, the terminal breaks lines itself
        yield from (f"{more if i else first}{one}" for i, one in enumerate(wrap(text, room, break_on_hyphens=False)))

    def of(twig: Twig, stem: str, below: str) -> Iterator[str]:
        bar = below + ("│  " if twig.below else "   ")
        yield from broken(twig.line, stem, f"{bar}  ")
        for fact in twig.held:
            yield from broken(f"{fact.label}: {fact.text}   {fact.words}".rstrip(), f"{bar}· ", f"{bar}  ")
        for i, one in enumerate(twig.below):
            end = i == len(twig.below) - 1
            yield from of(one, below + ("└─ " if end else "├─ "), below + ("   " if end else "│  "))

    for twig in twigs:
        yield from of(twig, "", "")


def _grid(grid: Grid) -> Iterator[RenderableType]:
    table = RichTable(box=None, padding=(0, 2, 0, 0), show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, nodes in grid.rows:
        table.add_row(plain(name), plain("  ".join(f"{grid.letters[state]} {node}" for node, state in nodes)))
    legend = "; ".join(f"{letter} {state}: {words}" for state, letter, words in grid.legend)
    yield Group(plain(grid.title), table, plain(legend, "dim"))


def _source(source: Source) -> Iterator[RenderableType]:
    if not source.machine:
        yield Panel(plain(source.text), title=plain(source.title), title_align="left", border_style="dim")


def _of(cell: Fact | str) -> Fact:
    return Fact("", cell) if isinstance(cell, str) else cell


@dataclass(frozen=True)
class _Fitted:
    """A table that goes without intervals, and then without columns, from the right, where it would be too wide."""

    table: Table

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        table = self.table
        columns = [_Column(table, i) for i in range(len(table.heads))]
        shortened: list[str] = []
        for column in reversed(columns[1:]):
            if sum(one.least + _GAP for one in columns) <= options.max_width:
                break
            if column.shorten():
                shortened.insert(0, column.head)
        dropped: list[str] = []
        while len(columns) > 2 and sum(one.least + _GAP for one in columns) > options.max_width:
            dropped.insert(0, columns.pop().head)
        if table.title:
            yield plain(table.title)
        laid_out = RichTable(box=None, padding=(0, _GAP, 0, 0))
        for one, width in zip(columns, _widths(columns, options.max_width), strict=True):
            style = "dim" if one.words and not one.first else ""
            laid_out.add_column(
                plain(one.head), justify="left" if one.words else "right", width=width, overflow="fold", style=style
            )
        for i, row in enumerate(table.rows):
            styles = [_STYLES[_of(cell).emphasis] for cell in row]
            laid_out.add_row(*(plain(one.texts[i], style) for one, style in zip(columns, styles, strict=False)))
        yield laid_out
        shortened = [head for head in shortened if head not in dropped]
        if caption := f"{table.caption} {left_out(shortened, dropped)}".strip():
            yield plain(caption, "dim")


class _Column:
    """One column as it is going to be printed."""

    def __init__(self, table: Table, i: int) -> None:
        self.head = table.heads[i]
        self.cells = [_of(row[i]) for row in table.rows]
        self.texts = [cell.text + (" !" if cell.warning else "") for cell in self.cells]
        self.first = i == 0
        self.words = self.first or self.head in table.wordy

    @property
    def most(self) -> int:
        """Characters it would fill."""
        return max([len(self.head), *map(len, self.texts)])

    @property
    def least(self) -> int:
        """Number of characters that the column needs."""
        widest = max([0, *map(len, self.texts)])
        head = max([0, *(len(word) for word in self.head.split())])
        if self.words:
            return max(head, min(widest, _MOST if self.first else _LEAST))
        return max(head, widest)

    def shorten(self) -> bool:
        """Leave out the intervals of a column; returns whether there were any."""
        if self.words:
            return False
        self.texts = [cell.short or cell.text for cell in self.cells]
        return any(cell.low is not None for cell in self.cells)


def _widths(columns: Sequence[_Column], room: int) -> list[int]:
    """What each column gets: numbers what they need, words the rest, in the order of what they would like."""
    widths = [one.least for one in columns]
    left = room - sum(width + _GAP for width in widths)
    for i in sorted((i for i, one in enumerate(columns) if one.words), key=lambda i: columns[i].most):
        more = min(max(0, left), columns[i].most - widths[i])
        widths[i] += more
        left -= more
    for i in sorted(range(len(columns)), key=lambda i: len(columns[i].head)):  # heads in one line where there is room
        more = min(max(0, left), len(columns[i].head) - widths[i])
        if more > 0:
            widths[i] += more
            left -= more
    return widths


def _table(table: Table) -> Iterator[RenderableType]:
    yield _Fitted(table)


_LAYOUTS: dict[type, Callable[[Any], Iterator[RenderableType]]] = {
    Facts: _facts,
    Grid: _grid,
    Sentences: _sentences,
    Source: _source,
    Table: _table,
    Tree: _tree,
}
