"""The contents of reports: sections of facts, worded here and nowhere else; the outlets only lay them out."""

from scrubbing.report.view.blocks import (
    MISSING,
    Block,
    Fact,
    Facts,
    Grid,
    Section,
    Sentences,
    Source,
    Table,
    Tree,
    Twig,
)
from scrubbing.report.view.entry import Entry, Verdict, entries, names
from scrubbing.report.view.notes import sentence, wordings
from scrubbing.report.view.outcome import reason, said, scope
from scrubbing.report.view.record import named, sections, view
from scrubbing.report.view.several import cautions, overview
from scrubbing.report.view.verdict_words import verdict_sentence

__all__ = [
    "MISSING",
    "Block",
    "Entry",
    "Fact",
    "Facts",
    "Grid",
    "Section",
    "Sentences",
    "Source",
    "Table",
    "Tree",
    "Twig",
    "Verdict",
    "cautions",
    "entries",
    "named",
    "names",
    "overview",
    "reason",
    "said",
    "scope",
    "sections",
    "sentence",
    "verdict_sentence",
    "view",
    "wordings",
]
