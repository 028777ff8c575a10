"""Claims whose features have the values of other inputs: as many classes of the same sizes, which mean nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from numpy.typing import NDArray

from scrubbing.data.dataset import Dataset
from scrubbing.data.features import Feature
from scrubbing.data.others import other_inputs
from scrubbing.hypothesis.claims import Claim
from scrubbing.hypothesis.hypothesis import Hypothesis
from scrubbing.hypothesis.variables import Variable
from scrubbing.samplers import Agree


def shuffled(hypothesis: Hypothesis, name: str) -> Hypothesis:
    """The hypothesis with every feature shuffled, all in the same way, so that they stay what they are to each other.

    Features that are the same however they are shuffled (`anything`, `everything`) stay, and inputs that a claim
    generates are drawn from the dataset instead: a function that makes inputs knows nothing of the shuffled values.

    Args:
        hypothesis: whose nodes and paths stay.
        name: says how they are shuffled: by another name, otherwise.
    """
    return replace(hypothesis, correspondence=_shuffled(hypothesis.correspondence, name, {}))


def _shuffled(claim: Claim, name: str, known: dict[Variable, Variable]) -> Claim:
    sampler = claim.sampler
    if sampler is not None and not sampler.from_data:
        sampler = None
    elif isinstance(sampler, Agree) and sampler.feature is not None:
        sampler = Agree(_permuted(sampler.feature, name))
    children = tuple(_shuffled(child, name, known) for child in claim.children)
    return replace(claim, variable=_renewed(claim.variable, name, known), sampler=sampler, children=children)


def _renewed(variable: Variable, name: str, known: dict[Variable, Variable]) -> Variable:
    """The variable with its feature shuffled, one for each; its value function computes another one and is dropped."""
    if variable not in known:
        parents = tuple(_renewed(parent, name, known) for parent in variable.parents)
        known[variable] = Variable(variable.name, _permuted(variable.agrees_on(), name), parents)
    return known[variable]


def _permuted(feature: Feature, name: str) -> Feature:
    if feature.op in ("identity", "constant"):
        return feature

    def values(data: Dataset) -> NDArray[Any]:
        return feature(data)[other_inputs(data, name)]

    return Feature(f"shuffled {feature.name}", compute=values, per=feature.per)
