"""The numbers of a record: estimates, losses and fractions, and what is said of single inputs."""

from __future__ import annotations

import math
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from scrubbing.numbers import PLAIN, plainly
from scrubbing.renamed import deprecated
from scrubbing.stats.intervals import Estimate


class Strict(BaseModel):
    """Immutable, without unknown fields, and every number finite."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Number(Strict):
    """An estimate with its standard error and interval; None where there is none (see `Estimate`)."""

    value: float
    se: float | None
    low: float | None
    high: float | None

    @classmethod
    def of(cls, estimate: Estimate) -> Number:
        """The finite numbers of an estimate."""
        known = {name: getattr(estimate, name) for name in cls.model_fields if hasattr(estimate, name)}
        unknown = {name: None for name in ("se", "low", "high") if not math.isfinite(known[name] or 0.0)}
        return cls.model_validate(known | unknown)

    def __str__(self) -> str:
        return PLAIN.interval(self.value, self.low, self.high)


class Recovered(Strict):
    """Loss recovered against one baseline."""

    baseline: str
    meaning: str
    """The baseline in words."""
    fraction: Number | None
    """None where the model is not better than the baseline, or than the constant, by more than sampling error."""
    lost: Number
    """Scrubbed loss minus model loss, in the unit of the loss."""

    @property
    def nines(self) -> float | None:
        """`-log10(1 - fraction)`: 1 at 90 %, 2 at 99 %; None without a fraction, below 0 and at a perfect one."""
        if self.fraction is None or not 0 <= self.fraction.value < 1:
            return None
        return -math.log10(1 - self.fraction.value)

    @property
    def nats(self) -> Number:
        """Deprecated: `lost`, which is in the unit of the loss."""
        deprecated("Recovered.nats is now Recovered.lost")
        return self.lost


def stratum(feature: str, value: bool | int | float | str | None) -> str:
    """What the inputs are called where a feature has a value: `balanced`, `not balanced`, `length = 3`."""
    if value is None:
        return feature
    if isinstance(value, bool):
        return feature if value else f"not {feature}"
    return f"{feature} = {plainly(value)}"


class Stratum(Strict):
    """Losses on the references where a feature has one value, and on all others."""

    feature: str
    value: bool | int | float | str | None = None
    """None in records older than version 3, where `feature` says it in words."""
    n: int
    model: float
    scrubbed: Number
    accuracy: float | None
    """Fraction of draws whose most likely prediction is right; None where there are no classes."""
    rest_model: float | None = None
    """On the other references; None where there are none, and in records older than version 3."""
    rest_scrubbed: Number | None = None

    @property
    def name(self) -> str:
        """`balanced`, `not balanced`, `length = 3`."""
        return stratum(self.feature, self.value)


class MeasureValue(Strict):
    """A measure per input and draw, averaged over references and draws."""

    name: str
    meaning: str
    """What it measures, in words."""
    unit: str
    """`share` for a fraction of counted positions, shown in %; else the unit itself, such as `nats`."""
    value: Number


class Slice(Strict):
    """Losses on a further set of positions."""

    name: str
    counted: int
    """Positions, summed over the references."""
    losses: dict[str, Number]
    recovered: list[Recovered]


class SeveralTried(Strict):
    """How many of several other hypotheses do as well as the hypothesis itself, on the same references."""

    tried: int
    wanted: int | None = None
    """How many were to be tried; `tried` is less where there are no more places for the claims."""
    as_well: int
    """Those whose mean loss is no larger, and whose outputs are no further from the model's own."""
    p: float
    """(1 + as_well) / (1 + tried)."""
    own: float | None = None
    """Fraction of the loss of the null recovered by the hypothesis itself; None where there is nothing to recover."""
    best: float | None = None
    """The largest fraction among the others."""


