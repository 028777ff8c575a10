"""Controls: the same hypothesis where it should fail, or hold, whatever it says about the model at hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from numpy.typing import NDArray

from scrubbing.data.dataset import Dataset
from scrubbing.data.features import Feature
from scrubbing.data.others import other_inputs
from scrubbing.experiment.random_claims import random_hypotheses
from scrubbing.experiment.random_weights import fresh_weights, permuted_heads, permuted_weights
from scrubbing.experiment.trial import Control as Control
from scrubbing.experiment.trial import Trial as Trial
from scrubbing.hypothesis.claims import Claim
from scrubbing.hypothesis.variables import Variable
from scrubbing.registry import Registry
from scrubbing.samplers import Agree

controls: Registry[Control] = Registry("control", "scrubbing.controls")
"""Registry of controls by name: those of this package, and those registered elsewhere."""


def shuffled_labels(trial: Trial) -> Trial:
    """The model judged by the labels of other inputs, a task that nothing computes; features keep their values."""
    from scrubbing.metrics.shuffled import ShuffledLabels  # loads torch, which naming a control must not

    return replace(trial, loss=ShuffledLabels(trial.loss))


def shuffled_features(trial: Trial) -> Trial:
    """Every claim's feature with the values of other inputs: as many classes of the same sizes, which mean nothing.

    Features that are the same however they are shuffled (`anything`, `everything`) stay, and inputs that a claim
    generates are drawn from the dataset instead: a function that makes inputs knows nothing of the shuffled values.
    """
    hypothesis = trial.hypothesis
    return replace(trial, hypothesis=replace(hypothesis, correspondence=_shuffled(hypothesis.correspondence, {})))


def _shuffled(claim: Claim, known: dict[Variable, Variable]) -> Claim:
    sampler = claim.sampler
    if sampler is not None and not sampler.from_data:
        sampler = None
    elif isinstance(sampler, Agree) and sampler.feature is not None:
        sampler = Agree(_permuted(sampler.feature))
    children = tuple(_shuffled(child, known) for child in claim.children)
    return replace(claim, variable=_renewed(claim.variable, known), sampler=sampler, children=children)


def _renewed(variable: Variable, known: dict[Variable, Variable]) -> Variable:
    """The variable with its feature shuffled, one for each; its value function computes another one and is dropped."""
    if variable not in known:
        parents = tuple(_renewed(parent, known) for parent in variable.parents)
        known[variable] = Variable(variable.name, _permuted(variable.agrees_on()), parents)
    return known[variable]


def _permuted(feature: Feature) -> Feature:
    if feature.op in ("identity", "constant"):
        return feature

    def values(data: Dataset) -> NDArray[Any]:
        return feature(data)[other_inputs(data, "shuffled features")]

    return Feature(f"shuffled {feature.name}", compute=values, per=feature.per)


SEEDS = range(1, 6)
"""Of the weights of the controls that are registered; the functions that make them take any other."""

_OURS = (
    Control("shuffled-labels", "judged by the labels of other inputs, features as they are", "fails", shuffled_labels),
    Control(
        "shuffled-features",
        "every feature with the values of other inputs, labels as they are",
        "fails",
        shuffled_features,
    ),
    permuted_heads(),
    *(scheme(seed) for scheme in (fresh_weights, permuted_weights) for seed in SEEDS),
    random_hypotheses(),
)
for _one in _OURS:
    controls.add(_one.name, _one)

ALL = "all"
"""Asks for every control of this package that can be run on the hypothesis and model at hand."""
OURS = tuple(one.name for one in _OURS)
"""Names of the controls of this package."""
