"""The run record: what was claimed, on what, with which choices, and what came out. Data only, versioned; sentences
about it are written in `scrubbing.report`, and reading it needs no torch.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from scrubbing.guards import is_dict
from scrubbing.records import older
from scrubbing.records.blame import WhyInput
from scrubbing.records.measured import (
    Cancellation,
    Carried,
    ControlValue,
    Equivalent,
    MeasureValue,
    Number,
    Padding,
    Recalibrated,
    Recovered,
    SharedTrait,
    Slice,
    Stratum,
    Strict,
    WorstInput,
)
from scrubbing.records.tested import VerdictRecord
from scrubbing.renamed import deprecated
from scrubbing.shown import Shown, as_text

MOST_LAYERS = 9_999
"""Of a model that a record draws; a damaged one may ask for more than anybody can draw."""
VERSION = 3
NUMERICS = 2
"""Version of draws and evaluation: raised where the same seed gives other draws, or the same draws other numbers."""


class ClaimCounts(Strict):
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


class VariableNode(Strict):
    """One variable of the interpretation."""

    name: str
    feature: str
    """What draws agree on."""
    parents: list[str]
    """Variables it is computed from."""
    digest: str
    """Hash of which inputs agree on the feature: one whose values changed has another."""
    code: str | None = None
    """Hash of the feature's code and of what it calls; None where that cannot be read, and in older records."""


class Branch(Strict):
    """One claim of the correspondence, in the order of a walk from the root."""

    path: str
    depth: int
    """How deep it lies in the tree of claims; 0 for the output."""
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


class ModelNode(Strict):
    """What the hypothesis says of one node of the model."""

    name: str
    layer: int = Field(ge=-1, le=MOST_LAYERS)
    """-1 for nodes before the first layer and for the output."""
    state: Literal["claimed", "mixed", "behind", "unclaimed"]
    """`claimed`: a claim names it or a part of it. `mixed`: recomputed on a mixture of inputs, on the way between two
    claims. `behind`: wholly on a claim's input, upstream of a claim without claims of its own. `unclaimed`: resampled
    wherever it is read."""


class Size(Strict):
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
    claimed: float | None = None
    """Entropy of the features claimed, over all positions at which they are, summed over claims: what is claimed of two
    nodes counts twice. None in older records."""
    conditional: float | None = None
    """The same, each claim's feature given that of the claim above it: what it claims beyond what that one does. None
    in older records."""


class Note(Strict):
    """Something a reader must know before quoting the score; put into words by `scrubbing.report`."""

    code: str
    """Which sentence; `text` where `values` holds the sentence itself, in records older than version 3."""
    values: dict[str, bool | int | float | str | None] = Field(default={})

    @classmethod
    def of(cls, code: str, /, **values: bool | int | float | str | None) -> Note:
        """`Note.of("few-references", units=12)`."""
        return cls(code=code, values=values)


class ClaimCost(Strict):
    """What exchanging one thing costs, all else being left as it is: the loss minus the model's."""

    path: str
    """Path of the claim; empty for what is unclaimed."""
    cost: Number


class PerInput(Strict):
    """The file with the values per reference input."""

    file: str
    """Name of the table's file, in the folder of the record."""
    digest: str
    rows: int


class Accepted(Strict):
    """Why a record is a snapshot that later runs are held against."""

    reason: str
    when: str
    rule: dict[str, Any] | None = None
    """The rule it was accepted under; None in older snapshots."""


class Source(Strict):
    """The place in the source where the hypothesis is defined."""

    address: str
    """The address as given: FILE.py::name, module:name, or task/rung."""
    file: str | None
    line: int | None


class Choices(Strict):
    """Everything that changes the number."""

    references: int
    draws: int
    seed: int
    pool: int | None = None
    """Inputs that were drawn from, chosen by hashed id; None for all of the dataset, and in older records."""
    ablation: str | None
    """What replaces unclaimed activations (mean, zero, noise); None where they are resampled."""
    loss: str
    unit: str = "nats"
    """Unit of the loss, such as nats."""
    dtype: str
    device: str
    """Kind of device, such as `cpu` or `cuda`."""
    accelerator: str | None = None
    """The GPU, the version of CUDA, and whether matrix products were rounded to TF32; None on the CPU, and in older
    records."""
    loss_identity: str | None = None
    """Class and settings of the loss, and a hash of its code; None in older records."""
    padding: Literal["avoided", "input"] | None = None
    """`avoided`: inputs are drawn only if they are real wherever the reference's loss depends on them. `input`: any
    are, padding being part of a fixed-length input. None where no input is padded, and in older records."""
    clusters: str | None = None
    """Name of the feature whose equal values make references one unit; None where every reference is a unit."""
    interval: str = "percentile bootstrap over references, 95 %"
    """The method by which intervals were computed."""
    bound: float | None = None
    """Upper bound for the loss on one further reference, on which intervals rest: the largest loss of any draw of the
    null. None without a null, where it is twice the largest loss seen, and in older records, whose intervals have no
    further reference."""
    numerics: int = NUMERICS
    """See `NUMERICS`; records of different ones are not compared input by input."""


