"""What a hypothesis leaves out: what the model can do without the mechanism."""

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
