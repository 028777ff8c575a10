"""Which changed hypotheses permit what the tight one permits, and no more: proved by going through every input.

A scrub exchanges inputs that agree on a feature. What a feature's values are called does not matter, only which inputs
agree. So if two trees of claims differ in features alone, and in each claim inputs that agree on the changed feature
agree on the tight one's, at every position where it is claimed, then every exchange that the changed hypothesis permits
is permitted by the tight one, from the output down. Of the tight one it is known that none does any harm.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from benchmarks.groundtruth.truth import Truth
from scrubbing import Claim, Dataset, Feature

Ints = NDArray[np.int64]
Relation = Literal["equivalent", "finer", "other"]


def relation(truth: Truth, changed: Claim) -> Relation:
    """How a changed tree of claims stands to the tight one: the same exchanges, fewer of them, or others."""
    hypothesis = truth.tight[0]
    pairs = list(_pairs(hypothesis.correspondence, changed))
    if None in pairs:
        return "other"
    data, finer = hypothesis.in_scope(truth.data), False
    for pair in pairs:
        assert pair is not None
        tight, other = (_values(claim.variable.agrees_on(), data) for claim in pair)
        places = _places(pair[0], data)
        if tight.ndim != other.ndim:
            return "other"
        columns = [(tight, other)] if tight.ndim == 1 else [(tight[:, p], other[:, p]) for p in places]
        if any(not _refines(new, old) for old, new in columns):
            return "other"
        finer |= any(not _refines(old, new) for old, new in columns)
    return "finer" if finer else "equivalent"


def _pairs(tight: Claim, changed: Claim) -> Iterator[tuple[Claim, Claim] | None]:
    """Claims in the same place; None where they differ in more than what they carry."""
    alone = (replace(one, variable=tight.variable, children=()) for one in (tight, changed))
    same = next(alone) == next(alone) and len(tight.children) == len(changed.children)
    yield (tight, changed) if same else None
    if same:
        for below in zip(tight.children, changed.children, strict=True):
            yield from _pairs(*below)


def _values(feature: Feature, data: Dataset) -> Ints:
    """A feature's values as numbers, `[n]` or `[n, positions]`."""
    if feature.op == "identity":
        return np.arange(len(data))
    if feature.op == "constant":
        return np.zeros(len(data), dtype=np.int64)
    found = feature(data)
    if found.ndim > 1 and feature.per == "input":  # several columns are one value
        return np.unique(found, axis=0, return_inverse=True)[1].reshape(-1)
    return np.unique(found, return_inverse=True)[1].reshape(found.shape)


def _places(claim: Claim, data: Dataset) -> list[int]:
    """Positions at which a claim that draws per position is claimed."""
    length = data["tokens"].shape[1] if "tokens" in data else 1
    places: set[int] = set()
    for target in claim.targets:
        found = None if target.positions is None else target.positions.resolve(length, False)
        places |= set(range(length) if found is None else found)
    return sorted(places)


def _refines(fine: Ints, coarse: Ints) -> bool:
    """Whether inputs that agree on one agree on the other, all of them."""
    return len(np.unique(np.stack([fine, coarse]), axis=1).T) == len(np.unique(fine))
