"""A hypothesis: a name, a sentence, a correspondence, and the inputs on which it claims to hold."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from scrubbing.data.dataset import Dataset
from scrubbing.data.features import Feature
from scrubbing.errors import IllegalHypothesis, UsageError, counted, fail
from scrubbing.hypothesis.claims import Claim
from scrubbing.hypothesis.variables import Interpretation

if TYPE_CHECKING:
    from scrubbing.graph.model_graph import ModelGraph


@dataclass(frozen=True)
class Hypothesis:
    """What is claimed: how a model computes something, on which inputs.

    An immutable value. Printing it shows the tree of claims; `to_json` and `from_json` store it, features and other
    functions by import path.
    """

    name: str
    claim: str
    """The claim as a sentence."""
    correspondence: Claim
    """The tree of claims, the output first."""
    scope: Feature | None = None
    """Boolean feature: the inputs on which the claim is made. References and draws both stay inside."""

    def __post_init__(self) -> None:
        if not isinstance(self.correspondence, Claim):
            problem = f"its correspondence is of type {type(self.correspondence).__name__}, not a claim."
            fail(UsageError, "SCR-CLAIM", problem, "Finish it with .carries(variable, ...).", str(self.name))
        if self.scope is not None and not isinstance(self.scope, Feature):
            problem = f"its scope is of type {type(self.scope).__name__}, not a feature."
            fail(UsageError, "SCR-SCOPE", problem, "Decorate a function of the dataset with @feature.", str(self.name))

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
        if self.scope is None:
            return data
        return data.remember(("scope", self.scope), lambda: self._scoped(data))

    def _scoped(self, data: Dataset) -> Dataset:
        assert self.scope is not None
        inside = self.scope(data)
        if inside.dtype.kind != "b" or inside.ndim != 1:
            problem = f"scope {self.scope.name} gives {inside.dtype} of shape {list(inside.shape)}."
            fail(IllegalHypothesis, "SCR-SCOPE", problem, "Return one boolean per input.", self.name)
        if not inside.any():
            problem = f"scope {self.scope.name} leaves none of the {counted(len(data), 'input')} of {data.name}."
            fail(IllegalHypothesis, "SCR-SCOPE", problem, "Widen the scope or change the dataset.", self.name)
        return data if inside.all() else data.take(np.flatnonzero(inside))

    def check(self, graph: ModelGraph, data: Dataset | None = None) -> None:
        """Raise if the hypothesis cannot be tested on this model graph (and dataset).

        Raises:
            IllegalHypothesis: with every fault found.
        """
        from scrubbing.hypothesis.legality import legal

        legal(self, graph, data)

    def to_json(self) -> dict[str, Any]:
        """As JSON values, functions by import path.

        Raises:
            UsageError: SCR-JSON, a function that cannot be imported by name, such as a lambda.
        """
        from scrubbing.hypothesis.json_form import dump

        return dump(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Hypothesis:
        """The inverse of `to_json`.

        Raises:
            UsageError: SCR-JSON, a function cannot be found any more, or the text is not a hypothesis.
        """
        from scrubbing.hypothesis.json_form import load

        return load(value)

    @cached_property
    def hash(self) -> str:
        """Hash of what is claimed: equal hypotheses have equal hashes, in every process."""
        text = json.dumps(self.to_json(), sort_keys=True)
        return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()

    def __str__(self) -> str:
        from scrubbing.hypothesis.printing import tree_text

        return tree_text(self)
