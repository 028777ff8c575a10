"""The view of one record: its sections in the order in which they are read, those of others among them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from scrubbing.registry import Registry
from scrubbing.report.view import attribution, method, outcome, tested
from scrubbing.report.view.blocks import Facts, Section, Table
from scrubbing.report.view.entry import Entry

SectionOf = Callable[[Entry], Section | None]
sections: Registry[SectionOf] = Registry("section of a report", "scrubbing.sections")
"""Further sections of every report: a function from an entry (a record with its values per input, if they are there) to
a section, or to None where it has nothing to say of it. They come before choices and provenance.

Example:
    >>> @sections("cost")
    ... def cost(entry):
    ...     return Section("cost", "Cost", [Facts([Fact("seconds", f"{entry.record.provenance.seconds:.1f}")])])
"""

_BEFORE: Sequence[SectionOf] = (
    outcome.verdict,
    tested.tested,
    attribution.attribution,
    outcome.notes,
    outcome.losses,
    outcome.measures,
    outcome.controls,
    outcome.where,
    method.claims,
    method.costs,
    outcome.inputs,
    method.draws,
    method.history,
)


HEADING = "Causal scrubbing"
FOOTER = (
    "Loss recovered = 1 − (scrubbed − model) / (baseline − model). Intervals are 95 %. A score says that what is "
    "claimed suffices, by exchange, on these inputs; it does not say that it is necessary."
)


def view(entry: Entry) -> list[Section]:
    """Everything that is said of a record, for every outlet."""
    found = [of(entry) for of in (*_BEFORE, *(sections[name] for name in sections), method.provenance)]
    return [section for section in found if section is not None]


def named(parts: Sequence[Section]) -> dict[str, object]:
    """The facts that have a name, with the ends of their intervals, as a data frame takes them."""
    row: dict[str, object] = {}
    for section in parts:
        for block in section.blocks:
            cells = block.facts if isinstance(block, Facts) else []
            if isinstance(block, Table):
                cells = [cell for cells in block.rows for cell in cells if not isinstance(cell, str)]
            for fact in cells:
                if fact.name:
                    row[fact.name] = fact.value
                if fact.name and fact.low is not None:
                    row |= {f"{fact.name}.low": fact.low, f"{fact.name}.high": fact.high}
    return row
