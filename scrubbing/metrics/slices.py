"""Which outputs are read and counted: those of the loss, and of any further slice that is reported beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from scrubbing.data.dataset import Dataset
from scrubbing.data.features import Feature
from scrubbing.errors import BadData, UsageError, counted, fail
from scrubbing.graph.positions import Positions, Where
from scrubbing.metrics.losses import Loss, checked_array
from scrubbing.metrics.next_token import sliced

MAIN = ""
"""The loss's own positions, among the names of slices."""


@dataclass(frozen=True, eq=False)
class Slices:
    """The sets of positions of one experiment."""

    loss: Loss
    length: int
    further: Mapping[str, Feature]

    def __post_init__(self) -> None:
        if not isinstance(self.loss, Loss):
            problem = f"the loss is of type {type(self.loss).__name__}."
            remedy = "Give Classification, NextToken or SquaredError, or a subclass of scrubbing.Loss."
            fail(UsageError, "SCR-LOSS", problem, remedy)

    @cached_property
    def alone(self) -> Slices:
        """The loss's own positions, and no further slice."""
        return Slices(self.loss, self.length, {}) if self.further else self

    def of(self, data: Dataset) -> dict[str, NDArray[np.bool_]]:
        """Every slice by name, bool `[n, length]`, none of it padding.

        Raises:
            BadData: SCR-PADDING, an output that counts is at a masked position.
        """
        found = self._all(data)
        return data.remember(("slices without padding", self), lambda: self._real(found, data))

    def anywhere(self, data: Dataset) -> NDArray[np.bool_]:
        """Outputs that any slice counts, `[n, length]`."""
        return np.logical_or.reduce(list(self._all(data).values()))

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
        found = {name: counted.sum(axis=1).astype(np.float64) for name, counted in self.of(data).items()}
        found[MAIN] = self.loss.weights(self.of(data)[MAIN], data)
        checked_array(self.loss, "weights", found[MAIN], "numbers", "fiub", (len(data),))
        return found

    def _all(self, data: Dataset) -> dict[str, NDArray[np.bool_]]:
        return data.remember(("slices", self), lambda: self._of(data))

    def _of(self, data: Dataset) -> dict[str, NDArray[np.bool_]]:
        main, possible = self.loss.counted(data, self.length), self.loss.possible(data, self.length)
        for name, chosen in (("counted", main), ("possible", possible)):
            checked_array(self.loss, name, chosen, "booleans", "b", (len(data), self.length))
        return {MAIN: main} | {name: sliced(feature, data, possible) for name, feature in self.further.items()}

    def _real(self, found: dict[str, NDArray[np.bool_]], data: Dataset) -> dict[str, NDArray[np.bool_]]:
        if data.mask is None:
            return found
        for name, chosen in found.items():
            masked = chosen & ~data.mask
            rows, positions = np.nonzero(masked)
            if len(rows):
                problem = f"it reads output {positions[0]} of input id {data.ids[rows[0]]}, which is padding, as in "
                problem += f"{len(np.unique(rows))} of {counted(len(data), 'input')}."
                remedy = 'Read position "last", or limit the hypothesis by scope= to inputs that are long enough.'
                fail(BadData, "SCR-PADDING", problem, remedy, f"slice {name!r}" if name else self.loss.name)
        return found