class Provenance(Strict):
    """Provenance of a run: model, data, versions and time."""

    model: str
    model_fingerprint: str
    data: str
    data_fingerprint: str
    """Fingerprint of the inputs in scope."""
    inputs_in_scope: int
    inputs: int | None = None
    """Inputs of the whole dataset; None in older records."""
    versions: dict[str, str]
    machine: str = ""
    """Platform, instructions that torch uses, threads: what decides the last digits. Empty in older records."""
    seconds: float
    when: str
    task: str | None = None
    family: str = ""
    """Architecture, as its loader names it."""
    processing: str = ""
    """What was done to the weights on loading."""
    preparation: str = ""
    """How the tokens were made: begin token and padding. Empty where the dataset does not say, and in older records."""
    git: str | None = None
    """Revision of the folder it was run in; with a + where files differed from it."""


class RunRecord(Strict, Shown):
    """The record of one run: a hypothesis, how it was scrubbed, and the results."""

    version: Literal[3] = VERSION
    hypothesis: str
    """Name of the hypothesis."""
    claim: str
    """What it claims, as a sentence."""
    scope: str | None
    stored: dict[str, Any] | None
    """The hypothesis as JSON; None where one of its functions has no address."""
    choices: Choices
    losses: dict[str, Number]
    """Mean losses: `model`, `scrubbed`, and each baseline."""
    recovered: list[Recovered]
    measures: list[MeasureValue]
    strata: list[Stratum]
    slices: list[Slice] = Field(default=[])
    controls: list[ControlValue] = Field(default=[])
    counted: int | None = None
    """Number of counted positions, summed over the references; None in records older than losses per position."""
    zero: str = "null"
    """The baseline that 0 % recovered stands for in tables."""
    claims: list[ClaimCounts]
    exchanged: bool
    """Whether any activation came from another input than the reference."""
    notes: list[Note]
    """Notes that a reader must know before quoting the score."""
    provenance: Provenance
    hash: str | None = None
    """Hash of what is claimed (`Hypothesis.hash`); None where the hypothesis cannot be stored."""
    source: Source | None = None
    variables: list[VariableNode] = Field(default=[])
    branches: list[Branch] = Field(default=[])
    claims_text: str | None = None
    """The claims as text, in records of version 1, which have no branches."""
    nodes: list[ModelNode] = Field(default=[])
    size: Size | None = None
    cancellation: Cancellation | None = None
    padding: Padding | None = None
    """How often padding was read; None where no input is padded."""
    carried: Carried | None = None
    """On how few references the rise rests; None in older records, and where the model is no better than the null."""
    recalibrated: Recalibrated | None = None
    equivalent: Equivalent | None = None
    worst: list[WorstInput] = Field(default=[])
    """The references that scrubbing costs most, the worst first."""
    shared: list[SharedTrait] = Field(default=[])
    """What more of the worst have in common than chance explains."""
    explained: list[WhyInput] = Field(default=[])
    """Of some of these, which exchange broke each draw that fails; empty where nobody asked, and in older records."""
    references_digest: str | None = None
    """Hash of the ids of the references, whatever their order."""
    inputs: PerInput | None = None
    """The table of values per input; None where only the record was kept."""
    claim_costs: list[ClaimCost] = Field(default=[])
    """What each exchange alone costs; measured for snapshots, and where a gate failed."""
    tested: VerdictRecord | None = None
    """The verdict; None where no tests were asked for, and in older records."""
    accepted: Accepted | None = None
    """Why it was accepted as a snapshot; None where it is none."""

    @model_validator(mode="before")
    @classmethod
    def _of_any_version(cls, given: Any) -> Any:
        return older.upgraded(given) if is_dict(given) else given

    @field_validator("losses")
    @classmethod
    def _has_both(cls, losses: dict[str, Number]) -> dict[str, Number]:
        if missing := {"model", "scrubbed"} - losses.keys():
            raise ValueError(f"no loss of the {' and '.join(sorted(missing))}")
        return losses

    def __str__(self) -> str:
        return as_text(self)

    def measure(self, name: str) -> MeasureValue | None:
        """The measure of this name, such as `kl`; None where it was not measured."""
        return next((one for one in self.measures if one.name == name), None)

    def recovered_of(self, baseline: str) -> Recovered | None:
        """Loss recovered against the baseline of this name; None where it was not computed."""
        return next((one for one in self.recovered if one.baseline == baseline), None)

    @property
    def accuracy(self) -> Number | None:
        """Deprecated: `measure("accuracy").value`."""
        return self._old_measure("accuracy")

    @property
    def kl(self) -> Number | None:
        """Deprecated: `measure("kl").value`."""
        return self._old_measure("kl")

    @property
    def changed(self) -> Number | None:
        """Deprecated: `measure("changed").value`."""
        return self._old_measure("changed")

    def _old_measure(self, name: str) -> Number | None:
        deprecated(f"record.{name} is now record.measure({name!r}).value")
        found = self.measure(name)
        return None if found is None else found.value


def json_schema() -> dict[str, Any]:
    """The JSON schema of a record of the present version, as it is stored."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **RunRecord.model_json_schema()}
