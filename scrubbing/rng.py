"""Counter-based random numbers: a draw is a pure function of what it is for, never of when it is made.

A stored generator gives different answers when the batch size, the order or the number of workers changes. Here
every number is computed from (run seed, stream name, input id, draw number, position) by Philox4x32-10, so any part of
a run can be repeated alone.

Source: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3" (SC11).
"""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import ArrayLike, NDArray

_ROUND_MULTIPLIERS = (np.uint64(0xD2511F53), np.uint64(0xCD9E8D57))
_KEY_STEPS = (np.uint64(0x9E3779B9), np.uint64(0xBB67AE85))
_LOW = np.uint64(0xFFFFFFFF)
_32 = np.uint64(32)
_11 = np.uint64(11)


def stream_key(seed: int, name: str) -> int:
    """The 64-bit key of the stream called `name` (see `hypothesis.streams`) in the run with this seed."""
    digest = hashlib.blake2b(f"{seed}\x00{name}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little")


def philox(key: int, counter: tuple[ArrayLike, ArrayLike, ArrayLike, ArrayLike]) -> NDArray[np.uint64]:
    """Philox4x32 with ten rounds, vectorised.

    Args:
        key: 64 bits, low word first.
        counter: four arrays of 32-bit words that broadcast together to some shape `[...]`.

    Returns:
        Four 32-bit words per counter, as uint64 `[4, ...]`.
    """
    # 32-bit words are kept in uint64 so that one product holds both halves; numpy has no multiply-high.
    words = [np.asarray(word).astype(np.uint64) & _LOW for word in counter]
    c0, c1, c2, c3 = np.broadcast_arrays(*words)
    k0, k1 = np.uint64(key & 0xFFFFFFFF), np.uint64(key >> 32)
    for _ in range(10):
        left, right = c0 * _ROUND_MULTIPLIERS[0], c2 * _ROUND_MULTIPLIERS[1]
        c0, c1, c2, c3 = (right >> _32) ^ c1 ^ k0, right & _LOW, (left >> _32) ^ c3 ^ k1, left & _LOW
        k0, k1 = (k0 + _KEY_STEPS[0]) & _LOW, (k1 + _KEY_STEPS[1]) & _LOW
    return np.stack([c0, c1, c2, c3])


def uniform(key: int, ids: ArrayLike, draw: ArrayLike, position: ArrayLike = 0) -> NDArray[np.float64]:
    """Uniform numbers in [0, 1) with 53 random bits, one per (input id, draw number, position).

    Args:
        key: from `stream_key`.
        ids: input ids, below 2**64.
        draw: draw numbers, below 2**32.
        position: positions, below 2**32; 0 where the draw is not made per position.

    Returns:
        Float64 of the broadcast shape of the three.
    """
    ids = np.asarray(ids).astype(np.uint64)
    words = philox(key, (ids & _LOW, ids >> _32, draw, position))
    return _unit(words[0], words[1])


def normal(key: int, ids: ArrayLike, draw: ArrayLike, position: ArrayLike, width: int) -> NDArray[np.float64]:
    """Standard normal numbers `[..., width]`, by Box-Muller on one counter per pair of columns."""
    ids = np.asarray(ids).astype(np.uint64)[..., None]
    pairs = (width + 1) // 2
    column = np.arange(pairs, dtype=np.uint64)
    # The column shares the second id word: ids below 2**32 leave it free, and a collision would need larger ones.
    high = (ids >> _32) ^ (column << np.uint64(16)) ^ np.uint64(0xA5A5)
    words = philox(key, (ids & _LOW, high, np.asarray(draw)[..., None], np.asarray(position)[..., None]))
    radius = np.sqrt(-2.0 * np.log1p(-_unit(words[0], words[1])))
    angle = 2.0 * np.pi * _unit(words[2], words[3])
    both = np.concatenate([radius * np.cos(angle), radius * np.sin(angle)], axis=-1)
    return both[..., :width]


def _unit(high: NDArray[np.uint64], low: NDArray[np.uint64]) -> NDArray[np.float64]:
    return ((high << _32 | low) >> _11).astype(np.float64) * 2.0**-53
