"""Which inputs the oracle may draw, and in which order: looked up input by input."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scrubbing.data.dataset import Dataset
from scrubbing.errors import NothingToDraw, fail
from scrubbing.graph.model_graph import ModelGraph


@dataclass(frozen=True, eq=False)
class Drawable:
    """The inputs that may be drawn for a reference: any, or those that are real wherever its loss may depend on them.

    That is, up to the last output that is read where attention looks back, else everywhere that a mask of the
    reference's length shows.
    """

    graph: ModelGraph
    data: Dataset
    read: NDArray[np.bool_] | None
    """Outputs that the loss reads, `[n, positions]`; None draws any input."""

    def among(self, rows: list[int], reference: int, name: str, without: int | None = None) -> list[int]:
        """Those of these rows that may be drawn, in the order in which they are counted.

        Raises:
            NothingToDraw: SCR-DRAW, there is none.
        """
        found = [row for row in rows if row != without and self._fits(row, reference)]
        if not found:
            fail(NothingToDraw, "SCR-DRAW", "no input may be drawn.", "Use a coarser feature or more data.", name)
        return sorted(found, key=lambda row: (-self._length(row), self.data.ids[row]))

    def any_of(self, rows: list[int], reference: int) -> bool:
        """Whether any of these rows may be drawn."""
        return any(self._fits(row, reference) for row in rows)

    def _fits(self, row: int, reference: int) -> bool:
        if self.read is None or "mask" not in self.data or not self.read[reference].any():
            return True
        mask, own = self.data["mask"][row], self.data["mask"][reference]
        slots = [slot for slots in self.graph.slots.values() for name, slot in slots.items() if name != "mask"]
        if any(slot.reach == "every" for slot in slots):
            return bool((mask == own).all())
        return bool(mask[: max(np.flatnonzero(self.read[reference])) + 1].all())

    def _length(self, row: int) -> int:
        return 0 if self.read is None or "mask" not in self.data else int(self.data["mask"][row].sum())
