"""Blocks of activations, in memory and in temporary files."""

from __future__ import annotations

import mmap

import pytest
import torch

from scrubbing.engine.memory import MemoryBudget

CPU = torch.device("cpu")


def filled(room, rows=50, width=3, seed=0):
    """A block, and what was written to it in two steps."""
    block = room.block(rows, width, torch.float32, CPU)
    values = torch.randn(rows, width, generator=torch.Generator().manual_seed(seed))
    order = torch.randperm(rows, generator=torch.Generator().manual_seed(1))
    for part in order.split(30):
        block.put(part, values[part])
    return block, values


@pytest.mark.parametrize("budget", [10**6, 0], ids=["in memory", "in a file"])
def test_rows_come_back(budget, tmp_path):
    room = MemoryBudget(budget, str(tmp_path))
    block, values = filled(room)
    assert (block.mapped is None) == (budget > 0)
    assert block.nbytes == 50 * 3 * 4
    places = torch.tensor([4, 49, 4, 0])
    assert torch.equal(block.take(places), values[places])
    assert not list(tmp_path.iterdir())  # the file has no name, so that no crash leaves it behind


def test_the_budget_counts_what_is_in_memory():
    room = MemoryBudget(1000)
    blocks = [room.block(50, 3, torch.float32, CPU) for _ in range(3)]
    assert [block.mapped is None for block in blocks] == [True, False, False]
    assert room.used == 600
    assert room.block(50, 2, torch.float32, CPU).mapped is None
    assert room.block(0, 7, torch.float32, CPU).mapped is None


def test_sizes_follow_the_precision():
    assert [MemoryBudget(10**6).block(10, 10, dtype, CPU).nbytes for dtype in (torch.float64, torch.bfloat16)] == [
        800,
        200,
    ]


def test_pages_given_back_keep_their_contents(monkeypatch):
    """With room for about one block, three are used in turn; each still holds what was written to it."""
    given_back = []
    madvise = mmap.mmap.madvise

    class Watched(mmap.mmap):
        def madvise(self, *arguments):
            given_back.append(arguments)
            return madvise(self, *arguments)

    monkeypatch.setattr("scrubbing.engine.memory.mmap.mmap", Watched)
    room = MemoryBudget(40_000)
    blocks = [filled(room, rows=5000, width=4, seed=seed) for seed in range(3)]
    places = torch.arange(0, 5000, 7)
    for _ in range(2):
        for block, values in blocks:
            assert torch.equal(block.take(places), values[places])
    assert len(given_back) >= 4
    assert sum(room._resident.values()) <= 80_000
