"""The run record: what was claimed, on what, with which choices, and what came out. Versioned; needs no torch to
read.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from scrubbing.stats.intervals import Estimate

VERSION = 1


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Number(_Strict):
    """An estimate with its standard error and interval; None where there is none (see `Estimate`)."""

    value: float
    se: float | None
    low: float | None
    high: float | None

    @classmethod
    def of(cls, estimate: Estimate) -> Number:
        """From an estimate."""
        return cls(value=estimate.value, se=estimate.se, low=estimate.low, high=estimate.high)

    def __str__(self) -> str:
        return str(Estimate(self.value, self.se, self.low, self.high, 0))


class Recovered(_Strict):
    """Loss recovered against one baseline."""

    baseline: str
    meaning: str
    """The baseline in words."""
    fraction: Number | None
    """None where model and baseline cannot be told apart."""
    nats: Number
    """Scrubbed loss minus model loss."""


class Stratum(_Strict):
    """Losses on the references where a feature has one value."""

    name: str
    n: int
    model: float
    scrubbed: Number
    accuracy: float
    """Fraction of draws whose most likely prediction is right."""


class Slice(_Strict):
    """Losses on a further set of positions."""

    name: str
    counted: int
    """Positions, summed over the references."""
    losses: dict[str, Number]
    recovered: list[Recovered]


class ClaimCounts(_Strict):
    """What was drawn for one claim."""

    path: str
    what: str
    """Targets in words."""
    variable: str
    feature: str
    bits: float
    """Entropy of the feature over the dataset, per input (and position)."""
    draws: int
    agreed_min: int | None
    """Fewest inputs that agreed with a held one, itself included."""
    agreed_median: float | None
    self_share: float
    """Fraction of draws that returned the held input itself."""
    near_ties: int
    """Values that a rounding nearly sent the other way."""


class Choices(_Strict):
    """Everything that changes the number."""

    references: int
    draws: int
    seed: int
    ablation: str | None
    """None: what is unclaimed is resampled."""
    loss: str
    dtype: str
    device: str


class Provenance(_Strict):
    """What ran, on what, and how long it took."""

    model: str
    model_fingerprint: str
    data: str
    data_fingerprint: str
    inputs_in_scope: int
    versions: dict[str, str]
    seconds: float
    when: str


class RunRecord(_Strict):
    """One hypothesis scrubbed once."""

    version: Literal[1] = VERSION
    hypothesis: str
    """Name."""
    claim: str
    """The claim as a sentence."""
    scope: str | None
    tree: str
    """The tree of claims with one sampled input per claim, as text."""
    stored: dict[str, Any] | None
    """The hypothesis as JSON; None where one of its functions has no address."""
    choices: Choices
    losses: dict[str, Number]
    """Mean losses: model, scrubbed, and each baseline."""
    recovered: list[Recovered]
    accuracy: Number
    kl: Number
    """KL(model || scrubbed), nats per counted position, averaged over inputs and draws."""
    changed: Number
    """Fraction of draws in which the most likely prediction differs from the model's."""
    strata: list[Stratum]
    slices: list[Slice] = []
    counted: int | None = None
    """Counted positions, summed over the references; None in records that are older than losses per position."""
    zero: str = "null"
    """The baseline that 0 % recovered stands for in tables."""
    claims: list[ClaimCounts]
    notes: list[str]
    """What a reader must know before quoting the score, in sentences."""
    provenance: Provenance
