"""The view of one record: its sections in the order in which they are read, those of others among them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from scrubbing.registry import Registry
from scrubbing.report.view import attribution, beyond, method, outcome, single, tested
from scrubbing.report.view.blocks import Fact, Facts, Section, Table
from scrubbing.report.view.entry import Entry

SectionOf = Callable[[Entry], Section | None]
sections: Registry[SectionOf] = Registry("section of a report", "scrubbing.sections")
"""Registry of further sections of reports: functions from an entry (a record, with its values per input if present)
to a section, or to None where they have nothing to show. They come before choices and provenance.

Example:
    >>> @sections("cost")
    ... def cost(entry):
    ...     return Section("cost", "Cost", [Facts([Fact("seconds", f"{entry.record.provenance.seconds:.1f}")])])
"""

_BEFORE: Sequence[SectionOf] = (
    outcome.verdict,
    tested.tested,
    attribution.attribution,
    beyond.beyond,
    outcome.notes,
    outcome.losses,
    outcome.measures,
    outcome.controls,
    outcome.where,
    method.claims,
    method.costs,
    single.inputs,
    method.draws,
    method.history,
)


HEADING = "Causal scrubbing"
FOOTER = (
    "Loss recovered = 1 − (scrubbed − model) / (baseline − model). Intervals are 95 %. A score says that what is "
    "claimed suffices, by exchange, on these inputs; it does not say that it is necessary."
)


def view(entry: Entry) -> list[Section]:
    """All sections that reports show of a record, whatever the outlet."""
    found = [of(entry) for of in (*_BEFORE, *(sections[name] for name in sections), method.provenance)]
    return [section for section in found if section is not None]


def named(parts: Sequence[Section]) -> dict[str, object]:
    """The facts that have a name, with the ends of their intervals, as a data frame takes them."""
    row: dict[str, object] = {}
    for section in parts:
        for block in section.blocks:
            cells: Sequence[Fact] = block.facts if isinstance(block, Facts) else []
            if isinstance(block, Table):
                cells = [cell for cells in block.rows for cell in cells if not isinstance(cell, str)]
            for fact in cells:
                if fact.name:
                    row[fact.name] = fact.value
                if fact.name and fact.low is not None:
                    row |= {f"{fact.name}.low": fact.low, f"{fact.name}.high": fact.high}
    return row
