"""The result of scrubbing one hypothesis: per-input numbers, and the estimates computed from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from scrubbing.data.dataset import Dataset
from scrubbing.device import accelerator
from scrubbing.errors import ScrubbingError, UsageError, fail
from scrubbing.experiment import describe
from scrubbing.experiment.baselines import baselines
from scrubbing.experiment.jobs import SCRUBBED, Job
from scrubbing.experiment.measured import AT_PADDING, MEASURE, Measured, Reference
from scrubbing.experiment.settings import Settings
from scrubbing.experiment.size import size
from scrubbing.experiment.vacuous import vacuous
from scrubbing.hypothesis.hypothesis import Hypothesis
from scrubbing.metrics.measures import Measure
from scrubbing.metrics.recovered import loss_recovered
from scrubbing.metrics.slices import MAIN
from scrubbing.records.inputs import (
    LOSS,
    LOWERED,
    PADDING_DRAWS,
    PADDING_READS,
    RAISED,
    SLICE,
    STRATUM,
    InputTable,
)
from scrubbing.records.notes import notes
from scrubbing.records.schema import (
    Choices,
    ClaimCounts,
    ControlValue,
    Equivalent,
    Note,
    Provenance,
    Recalibrated,
    RunRecord,
    Size,
)
from scrubbing.records.summary import means, summarise
from scrubbing.records.tested import VerdictRecord
from scrubbing.stats.intervals import METHOD, Estimate, Means, per_input

if TYPE_CHECKING:
    import pandas


Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Result:
    """The result of a scrub. Arrays are in the order of `ids`; estimates are computed when they are requested."""

    job: Job
    """What was measured: the hypothesis, on what, with how many draws."""
    settings: Settings
    """Every other choice."""
    by_slice: Mapping[str, Mapping[str, Floats]]
    """Losses by name, then by slice; see `losses` and `slices`."""
    measured: Measured
    """What was counted beside them."""
    provenance: Provenance
    recalibrated: Recalibrated | None
    """None for losses without classes, and for few references."""
    equivalent: Equivalent | None
    """None without a series."""
    controls: tuple[ControlValue, ...]
    tested: VerdictRecord | None = None
    """The verdict, where it was asked for."""

    @property
    def hypothesis(self) -> Hypothesis:
        """What was claimed."""
        return self.job.hypothesis

    @property
    def data(self) -> Dataset:
        """The inputs within the hypothesis's scope."""
        return self.job.data

    @property
    def ids(self) -> NDArray[np.int64]:
        """Reference inputs, `[n]`."""
        return self.data.ids[self.job.reference.rows]

    @cached_property
    def losses(self) -> dict[str, Floats]:
        """`model` and `constant` `[n]`; `scrubbed` and the other baselines `[n]` or `[n, draws]`. In the loss's unit
        per counted position; for a classifier, per reference input.
        """
        return {name: values[MAIN] for name, values in self.by_slice.items()}

    @cached_property
    def slices(self) -> dict[str, tuple[Floats, dict[str, Floats]]]:
        """Weights and losses on each further slice, by its name."""
        return {
            name: (weights, {loss: values[name] for loss, values in self.by_slice.items()})
            for name, weights in self.job.reference.weights().items()
            if name != MAIN
        }

    @cached_property
    def strata(self) -> dict[str, NDArray[Any]]:
        """Value of each stratifying feature, `[n]`."""
        return {name: one(self.data)[self.job.reference.rows] for name, one in self.settings.strata.items()}

    @property
    def clusters(self) -> NDArray[Any] | None:
        """Family of each reference, `[n]`; None where every reference is one of its own."""
        return clusters_of(self.settings, self.job.reference)

    @property
    def exchanged(self) -> bool:
        """Whether any activation comes from another input."""
        return self.measured.exchanged

    @cached_property
    def claims(self) -> tuple[ClaimCounts, ...]:
        """What was drawn for each claim."""
        return tuple(describe.claim_counts(self.job, self.measured.counts))

    @cached_property
    def size(self) -> Size:
        """How much of model and input is kept."""
        return size(self.job, describe.nodes(self.job))

    def measure(self, name: str) -> Floats:
        """A measure of each reference and draw, over its counted positions, `[n, draws]`.

        Raises:
            UsageError: SCR-MEASURE, it was not taken, or is not defined for this loss.
        """
        taken = {one.name: one for one in self.job.measures}
        if not isinstance(name, str) or name not in taken:
            problem = f"there is no measure {name!r} in this result."
            remedy = f"There are: {', '.join(taken) or 'none'}. Ask for others with measures=[...]."
            if isinstance(name, str) and name in self.settings.all_measures():
                remedy = f"It is not defined for {self.job.subject.loss.name}. There are: {', '.join(taken) or 'none'}."
            fail(UsageError, "SCR-MEASURE", problem, remedy, self.hypothesis.name)
        return self.measured.values[f"{MEASURE}{name}"]

    @property
    def correct(self) -> Floats:
        """`measure("accuracy")`: share of counted positions whose most likely scrubbed prediction is right."""
        return self.measure("accuracy")

    @property
    def kl(self) -> Floats:
        """`measure("kl")`: KL(model || scrubbed), `[n, draws]`."""
        return self.measure("kl")

    @property
    def changed(self) -> Floats:
        """`measure("changed")`: share of counted positions whose most likely prediction differs from the model's."""
        return self.measure("changed")

    @cached_property
    def means(self) -> Means:
        """Means of all losses, and functions of them."""
        table = self.inputs()
        return means(table, table.names(LOSS), "weight")

    def loss(self, name: str = SCRUBBED) -> Estimate:
        """Mean loss of `scrubbed`, `model` or a baseline, in the loss's unit per counted position (per input, of a
        classifier).

        Raises:
            UsageError: SCR-BASELINE, there is no loss of this name.
        """
        self._check_name(name)
        return self.means.mean(name)

    def loss_recovered(self, baseline: str = "null") -> Estimate:
        """Fraction of the loss between model and baseline that survives; may leave [0, 1].

        Raises:
            UsageError: SCR-BASELINE, this baseline was not computed.
            NoFraction: SCR-FRACTION, the model is not better than the baseline, or than the constant, by more than
                sampling error.
        """
        self._check_name(baseline)
        return loss_recovered(self.means, baseline)

    def record(self) -> RunRecord:
        """Everything but the values per input, ready to be stored or shown."""
        job, inputs = self.job, self.inputs()
        meanings = {name: one.meaning for name, one in self.settings.all_baselines().items() if one.scale}
        found = summarise(inputs, meanings, units(job.measures, job.subject.loss.unit))
        stored = _stored(self.hypothesis)
        sampled = describe.samples(job, int(job.reference.rows[0]), self.settings.seed)
        nodes = describe.nodes(job)
        return RunRecord(
            **found,
            hypothesis=self.hypothesis.name,
            claim=self.hypothesis.sentence,
            scope=None if self.hypothesis.scope is None else str(self.hypothesis.scope),
            stored=stored,
            choices=choices(job, self.settings, inputs.bound),
            zero=self.settings.zero_baseline,
            claims=list(self.claims),
            exchanged=self.exchanged,
            notes=[
                *notes(found, self.claims, self.exchanged, inputs.units),
                *vacuous(job, inputs.get("model_prediction")),
                *([] if (rows := self.measured.fitting) is None else [Note.of("out-of-memory", rows=rows)]),
            ],
            provenance=self.provenance,
            hash=None if stored is None else self.hypothesis.hash,
            variables=describe.variables(job),
            branches=describe.branches(job, sampled),
            nodes=nodes,
            size=self.size,
            recalibrated=self.recalibrated,
            equivalent=self.equivalent,
            controls=list(self.controls),
            tested=self.tested,
        )

    def inputs(self) -> InputTable:
        """The values per reference input, draws averaged."""
        return self._table

    @cached_property
    def _table(self) -> InputTable:
        reference, values = self.job.reference, self.measured.values
        table = loss_table(reference, self.by_slice, self.clusters)
        text = np.array([self.data.show(int(row)) for row in reference.rows], dtype=str)
        more: dict[str, NDArray[Any]] = {f"{MEASURE}{one.name}": self.measure(one.name) for one in self.job.measures}
        more = {name: per_input(found) for name, found in more.items()}
        if "model right" in values:
            more["model_right"] = values["model right"]
            if (reference.counted() == 1).all():
                more["prediction"] = values["prediction"][:, 0].astype(np.int64)
                more["model_prediction"] = values["model prediction"].astype(np.int64)
        rise = self.losses["scrubbed"].reshape(len(text), -1) - self.losses["model"][:, None]
        more |= {RAISED: per_input(rise.clip(min=0)), LOWERED: per_input((-rise).clip(min=0))}
        if (read := values.get(AT_PADDING)) is not None:
            more |= {PADDING_READS: read.sum(axis=1).astype(np.int64), PADDING_DRAWS: (read > 0).mean(axis=1)}
        more |= {f"{STRATUM}{name}": found for name, found in self.strata.items()}
        return replace(table, columns={"id": table["id"], "text": text} | dict(table.columns) | more)

    def _check_name(self, name: str) -> None:
        if not isinstance(name, str) or name not in self.by_slice:
            problem = f"there is no loss {name!r} in this result."
            remedy = f"There are: {', '.join(self.by_slice)}."
            if isinstance(name, str) and name in baselines:
                remedy += " This one needs baselines=True, and a hypothesis with claims."
            fail(UsageError, "SCR-BASELINE", problem, remedy, self.hypothesis.name)

    def to_frame(self) -> pandas.DataFrame:
        """The values per reference input as a table, a row each."""
        return self.inputs().to_frame()

    def _repr_html_(self) -> str:
        """For notebooks."""
        from scrubbing.report.page import fragment

        return fragment(self.record())

    def __repr__(self) -> str:
        return f"<Result {self.hypothesis.name}: scrubbed {self.loss()}, model {self.loss('model')}>"


