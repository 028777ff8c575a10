"""Parts that a model computes inside a node: neurons of an MLP, and what a head moves from some keys."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scrubbing.errors import UsageError, fail
from scrubbing.graph.model_graph import ModelGraph
from scrubbing.graph.nodes import Node
from scrubbing.parts.base import AttentionPart, NeuronPart, diagonals
from scrubbing.storable import Complaint, named
from scrubbing.user_code import array_of


@named("neurons")
@dataclass(frozen=True)
class Neurons(NeuronPart):
    """What chosen neurons of an MLP write; see `neurons`."""

    indices: tuple[int, ...]

    def chosen(self, width: int) -> tuple[int, ...]:
        """See `NeuronPart.chosen`."""
        return self.indices

    def __str__(self) -> str:
        return f"neurons({','.join(map(str, self.indices[:8]))}{',...' if len(self.indices) > 8 else ''})"


@named("offsets")
@dataclass(frozen=True)
class Offsets(AttentionPart):
    """What a head writes from keys at chosen distances from the query; see `offsets`."""

    indices: tuple[int, ...]

    def between(self, length: int) -> NDArray[np.bool_]:
        """See `AttentionPart.between`."""
        return diagonals(self.indices, length)

    @property
    def distances(self) -> tuple[int, ...]:
        """See `AttentionPart.distances`."""
        return self.indices

    def __str__(self) -> str:
        return f"offsets({', '.join(map(str, self.indices))})"


@named("pairs")
@dataclass(frozen=True)
class Pairs(AttentionPart):
    """What a head writes through chosen (query, key) pairs; see `pairs`."""

    keys: tuple[tuple[int, ...], ...]
    """The chosen keys of each query, in order of position."""

    def between(self, length: int) -> NDArray[np.bool_]:
        """See `AttentionPart.between`."""
        chosen = np.zeros((length, length), dtype=bool)
        for query, keys in enumerate(self.keys[:length]):
            chosen[query, [key for key in keys if key < length]] = True
        return chosen

    def faults(self, graph: ModelGraph, node: Node) -> Iterator[Complaint]:
        """See `Part.faults`: as for any part of attention, or the pairs are for inputs of another length."""
        attends = node.kind == "head" and "k" in graph.slots[node]
        if attends and len(self.keys) != graph.positions:
            problem = f"its pairs are for {len(self.keys)} positions, and inputs have {graph.positions}."
            yield problem, f"Give booleans [{graph.positions}, {graph.positions}]."
        else:
            yield from super().faults(graph, node)

    def __str__(self) -> str:
        return f"pairs({sum(map(len, self.keys))} in all)"


@named("attending_to")
@dataclass(frozen=True)
class AttendingTo(AttentionPart):
    """What a head would write if every query attended only to the key at one distance; see `attending_to`."""

    offset: int
    as_if: ClassVar[bool] = True

    def between(self, length: int) -> NDArray[np.bool_]:
        """See `AttentionPart.between`."""
        return diagonals((self.offset,), length)

    def __str__(self) -> str:
        return f"attending_to({self.offset})"


def neurons(indices: ArrayLike) -> Neurons:
    """What these neurons of an MLP write; the output bias stays in the remainder.

    Raises:
        UsageError: SCR-PART, the indices are not integers, or there are none.
    """
    remedy = "Give at least one integer; of a mask, np.flatnonzero(mask)."
    array = np.ravel(array_of(indices, "SCR-PART", remedy))
    if array.dtype.kind not in "iu" or not array.size:
        problem = f"neurons are chosen by indices, not by {array.dtype}." if array.size else "no neuron is chosen."
        fail(UsageError, "SCR-PART", problem, remedy)
    return Neurons(tuple(sorted({int(index) for index in array})))


def offsets(*chosen: int) -> Offsets:
    """What a head writes from keys at these distances from the query: 0 is the current token, -1 the previous one.

    The pattern stays the head's own, softmax over all keys included; what flows from other keys is the remainder.

    Raises:
        UsageError: SCR-PART, no offset, or one is not an integer.
    """
    return Offsets(_distances(*chosen))


def pairs(mask: ArrayLike) -> Pairs:
    """What a head writes through these (query, key) pairs, bool `[positions, positions]`, under its own pattern.

    Raises:
        UsageError: SCR-PART, the mask is not square and boolean, or nothing is chosen.
    """
    remedy = "Give booleans [positions, positions], true for at least one pair."
    array = array_of(mask, "SCR-PART", remedy)
    if array.ndim != 2 or array.shape[0] != array.shape[1] or array.dtype.kind != "b" or not array.any():
        problem = f"the pairs are {array.dtype} of shape {list(array.shape)}" + (
            "." if array.any() else ", none chosen."
        )
        fail(UsageError, "SCR-PART", problem, remedy)
    return Pairs(tuple(tuple(np.flatnonzero(row).tolist()) for row in array))


def attending_to(offset: int) -> AttendingTo:
    """What a head would write if every query attended only to the key at this distance.

    `attending_to(0)` is the head as if its pattern were the identity. The remainder is the difference between the head
    and that. A query without such a key writes nothing.

    Raises:
        UsageError: SCR-PART, the offset is not an integer.
    """
    return AttendingTo(*_distances(offset))


def _distances(*chosen: int) -> tuple[int, ...]:
    if not chosen or not all(isinstance(one, (int, np.integer)) and not isinstance(one, bool) for one in chosen):
        problem = f"offsets({', '.join(map(repr, chosen))}) does not name distances between key and query."
        fail(UsageError, "SCR-PART", problem, "Give integers: 0 for the current token, -1 for the previous one.")
    return tuple(sorted({int(one) for one in chosen}))
