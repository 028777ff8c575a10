"""What the tests of a hypothesis said: whether it is enough, needed, and no finer than needed."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from scrubbing.records.attribution import Attribution
from scrubbing.records.beyond import AdversaryRecord, CompleteRecord, ScopeRecord
from scrubbing.records.measured import Number, Strict
from scrubbing.shown import Shown

Word = Literal[
    "nothing to explain",
    "vacuous",
    "insufficient",
    "wrong values",
    "not specific",
    "redundant",
    "out of scope",
    "wider or finer than needed",
    "undecided",
    "tight",
]
"""What all tests of a hypothesis come to."""
Outcome = Literal["needed", "idle", "undecided"]
"""Whether giving something up costs more than the margin, less, or neither for sure."""


class GivenUp(Strict):
    """Something that was given up to see what that costs."""

    what: str
    """In words: a claim, a member of one, or several things at once."""
    outcome: Outcome
    cost: Number
    """Rise of the loss, as a share of the gap between null and model; bounds are one-sided, 95 % each."""


class CoarserFeature(Strict):
    """A feature that does as well as the claimed one."""

    feature: str
    classes: list[list[str]] = Field(default=[])
    """Values that count as equal, those of two or more; empty for a feature that is known by its name."""
    excess: float
    """Bits of the claimed feature that are not needed."""
    cost: Number
    """Rise of the loss where values of one class stand in for one another, as a share of the gap."""


class ClaimVerdict(Strict):
    """What was found out about one claim, or about claims of one group."""

    what: str
    """Its targets in words."""
    variable: str
    feature: str
    bits: float
    """Bits claimed: entropy of the feature, over all positions at which it is claimed."""
    unneeded: float
    """Bits that are not needed, of these."""
    crossed: GivenUp
    """The claim given up: other values than the held one stand in for it."""
    coarser: CoarserFeature | None = None
    not_tested: str = ""
    """Why it is not known whether the feature is finer than needed; empty where it is."""
    free: list[int] = Field(default=[])
    """Positions that can be given up together."""
    members: list[GivenUp] = Field(default=[])
    """Targets and slots that were given up one at a time."""


class WrongValue(Strict):
    """A value for which scrubbing costs much, though all claims agree on it."""

    what: str
    variable: str
    value: str
    position: int | None = None
    cost: Number
    """Rise of the loss in draws that held it, as a share of the gap."""


class SetVariable(Strict):
    """A variable set to another input's value, in the interpretation and at all nodes that are claimed to carry it."""

    variable: str
    what: str
    """These nodes."""
    disagreement: Number
    """Share of draws in which the outputs of model and interpretation differ, less that without an exchange."""
    is_wrong: bool


class ReadNode(Strict):
    """A node that writes one number, beside the variable it is claimed to carry."""

    variable: str
    node: str
    share: float
    """Of inputs on which the number is the variable's value, within 5 % of its spread."""


class RunInterpretation(Strict):
    """The interpretation run beside the model."""

    output: str
    """The variable of the output."""
    label: float | None
    """Share of references whose label it predicts."""
    model: float
    """Share on which it predicts what the model does."""
    variables: list[SetVariable]
    nodes: list[ReadNode]
    wrong: list[str]
    """Variables whose values or equations are not the model's."""


class PerturbedRecord(Strict):
    """The same claims where draws are also from inputs that the dataset lacks, and that were declared beside it."""

    name: str
    """What is changed in them."""
    recovered: Number
    """Of the null on the dataset; bounds are one-sided, 95 % each."""
    outcome: Outcome
    """Whether surely more is lost than a sufficient hypothesis may lose, or outputs move too far (`needed`); or surely
    not (`idle`)."""
    interpretation: RunInterpretation | None = None
    """The interpretation, run with variables set to the values of these inputs too; None where it was not run."""


class Unspecific(Strict):
    """A control that should fail and does not, or of which that is open."""

    control: str
    recovered: float | None = None
    """Fraction of the loss of the null that is recovered there; None where several others were counted."""
    tried: int | None = None
    """Other hypotheses that were tried."""
    as_well: int | None = None
    """Those that recover at least as much."""
    p: float | None = None
    """(1 + as_well) / (1 + tried)."""


class VerdictRecord(Strict, Shown):
    """The verdict on a hypothesis, and the number behind each word."""

    word: Word
    tests: Literal["all", "word"] = "all"
    """Those that were run: all, or only what could change the word."""
    reasons: list[str]
    """Codes of what the word rests on and of what else was found, the gravest first."""
    margin: float
    """Share of the gap below which a loss counts as none."""
    alpha: float
    """Chance that a single test is wrong."""
    references: int
    draws: int
    together: Number | None = None
    """Loss recovered of the null, with one-sided bounds."""
    apart: Number | None = None
    """What is lost beyond that where each unclaimed node draws an input of its own, as a share of the gap; None where
    there are no two of them."""
    cancelled: Number | None = None
    """By how much losses of single draws fall below the model's own, as a share of the gap."""
    moved: Number | None = None
    """How far outputs are from the model's own, as a share of how far they are in the null."""
    interpretation: RunInterpretation | None = None
    """None where variables have no value functions, so that it cannot be run."""
    wrong: list[WrongValue] = Field(default=[])
    perturbed: list[PerturbedRecord] = Field(default=[])
    """Each declared perturbation of the dataset; empty in older records, and where too much is lost without."""
    unspecific: list[Unspecific] = Field(default=[])
    """Controls that should fail and do not; empty also where none was run."""
    unsettled: list[Unspecific] = Field(default=[])
    """Controls that should fail, and of which it is open whether they do; empty also in older records."""
    claims: list[ClaimVerdict] = Field(default=[])
    idle_together: GivenUp | None = None
    """All that is idle alone, given up at once."""
    given_up: GivenUp | None = None
    """All that is not needed, given up at once."""
    attribution: Attribution | None = None
    """Where the rest is lost; None where too little is lost to ask."""
    complete: CompleteRecord | None = None
    """What the model can do without the mechanism; None where nothing is claimed, and in older records."""
    adversary: AdversaryRecord | None = None
    """The worst that the hypothesis permits; None where that was not asked for."""
    scope: ScopeRecord | None = None
    """Inside and outside of its scope; None where it has none, and in older records."""
    tighter: str | None = None
    """The hypothesis without what is not needed, as a tree; None where nothing can be left out of it."""
    tighter_stored: dict[str, Any] | None = None
    """The same as JSON."""
    bits: float = 0.0
    unneeded: float = 0.0
    examples: int = 0
    """Scrubbed examples that it took."""
    seconds: float = 0.0
