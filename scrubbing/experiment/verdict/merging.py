"""Which values of a feature may be exchanged for one another at no cost: the coarsest partition that crossings allow.

A crossing exchanges one claimed value `v` for another, `w`, everything else being left as it is. What it costs is a
number in nats; sums and counts of these, by (v, w), are all that is known here. Source: ours.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_REPEATED, _ONCE = 3.0, 10.0
"""A pair is costly where the mean of two or more crossings exceeds this many thresholds, or a single one that many."""


@dataclass(frozen=True, eq=False)
class Crossings:
    """What exchanging one value for another cost, by pair."""

    sums: Floats
    """`[values, values]`, nats: row the value that is held, column the one drawn in its place."""
    counts: Ints
    """`[values, values]`."""

    @classmethod
    def none(cls, values: int) -> Crossings:
        """Before any was measured."""
        return cls(np.zeros((values, values)), np.zeros((values, values), dtype=np.int64))

    def and_more(self, held: Ints, drawn: Ints, cost: Floats) -> Crossings:
        """With further crossings: codes of the two values and the cost of each, `[crossings]`."""
        n = len(self.sums)
        at = held * n + drawn
        sums = np.bincount(at, cost, minlength=n * n).reshape(n, n)
        counts = np.bincount(at, minlength=n * n).reshape(n, n)
        return Crossings(self.sums + sums, self.counts + counts)

    def costly(self, threshold: float) -> NDArray[np.bool_]:
        """Pairs that certainly may not be exchanged, in either direction, `[values, values]`."""
        mean = self.sums / np.maximum(self.counts, 1)
        one_way = ((self.counts >= 2) & (mean > _REPEATED * threshold)) | (
            (self.counts >= 1) & (mean > _ONCE * threshold)
        )
        return one_way | one_way.T


def coarsest(crossings: Crossings, threshold: float) -> Ints:
    """A class for every value, `[values]`: merged as long as crossings inside a class cost less than the threshold.

    Two classes merge where no pair between them is costly and the pooled mean of the crossings between them is below
    the threshold in both directions; those with most evidence first. Some exchanges are free in one direction only (a
    longer mask for a shorter one), hence both. It is a coarsest partition, not the coarsest: pairs that are free one by
    one need not be free together.

    Args:
        crossings: measured so far.
        threshold: nats per crossing.
    """
    n = len(crossings.sums)
    sums, counts = crossings.sums.copy(), crossings.counts.astype(np.float64)
    apart = crossings.costly(threshold)
    class_of = np.arange(n, dtype=np.int64)
    alive = np.ones(n, dtype=bool)
    while True:
        seen = (counts > 0) & (counts.T > 0)
        cheap = sums < threshold * counts
        may = seen & cheap & cheap.T & ~apart & alive[:, None] & alive[None, :]
        np.fill_diagonal(may, False)
        if not may.any():
            break
        evidence = np.where(may, np.minimum(counts, counts.T), -1.0)
        keep, gone = np.unravel_index(int(np.argmax(evidence)), evidence.shape)
        keep, gone = min(keep, gone), max(keep, gone)
        for table in (sums, counts):
            table[keep] += table[gone]
            table[:, keep] += table[:, gone]
        apart[keep] |= apart[gone]
        apart[:, keep] |= apart[:, gone]
        alive[gone] = False
        class_of[class_of == gone] = keep
    return np.unique(class_of, return_inverse=True)[1].reshape(-1).astype(np.int64)


def bits(share: Floats) -> float:
    """Entropy of a distribution, in bits."""
    share = share[share > 0]
    return float(-(share * np.log2(share)).sum()) + 0.0


def excess_bits(size: Ints, classes: Ints) -> float:
    """Bits by which a feature is finer than its classes.

    Args:
        size: inputs with each value, `[values]`.
        classes: of `coarsest`, `[values]`.
    """
    share = size / size.sum()
    return bits(share) - bits(np.bincount(classes, share).astype(np.float64))
