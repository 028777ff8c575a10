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
from scrubbing.records.schema import Choices, ClaimCounts, Number, Provenance, Recovered, RunRecord, Stratum
from scrubbing.stats.intervals import Bootstrap, Estimate

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Result:
    """What came out of a scrub. Arrays are in the order of `ids`; estimates are made when asked for."""

    hypothesis: Hypothesis
    ids: NDArray[np.int64]
    """Reference inputs, `[n]`."""
    losses: Mapping[str, Floats]
    """`model` and `constant` `[n]`; `scrubbed` and the baselines `[n, draws]`. In nats per reference input."""
    correct: NDArray[np.bool_]
    """Whether the most likely scrubbed prediction is right, `[n, draws]`."""
    kl: Floats
    """KL(model || scrubbed), `[n, draws]`."""
    changed: NDArray[np.bool_]
    """Whether the most likely prediction differs from the model's, `[n, draws]`."""
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
        extra = {"accuracy": self.correct, "kl": self.kl, "changed": self.changed}
        return Bootstrap({**self.losses, **extra}, seed=self.choices.seed)

    def loss(self, name: str = "scrubbed") -> Estimate:
        """Mean loss of `scrubbed`, `model` or a baseline, in nats per reference input.

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
        recovered = [self._recovered(name) for name in BASELINES if name in self.losses]
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
            accuracy=Number.of(self.bootstrap.mean("accuracy")),
            kl=Number.of(self.bootstrap.mean("kl")),
            changed=Number.of(self.bootstrap.mean("changed")),
            strata=strata,
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

    def _recovered(self, baseline: str) -> Recovered:
        try:
            fraction: Number | None = Number.of(self.loss_recovered(baseline))
        except NoFraction:
            fraction = None
        nats = self.bootstrap.of(lambda means: means["scrubbed"] - means["model"])
        return Recovered(baseline=baseline, meaning=BASELINES[baseline], fraction=fraction, nats=Number.of(nats))

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
            part = Bootstrap({"scrubbed": self.losses["scrubbed"][here]}, seed=self.choices.seed)
            found.append(
                Stratum(
                    name=title,
                    n=int(here.sum()),
                    model=float(self.losses["model"][here].mean()),
                    scrubbed=Number.of(part.mean("scrubbed")),
                    accuracy=float(self.correct[here].mean()),
                )
            )
        return found

    def __repr__(self) -> str:
        return f"<Result {self.hypothesis.name}: scrubbed {self.loss()}, model {self.loss('model')}>"


def _stored(hypothesis: Hypothesis) -> dict[str, Any] | None:
    try:
        return hypothesis.to_json()
    except ScrubbingError:
        return None
