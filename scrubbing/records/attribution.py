"""Where what is lost is lost: the loss shared out among claims and what is unclaimed."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from scrubbing.records.measured import Number, Strict


class PlayerShare(Strict):
    """What one claim, or what is unclaimed, has to do with the loss."""

    what: str
    """Targets in words; empty for what is unclaimed."""
    variable: str
    """What they are claimed to carry; empty for what is unclaimed."""
    below: str = ""
    """The claim above, in words; empty below the output."""
    share: Number
    """Its Shapley value, as a share of the gap between null and model; two-sided 95 %."""


class Attribution(Strict):
    """What is lost, shared out: Shapley values of restoring each claim to the input of the claim above it."""

    method: Literal["all subsets", "sampled orders"]
    orders: int
    """In which claims were restored, one after another: all there are, or some at random."""
    references: int
    draws: int
    lost: Number
    """Scrubbed minus model on these references and draws, as a share of the gap: the shares sum to it."""
    shares: list[PlayerShare] = Field(default=[])
    """The largest first."""
