"""Draws that are real wherever a reference's loss can depend on them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scrubbing.data.agreement import Groups, groups
from scrubbing.data.dataset import Dataset
from scrubbing.data.features import Feature
from scrubbing.errors import NothingToDraw, fail

Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class RealDraws:
    """Which inputs may be drawn for a reference, besides agreeing with the held one.

    Where attention looks back only, the outputs that a loss reads depend on nothing after the last of them, so a draw
    must be real up to there. Elsewhere they depend on every position that any mask shows, and masks are drawn too, so
    a draw must be exactly as long as the reference. The reference itself always is; so there is a draw unless a
    sampler forbids it. Source: ours.
    """

    read: Callable[[Dataset], NDArray[np.bool_]]
    """Outputs that the loss reads, by input, `[n, positions]`."""
    same_length: bool
    """Whether draws are exactly as long as the reference."""

    def needed(self, data: Dataset) -> Ints:
        """How many real positions a draw for each input of the dataset must have, `[n]`; 0 where nothing is read."""
        return data.remember(("needed positions", self), lambda: self._needed(data))

    def _needed(self, data: Dataset) -> Ints:
        read = self.read(data)
        last = np.where(read.any(axis=1), read.shape[1] - read[:, ::-1].argmax(axis=1), 0)
        if not self.same_length:
            return last
        assert data.lengths is not None
        return np.where(last > 0, data.lengths, 0)

    def fits(self, lengths: Ints, needed: Ints) -> NDArray[np.bool_]:
        """Whether inputs of these lengths may be drawn where so many positions are needed."""
        return (lengths == needed) | (needed == 0) if self.same_length else lengths >= needed

    def check(self, data: Dataset, rows: Ints, needed: Ints, references: Ints, where: str) -> None:
        """Refuse inputs that were not chosen among those that fit.

        Raises:
            NothingToDraw: SCR-DRAW, one of them is padding where the loss of its reference depends on it.
        """
        assert data.lengths is not None
        wrong = ~self.fits(data.lengths[rows], needed)
        if wrong.any():
            row = int(wrong.argmax())
            problem = (
                f"{data.show(int(rows[row]))!r} has {data.lengths[rows[row]]} real positions; "
                f"{self.told(int(needed[row]))} (reference input id {int(references[row])})."
            )
            fail(NothingToDraw, "SCR-DRAW", problem, "Draw inputs that are real wherever they are read.", where)

    def told(self, needed: int) -> str:
        """What is asked of a draw, for messages."""
        many = "exactly" if self.same_length else "at least"
        return f"the reference's loss depends on {needed} real positions, and a draw must have {many} so many"

    def among(self, feature: Feature, data: Dataset, group: NDArray[Any], needed: Ints) -> tuple[Groups, Ints, Ints]:
        """The inputs of each group that fit: a table, and in its members where they start and how many there are."""
        table, keys, span = data.remember(("longest first", feature), lambda: _longest_first(feature, data))
        code: Ints = np.maximum(group, 0).astype(np.int64) * span + (span - 1 - needed)
        stop: Ints = np.searchsorted(keys, code, side="right")
        start: Ints = table.start[group]
        if self.same_length:
            start = np.where(needed > 0, np.searchsorted(keys, code, side="left"), start)
            stop = np.where(needed > 0, stop, start + table.size[group])
        return table, start, np.where(group < 0, 0, stop - start)


def _longest_first(feature: Feature, data: Dataset) -> tuple[Groups, Ints, int]:
    """Agreement groups with their longest inputs first, those of one length by id; and keys that say where a length of
    a group ends.
    """
    table = groups(feature, data)
    assert data.lengths is not None and data.mask is not None
    span = data.mask.shape[1] + 1
    group = np.repeat(np.arange(len(table.size)), table.size)
    keys = group * span + (span - 1 - data.lengths[table.members])
    order = np.argsort(keys, kind="stable")
    return replace(table, members=table.members[order]), keys[order], span
