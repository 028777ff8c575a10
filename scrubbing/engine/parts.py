"""Parts of a node's output as tensor operations, each checked for shape and finiteness."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from scrubbing.data.dataset import Dataset
from scrubbing.errors import IllegalHypothesis, counted, fail, located
from scrubbing.hypothesis.parts import Direction, Part, Vectors
from scrubbing.models.precision import TOLERANCE
from scrubbing.models.protocol import Model


class PartOps:
    """Evaluates parts for one model; bases are found once."""

    def __init__(self, model: Model, positions: int) -> None:
        self.model = model
        self.positions = positions
        self._tokenwise: set[Part] = set()
        self._bases: dict[Part, Tensor] = {}

    def of_output(self, part: Part, output: Tensor) -> Tensor:
        """A part that is a function of the node's output `[tokens, d]`."""
        if part.kind == "project":
            basis = self._basis(part, output.shape[-1])
            return (output @ basis) @ basis.T
        assert part.compute is not None
        made = part.compute(output.clone())  # a copy, since others read this tensor, whatever the function does to it
        if not isinstance(made, Tensor) or made.shape != output.shape:
            told = f"shape {list(made.shape)}" if isinstance(made, Tensor) else f"type {type(made).__name__}"
            problem = f"it returned {told} for an output of shape {list(output.shape)}."
            fail(IllegalHypothesis, "SCR-PART", problem, "Return a tensor of the same shape.", str(part))
        if part not in self._tokenwise and len(output) > 1:
            self._tokenwise.add(part)
            difference = (part.compute(output[:1].clone()) - made[:1]).abs().max()
            if bool(difference > TOLERANCE[output.dtype] * made.abs().max().clamp(min=1)):
                problem = "its value at one token depends on the other tokens, so results would depend on batches."
                fail(IllegalHypothesis, "SCR-PART", problem, "Compute each row from that row alone.", str(part))
        return made

    def of_input(self, part: Part, data: Dataset, rows: Tensor, positions: Tensor, width: int) -> Tensor:
        """A part that is a function of the input, at rows and positions `[tokens]`: `[tokens, width]`."""
        values = data.remember(("part", part), lambda: self._values(part, data))
        table = torch.from_numpy(values).to(self.model.device)
        if part.vectors is not None:
            scalar = table[rows] if table.ndim == 1 else table[rows, positions]
            return scalar[:, None].to(self.model.dtype) * self._vector(part, width)
        found = table[rows] if table.ndim == 2 else table[rows, positions]
        if found.shape[-1] != width:
            problem = f"it returned vectors of {found.shape[-1]} numbers; the residual stream has {width}."
            fail(IllegalHypothesis, "SCR-PART", problem, "Return [n, d] or [n, positions, d].", str(part))
        return found.to(self.model.dtype)

    def _values(self, part: Part, data: Dataset) -> np.ndarray[Any, Any]:
        assert part.compute is not None
        with located(str(part)):
            values = np.asarray(part.compute(data))
        axes = (1, 2) if part.vectors is not None else (2, 3)
        per_position = values.ndim == axes[1]
        if values.ndim not in axes or len(values) != len(data) or (per_position and values.shape[1] != self.positions):
            told = ", d]" if part.vectors is None else "]"
            problem = f"it returned shape {list(values.shape)} for {len(data)} inputs of {self.positions} positions."
            fail(IllegalHypothesis, "SCR-PART", problem, f"Return [n{told} or [n, positions{told}.", str(part))
        if values.dtype.kind not in "biuf":
            problem = f"it returned values of type {values.dtype}."
            fail(IllegalHypothesis, "SCR-PART", problem, "Return numbers.", str(part))
        if not np.isfinite(values).all():
            rows = np.unique(np.argwhere(~np.isfinite(values))[:, 0])
            problem = f"it is not finite for {counted(len(rows), 'input')}, first input id {data.ids[rows[0]]}."
            fail(IllegalHypothesis, "SCR-NAN", problem, "Give every input a finite estimate.", str(part))
        return values.astype(np.float32 if self.model.dtype == torch.float32 else np.float64)

    def _vectors(self, part: Part, width: int) -> np.ndarray[Any, Any]:
        source = part.vectors
        assert source is not None
        found = source.vectors(self.model) if isinstance(source, Direction) else source
        assert isinstance(found, Vectors)
        if found.shape[1] != width:
            problem = f"its vectors have {found.shape[1]} numbers; the residual stream has {width}."
            fail(IllegalHypothesis, "SCR-PART", problem, "Give vectors of the residual stream.", str(part))
        return found.array()

    def _vector(self, part: Part, width: int) -> Tensor:
        if part not in self._bases:
            array = self._vectors(part, width)
            if len(array) != 1:
                problem = f"{len(array)} vectors were given to multiply one number."
                fail(IllegalHypothesis, "SCR-PART", problem, "Give one vector.", str(part))
            self._bases[part] = torch.tensor(array[0], dtype=self.model.dtype, device=self.model.device)
        return self._bases[part]

    def _basis(self, part: Part, width: int) -> Tensor:
        """Orthonormal columns spanning the vectors, `[d, k]`; dependent vectors add nothing."""
        if part not in self._bases:
            left, size, _ = np.linalg.svd(self._vectors(part, width).T, full_matrices=False)
            basis = left[:, size > size[0] * 1e-10]
            self._bases[part] = torch.tensor(basis, dtype=self.model.dtype, device=self.model.device)
        return self._bases[part]
