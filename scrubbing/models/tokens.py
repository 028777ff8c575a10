"""Which (row, position) pairs a tensor holds: activations are computed only where something reads them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from scrubbing.device import upload

Ints = NDArray[np.int64]

_WORTH_A_RECTANGLE = 0.8
"""Share of a rectangle that must be needed."""


@dataclass(frozen=True, eq=False)
class Tokens:
    """A flat list of (row, position) pairs, rows ascending; the first axis of every activation.

    Which pairs these are is known on the host, where all arithmetic on them is done; the tensors `rows`, `positions`
    and `columns` are copies on the model's device, made when something reads them. So nothing has to wait for the
    device to know what is computed next.

    A rectangular list, which has the same positions in every row, is marked as one, so that attention can reshape
    instead of padding.
    """

    row: Ints
    """Row of each token, on the host, `[tokens]`."""
    position: Ints
    """Position of each token, on the host, `[tokens]`."""
    n_rows: int
    device: torch.device
    """Where its tensors are."""
    shared: tuple[int, ...] | None = None
    """The positions of every row, where the list is rectangular; None otherwise."""
    single: bool = False
    """Whether every row has exactly one token, at a position of its own."""
    needed: NDArray[np.bool_] | None = None
    """Which tokens are read at all, on the host, `[tokens]`; None for all. The others only complete a rectangle, and
    may hold any finite value."""

    @classmethod
    def rectangle(
        cls, n_rows: int, positions: tuple[int, ...], device: torch.device, needed: NDArray[np.bool_] | None = None
    ) -> Tokens:
        """The same positions in each of `n_rows` rows."""
        row = np.repeat(np.arange(n_rows, dtype=np.int64), len(positions))
        return cls(row, np.tile(np.array(positions, dtype=np.int64), n_rows), n_rows, device, positions, needed=needed)

    @classmethod
    def one_each(cls, positions: Ints, device: torch.device) -> Tokens:
        """One token per row, at these positions."""
        n_rows = len(positions)
        return cls(np.arange(n_rows, dtype=np.int64), positions, n_rows, device, single=True)

    @classmethod
    def where(cls, chosen: NDArray[np.bool_], device: torch.device, exactly: bool = False) -> Tokens:
        """The true entries of a bool `[rows, positions]`, or a rectangle around them that is mostly true.

        A rectangle needs no padding, and no gathering to undo it. Where rows come sorted by length, little of
        it is wasted.
        """
        columns = np.flatnonzero(chosen.any(axis=0))
        if not exactly and len(columns):
            around = chosen[:, columns]
            there = np.count_nonzero(around)
            if there >= _WORTH_A_RECTANGLE * around.size:
                needed = None if there == around.size else around.reshape(-1)
                return cls.rectangle(len(chosen), tuple(columns.tolist()), device, needed)
        row, position = np.nonzero(chosen)
        return cls(row, position, len(chosen), device)

    def __len__(self) -> int:
        return len(self.row)

    @cached_property
    def rows(self) -> Tensor:
        """Row of each token, int64 `[tokens]`."""
        return upload(self.row, self.device)

    @cached_property
    def positions(self) -> Tensor:
        """Position of each token, int64 `[tokens]`."""
        return upload(self.position, self.device)

    @property
    def padded(self) -> bool:
        """Whether `grid` has entries that are not in the list."""
        return self.shared is None and not self.single

    @cached_property
    def width(self) -> int:
        """One more than the largest position."""
        if self.shared is not None:
            return max(self.shared, default=-1) + 1
        return int(self.position.max(initial=-1)) + 1

    @cached_property
    def column(self) -> Ints:
        """The position of each column of `grid`, on the host: `[1, columns]`, or `[rows, 1]` where every row has its
        own.
        """
        if self.single:
            return self.position[:, None]
        columns = np.arange(self.width) if self.shared is None else np.array(self.shared, dtype=np.int64)
        return columns[None]

    @cached_property
    def columns(self) -> Tensor:
        """`column` as a tensor, int64."""
        return upload(self.column, self.device)

    @cached_property
    def place(self) -> Ints:
        """Index of each (row, position) in the list, -1 where absent; on the host, `[rows, width]`."""
        table = np.full((self.n_rows, max(self.width, 1)), -1)
        table[self.row, self.position] = np.arange(len(self))
        return table

    @cached_property
    def _cells(self) -> Tensor:
        """Index of each token in a grid of all rows and columns."""
        return upload(self.row * self.width + self.position, self.device)

    def grid(self, flat: Tensor) -> Tensor:
        """`[tokens, ...]` as `[rows, columns, ...]`, zero at absent pairs."""
        if not self.padded:
            return flat.reshape(self.n_rows, self.column.shape[1], *flat.shape[1:])
        padded = flat.new_zeros(self.n_rows * self.width, *flat.shape[1:])
        padded.index_copy_(0, self._cells, flat)
        return padded.reshape(self.n_rows, self.width, *flat.shape[1:])

    def flat(self, grid: Tensor) -> Tensor:
        """The inverse of `grid`."""
        if not self.padded:
            return grid.reshape(-1, *grid.shape[2:])
        together = grid.reshape(self.n_rows * self.width, *grid.shape[2:])
        return together.index_select(0, self._cells)

    def locate(self, wanted: Tokens) -> Ints:
        """Index of each of these tokens in the list, -1 where absent; on the host."""
        if self.single:
            return np.where(self.position[wanted.row] == wanted.position, wanted.row, -1)
        width = max(self.width, 1)
        inside = wanted.width <= width
        position = wanted.position if inside else wanted.position.clip(max=width - 1)
        if self.shared is not None:
            column = np.full(width, -1)
            column[list(self.shared)] = np.arange(len(self.shared))
            found = column[position]
            found = np.where(found < 0, -1, wanted.row * len(self.shared) + found)
        else:
            found = self.place.reshape(-1)[wanted.row * width + position]
        return found if inside else np.where(wanted.position >= width, -1, found)

    def select(self, wanted: Tokens) -> Ints | None:
        """Indices of these tokens in the list, anything where they are not needed; None if the lists are one object."""
        if wanted is self:
            return None
        found = self.locate(wanted)
        if wanted.needed is None:
            return found
        assert not ((found < 0) & wanted.needed).any()
        return found.clip(min=0)
