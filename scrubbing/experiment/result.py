"""The result of scrubbing one hypothesis: per-input numbers, and the estimates made from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from scrubbing.data.dataset import Dataset
from scrubbing.errors import ScrubbingError, UsageError, fail
from scrubbing.hypothesis.hypothesis import Hypothesis
from scrubbing.metrics.recovered import BASELINES, loss_recovered
from scrubbing.records.inputs import LOSS, SLICE, STRATUM, Inputs
from scrubbing.records.notes import notes
from scrubbing.records.schema import (
    Branch,
    Choices,
    ClaimCounts,
    Equivalent,
    ModelNode,
    Provenance,
    Recalibrated,
    RunRecord,
    Size,
    VariableNode,
)
from scrubbing.records.summary import summarise
from scrubbing.stats.intervals import METHOD, Bootstrap, Estimate, ceilings, per_input

if TYPE_CHECKING:
    import pandas


Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Result:
    """What came out of a scrub. Arrays are in the order of `ids`; estimates are made when asked for."""

    hypothesis: Hypothesis
    data: Dataset
    """Within the hypothesis's scope."""
    rows: NDArray[np.int64]
    """Of the reference inputs, `[n]`."""
    losses: Mapping[str, Floats]
    """`model` and `constant` `[n]`; `scrubbed` and the baselines `[n]` or `[n, draws]`. In nats per counted position;
    for a classifier, per reference input."""
    weights: Floats
    """What each reference counts in a mean, `[n]`: its number of counted positions; 1 for a classifier."""
    counted: Floats
    """Number of counted positions of each reference, `[n]`."""
    measured: Mapping[str, Floats]
    """See `Measured`."""
    slices: Mapping[str, tuple[Floats, Mapping[str, Floats]]]
    """Further slices: weights and losses."""
    meanings: Mapping[str, str]
    """Every baseline in words."""
    zero: str
    """The baseline that 0 % recovered stands for in tables."""
    strata: Mapping[str, NDArray[Any]]
    """Value of each stratifying feature, `[n]`."""
    clusters: NDArray[Any] | None
    """Family of each reference, `[n]`."""
    claims: tuple[ClaimCounts, ...]
    choices: Choices
    provenance: Provenance
    tree: str
    """The claims with one sampled input each, as text."""
    variables: tuple[VariableNode, ...]
    branches: tuple[Branch, ...]
    nodes: tuple[ModelNode, ...]
    size: Size
    exchanged: bool
    """Whether any activation comes from another input."""
    recalibrated: Recalibrated | None
    """None for losses without classes, and for few references."""
    equivalent: Equivalent | None
    """None without a series."""

    @property
    def ids(self) -> NDArray[np.int64]:
        """Reference inputs, `[n]`."""
        return self.data.ids[self.rows]

    @property
    def correct(self) -> Floats:
        """Share of counted positions whose most likely scrubbed prediction is right, `[n, draws]`."""
        return self.measured["right"]

    @property
    def kl(self) -> Floats:
        """KL(model || scrubbed), `[n, draws]`."""
        return self.measured["kl"]

    @property
    def changed(self) -> Floats:
        """Share of counted positions whose most likely prediction differs from the model's, `[n, draws]`."""
        return self.measured["changed"]

    @property
    def bound(self) -> float:
        """The largest loss that a draw of the null reached, with which intervals reckon on one further reference."""
        return ceilings({"null": self.losses["null"]})["null"]

    @cached_property
    def bootstrap(self) -> Bootstrap:
        """Means of all losses, and functions of them."""
        return Bootstrap(self.losses, weights=self.weights, clusters=self.clusters)

    @cached_property
    def predictions(self) -> Bootstrap:
        """Means of accuracy, KL and changed predictions."""
        columns = {"accuracy": self.correct, "kl": self.kl, "changed": self.changed}
        ceiling = {"accuracy": 1.0, "kl": self.bound, "changed": 1.0}
        return Bootstrap(columns, weights=self.counted, clusters=self.clusters, ceiling=ceiling)

    def loss(self, name: str = "scrubbed") -> Estimate:
        """Mean loss of `scrubbed`, `model` or a baseline, in nats per counted position (per input, of a classifier).

        Raises:
            UsageError: SCR-BASELINE, there is no loss of this name.
        """
        self._check_name(name)
        return self.bootstrap.mean(name)

    def loss_recovered(self, baseline: str = "null") -> Estimate:
        """Fraction of the loss between model and baseline that survives; may leave [0, 1].

        Raises:
            UsageError: SCR-BASELINE, this baseline was not computed.
            NoFraction: SCR-FRACTION, model and baseline cannot be told apart.
        """
        self._check_name(baseline)
        return loss_recovered(self.bootstrap, baseline)

    def record(self) -> RunRecord:
        """Everything but the values per input, ready to be stored or shown."""
        inputs = self.inputs()
        found = summarise(inputs, self.meanings, self.choices.seed)
        stored = _stored(self.hypothesis)
        return RunRecord(
            **found,
            hypothesis=self.hypothesis.name,
            claim=self.hypothesis.claim,
            scope=None if self.hypothesis.scope is None else str(self.hypothesis.scope),
            tree=self.tree,
            stored=stored,
            choices=self.choices.model_copy(update={"interval": METHOD, "bound": inputs.bound}),
            zero=self.zero,
            claims=list(self.claims),
            notes=notes(found, self.claims, self.exchanged),
            provenance=self.provenance,
            hash=None if stored is None else self.hypothesis.hash,
            variables=list(self.variables),
            branches=list(self.branches),
            nodes=list(self.nodes),
            size=self.size,
            recalibrated=self.recalibrated,
            equivalent=self.equivalent,
        )

    def inputs(self) -> Inputs:
        """The values per reference input, draws averaged."""
        columns: dict[str, NDArray[Any]] = {
            "id": self.ids,
            "text": np.array([self.data.show(int(row)) for row in self.rows], dtype=str),
            "weight": self.weights,
            "counted": self.counted,
        }
        columns |= {f"{LOSS}{name}": per_input(values) for name, values in self.losses.items()}
        columns |= {name: per_input(self.measured[name]) for name in ("right", "kl", "changed")}
        columns["model_right"] = self.measured["model right"]
        if (self.counted == 1).all():
            columns["prediction"] = self.measured["prediction"][:, 0].astype(np.int64)
            columns["model_prediction"] = self.measured["model prediction"].astype(np.int64)
        columns |= {f"{STRATUM}{name}": values for name, values in self.strata.items()}
        for name, (weights, losses) in self.slices.items():
            columns[f"{SLICE}{name}.weight"] = weights
            columns |= {f"{SLICE}{name}.{LOSS}{loss}": per_input(values) for loss, values in losses.items()}
        if self.clusters is not None:
            columns["cluster"] = self.clusters
        return Inputs(columns, self.bound)

    def _check_name(self, name: str) -> None:
        if name not in self.losses:
            problem = f"there is no loss {name!r} in this result."
            remedy = f"There are: {', '.join(self.losses)}."
            if name in BASELINES:
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


def _stored(hypothesis: Hypothesis) -> dict[str, Any] | None:
    try:
        return hypothesis.to_json()
    except ScrubbingError:
        return None
