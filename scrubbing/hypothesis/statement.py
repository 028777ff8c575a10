"""What a hypothesis says, without what one can do with it: a name, a sentence, a correspondence, and where it holds."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from scrubbing.data.dataset import Dataset
from scrubbing.data.features import Feature
from scrubbing.errors import IllegalHypothesis, UsageError, counted, fail
from scrubbing.hypothesis.claims import Claim
from scrubbing.hypothesis.variables import Interpretation
from scrubbing.printable import can_be_written
from scrubbing.samplers import Sampler, Unclaimed

TOGETHER = Unclaimed()
"""One uniform draw for everything a claim leaves unclaimed, where nobody says otherwise."""


@dataclass(frozen=True)
class Statement:
    """The fields of a `Hypothesis`, and what follows from them alone."""

    name: str
    sentence: str
    """What is claimed, in words."""
    correspondence: Claim
    """The tree of claims, the output first."""
    scope: Feature | None = None
    """Boolean feature: the inputs on which the claim is made. References and draws both stay inside."""
    unclaimed: Sampler | Unclaimed = TOGETHER
    """What flows in where nothing is claimed, below all claims that do not say so themselves."""

    def __post_init__(self) -> None:
        if not can_be_written(self.name) or not self.name.strip():
            problem = f"a hypothesis is called {self.name!r}."
            fail(UsageError, "SCR-NAME", problem, "Give it a name, such as parens/signs.")
        if not can_be_written(self.sentence):
            told = f"{self.sentence!r}, which no file can hold"
            told = told if isinstance(self.sentence, str) else f"of type {type(self.sentence).__name__}, not a sentence"
            problem = f"what it claims is {told}."
            fail(UsageError, "SCR-CLAIM", problem, "Write Hypothesis(name, sentence, correspondence).", self.name)
        if not isinstance(self.correspondence, Claim):
            problem = f"its correspondence is of type {type(self.correspondence).__name__}, not a claim."
            fail(UsageError, "SCR-CLAIM", problem, "Finish it with .carries(variable, ...).", self.name)
        if self.scope is not None and not isinstance(self.scope, Feature):
            problem = f"its scope is of type {type(self.scope).__name__}, not a feature."
            fail(UsageError, "SCR-SCOPE", problem, "Decorate a function of the dataset with @feature.", self.name)
        object.__setattr__(self, "unclaimed", Unclaimed.of(self.unclaimed) or TOGETHER)

    @property
    def everywhere(self) -> Unclaimed:
        """The rule for what is unclaimed, below claims that do not say so."""
        assert isinstance(self.unclaimed, Unclaimed)
        return self.unclaimed

    def rule(self, claim: Claim) -> Unclaimed:
        """The rule for what a claim leaves unclaimed: its own, or the one of the hypothesis."""
        return claim.unclaimed or self.everywhere

    @cached_property
    def interpretation(self) -> Interpretation:
        """The variables and what each is computed from."""
        pairs: list[tuple[Any, Any]] = []
        for claim in self.correspondence.walk():
            pairs += [(child.variable, claim.variable) for child in claim.children]
        return Interpretation.of((claim.variable for claim in self.correspondence.walk()), pairs)

    def in_scope(self, data: Dataset) -> Dataset:
        """The inputs of a dataset on which the hypothesis claims to hold.

        Raises:
            IllegalHypothesis: SCR-SCOPE, the scope is not boolean or leaves no input.
        """
        scope = self.scope
        return data if scope is None else data.remember(("scope", scope), lambda: self._scoped(data, scope))

    def _scoped(self, data: Dataset, scope: Feature) -> Dataset:
        inside = scope(data)
        if inside.dtype.kind != "b" or inside.ndim != 1:
            problem = f"scope {scope.name} gives {inside.dtype} of shape {list(inside.shape)}."
            fail(IllegalHypothesis, "SCR-SCOPE", problem, "Return one boolean per input.", self.name)
        if not inside.any():
            problem = f"scope {scope.name} leaves none of the {counted(len(data), 'input')} of {data.name}."
            fail(IllegalHypothesis, "SCR-SCOPE", problem, "Widen the scope or change the dataset.", self.name)
        return data if inside.all() else data.take(np.flatnonzero(inside))
