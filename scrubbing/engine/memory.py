"""Where kept activations live: in memory while there is room, then in temporary files mapped into memory."""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import tempfile
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from scrubbing.device import upload
from scrubbing.engine.rows import Index
from scrubbing.errors import FileError, fail

_FAULT = 16 * mmap.PAGESIZE
"""Bytes that reading one row of a mapped file brings in: the kernel maps the pages around it as well."""

_MAPPED = 2**20
"""Bytes of a block from which it is a mapping of its own; a process may have some 65,000 of them."""

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""Parameters of glibc's `mallopt`."""
_LARGEST_BLOCK, _KEPT = 2**25, 2**29
"""Bytes: the largest block that glibc can be told not to map (its own limit), and the most that freed ones may take."""


@cache
def reuse_freed_memory() -> None:
    """Tell the C library to keep freed blocks for the next batch.

    By default it maps every block above 128 KiB anew and gives it back when freed, so that each batch pays for the same
    page faults again: a third of the time of a scrubbed language model. Elsewhere than on glibc this does nothing.
    """
    try:
        libc = ctypes.CDLL("libc.so.6")
        libc.mallopt(_MMAP_THRESHOLD, _LARGEST_BLOCK)
        libc.mallopt(_TRIM_THRESHOLD, _KEPT)
    except (OSError, AttributeError):
        return


@dataclass(eq=False)
class Block:
    """A two-dimensional array of numbers, one row per token."""

    values: Tensor
    room: MemoryBudget
    mapped: mmap.mmap | None = None
    """The file behind it, if it is not in memory."""

    @property
    def nbytes(self) -> int:
        """Bytes when full; rows never written take no memory."""
        return self.values.nbytes

    def take(self, places: Index) -> Tensor:
        """Rows at these places, on the device of the places."""
        if self.mapped is not None:
            self.room.touched(len(places.on_host), self)
        if self.values.device == places.device:
            return self.values.index_select(0, places.there)
        return upload(self.values.index_select(0, upload(places.on_host, self.values.device)), places.device)

    def put(self, places: NDArray[np.int64], rows: Tensor) -> None:
        """Write rows at these places."""
        if self.mapped is not None:
            self.room.touched(len(places), self)
        device = self.values.device
        self.values.index_copy_(0, upload(places, device), rows.to(device))


@dataclass(eq=False)
class MemoryBudget:
    """A budget of bytes for blocks; what does not fit goes to temporary files.

    Pages of mapped files count as this process's memory for as long as they stay mapped, though the system could
    take them back at any time. The blocks least recently used give theirs back when together they may exceed
    `mapped`; their contents stay in the page cache.
    """

    budget: int
    folder: str | None = None
    """For temporary files; None is the system's."""
    mapped: int = 0
    """Bytes of the temporary files' pages that may be in memory."""
    used: int = 0
    _resident: dict[Block, int] = field(default_factory=dict[Block, int])
    """Bytes of each mapped block that may be in memory, least recently used first."""

    def block(self, rows: int, width: int, dtype: torch.dtype, device: torch.device) -> Block:
        """A block of zeros of this shape. Tokens that nothing needs may be read before they are written, and must then
        be finite.

        Raises:
            FileError: SCR-MEMORY, it does not fit and there is no space for a file.
        """
        size = rows * width * (torch.finfo(dtype).bits // 8)
        if self.used + size <= self.budget or not size:
            with suppress(MemoryError):  # a budget beyond what the machine has is no budget
                values = _zeros(rows, width, dtype, device)
                self.used += size
                return Block(values, self)
        try:
            with tempfile.TemporaryFile(dir=self.folder) as file:
                _allocate(file.fileno(), size)
                mapped = mmap.mmap(file.fileno(), size)
        except (OSError, OverflowError) as error:
            told = getattr(error, "strerror", error)
            problem = f"{size / 2**20:.0f} MiB of activations fit neither in the budget nor on disk ({told})."
            fail(
                FileError, "SCR-MEMORY", problem, "Raise memory=, name another folder with spill=, or use store=False."
            )
        values = torch.frombuffer(mapped, dtype=dtype, count=rows * width).view(rows, width)
        return Block(values, self, mapped)

    def give_back(self, block: Block) -> None:
        """Note that nothing will read a block any more: its place is free, and so is its file once nothing holds it."""
        if block.mapped is None:
            self.used -= block.nbytes
        self._resident.pop(block, None)

    def touched(self, rows: int, block: Block) -> None:
        """Note that rows of a mapped block are about to be read or written."""
        before = self._resident.pop(block, 0)
        self._resident[block] = min(block.nbytes, before + rows * max(_FAULT, block.values[0].nbytes))
        while sum(self._resident.values()) > self.mapped:
            oldest = next(iter(self._resident))  # at last the block itself, which then starts afresh
            del self._resident[oldest]
            assert oldest.mapped is not None
            oldest.mapped.madvise(mmap.MADV_DONTNEED)


def _zeros(rows: int, width: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Zeros that, if they are many and on the CPU, take memory once they are written to, and then, where Linux has them
    for who asks, in pages of 2 MiB: rows are read at random places, of which the processor otherwise finds hardly any
    page without looking it up.

    `torch.zeros` writes every zero, which for the inputs that a run never reads took as long as half of its forward
    passes.

    Raises:
        MemoryError: the machine has not so much.
    """
    size = rows * width * torch.finfo(dtype).bits // 8
    if size < _MAPPED or device.type != "cpu" or not hasattr(mmap, "MAP_PRIVATE"):
        return torch.zeros(rows, width, dtype=dtype, device=device)
    # A mapping of its own: among other blocks, what a whole run keeps would lie between what each batch frees.
    try:
        held = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    except (OSError, OverflowError) as error:
        raise MemoryError from error
    if size >= _LARGEST_BLOCK and hasattr(mmap, "MADV_HUGEPAGE"):
        held.madvise(mmap.MADV_HUGEPAGE)
    return torch.frombuffer(held, dtype=dtype, count=rows * width).view(rows, width)


def _allocate(file: int, size: int) -> None:
    """Give an empty file its size, with a block of the disk behind every byte.

    A file that is only made longer has none. Where the disk is full, writing to its mapped pages then kills the process
    (SIGBUS) instead of raising anything.

    Raises:
        OSError: the disk has no room.
    """
    # Where a file system cannot reserve blocks they are written, which for what never fits would fill the disk first.
    disk = os.fstatvfs(file) if hasattr(os, "fstatvfs") else None
    if disk is not None and disk.f_blocks > 0 and disk.f_bavail * disk.f_frsize < size:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file, 0, size)
        return
    zeros = bytes(2**20)
    while size > 0:
        size -= os.write(file, zeros[:size])
