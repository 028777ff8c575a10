"""Which (row, position) pairs a tensor holds: activations are computed only where something reads them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

_WORTH_A_RECTANGLE = 0.8
"""Share of a rectangle that must be needed."""


@dataclass(frozen=True, eq=False)
class Tokens:
    """A flat list of (row, position) pairs, rows ascending; the first axis of every activation.

    A rectangular list, which has the same positions in every row, is marked as one, so that attention can reshape
    instead of padding.
    """

    rows: Tensor
    """Row of each token, int64 `[tokens]`."""
    positions: Tensor
    """Position of each token, int64 `[tokens]`."""
    n_rows: int
    shared: tuple[int, ...] | None = None
    """The positions of every row, where the list is rectangular; None otherwise."""
    single: bool = False
    """Whether every row has exactly one token, at a position of its own."""
    needed: Tensor | None = None
    """Which tokens are read at all, bool `[tokens]`; None for all. The others only complete a rectangle, and may hold
    any finite value."""

    @classmethod
    def rectangle(
        cls, n_rows: int, positions: tuple[int, ...], device: torch.device, needed: Tensor | None = None
    ) -> Tokens:
        """The same positions in each of `n_rows` rows."""
        columns = torch.tensor(positions, dtype=torch.int64, device=device)
        rows = torch.arange(n_rows, device=device).repeat_interleave(len(positions))
        return cls(rows, columns.repeat(n_rows), n_rows, positions, needed=needed)

    @classmethod
    def one_each(cls, positions: Tensor) -> Tokens:
        """One token per row, at these positions."""
        n_rows = len(positions)
        return cls(torch.arange(n_rows, device=positions.device), positions, n_rows, single=True)

    @classmethod
    def where(cls, chosen: Tensor, exactly: bool = False) -> Tokens:
        """The true entries of a bool `[rows, positions]`, or a rectangle around them that is mostly true.

        A rectangle needs no padding, and no gathering to undo it. Where rows come sorted by length, little of
        it is wasted.
        """
        columns = chosen.any(0).nonzero()[:, 0]
        if not exactly and len(columns):
            around = chosen[:, columns]
            if int(around.sum()) >= _WORTH_A_RECTANGLE * around.numel():
                needed = None if bool(around.all()) else around.reshape(-1)
                return cls.rectangle(len(chosen), tuple(columns.cpu().numpy().tolist()), chosen.device, needed)
        rows, positions = chosen.nonzero(as_tuple=True)
        return cls(rows, positions, len(chosen))

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def padded(self) -> bool:
        """Whether `grid` has entries that are not in the list."""
        return self.shared is None and not self.single

    @cached_property
    def width(self) -> int:
        """One more than the largest position."""
        if self.shared is not None:
            return max(self.shared, default=-1) + 1
        return int(self.positions.max()) + 1 if len(self.positions) else 0

    @cached_property
    def columns(self) -> Tensor:
        """The position of each column of `grid`: int64 `[1, columns]`, or `[rows, 1]` where every row has its own."""
        if self.single:
            return self.positions[:, None]
        if self.shared is not None:
            return torch.tensor([self.shared], dtype=torch.int64, device=self.rows.device)
        return torch.arange(self.width, device=self.rows.device)[None]

    @cached_property
    def place(self) -> Tensor:
        """Index of each (row, position) in the list, -1 where absent; int64 `[rows, width]`."""
        table = torch.full((self.n_rows, max(self.width, 1)), -1, dtype=torch.int64, device=self.rows.device)
        table[self.rows, self.positions] = torch.arange(len(self), device=self.rows.device)
        return table

    def grid(self, flat: Tensor) -> Tensor:
        """`[tokens, ...]` as `[rows, columns, ...]`, zero at absent pairs."""
        if not self.padded:
            return flat.reshape(self.n_rows, self.columns.shape[1], *flat.shape[1:])
        padded = flat.new_zeros(self.n_rows * self.width, *flat.shape[1:])
        padded.index_copy_(0, self.rows * self.width + self.positions, flat)
        return padded.reshape(self.n_rows, self.width, *flat.shape[1:])

    def flat(self, grid: Tensor) -> Tensor:
        """The inverse of `grid`."""
        if not self.padded:
            return grid.reshape(-1, *grid.shape[2:])
        together = grid.reshape(self.n_rows * self.width, *grid.shape[2:])
        return together.index_select(0, self.rows * self.width + self.positions)

    def locate(self, wanted: Tokens) -> Tensor:
        """Index of each of these tokens in the list, -1 where absent."""
        if self.single:
            here = self.positions.index_select(0, wanted.rows) == wanted.positions
            return wanted.rows.masked_fill(~here, -1)
        width = max(self.width, 1)
        inside = wanted.width <= width
        positions = wanted.positions if inside else wanted.positions.clamp(max=width - 1)
        if self.shared is not None:
            column = torch.full((width,), -1, dtype=torch.int64, device=self.rows.device)
            column[list(self.shared)] = torch.arange(len(self.shared), device=self.rows.device)
            found = column.index_select(0, positions)
            absent = found < 0
            found = (wanted.rows * len(self.shared) + found).masked_fill_(absent, -1)
        else:
            found = self.place.reshape(-1).index_select(0, wanted.rows * width + positions)
        return found if inside else found.masked_fill_(wanted.positions >= width, -1)

    def select(self, wanted: Tokens) -> Tensor | None:
        """Indices of these tokens in the list, anything where they are not needed; None if the lists are one object."""
        if wanted is self:
            return None
        found = self.locate(wanted)
        if wanted.needed is None:
            return found
        assert not bool(((found < 0) & wanted.needed).any())
        return found.clamp_(min=0)
