"""What a hypothesis leaves out: what the model can do without the mechanism, the worst that is permitted, and how
far it reaches.
"""

from __future__ import annotations

from pydantic import Field

from scrubbing.records.measured import Number, Strict


class RemovedClaims(Strict):
    """Some claims, removed from the model and from the hypothesis: their nodes hold another input."""

    claims: list[str]
    """In words; empty for all of them together."""
    model: Number
    """What the model still recovers of the null, all else exact."""
    hypothesis: Number
    """What the scrubbed model still recovers."""
    difference: Number
    """Model minus hypothesis."""


class CompleteRecord(Strict):
    """What is recovered of the null where all that is claimed is removed, and all that is unclaimed kept; bounds are
    one-sided, 95 % each.
    """

    paths: Number
    """The paths of the deepest claims hold another input."""
    nodes: Number
    """The nodes claimed directly below the output hold another input, whatever they read."""
    mean: Number
    """These nodes are at their mean over the dataset."""
    constant: Number | None = None
    """What the constant prediction recovers, which a mean may do without knowing anything."""
    removed: list[RemovedClaims] = Field(default=[])
    """Each claim, some sets of several, and all of them; empty where that was not asked for."""


class StandInInput(Strict):
    """What an assignment put in for the inputs with one value of a claim's feature."""

    what: str
    """The claim, in words; empty for what is unclaimed."""
    value: str
    id: int
    text: str


class AdversaryRecord(Strict):
    """What is recovered of the null under assignments, which say for all references at once what stands in for what;
    bounds are one-sided, 95 % each.
    """

    stochastic: Number
    """Inputs drawn anew for each reference, as the scrub does."""
    average: Number
    """One assignment for all references, on average over those tried."""
    worst: Number
    """The worst of those tried, on references that it was not chosen by; or on all inputs in scope."""
    whole: bool
    """Whether the references are all inputs in scope."""
    tried: int
    number: int
    """Draw number of the worst assignment."""
    held: list[StandInInput] = Field(default=[])
    """What stood in for what in the worst one; claims that draw per position are left out."""


class Counterexample(Strict):
    """An input on which the scrubbed model is far from the model."""

    id: int
    text: str
    moved: float
    """How far its output is, on draws that it was not chosen by, as a share of how far outputs are in the null."""
    model: float
    """Loss of the model, and of the scrubbed model."""
    scrubbed: float


class EdgeRecord(Strict):
    """The inputs in scope that are nearest to those outside."""

    inputs: int
    """How many, of those in scope that were compared with inputs outside."""
    distance: int
    """Entries (tokens, or numbers) of what the model reads in which they differ from an input outside, at most."""
    recovered: Number | None
    """Of the null on these inputs; None where the model is no better there. Bounds are one-sided, 95 %."""


class ScopeRecord(Strict):
    """How far a hypothesis reaches: inside, at the edge of and outside the inputs that it is said to hold on."""

    inside: int
    """Inputs in scope."""
    total: int
    """All inputs of the dataset."""
    inside_worst: list[Counterexample] = Field(default=[])
    """Inputs in scope whose outputs are surely far, those that were furthest in the search first."""
    outside: Number | None = None
    """What is recovered of the null where the same is claimed of all inputs outside; bounds are one-sided, 95 %."""
    outside_worst: list[Counterexample] = Field(default=[])
    why_not: str = ""
    """Why nothing can be said of what lies outside."""
    edge: EdgeRecord | None = None
    """At the edge of the scope; None where nothing is outside, and in older records."""

    @property
    def share(self) -> float:
        """Share of the dataset in scope; 1 where there is no dataset."""
        return self.inside / self.total if self.total else 1.0