def loss_table(
    reference: Reference, by_slice: Mapping[str, Mapping[str, Floats]], clusters: NDArray[Any] | None
) -> InputTable:
    """Losses of references as the table that every number is made from.

    Args:
        reference: the inputs.
        by_slice: losses by name, then by slice, `[n]` or `[n, draws]`.
        clusters: family of each reference, `[n]`.
    """
    columns: dict[str, NDArray[Any]] = {"id": reference.data.ids[reference.rows]}
    weights = reference.weights()
    columns |= {"weight": weights[MAIN], "counted": reference.counted()}
    columns |= {f"{LOSS}{name}": per_input(values[MAIN]) for name, values in by_slice.items()}
    for name in (name for name in weights if name != MAIN):
        columns[f"{SLICE}{name}.weight"] = weights[name]
        columns |= {f"{SLICE}{name}.{LOSS}{loss}": per_input(values[name]) for loss, values in by_slice.items()}
    if clusters is not None:
        columns["cluster"] = clusters
    return InputTable(columns, bound_of(by_slice))


def bound_of(by_slice: Mapping[str, Mapping[str, Floats]]) -> float | None:
    """The largest loss that any draw of the null reached; None where it was not measured."""
    return float(by_slice["null"][MAIN].max(initial=0.0)) if "null" in by_slice else None


