"""Losses: what the model is judged by, where its output is read, and the best constant prediction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from scrubbing.data.dataset import Dataset
from scrubbing.errors import BadData, UsageError, fail
from scrubbing.errors import counted as told_count


class Loss(Protocol):
    """A loss at some positions of every input, in nats unless its name says otherwise."""

    @property
    def name(self) -> str:
        """Shown in records, with its unit."""
        ...

    @property
    def unit(self) -> str:
        """Of the loss, such as `nats`."""
        ...

    @property
    def outputs(self) -> str:
        """What it judges: logits of `classes`, of which one is right, or `numbers`."""
        ...

    def possible(self, data: Dataset, length: int) -> NDArray[np.bool_]:
        """Which outputs have a loss at all, `[n, length]`; further slices are taken from these."""
        ...

    def counted(self, data: Dataset, length: int) -> NDArray[np.bool_]:
        """Which outputs count, `[n, length]`."""
        ...

    def weights(self, counted: NDArray[np.bool_], data: Dataset) -> NDArray[np.float64]:
        """What an input's summed loss is divided by, and its weight in means over inputs, `[n]`."""
        ...

    def per_token(self, output: Tensor, data: Dataset, rows: NDArray[np.int64], positions: NDArray[np.int64]) -> Tensor:
        """Loss of each output `[tokens, d_out]` for dataset rows and positions `[tokens]`; float64 `[tokens]`."""
        ...

    def correct(self, output: Tensor, data: Dataset, rows: NDArray[np.int64], positions: NDArray[np.int64]) -> Tensor:
        """Whether the most likely prediction is right, bool `[tokens]`."""
        ...

    def constant(self, data: Dataset, counted: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Loss of every counted output under the best prediction that ignores the input, `[n, length]`."""
        ...

    def targets(
        self, data: Dataset, rows: NDArray[np.int64], positions: NDArray[np.int64], output: Tensor
    ) -> Tensor | None:
        """The right class of each output, int64 `[tokens]`; None where the output is not logits of classes."""
        ...


class _AtOnePosition:
    """What losses that read the output at one position share."""

    position: int
    name: str

    def possible(self, data: Dataset, length: int) -> NDArray[np.bool_]:
        """See `Loss.possible`; the same."""
        return self.counted(data, length)

    def counted(self, data: Dataset, length: int) -> NDArray[np.bool_]:
        """See `Loss.counted`.

        Raises:
            UsageError: SCR-POSITION, the position is outside the inputs.
        """
        if not 0 <= self.position < length:
            problem = f"the loss reads the output at position {self.position}, outside inputs of {length} positions."
            fail(UsageError, "SCR-POSITION", problem, f"Use 0 to {length - 1}.", self.name)
        return np.broadcast_to(np.arange(length) == self.position, (len(data), length))

    def weights(self, counted: NDArray[np.bool_], data: Dataset) -> NDArray[np.float64]:
        """Every input counts once."""
        return np.ones(len(counted))

    def _everywhere(self, values: NDArray[np.float64], counted: NDArray[np.bool_]) -> NDArray[np.float64]:
        return np.broadcast_to(values[:, None], counted.shape)


@dataclass(frozen=True)
class Classification(_AtOnePosition):
    """Cross-entropy of a class label read at one position; for two classes, of the difference of their logits."""

    label: str = "label"
    """Column with the class of each input, from 0."""
    position: int = 0
    name: str = "cross-entropy (nats)"
    unit = "nats"
    outputs = "classes"

    def per_token(self, output: Tensor, data: Dataset, rows: NDArray[np.int64], positions: NDArray[np.int64]) -> Tensor:
        """See `Loss.per_token`."""
        return F.cross_entropy(output.double(), self.targets(data, rows, positions, output), reduction="none")

    def correct(self, output: Tensor, data: Dataset, rows: NDArray[np.int64], positions: NDArray[np.int64]) -> Tensor:
        """See `Loss.correct`."""
        return output.argmax(dim=1) == self.targets(data, rows, positions, output)

    def constant(self, data: Dataset, counted: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Minus the log frequency of each input's class; its mean is the entropy of the label."""
        labels = data[self.label].astype(np.int64)
        share = np.bincount(labels) / len(labels)
        return self._everywhere(-np.log(share[labels]), counted)

    def targets(self, data: Dataset, rows: NDArray[np.int64], positions: NDArray[np.int64], output: Tensor) -> Tensor:
        """See `Loss.targets`."""
        labels = data[self.label]
        told = ""
        if labels.ndim != 1 or labels.dtype.kind not in "biu":
            told = f"is {labels.dtype} of shape {list(labels.shape)}"
        elif not 0 <= int(labels.min()) <= int(labels.max()) < output.shape[1]:
            told = f"has values from {int(labels.min())} to {int(labels.max())}"
        if told:
            problem = f"column {self.label!r} {told}; the model has {output.shape[1]} classes."
            fail(BadData, "SCR-LABEL", problem, "Give one class number per input, from 0.", data.name)
        return torch.from_numpy(labels[rows].astype(np.int64)).to(output.device)


@dataclass(frozen=True)
class SquaredError(_AtOnePosition):
    """Squared difference from a target column, summed over the output's width; for toy graphs."""

    label: str = "label"
    position: int = 0
    name: str = "squared error"
    unit = "squared error"
    outputs = "numbers"

    def per_token(self, output: Tensor, data: Dataset, rows: NDArray[np.int64], positions: NDArray[np.int64]) -> Tensor:
        """See `Loss.per_token`."""
        labels = data[self.label]
        width = int(np.prod(labels.shape[1:]))
        if labels.dtype.kind not in "biuf" or width != output.shape[1]:
            told = f"is {labels.dtype} of shape {list(labels.shape)}"
            problem = f"column {self.label!r} {told}; the model's output has {told_count(output.shape[1], 'number')}."
            fail(BadData, "SCR-LABEL", problem, "Give each input as many numbers.", data.name)
        target = torch.from_numpy(np.asarray(labels[rows], dtype=np.float64)).to(output.device)
        return (output.double() - target.reshape(len(output), -1)).square().sum(1)

    def correct(self, output: Tensor, data: Dataset, rows: NDArray[np.int64], positions: NDArray[np.int64]) -> Tensor:
        """Whether the output rounds to the target."""
        return self.per_token(output, data, rows, positions) < 0.25

    def targets(self, data: Dataset, rows: NDArray[np.int64], positions: NDArray[np.int64], output: Tensor) -> None:
        """There are no classes."""

    def constant(self, data: Dataset, counted: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Squared distance from the mean target."""
        target = np.asarray(data[self.label], dtype=np.float64).reshape(len(data), -1)
        return self._everywhere(np.square(target - target.mean(axis=0)).sum(axis=1), counted)


def divergence(model: Tensor, scrubbed: Tensor) -> Tensor:
    """KL(model || scrubbed) of two rows of logits `[tokens, classes]`, in nats per token."""
    p, q = F.log_softmax(model.double(), dim=1), F.log_softmax(scrubbed.double(), dim=1)
    return (p.exp() * (p - q)).sum(1).clamp(min=0)