class ControlValue(Strict):
    """What came out of the same hypothesis on another model, other data or other features."""

    name: str
    meaning: str
    """What the control changed, in words."""
    expected: Literal["fails", "holds"]
    """Whether a true hypothesis about the model as it is should lose its loss recovered here, or keep it."""
    losses: dict[str, Number] = Field(default={})
    """`model`, `scrubbed` and the baselines, of the control; of several hypotheses their mean."""
    recovered: list[Recovered] = Field(default=[])
    references: int = 0
    """On which it was run; 0 in older records."""
    outcome: Literal["supported", "not supported", "nothing to explain", "undecided"] | None = None
    """Whether the hypothesis is supported there. None where several are counted, and in older records."""
    several: SeveralTried | None = None
    """How many other hypotheses do as well, of a control that tries several."""
    not_run: str = ""
    """Why it was left out, in words; empty where it was run."""


class Cancellation(Strict):
    """Whether a small mean difference hides large ones of both signs. Differences are taken per input and draw."""

    worse: Number
    """Mean of the increases, scrubbed over model, counted as 0 where there is none."""
    better: Number
    """Mean of the decreases, likewise, as a positive number."""
    correlation: float | None
    """Correlation of the losses of model and scrubbed model over inputs; None where one does not vary."""
    share: Number | None = None
    """`better` as a fraction of null minus model; None where that may be 0, and in older records."""


class Padding(Strict):
    """Activations at padding that took part: a claim's input, or an unclaimed one, shorter than what it was read at."""

    reads: int
    """Inputs read at padding, over all references and draws; one that a claim holds at several positions is one."""
    draws: float
    """Fraction of draws in which there was any."""


class Carried(Strict):
    """On how few references the rise of the loss rests, and how often a rise may happen that was hardly seen.

    A reference stands for its cluster where there are clusters.
    """

    effective: float
    """References that would carry the rise if all carried the same, (sum |x|)^2 / sum x^2. Rises below a hundredth of
    `threshold` count as none; 0 where there are no others."""
    references: int
    raised: int
    """References on which scrubbing costs more than `threshold`."""
    at_most: float
    """Upper bound, of level 95 %, on the share of all inputs of which that is so: about 3/n where it was of none."""
    threshold: float
    """A tenth of the distance between the mean losses of model and null; in the unit of the loss."""


class Recalibrated(Strict):
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
    """Mean loss on the held-out half without recalibration."""
    references: int
    """Held-out references."""


class Equivalent(Strict):
    """The amount of training at which the model itself had the scrubbed model's loss."""

    what: str
    """The series of models, by name."""
    unit: str
    """Unit of the amounts."""
    amount: Number | None
    """None if the scrubbed loss is worse than that of the first model of the series, or better than the last."""
    beyond: Literal["first", "last"] | None = None
    """Which end of the series the scrubbed loss is beyond, where there is no amount."""
    end: float | None = None
    """The amount at that end."""


class WorstInput(Strict):
    """One of the references that scrubbing costs most."""

    id: int
    text: str
    model: float
    """Loss of the model; below it that of the scrubbed model, draws averaged."""
    scrubbed: float
    model_prediction: int | None = None
    """The model's most likely class, where one position is counted."""
    prediction: int | None = None
    """The scrubbed model's most likely class, in the first draw."""
    changed: float | None = None
    """Share of draws, and of counted positions, whose most likely prediction is not the model's; None in older records,
    and where there are no classes."""


class SharedTrait(Strict):
    """What more of the worst inputs have in common than chance explains."""

    kind: Literal["word", "stratum", "prediction", "long", "short"]
    """`word`: a word of the text. `stratum`: a feature's value. `prediction`: of the model. `long`, `short`: among the
    quarter of the longest or shortest texts."""
    name: str
    """The word, the feature, or the prediction; empty for lengths."""
    value: bool | int | float | str | None = None
    """Value of a stratum's feature."""
    worst: int
    """How many of the worst inputs have it."""
    of_worst: int
    """How many worst inputs there are."""
    share: float
    """Fraction of all references that have it."""
