"""Which outputs are read and counted: those of the loss, and of any further slice that is reported beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scrubbing.data.dataset import Dataset
from scrubbing.data.features import Feature
from scrubbing.graph.positions import Positions, Where
from scrubbing.metrics.losses import Loss
from scrubbing.metrics.next_token import sliced

MAIN = ""
"""The loss's own positions, among the names of slices."""


@dataclass(frozen=True, eq=False)
class Slices:
    """The sets of positions of one experiment."""

    loss: Loss
    length: int
    further: Mapping[str, Feature]

    def of(self, data: Dataset) -> dict[str, NDArray[np.bool_]]:
        """Every slice by name, bool `[n, length]`."""
        return data.remember(("slices", self), lambda: self._of(data))

    def anywhere(self, data: Dataset) -> NDArray[np.bool_]:
        """Outputs that any slice counts, `[n, length]`."""
        return np.logical_or.reduce(list(self.of(data).values()))

    def where(self, data: Dataset) -> Where:
        """The same, as positions to ask the engine for: fixed ones if all inputs have the same."""
        chosen = self.anywhere(data)
        fixed = tuple(np.flatnonzero(chosen.any(axis=0)).tolist())
        if bool((chosen == chosen[:1]).all()):
            return Where(fixed)
        return Where(fixed, ((Positions(chosen_by=self.anywhere), True),))

    def weights(self, data: Dataset) -> dict[str, NDArray[np.float64]]:
        """What an input's summed loss is divided by, by slice, `[n]`."""
        return data.remember(("slice weights", self), lambda: self._weights(data))

    def _weights(self, data: Dataset) -> dict[str, NDArray[np.float64]]:
        return {
            name: self.loss.weights(counted, data) if name == MAIN else counted.sum(axis=1).astype(np.float64)
            for name, counted in self.of(data).items()
        }

    def _of(self, data: Dataset) -> dict[str, NDArray[np.bool_]]:
        possible = self.loss.possible(data, self.length)
        further = {name: sliced(feature, data, possible) for name, feature in self.further.items()}
        return {MAIN: self.loss.counted(data, self.length)} | further
