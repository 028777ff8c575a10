"""Why an input fails: of each of its draws, which claim broke it, and with which input."""

from __future__ import annotations

from pydantic import Field

from scrubbing.records.measured import Strict


class HeldInput(Strict):
    """An input that a claim held in a draw."""

    id: int | None
    """None for one that was generated."""
    text: str
    value: str
    """Of the claim's feature; empty for what is unclaimed."""
    position: int | None = None
    """Where it was held, of a claim that draws per position."""


class Broken(Strict):
    """A claim whose restoration repairs a draw, or what is unclaimed."""

    what: str
    """Targets in words; empty for what is unclaimed."""
    variable: str
    below: str
    """The claim above, in words; empty below the output."""
    drawn: list[HeldInput]
    """Inputs that it held, where they are others than those of the claim above."""
    repaired: float
    """Share of the rise that is gone when it is restored, together with those before it."""


class WhyDraw(Strict):
    """One draw of an input."""

    draw: int
    loss: float
    broken: list[Broken] = Field(default=[])
    """What must be restored; one claim, if that is enough. Empty for a draw that does not fail."""


class WhyInput(Strict):
    """One input in all its draws."""

    hypothesis: str
    id: int
    text: str
    unit: str
    model: float
    """The model's own loss."""
    threshold: float
    """Rise of the loss from which a draw counts as failing: a tenth of the gap between null and model."""
    draws: list[WhyDraw]
