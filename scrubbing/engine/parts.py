"""Parts of a node's output as tensor operations, each checked for shape and finiteness."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from scrubbing.data.dataset import Dataset
from scrubbing.device import upload
from scrubbing.errors import IllegalHypothesis, counted, fail, located
from scrubbing.models.precision import TOLERANCE
from scrubbing.models.protocol import Model
from scrubbing.parts import InputPart, OutputPart
from scrubbing.user_code import running


class PartOps:
    """Evaluates parts for one model; what is found in its weights is found once."""

    def __init__(self, model: Model, positions: int) -> None:
        self.model = model
        self.positions = positions
        self._functions: dict[OutputPart, Callable[[Tensor], Any]] = {}
        self._tokenwise: set[OutputPart] = set()
        self._along: dict[InputPart, Tensor | None] = {}
        self._tables: dict[InputPart, Tensor | None] = {}

    def of_output(self, part: OutputPart, output: Tensor) -> Tensor:
        """A part that is a function of the node's output `[tokens, d]`."""
        with running(str(part)):
            if part not in self._functions:
                self._functions[part] = part.function(self.model)
            function = self._functions[part]
            made = function(output.clone())  # a copy, since others read this tensor, whatever the function does to it
        if not isinstance(made, Tensor) or made.shape != output.shape:
            told = f"shape {list(made.shape)}" if isinstance(made, Tensor) else f"type {type(made).__name__}"
            problem = f"it returned {told} for an output of shape {list(output.shape)}."
            fail(IllegalHypothesis, "SCR-PART", problem, "Return a tensor of the same shape.", str(part))
        if made.device != output.device:
            problem = f"it returned a tensor on {made.device} for an output on {output.device}."
            fail(IllegalHypothesis, "SCR-DEVICE", problem, "Compute on the device of what it is given.", str(part))
        if part not in self._tokenwise and len(output) > 1:
            self._tokenwise.add(part)
            difference = (function(output[:1].clone()) - made[:1]).abs().max()
            if bool(difference > TOLERANCE[output.dtype] * made.abs().max().clamp(min=1)):
                problem = "its value at one token depends on the other tokens, so results would depend on batches."
                fail(IllegalHypothesis, "SCR-PART", problem, "Compute each row from that row alone.", str(part))
        return made

    def of_input(
        self, part: InputPart, data: Dataset, rows: NDArray[np.int64], positions: NDArray[np.int64], width: int
    ) -> Tensor:
        """A part that is a function of the input, at rows and positions `[tokens]`: `[tokens, width]`."""
        table = self._table(part, width)
        if table is not None:
            return self._looked_up(part, table, data, rows, positions)
        along = self._vector(part, width)
        values = data.remember(("part", part), lambda: self._values(part, data, 1 if along is None else 0))
        per_input = values.ndim == (1 if along is not None else 2)
        held = torch.as_tensor(values[rows] if per_input else values[rows, positions], device="cpu")
        found = upload(held.to(self.model.dtype), self.model.device)
        if along is not None:
            return found[:, None] * along
        if found.shape[-1] != width:
            problem = f"it returned vectors of {found.shape[-1]} numbers; the residual stream has {width}."
            fail(IllegalHypothesis, "SCR-PART", problem, "Return [n, d] or [n, positions, d].", str(part))
        return found

    def _table(self, part: InputPart, width: int) -> Tensor | None:
        """The vectors that the part's values number, and a last one of zeros, for none; None where it has no table."""
        if part not in self._tables:
            with running(str(part)):
                array = part.table(self.model)
            if array is not None and (array.ndim != 2 or array.shape[1] != width or not np.isfinite(array).all()):
                problem = f"its table has shape {list(array.shape)}, or numbers that are not finite."
                remedy = f"Return finite vectors of the residual stream, [k, {width}]."
                fail(IllegalHypothesis, "SCR-PART", problem, remedy, str(part))
            options: Any = {"dtype": self.model.dtype, "device": self.model.device}
            padded = None if array is None else np.concatenate([array, np.zeros((1, width))])
            self._tables[part] = None if padded is None else torch.tensor(padded, **options)
        return self._tables[part]

    def _looked_up(
        self, part: InputPart, table: Tensor, data: Dataset, rows: NDArray[np.int64], positions: NDArray[np.int64]
    ) -> Tensor:
        values = data.remember(("part", part), lambda: self._values(part, data, 0, whole=True))
        if values.min() < -1 or values.max() >= len(table) - 1:
            problem = f"it returned {values.min()} to {values.max()}, and its table has {len(table) - 1} vectors."
            fail(IllegalHypothesis, "SCR-PART", problem, "Return numbers of vectors, -1 for none.", str(part))
        chosen = values[rows] if values.ndim == 1 else values[rows, positions]
        return table.index_select(0, upload(torch.as_tensor(chosen % len(table), device="cpu"), self.model.device))

    def _values(self, part: InputPart, data: Dataset, axes: int, whole: bool = False) -> NDArray[Any]:
        """One number per input and position, or (`axes` 1) one vector; `whole` ones number the vectors of a table."""
        with located(str(part)), running(str(part)):
            values = np.asarray(part.values(data))
        per_position, told = values.ndim == 2 + axes, ", d]" if axes else "]"
        shaped = values.ndim in (1 + axes, 2 + axes) and len(values) == len(data)
        if not shaped or (per_position and values.shape[1] != self.positions):
            problem = f"it returned shape {list(values.shape)} for {len(data)} inputs of {self.positions} positions."
            fail(IllegalHypothesis, "SCR-PART", problem, f"Return [n{told} or [n, positions{told}.", str(part))
        if values.dtype.kind not in ("iu" if whole else "biuf"):
            problem = f"it returned values of type {values.dtype}."
            fail(IllegalHypothesis, "SCR-PART", problem, f"Return {'integers' if whole else 'numbers'}.", str(part))
        if whole:
            return values.astype(np.int64)
        if not np.isfinite(values).all():
            rows = np.unique(np.argwhere(~np.isfinite(values))[:, 0])
            problem = f"it is not finite for {counted(len(rows), 'input')}, first input id {data.ids[rows[0]]}."
            fail(IllegalHypothesis, "SCR-NAN", problem, "Give every input a finite estimate.", str(part))
        return values.astype(np.float32 if self.model.dtype == torch.float32 else np.float64)

    def _vector(self, part: InputPart, width: int) -> Tensor | None:
        if part not in self._along:
            with running(str(part)):
                array = part.along(self.model)
            if array is not None and array.shape != (width,):
                problem = f"its vectors have {array.shape[-1]} numbers; the residual stream has {width}."
                fail(IllegalHypothesis, "SCR-PART", problem, "Give vectors of the residual stream.", str(part))
            options: Any = {"dtype": self.model.dtype, "device": self.model.device}
            self._along[part] = None if array is None else torch.tensor(array, **options)
        return self._along[part]
