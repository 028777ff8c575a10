"""Controls: the same hypothesis where it should fail, or hold, whatever it says about the model at hand."""

from __future__ import annotations

from dataclasses import replace

from scrubbing.experiment.random_claims import random_hypotheses
from scrubbing.experiment.random_weights import fresh_weights, permuted_heads, permuted_weights
from scrubbing.experiment.shuffled import shuffled
from scrubbing.experiment.trial import Control as Control
from scrubbing.experiment.trial import Trial as Trial
from scrubbing.registry import Registry

controls: Registry[Control] = Registry("control", "scrubbing.controls")
"""Registry of controls by name: those of this package, and those registered elsewhere."""


def shuffled_labels(trial: Trial) -> Trial:
    """The model judged by the labels of other inputs, a task that nothing computes; features keep their values."""
    from scrubbing.metrics.shuffled import ShuffledLabels  # loads torch, which naming a control must not

    return replace(trial, loss=ShuffledLabels(trial.loss))


def shuffled_features(trial: Trial) -> Trial:
    """Every claim's feature with the values of other inputs: as many classes of the same sizes, which mean nothing."""
    return replace(trial, hypothesis=shuffled(trial.hypothesis, "shuffled features"))


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
