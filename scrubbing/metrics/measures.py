"""Measures: numbers per scrubbed prediction, with a unit and the outputs each is defined for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from scrubbing.data.dataset import Dataset
from scrubbing.registry import Registry

if TYPE_CHECKING:
    from torch import Tensor

    from scrubbing.metrics.losses import Loss

SHARE = "share"
"""Unit of a fraction of counted positions, which reports show in %."""


@dataclass(frozen=True, eq=False)
class Predictions:
    """The outputs of the model and of the scrubbed model at some tokens, and which tokens these are."""

    model: Tensor
    """The model's own outputs on the reference inputs, `[tokens, d_out]`."""
    scrubbed: Tensor
    """The scrubbed model's outputs, `[tokens, d_out]`."""
    loss: Loss
    """The loss that the model is judged by."""
    data: Dataset
    """The dataset that `rows` index."""
    rows: NDArray[np.int64]
    """Row of each token's reference in the dataset, `[tokens]`."""
    positions: NDArray[np.int64]
    """Position of each token, `[tokens]`."""

    def right(self, output: Tensor) -> Tensor:
        """Whether the most likely class of each output is right, bool `[tokens]`; only for losses with classes."""
        return self.loss.correct(output, self.data, self.rows, self.positions)


@runtime_checkable
class Measure(Protocol):
    """Base class of numbers per prediction of the scrubbed model, which reports average over positions, draws and
    inputs.
    """

    @property
    def name(self) -> str:
        """Name of the measure in records and in its column `measure.NAME`."""
        ...

    @property
    def meaning(self) -> str:
        """Meaning of the measure in words, for reports."""
        ...

    @property
    def unit(self) -> str:
        """`share` for a fraction of counted positions, or else the unit, such as `nats`; empty for the unit of the
        loss.
        """
        ...

    def defined(self, loss: Loss) -> bool:
        """Whether the measure is defined for a loss: `loss.outputs` is `classes` where outputs are logits, and
        `numbers` otherwise.
        """
        ...

    def per_token(self, predictions: Predictions) -> Tensor:
        """The measure of each prediction, `[tokens]`."""
        ...


measures: Registry[Measure] = Registry("measure", "scrubbing.measures", "SCR-MEASURE")
"""Registry of measures by name: those of this package, and those registered elsewhere."""


@dataclass(frozen=True)
class _Named:
    """What the measures of this package share."""

    name: str
    meaning: str
    unit: str


class ScrubbedLoss(_Named):
    """The loss itself, of the scrubbed model; its mean over counted positions, whatever the loss divides by."""

    def defined(self, loss: Loss) -> bool:
        """Everywhere."""
        return True

    def per_token(self, predictions: Predictions) -> Tensor:
        """The scrubbed loss of each prediction, `[tokens]`, in the unit of the loss."""
        of = predictions
        return of.loss.per_token(of.scrubbed, of.data, of.rows, of.positions)


class _OfClasses(_Named):
    def defined(self, loss: Loss) -> bool:
        """True for losses whose outputs are logits of classes."""
        return loss.outputs == "classes"


class Accuracy(_OfClasses):
    """Whether the most likely scrubbed prediction is right."""

    def per_token(self, predictions: Predictions) -> Tensor:
        """1 where it is, else 0."""
        return predictions.right(predictions.scrubbed).double()


class Divergence(_OfClasses):
    """KL(model || scrubbed) of the two predictions."""

    def per_token(self, predictions: Predictions) -> Tensor:
        """In nats."""
        from scrubbing.metrics.logits import divergence  # loads torch, which naming a measure must not

        return divergence(predictions.model, predictions.scrubbed)


class Changed(_OfClasses):
    """Whether the most likely prediction is another than the model's."""

    def per_token(self, predictions: Predictions) -> Tensor:
        """1 where it is, else 0."""
        from scrubbing.metrics.logits import most_likely

        return (most_likely(predictions.model) != most_likely(predictions.scrubbed)).double()


ALWAYS = ("accuracy", "kl", "changed")
"""Names of the measures that are taken where nobody says which."""

for _one in (
    ScrubbedLoss("loss", "what the model is judged by", ""),
    Accuracy("accuracy", "most likely scrubbed prediction is right", SHARE),
    Divergence("kl", "KL(model || scrubbed)", "nats"),
    Changed("changed", "most likely prediction differs from the model's", SHARE),
):
    measures.add(_one.name, _one)
