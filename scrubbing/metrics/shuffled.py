"""A loss judged by the labels of other inputs: a task that nothing computes, as a control."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from scrubbing.data.dataset import Dataset
from scrubbing.data.others import other_inputs
from scrubbing.metrics.losses import Loss


@dataclass(frozen=True)
class ShuffledLabels(Loss):
    """Another loss, each input judged by the label of another one.

    Where labels are a column of their own, only that is permuted. Where they are the inputs themselves, as in language
    models, an output is judged by what belongs at its position in another input, and counts only if something does.
    """

    loss: Loss

    @property
    def name(self) -> str:  # pyright: ignore[reportIncompatibleVariableOverride]
        """See `Loss.name`."""
        return f"{self.loss.name}, labels of other inputs"

    @property
    def unit(self) -> str:  # pyright: ignore[reportIncompatibleVariableOverride]
        """See `Loss.unit`."""
        return self.loss.unit

    @property
    def padding_is_input(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        """See `Loss.padding_is_input`."""
        return self.loss.padding_is_input

    @property
    def outputs(self) -> Any:  # pyright: ignore[reportIncompatibleVariableOverride]
        """See `Loss.outputs`."""
        return self.loss.outputs

    def possible(self, data: Dataset, length: int) -> NDArray[np.bool_]:
        """See `Loss.possible`."""
        return self.loss.possible(data, length) & self.loss.possible(self._judged(data), length)

    def counted(self, data: Dataset, length: int) -> NDArray[np.bool_]:
        """See `Loss.counted`."""
        return self.loss.counted(data, length) & self.loss.possible(self._judged(data), length)

    def weights(self, counted: NDArray[np.bool_], data: Dataset) -> NDArray[np.float64]:
        """See `Loss.weights`."""
        return self.loss.weights(counted, data)

    def per_token(self, output: Tensor, data: Dataset, rows: NDArray[np.int64], positions: NDArray[np.int64]) -> Tensor:
        """See `Loss.per_token`."""
        return self.loss.per_token(output, self._judged(data), rows, positions)

    def correct(self, output: Tensor, data: Dataset, rows: NDArray[np.int64], positions: NDArray[np.int64]) -> Tensor:
        """See `Loss.correct`."""
        return self.loss.correct(output, self._judged(data), rows, positions)

    def targets(
        self, data: Dataset, rows: NDArray[np.int64], positions: NDArray[np.int64], output: Tensor
    ) -> Tensor | None:
        """See `Loss.targets`."""
        return self.loss.targets(self._judged(data), rows, positions, output)

    def constant(self, data: Dataset, counted: NDArray[np.bool_]) -> NDArray[np.float64]:
        """See `Loss.constant`."""
        return self.loss.constant(self._judged(data), counted)

    def _judged(self, data: Dataset) -> Dataset:
        """The dataset as the loss sees it."""
        return data.remember(("shuffled labels", getattr(self.loss, "label", None)), lambda: self._permuted(data))

    def _permuted(self, data: Dataset) -> Dataset:
        rows, label = other_inputs(data, "shuffled labels"), getattr(self.loss, "label", None)
        columns = [label] if label is not None else list(data)
        return data.with_columns(**{name: data[name][rows] for name in columns})
