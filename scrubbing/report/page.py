"""Records as HTML: the view laid out as one self-contained page, or as a fragment for notebooks."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import jinja2

from scrubbing.records.inputs import InputTable
from scrubbing.records.schema import RunRecord
from scrubbing.report.correspondence import Correspondence
from scrubbing.report.drawing import Scale, Scatter
from scrubbing.report.pictures import shortened
from scrubbing.report.view import Block, Entry, Fact, Section, Verdict, entries, names, overview, scope, view
from scrubbing.report.view.blocks import Chart, Listing
from scrubbing.report.view.meanings import explained, meaning
from scrubbing.report.view.record import FOOTER, HEADING
from scrubbing.report.view.several import title, worse_than_constant

_FOLDER = Path(__file__).parent / "templates"
_IN_SIGHT = {"verdict", "tested", "notes", "losses"}
"""Sections of a record that are open in notebooks."""


@dataclass(frozen=True)
class _Shown:
    """A record as the template takes it."""

    name: str
    record: RunRecord
    scope: str
    sections: Sequence[Section]
    open: bool


def page(
    records: Sequence[RunRecord | Entry],
    inputs: Sequence[InputTable | None] | Mapping[str, InputTable] | None = None,
    history: Iterable[RunRecord] = (),
    verdicts: Iterable[Verdict] = (),
    lead: Sequence[Section] = (),
) -> str:
    """Records as one self-contained HTML page that shows everything they hold. It loads nothing, and can be read
    without its one script, which sorts and filters lists of inputs.

    Args:
        records: records in the order to show, with an overview where there are several; an `Entry` carries what belongs
            to its record.
        inputs: values per reference input, in the order of the records. (A mapping by hypothesis name is deprecated.)
        history: earlier records; those of the same hypotheses are shown beside them, in order of time.
        verdicts: verdicts of a gate, if there was one.
        lead: sections that come before all records, such as what a search came to.

    Returns:
        The text of the file. Equal arguments give equal texts.

    Raises:
        UsageError: SCR-PLOT, the number of `inputs` is not that of the records.
    """
    given = entries(records, inputs, history, verdicts)
    given = [replace(entry, place=f"hypothesis-{i + 1}") for i, entry in enumerate(given)]
    called = names([entry.record for entry in given])
    several = overview(given) if len(given) > 1 else None
    shown = [_shown(name, entry) for name, entry in zip(called, given, strict=True)]
    told = [*lead, *([several] if several else []), *(section for one in shown for section in one.sections)]
    lists = any(isinstance(block, Listing) for section in told for block in section.blocks)
    script, secret = _script() if lists else ("", "")
    return (
        _templates(True)
        .get_template("page.html.j2")
        .render(
            heading=HEADING,
            footer=FOOTER,
            title=title([entry.record for entry in given]),
            lead=lead,
            overview=several,
            shown=shown,
            explained=explained(told),
            script=script,
            script_hash=secret,
        )
    )


def claims_svg(title: str, drawn: Correspondence) -> str:
    """The drawing of claims on a model's graph as an SVG file, light or dark as its reader is."""
    return _templates(False).get_template("claims.svg.j2").render(title=title, of=drawn.wide, words=drawn.words)


def fragment(record: RunRecord | Entry) -> str:
    """Records as an HTML fragment with its own styles, for notebooks: verdict, notes and losses open."""
    entry = record if isinstance(record, Entry) else Entry(record)
    one = _shown(entry.record.hypothesis, entry)
    lead = f"{entry.record.claim} {one.scope}".strip()
    return laid_out(one.name, lead, one.sections, folded={one.name for one in one.sections} - _IN_SIGHT)


def laid_out(title: str, lead: str, sections: Sequence[Section], folded: Set[str] = frozenset()) -> str:
    """Sections as an HTML fragment with its own styles.

    Args:
        title: what it is about.
        lead: what is said of it beside its name.
        sections: what there is to show.
        folded: names of sections that are folded; charts are left out of these.
    """
    template = _templates(False).get_template("fragment.html.j2")
    return template.render(title=title, lead=lead, sections=sections, folded=folded)


def _shown(name: str, entry: Entry) -> _Shown:
    failed = entry.verdict is not None and entry.verdict.verdict != "pass"
    return _Shown(name, entry.record, scope(entry.record), view(entry), failed or worse_than_constant(entry.record))


@cache
def _script() -> tuple[str, str]:
    """The page's script, and the hash by which the page's policy lets it and nothing else run."""
    text = (_FOLDER / "page.js").read_text(encoding="utf-8")
    return text, b64encode(sha256(text.encode()).digest()).decode()


def _grouped(blocks: Sequence[Block]) -> list[list[Block]]:
    """Charts that follow each other stand side by side."""
    grouped: list[list[Block]] = []
    for block in blocks:
        if isinstance(block, Scale | Scatter) and grouped and isinstance(grouped[-1][0], Scale | Scatter):
            grouped[-1].append(block)
        else:
            grouped.append([block])
    return grouped


def _facts(row: Sequence[Fact | str]) -> list[Fact]:
    return [Fact("", cell) if isinstance(cell, str) else cell for cell in row]


def _slug(words: str) -> str:
    return words.replace(" ", "-")


def _nothing(_: str) -> str:
    """A fragment has no list of explanations."""
    return ""


def _is_chart(block: object) -> bool:
    return isinstance(block, Chart | Listing)


def _kind(block: object) -> str:
    return type(block).__name__


@cache
def _templates(whole: bool) -> jinja2.Environment:
    """The templates, of a whole page or of a fragment; everything they are given is escaped."""
    found = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_FOLDER),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    ours: dict[str, Callable[..., Any]] = {
        "shortened": shortened,
        "kind": _kind,
        "grouped": _grouped,
        "as_facts": _facts,
        "meaning": meaning if whole else _nothing,
        "slug": _slug,
        "is_chart": _is_chart,
    }
    found.filters.update(ours)
    return found
