"""The run record: what was claimed, on what, with which choices, and what came out. Versioned; reading it needs no
torch.
"""

from __future__ import annotations

import math
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from scrubbing.stats.intervals import Estimate

VERSION = 2


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

    @property
    def nines(self) -> float | None:
        """`-log10(1 - fraction)`: 1 at 90 %, 2 at 99 %; None without a fraction, below 0 and at a perfect one."""
        if self.fraction is None or not 0 <= self.fraction.value < 1:
            return None
        return -math.log10(1 - self.fraction.value)


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


class VariableNode(_Strict):
    """One variable of the interpretation."""

    name: str
    feature: str
    """What draws agree on."""
    parents: list[str]
    """Variables it is computed from."""
    digest: str
    """Of the feature's values on the dataset: a feature whose body changed has another."""


class Branch(_Strict):
    """One claim of the correspondence, in the order of a walk from the root."""

    path: str
    depth: int
    """0 for the output."""
    what: str
    """Targets in words."""
    variable: str
    line: str
    """The claim as a line, with every choice that is not the default."""
    sample: str | None
    """One input it held, as text; None for claims that draw per position."""
    value: str | None
    """The feature's value on that input."""
    unclaimed: str | None
    """The input that what it leaves unclaimed held."""


class ModelNode(_Strict):
    """What the hypothesis says of one node of the model."""

    name: str
    layer: int
    """-1 for nodes before the first layer and for the output."""
    state: Literal["claimed", "mixed", "behind", "unclaimed"]
    """`claimed`: a claim names it or a part of it. `mixed`: recomputed on a mixture of inputs, on the way between two
    claims. `behind`: wholly on a claim's input, upstream of a claim without claims of its own. `unclaimed`: resampled
    wherever it is read."""


class Size(_Strict):
    """How much of model and input the hypothesis keeps, without which no score means anything."""

    claims: int
    nodes: int
    """Nodes that a claim names."""
    of_nodes: int
    """All nodes of the model."""
    bits: float
    """Entropy of the features claimed, summed, at most that of the inputs: what is kept of an input, at most."""
    of_bits: float
    """Entropy of the inputs themselves: log2 of their number."""


class Cancellation(_Strict):
    """Whether a small mean difference hides large ones of both signs. Per-input loss differences, in nats."""

    worse: Number
    """Mean of the increases, scrubbed over model, counted as 0 where there is none."""
    better: Number
    """Mean of the decreases, likewise, as a positive number."""
    correlation: float | None
    """Of the losses of model and scrubbed model over inputs; None where one does not vary."""


class Carried(_Strict):
    """On how few references the rise of the loss rests, and how often a rise may happen that was hardly seen.

    A reference stands for its cluster where there are clusters.
    """

    effective: float
    """References that would carry the rise if all carried the same (`scrubbing.stats.rare`)."""
    references: int
    raised: int
    """References on which scrubbing costs more than `threshold`."""
    at_most: float
    """Upper bound, of level 95 %, on the share of all inputs of which that is so: about 3/n where it was of none."""
    threshold: float
    """A tenth of the distance between the mean losses of model and null; in the unit of the loss."""


class Recalibrated(_Strict):
    """The scrubbed model after the best affine recalibration of its logits, on references not used to fit it.

    Resampling leaves a model confident where it is wrong; a temperature takes that part of the loss away.
    """

    temperature: float | None
    """The logits are divided by it; None where they tell nothing and count for nothing."""
    prior: float
    """Weight of the log base rates added to them."""
    loss: Number
    """Mean loss on the held-out half."""
    before: Number
    """The same without recalibration."""
    references: int
    """Held-out references."""


class Equivalent(_Strict):
    """The amount of training at which the model itself had the scrubbed model's loss."""

    what: str
    """The series, in words."""
    unit: str
    amount: Number | None
    """None if the scrubbed loss is worse than the first, or better than the last point of the series."""
    told: str
    """In words."""


class PerInput(_Strict):
    """Where the values per reference input are."""

    file: str
    """Beside the record."""
    digest: str
    rows: int


class MeasureValue(_Strict):
    """A measure per input and draw, averaged over references and draws."""

    name: str
    meaning: str
    """In words."""
    unit: str
    """`share` for a fraction of counted positions, shown in %; else the unit itself, such as `nats`."""
    value: Number


class ControlValue(_Strict):
    """What came out of the same hypothesis on another model, other data or other features."""

    name: str
    meaning: str
    """In words: what was changed."""
    expected: Literal["fails", "holds"]
    """Whether a true hypothesis about the model as it is should lose its loss recovered here, or keep it."""
    losses: dict[str, Number]
    """`model`, `scrubbed` and the baselines, of the control."""
    recovered: list[Recovered]


class Note(_Strict):
    """Something a reader must know before quoting the score; put into words by `scrubbing.report`."""

    code: str
    """Which sentence; `text` where `values` holds the sentence itself, in records older than version 3."""
    values: dict[str, float | int | str | bool | None] = {}


class ClaimCost(_Strict):
    """What exchanging one thing costs, all else being left as it is: the loss minus the model's."""

    path: str
    """Of the claim; empty for what is unclaimed."""
    what: str
    nats: Number


class Accepted(_Strict):
    """Why a record is a snapshot that later runs are held against."""

    reason: str
    when: str


class Source(_Strict):
    """Where the hypothesis is defined."""

    address: str
    """As given: FILE.py::name, module:name, or task/rung."""
    file: str | None
    line: int | None


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
    clusters: str | None = None
    """Feature whose equal values make references one unit; None: every reference is one."""
    interval: str = "percentile bootstrap over references, 95 %"
    """How intervals were made."""
    bound: float | None = None
    """Loss that intervals reckon with on one further reference: the largest that any draw of the null reached. None in
    older records, whose intervals reckon with none."""
    numerics: int = 1
    """Version of draws and evaluation; records of different ones are not compared input by input."""


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
    task: str | None = None
    family: str = ""
    """Architecture, as its loader names it."""
    processing: str = ""
    """What was done to the weights on loading."""
    git: str | None = None
    """Revision of the folder it was run in; with a + where files differed from it."""


class RunRecord(_Strict):
    """One hypothesis scrubbed once."""

    version: Literal[1, 2] = VERSION
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
    hash: str | None = None
    """Of what is claimed (`Hypothesis.hash`); None where the hypothesis cannot be stored."""
    source: Source | None = None
    variables: list[VariableNode] = []
    branches: list[Branch] = []
    nodes: list[ModelNode] = []
    size: Size | None = None
    cancellation: Cancellation | None = None
    carried: Carried | None = None
    """None in older records, and where the model is no better than the null."""
    recalibrated: Recalibrated | None = None
    equivalent: Equivalent | None = None
    inputs: PerInput | None = None
    """None where only the record was kept."""
    claim_costs: list[ClaimCost] = []
    """Measured for snapshots, and where a gate failed."""
    accepted: Accepted | None = None
    """None where the record is not a snapshot."""
