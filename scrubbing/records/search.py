"""What a search came to: hypotheses with their records on held-out inputs, and the same search where it should fail."""

from __future__ import annotations

from pydantic import Field

from scrubbing.records.measured import Number, Strict
from scrubbing.records.schema import RunRecord
from scrubbing.records.tested import Word
from scrubbing.shown import Shown


class Effort(Strict):
    """What a search took."""

    tried: int
    """Different hypotheses that were run."""
    decided: int
    """Tests that had a share of the level, each of which might have given up something that is needed."""
    examples: int
    """Scrubbed examples, about as many forward passes."""
    complete: bool
    """Whether all was looked at before the budget was used up."""
    seconds: float


class ControlSearch(Strict):
    """The same search, with the same budget, where there is nothing to find."""

    name: str
    meaning: str
    word: Word
    """The verdict on what was found there, on held-out inputs."""
    recovered: Number | None = None
    """What it recovers of the null there; None where there was nothing to explain."""
    claimed: float | None = None
    """Bits that it claims; None where nothing was searched for."""
    own: bool = False
    """Whether labels are what the model there puts out itself, so that there is something to find: then it only counts
    if as few bits are claimed."""
    hypothesis: str = ""
    """What was found there, as a tree; empty where nothing was searched for."""
    effort: Effort | None = None


class SearchRecord(Strict, Shown):
    """A search: what was found, on which inputs, and what that is worth."""

    found: list[RunRecord]
    """Records on held-out inputs, of what loses next to nothing first, then of what is smaller and loses more."""
    beside: list[RunRecord] = Field(default=[])
    """Hypotheses that were not found but given, on the same inputs."""
    word: Word
    """The verdict on the first, on held-out inputs; `not specific` where a search in a control comes to as much."""
    alpha: float
    """Chance that, on inputs like those that were searched on, something needed was given up."""
    margin: float
    """Share of the gap that the first may lose."""
    effort: Effort
    features: int
    """That nodes might have been said to carry, joins left out."""
    unusable: list[str] = Field(default=[])
    """Features that were given and have no exact values on these inputs: they raise an error, or are floats."""
    fitted: int
    """Inputs that were searched on."""
    held_out: int
    """Inputs that the records are about, none of them among those."""
    controls: list[ControlSearch] = Field(default=[])

    @property
    def unspecific(self) -> list[ControlSearch]:
        """Controls in which the search comes to a hypothesis that is supported: with as few bits, where labels are the
        model's own outputs.
        """
        size = self.found[0].size
        claimed = None if size is None else size.claimed
        return [
            one for one in self.controls if one.word in SUPPORTED and not (one.own and more_than(one.claimed, claimed))
        ]


def more_than(one: float | None, other: float | None) -> bool:
    """Whether one number is known to be more than another."""
    return one is not None and other is not None and one > other


SUPPORTED: tuple[Word, ...] = ("tight", "wider or finer than needed", "redundant")
"""Words of hypotheses that are enough."""
