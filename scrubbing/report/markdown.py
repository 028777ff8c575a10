"""Records as Markdown, for the job summary of a CI run: the view laid out, nothing in a record being markup."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from scrubbing.printable import visible
from scrubbing.records.schema import RunRecord
from scrubbing.report.terminal import lines
from scrubbing.report.view import (
    Entry,
    Fact,
    Facts,
    Grid,
    Section,
    Sentences,
    Source,
    Table,
    Tree,
    Twig,
    Verdict,
    entries,
    overview,
    reason,
    scope,
    view,
)

EDGES, CHARACTERS = 500, 50_000
"""What mermaid draws at most, as configured by default."""
_MARKS = {"pass": "✅", "fail": "❌", "inconclusive": "❔"}
_ORDER = ("fail", "inconclusive", "pass")
_OPENS = r"\A(?=[-+](?:\s|\Z)|=+\s*\Z|\d+[.)](?:\s|\Z))"
"""Pattern of texts that would open a list or underline a heading."""
_POINTER = "\n*Cut here: a job summary has a limit. The HTML page has everything.*\n"


def markdown(records: Sequence[RunRecord | Entry], verdicts: Iterable[Verdict] = (), limit: int = 1_000_000) -> str:
    """Records as Markdown for `$GITHUB_STEP_SUMMARY`: verdicts, a table, warnings, and folded details.

    Args:
        records: records in the order to show; an `Entry` carries what belongs to its record.
        verdicts: verdicts of a gate, if there was one.
        limit: size limit in bytes of UTF-8. GitHub drops a step's summary of more than 1,024 KiB entirely.

    Returns:
        Text of at most `limit` bytes. Where not everything fits, whole blocks are left out at the end, with a sentence
        that says so.
    """
    verdicts = list(verdicts)
    shown = entries(records, verdicts=verdicts)
    blocks = [*_verdicts([entry.verdict for entry in shown if entry.verdict is not None])]
    if shown:
        views = [(entry, view(entry)) for entry in shown]
        blocks += [_section(overview(shown), 3), *_notes(views), *(_details(*one) for one in views)]
    whole = "\n".join(blocks)
    if len(whole.encode()) <= limit:
        return whole
    left = limit - len(_POINTER.encode())
    kept: list[str] = []
    for block in blocks:
        left -= len(block.encode()) + 1
        if left < 0:
            break
        kept.append(block)
    return "\n".join([*kept, _POINTER])


def escaped(text: str) -> str:
    """Text in which nothing is markup: no table cell, code, HTML, emphasis, link, mention or formula.

    Entities rather than backslashes, because they also hold inside tables and HTML.
    """
    flat = " ".join(visible(text).split())
    return re.sub(rf"[&<>|`*\[\]~$\\#@]|(?<!\w)_|_(?!\w)|{_OPENS}", lambda found: _entity(found[0]), flat)


def _entity(found: str) -> str:
    return f"&#{ord(found)};" if found else "&#8203;"  # a space of no width before what would open a list


def _verdicts(verdicts: Sequence[Verdict]) -> list[str]:
    blocks: list[str] = []
    for one in sorted(verdicts, key=lambda one: _ORDER.index(one.verdict)):
        told = ": ".join(filter(None, [escaped(one.name), escaped(reason(one))]))
        line = f"{_MARKS[one.verdict]} **{one.verdict}** {told}\n"
        blocks.append(line + "".join(f"- {escaped(detail)}\n" for detail in one.details))
    return blocks


def _notes(views: Sequence[tuple[Entry, list[Section]]]) -> Iterator[str]:
    """What to know of each record, unfolded."""
    for entry, sections in views:
        for section in sections:
            if section.name == "notes":
                told = [f"> - {escaped(entry.record.hypothesis)}: {escaped(line)}\n" for line in _lines(section)]
                yield "> [!WARNING]\n" + "".join(told)


def _lines(section: Section) -> list[str]:
    return [line for block in section.blocks if isinstance(block, Sentences) for line in block.lines]


def _details(entry: Entry, sections: Sequence[Section]) -> str:
    title = f"{escaped(entry.record.hypothesis)}: {escaped(entry.record.claim)}"
    parts = [f"<details><summary>{title}</summary>\n"]
    parts += [f"{escaped(told)}\n"] if (told := scope(entry.record)) else []
    parts += [_section(section, 4) for section in sections if section.name not in ("notes", "verdict")]
    return "\n".join([*parts, "</details>\n"])


def _section(section: Section, level: int) -> str:
    parts = [part for block in section.blocks if type(block) in _LAYOUTS for part in _LAYOUTS[type(block)](block)]
    return "\n".join([f"{'#' * level} {escaped(section.title)}\n", *parts])


def _facts(facts: Facts) -> Iterator[str]:
    rows = [fact for fact in facts.facts if fact.text]
    if facts.title:
        yield f"{escaped(facts.title)}\n"
    yield "".join(
        f"- {escaped(one.label)}: {_cell(one)}{f' ({escaped(one.words)})' if one.words else ''}\n" for one in rows
    )


def _table(table: Table) -> Iterator[str]:
    if table.title:
        yield f"{escaped(table.title)}\n"
    rule = ["---" if i == 0 or head in table.wordy else "---:" for i, head in enumerate(table.heads)]
    rows = [[escaped(head) for head in table.heads], rule, *([_cell(cell) for cell in row] for row in table.rows)]
    yield "".join("| " + " | ".join(row) + " |\n" for row in rows)
    if table.caption:
        yield f"{escaped(table.caption)}\n"


def _cell(cell: Fact | str) -> str:
    if isinstance(cell, str):
        return escaped(cell)
    text = escaped(cell.text)
    if cell.emphasis in ("strong", "warn") and text:
        text = f"**{text}**"
    return f"{text} **!** {escaped(cell.warning)}" if cell.warning else text


def _sentences(sentences: Sentences) -> Iterator[str]:
    mark = "**!** " if sentences.kind == "note" else ""
    yield "".join(f"- {mark}{escaped(line)}\n" for line in sentences.lines)


def _tree(tree: Tree) -> Iterator[str]:
    if graph := mermaid(tree.twigs):
        yield f"```mermaid\n{graph}\n```\n"
    yield from _source(Source(tree.title, "\n".join(lines(tree.twigs))))


def _grid(grid: Grid) -> Iterator[str]:
    yield f"{escaped(grid.title)}\n"
    rows = [[escaped(name), escaped(", ".join(f"{grid.letters[state]} {node}" for node, state in nodes))]
            for name, nodes in grid.rows]  # fmt: skip
    yield "".join(f"| {' | '.join(row)} |\n" for row in [["layer", "nodes"], ["---", "---"], *rows])
    yield "".join(f"- {letter} {escaped(state)}: {escaped(words)}\n" for state, letter, words in grid.legend)


def _source(source: Source) -> Iterator[str]:
    if source.machine or not source.text:
        return
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", source.text)), default=0))
    yield f"{escaped(source.title)}\n\n{fence}text\n{visible(source.text)}\n{fence}\n"


def mermaid(twigs: Sequence[Twig]) -> str | None:
    """The claims as a mermaid flowchart, from the inputs' side up; None where it is empty or too large to be drawn."""
    nodes: list[str] = []

    def add(twig: Twig, above: int | None) -> None:
        i = len(nodes)
        nodes.append(f'  c{i}["{_label(twig.node)}<br/>{_label(twig.variable)}"]')
        if above is not None:
            nodes[-1] += f"\n  c{i} --> c{above}"
        for one in twig.below:
            add(one, i)

    for twig in twigs:
        add(twig, None)
    text = "\n".join(["flowchart BT", *nodes])
    return text if 1 < len(nodes) <= EDGES + 1 and len(text) <= CHARACTERS else None


def _label(text: str) -> str:
    flat = " ".join(text.split())
    return re.sub(r"[^\w .,:;=+()'/-]", lambda found: f"#{ord(found[0])};", flat)


_LAYOUTS: dict[type, Callable[[Any], Iterator[str]]] = {
    Facts: _facts,
    Grid: _grid,
    Sentences: _sentences,
    Source: _source,
    Table: _table,
    Tree: _tree,
}