def clusters_of(settings: Settings, reference: Reference) -> NDArray[Any] | None:
    """Family of each reference, `[n]`; None where every reference is one of its own."""
    return None if settings.clusters is None else settings.clusters(reference.data)[reference.rows]


def units(measures: tuple[Measure, ...], unit: str) -> dict[str, tuple[str, str]]:
    """Meaning and unit of each measure, for the record; a unit left open is that of the loss."""
    return {one.name: (one.meaning, one.unit or unit) for one in measures}


def choices(job: Job, settings: Settings, bound: float | None) -> Choices:
    """What changes the number, for the record."""
    model = job.subject.model
    return Choices(
        references=len(job.reference.rows),
        draws=job.draws,
        seed=job.seed,
        pool=settings.pool,
        ablation=settings.ablation,
        loss=job.subject.loss.name,
        unit=job.subject.loss.unit,
        dtype=str(model.dtype).removeprefix("torch."),
        device=model.device.type,
        accelerator=accelerator(model.device, settings.tf32),
        padding=None if job.data.mask is None else "input" if job.subject.loss.padding_is_input else "avoided",
        loss_identity=describe.identity(job.subject.loss, job.data),
        clusters=None if settings.clusters is None else str(settings.clusters),
        interval=METHOD,
        bound=bound,
    )


def _stored(hypothesis: Hypothesis) -> dict[str, Any] | None:
    try:
        return hypothesis.to_json()
    except ScrubbingError:
        return None
