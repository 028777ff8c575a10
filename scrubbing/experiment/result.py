"""The result of scrubbing one hypothesis: per-input numbers, and the estimates made from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scrubbing.errors import NoFraction, ScrubbingError, UsageError, fail
from scrubbing.experiment.notes import notes
from scrubbing.hypothesis.hypothesis import Hypothesis
from scrubbing.metrics.recovered import BASELINES, loss_recovered
from scrubbing.records.schema import Choices, ClaimCounts, Number, Provenance, Recovered, RunRecord, Slice, Stratum
from scrubbing.stats.intervals import Bootstrap, Estimate

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Result:
    """What came out of a scrub. Arrays are in the order of `ids`; estimates are made when asked for."""

    hypothesis: Hypothesis
    ids: NDArray[np.int64]
    """Reference inputs, `[n]`."""
    losses: Mapping[str, Floats]
    """`model` and `constant` `[n]`; `scrubbed` and the baselines `[n]` or `[n, draws]`. In nats per counted position;
    for a classifier, per reference input."""
    weights: Floats
    """What each reference counts in a mean, `[n]`: its number of counted positions; 1 for a classifier."""
    counted: Floats
    """Number of counted positions of each reference, `[n]`."""
    correct: Floats
    """Share of counted positions whose most likely scrubbed prediction is right, `[n, draws]`."""
    kl: Floats
    """KL(model || scrubbed), `[n, draws]`."""
    changed: Floats
    """Share of counted positions whose most likely prediction differs from the model's, `[n, draws]`."""
    slices: Mapping[str, tuple[Floats, Mapping[str, Floats]]]
    """Further slices: weights and losses."""
    meanings: Mapping[str, str]
    """Every baseline in words."""
    zero: str
    """The baseline that 0 % recovered stands for in tables."""
    strata: Mapping[str, NDArray[Any]]
    """Value of each stratifying feature, `[n]`."""
    claims: tuple[ClaimCounts, ...]
    choices: Choices
    provenance: Provenance
    tree: str
    """The claims with one sampled input each, as text."""
    exchanged: bool = True
    """Whether any activation comes from another input."""

    @cached_property
    def bootstrap(self) -> Bootstrap:
        """All losses, resampled together."""
        return Bootstrap(self.losses, seed=self.choices.seed, weights=self.weights)

    @cached_property
    def predictions(self) -> Bootstrap:
        """Accuracy, KL and changed predictions, resampled together."""
        columns = {"accuracy": self.correct, "kl": self.kl, "changed": self.changed}
        return Bootstrap(columns, seed=self.choices.seed, weights=self.counted)

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
        """Everything but the per-input numbers, ready to be stored or shown."""
        losses = {name: Number.of(self.loss(name)) for name in self.losses}
        recovered = [_recovered(self.bootstrap, name, self.meanings) for name in self.meanings if name in self.losses]
        strata = [stratum for name, values in self.strata.items() for stratum in self._strata(name, values)]
        return RunRecord(
            hypothesis=self.hypothesis.name,
            claim=self.hypothesis.claim,
            scope=None if self.hypothesis.scope is None else str(self.hypothesis.scope),
            tree=self.tree,
            stored=_stored(self.hypothesis),
            choices=self.choices,
            losses=losses,
            recovered=recovered,
            accuracy=Number.of(self.predictions.mean("accuracy")),
            kl=Number.of(self.predictions.mean("kl")),
            changed=Number.of(self.predictions.mean("changed")),
            strata=strata,
            slices=[self._slice(name, *of) for name, of in self.slices.items()],
            counted=int(self.counted.sum()),
            zero=self.zero,
            claims=list(self.claims),
            notes=notes(losses, recovered, strata, self.claims, self.exchanged),
            provenance=self.provenance,
        )

    def _check_name(self, name: str) -> None:
        if name not in self.losses:
            problem = f"there is no loss {name!r} in this result."
            remedy = f"There are: {', '.join(self.losses)}."
            if name in BASELINES:
                remedy += " This one needs baselines=True, and a hypothesis with claims."
            fail(UsageError, "SCR-BASELINE", problem, remedy, self.hypothesis.name)

    def _slice(self, name: str, weights: Floats, losses: Mapping[str, Floats]) -> Slice:
        whole = Bootstrap(losses, seed=self.choices.seed, weights=weights)
        return Slice(
            name=name,
            counted=int(weights.sum()),
            losses={one: Number.of(whole.mean(one)) for one in losses},
            recovered=[_recovered(whole, one, self.meanings) for one in self.meanings if one in losses],
        )

    def _strata(self, name: str, values: NDArray[Any]) -> list[Stratum]:
        found: list[Stratum] = []
        for value in np.unique(values)[::-1]:
            here = values == value
            title = (
                name
                if values.dtype.kind == "b" and value
                else f"not {name}"
                if values.dtype.kind == "b"
                else f"{name} = {value}"
            )
            if not self.weights[here].any():
                continue
            columns = {"scrubbed": self.losses["scrubbed"][here], "model": self.losses["model"][here]}
            part = Bootstrap(columns, seed=self.choices.seed, weights=self.weights[here])
            right = Bootstrap({"accuracy": self.correct[here]}, weights=self.counted[here])
            found.append(
                Stratum(
                    name=title,
                    n=int(here.sum()),
                    model=part.mean("model").value,
                    scrubbed=Number.of(part.mean("scrubbed")),
                    accuracy=right.mean("accuracy").value,
                )
            )
        return found

    def __repr__(self) -> str:
        return f"<Result {self.hypothesis.name}: scrubbed {self.loss()}, model {self.loss('model')}>"


def _recovered(losses: Bootstrap, baseline: str, meanings: Mapping[str, str]) -> Recovered:
    try:
        fraction: Number | None = Number.of(loss_recovered(losses, baseline))
    except NoFraction:
        fraction = None
    nats = losses.of(lambda means: means["scrubbed"] - means["model"])
    return Recovered(baseline=baseline, meaning=meanings[baseline], fraction=fraction, nats=Number.of(nats))


def _stored(hypothesis: Hypothesis) -> dict[str, Any] | None:
    try:
        return hypothesis.to_json()
    except ScrubbingError:
        return None
