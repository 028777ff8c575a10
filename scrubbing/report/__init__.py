"""Records made readable. What may be said of them, and added to what is said."""

from scrubbing.report.view import Entry, Fact, Facts, Section, Sentences, Source, Table, said, sections, wordings

__all__ = ["Entry", "Fact", "Facts", "Section", "Sentences", "Source", "Table", "said", "sections", "wordings"]
