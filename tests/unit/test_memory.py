"""Blocks of activations, in memory and in temporary files."""

from __future__ import annotations

import errno
import mmap
import os
import subprocess
import sys

import numpy as np
import pytest
import torch

from scrubbing.engine.memory import MemoryBudget
from scrubbing.engine.rows import Index
from scrubbing.errors import FileError

CPU = torch.device("cpu")


def filled(room, rows=50, width=3, seed=0):
    """A block, and what was written to it in two steps."""
    block = room.block(rows, width, torch.float32, CPU)
    values = torch.randn(rows, width, generator=torch.Generator().manual_seed(seed))
    order = torch.randperm(rows, generator=torch.Generator().manual_seed(1))
    for part in order.split(30):
        block.put(part.numpy(), values[part])
    return block, values


def taken(block, places):
    """Rows of a block."""
    return block.take(Index(np.asarray(places), CPU))


@pytest.mark.parametrize("budget", [10**6, 0], ids=["in memory", "in a file"])
def test_rows_come_back(budget, tmp_path):
    room = MemoryBudget(budget, str(tmp_path))
    block, values = filled(room)
    assert (block.mapped is None) == (budget > 0)
    assert block.nbytes == 50 * 3 * 4
    places = [4, 49, 4, 0]
    assert torch.equal(taken(block, places), values[places])
    assert not list(tmp_path.iterdir())  # the file has no name, so that no crash leaves it behind


def test_the_budget_counts_what_is_in_memory():
    room = MemoryBudget(1000)
    blocks = [room.block(50, 3, torch.float32, CPU) for _ in range(3)]
    assert [block.mapped is None for block in blocks] == [True, False, False]
    assert room.used == 600
    assert room.block(50, 2, torch.float32, CPU).mapped is None
    assert room.block(0, 7, torch.float32, CPU).mapped is None


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("rows", [0, 1, 2**10 - 1, 2**10, 2**14, 2**15 + 1])
def test_blocks_of_every_size_are_zeros_and_keep_what_is_written(rows, dtype):
    """Those of 1 MiB and more are mappings of their own, and of 32 MiB and more in large pages."""
    width = 1024 * 4 // (torch.finfo(dtype).bits // 8) // 4
    block = MemoryBudget(2**28).block(rows, width, dtype, CPU)
    assert block.mapped is None and block.values.dtype == dtype and block.values.shape == (rows, width)
    assert not block.values.any()
    if rows:
        block.put(np.array([rows - 1]), torch.ones(1, width, dtype=dtype))
        assert block.values.sum(dtype=torch.float64) == width


@pytest.mark.parametrize("reserves", [True, False])
@pytest.mark.parametrize("rows", [2**44, 2**60])
def test_a_budget_beyond_what_the_machine_has(rows, reserves, monkeypatch):
    """Neither memory nor a disk has so much: an error of ours, whatever the budget says, and nothing is written."""
    if not reserves:
        monkeypatch.delattr("os.posix_fallocate", raising=False)
    monkeypatch.setattr("os.write", lambda *_: pytest.fail("it was written"))
    with pytest.raises(FileError, match="SCR-MEMORY"):
        MemoryBudget(2**66).block(rows, 4, torch.float32, CPU)


def test_what_memory_refuses_goes_to_a_file(tmp_path, monkeypatch):
    real = mmap.mmap

    def refuse(file, size, **more):
        if file == -1:
            raise OSError(errno.ENOMEM, "Cannot allocate memory")
        return real(file, size, **more)

    monkeypatch.setattr("scrubbing.engine.memory.mmap.mmap", refuse)
    room = MemoryBudget(2**30, str(tmp_path), mapped=2**20)
    block = room.block(2**10, 1024, torch.float32, CPU)
    assert block.mapped is not None and room.used == 0
    block.put(np.array([3]), torch.ones(1, 1024))
    assert block.values.sum() == 1024


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
    room = MemoryBudget(40_000, mapped=80_000)
    blocks = [filled(room, rows=5000, width=4, seed=seed) for seed in range(3)]
    places = np.arange(0, 5000, 7)
    for _ in range(2):
        for block, values in blocks:
            assert torch.equal(taken(block, places), values[places])
    assert len(given_back) >= 4
    assert sum(room._resident.values()) <= 80_000


def test_a_large_block_gives_back_its_own_pages(tmp_path):
    """It would otherwise be in memory as a whole, however small the budget."""
    room = MemoryBudget(0, str(tmp_path), mapped=2**20)
    block, values = filled(room, rows=100_000, width=16)
    for start in range(0, 100_000, 5000):
        places = np.arange(start, start + 5000)
        assert torch.equal(taken(block, places), values[places])
        assert sum(room._resident.values()) <= 2**20


def test_files_are_allocated_before_they_are_mapped(tmp_path, monkeypatch):
    """Every byte has a block of the disk behind it: a file that was only made longer has none."""
    on_disk = []

    def mapped(number, size):
        on_disk.append((os.fstat(number).st_blocks * 512, size))
        return Mapped(number, size)

    Mapped = mmap.mmap
    monkeypatch.setattr("scrubbing.engine.memory.mmap.mmap", mapped)
    for system in ("posix_fallocate", "none"):
        if system == "none":
            monkeypatch.delattr(os, "posix_fallocate", raising=False)
        block, values = filled(MemoryBudget(0, str(tmp_path)), rows=300_000)
        assert torch.equal(taken(block, np.arange(300_000)), values)
    assert len(on_disk) == 2
    assert all(there >= size == 300_000 * 3 * 4 for there, size in on_disk)


FULL = """
import resource, numpy, torch
from scrubbing.engine.memory import MemoryBudget
from scrubbing.engine.rows import Index
from scrubbing.errors import FileError
if {limit}:
    resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
room = MemoryBudget(0, {folder!r})
kept = room.block(2**16, 4, torch.float32, torch.device("cpu"))  # 1 MiB
everything = numpy.arange(2**16)
kept.put(everything, torch.ones(2**16, 4))
try:
    room.block(2**20, 4, torch.float32, torch.device("cpu"))  # 16 MiB
except FileError as error:
    print(error.codes, bool(kept.take(Index(everything, torch.device("cpu"))).eq(1).all()))
"""


def run_python(code, *before):
    command = [*before, sys.executable, "-c", code]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_a_limit_of_file_sizes_is_an_error(tmp_path):
    found = run_python(FULL.format(folder=str(tmp_path), limit=4 * 2**20))
    assert (found.returncode, found.stdout) == (0, "('SCR-MEMORY',) True\n"), found.stderr
    assert not list(tmp_path.iterdir())


def small_disk():
    """A command that runs another one where `/mnt` is a disk of 4 MiB, if this system lets a process have its own."""
    made = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"]
    made += ['mount -t tmpfs -o size=4m tmpfs /mnt && exec "$@"', "sh"]
    try:
        works = subprocess.run([*made, "true"], capture_output=True, timeout=20, check=False).returncode == 0
    except OSError:
        works = False
    return made if works else None


@pytest.mark.skipif(small_disk() is None, reason="mounting a small disk needs Linux with user namespaces")
def test_a_full_disk_is_an_error(tmp_path):
    """And never the end of the process: rows that were promised can be written."""
    found = run_python(FULL.format(folder="/mnt", limit=0), *(small_disk() or []))
    assert (found.returncode, found.stdout) == (0, "('SCR-MEMORY',) True\n"), found.stderr
