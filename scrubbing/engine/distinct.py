"""Which rows of a dataset are one input to the model, and how long each input is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scrubbing.data.dataset import Dataset
from scrubbing.engine.rows import model_inputs
from scrubbing.models.protocol import Model


@dataclass(eq=False)
class DistinctInputs:
    """The distinct inputs of a dataset, numbered."""

    of_row: NDArray[np.int64]
    """Number of the input in each row, `[n]`."""
    row_of: NDArray[np.int64]
    """A row holding each input."""
    length: NDArray[np.int64]
    """Positions up to the last real one, `[distinct]`."""
    start: NDArray[np.int64]
    """Sum of the lengths of the inputs before each."""

    @classmethod
    def of(cls, data: Dataset, model: Model, positions: int) -> DistinctInputs:
        """Compare the columns the model reads."""
        inputs = model_inputs(model, data)
        read = [_bytes(column.reshape(len(data), -1).cpu().numpy()) for column in inputs.columns.values()]
        if inputs.seen is not None:
            read.append(_bytes(inputs.seen))
        together = np.ascontiguousarray(np.concatenate(read, axis=1))
        keys = together.view(np.dtype((np.void, together.shape[1]))).reshape(-1)
        _, row_of, of_row = np.unique(keys, return_index=True, return_inverse=True)
        length = np.full(len(row_of), positions) if inputs.seen is None else inputs.seen[row_of].sum(axis=1)
        return cls(of_row.astype(np.int64), row_of, length, length.cumsum() - length)

    def __len__(self) -> int:
        return len(self.row_of)


def _bytes(values: NDArray[np.generic]) -> NDArray[np.uint8]:
    """Rows as bytes, integers in the narrowest type that holds them."""
    if values.dtype.kind in "iu" and values.size:
        values = values.astype(np.result_type(np.min_scalar_type(values.min()), np.min_scalar_type(values.max())))
    return np.ascontiguousarray(values).view(np.uint8).reshape(len(values), -1)
