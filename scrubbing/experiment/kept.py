"""Logits kept for recalibration, within a budget of memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from scrubbing.engine.memory import Block, MemoryBudget
from scrubbing.engine.rows import Index
from scrubbing.metrics.recalibration import BYTES_KEPT, NUMBERS_KEPT

_BLOCK = NUMBERS_KEPT // 16
"""Numbers for which room is made at a time, at least: few blocks, since each that is in a file holds the file open."""

_HOST = torch.device("cpu")


def reserved(memory: int) -> int:
    """Of a budget of bytes, what is not for activations: logits, and the holes between blocks that come and go."""
    return min(BYTES_KEPT, memory // 3)


def room_for_logits(memory: int, spill: str | None) -> MemoryBudget:
    """Of a budget of bytes, what the logits of one hypothesis may take; what is more goes to temporary files."""
    return MemoryBudget(min(BYTES_KEPT, memory // 16), spill, memory // 32)


@dataclass(frozen=True, eq=False)
class _Piece:
    """Room for some tokens. Small arrays that stay would lie between large ones that come and go."""

    logits: Block
    targets: NDArray[np.int64]
    reference: NDArray[np.int64]


@dataclass(eq=False)
class KeptLogits:
    """Logits of some references, one row per counted position and draw, in the order in which they were added."""

    room: MemoryBudget = field(default_factory=lambda: room_for_logits(16 * BYTES_KEPT, None))
    _pieces: list[_Piece] = field(default_factory=list[_Piece])
    _starts: list[int] = field(default_factory=lambda: [0])
    """Of each piece, its first token, and the number of all tokens."""

    def __len__(self) -> int:
        return self._starts[-1]

    @property
    def width(self) -> int:
        """Number of classes; 0 before anything is added."""
        return self._pieces[0].logits.values.shape[1] if self._pieces else 0

    @property
    def targets(self) -> NDArray[np.int64]:
        """`[tokens]`."""
        return _joined([piece.targets[:n] for piece, n in self._filled()])

    @property
    def reference(self) -> NDArray[np.int64]:
        """Place of each token's reference among the references, `[tokens]`."""
        return _joined([piece.reference[:n] for piece, n in self._filled()])

    def add(self, logits: Tensor, targets: NDArray[np.int64], reference: NDArray[np.int64]) -> None:
        """Add tokens.

        Args:
            logits: `[tokens, d_out]`, on the CPU.
            targets: `[tokens]`.
            reference: places of their references, `[tokens]`.

        Raises:
            FileError: SCR-MEMORY, they fit neither in memory nor on the disk.
        """
        added = 0
        while added < len(targets):
            last = self._pieces[-1] if self._pieces else self._more(logits[added:])
            place = len(self) - self._starts[-2]
            n = min(len(targets) - added, len(last.targets) - place)
            if not n:
                self._more(logits[added:])
                continue
            here, there = slice(added, added + n), slice(place, place + n)
            last.logits.put(np.arange(place, place + n), logits[here])
            last.targets[there], last.reference[there] = targets[here], reference[here]
            self._starts[-1] += n
            added += n

    def take(self, tokens: NDArray[np.int64]) -> Tensor:
        """Logits of some tokens, in rising order, `[tokens, d_out]` on the CPU."""
        cuts = pairwise(np.searchsorted(tokens, self._starts).tolist())
        parts = [
            piece.logits.take(Index(tokens[first:last] - start, _HOST))
            for piece, start, (first, last) in zip(self._pieces, self._starts, cuts, strict=False)
            if last > first
        ]
        return torch.cat(parts) if parts else torch.empty(0, self.width)

    def as_arrays(self) -> dict[str, NDArray[Any]]:
        """What there is, as arrays by name, of which logits are views, a piece each."""
        found: dict[str, NDArray[Any]] = {"targets": self.targets, "reference": self.reference}
        return found | {f"logits {i}": piece.logits.values[:n].numpy() for i, (piece, n) in enumerate(self._filled())}

    def add_arrays(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Add what `as_arrays` gave."""
        start = 0
        for number in range(len(arrays) - 2):
            logits = torch.as_tensor(arrays[f"logits {number}"])
            here = slice(start, start := start + len(logits))
            self.add(logits, arrays["targets"][here], arrays["reference"][here])

    def _more(self, logits: Tensor) -> _Piece:
        """Make room for these and for some more: in memory, as far as there is any for these."""
        width, left = logits.shape[1], (self.room.budget - self.room.used) // 4
        most = min(left, _BLOCK) if logits.numel() <= left else _BLOCK
        rows = max(len(logits), most // width)
        block = self.room.block(rows, width, torch.float32, _HOST)
        self._pieces.append(_Piece(block, np.zeros(rows, np.int64), np.zeros(rows, np.int64)))
        self._starts.append(len(self))
        return self._pieces[-1]

    def _filled(self) -> list[tuple[_Piece, int]]:
        """Pieces, each with how many tokens it holds."""
        return [
            (piece, last - first) for piece, (first, last) in zip(self._pieces, pairwise(self._starts), strict=True)
        ]


def _joined(parts: list[NDArray[np.int64]]) -> NDArray[np.int64]:
    return np.concatenate(parts) if parts else np.zeros(0, np.int64)
