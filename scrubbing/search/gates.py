"""Gates on what nodes read: one for each slot through which a writer enters a reader, and for each position."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scrubbing.graph.model_graph import ModelGraph
from scrubbing.graph.nodes import MASK, Node
from scrubbing.search.draft import Kept, offered, root
from scrubbing.search.where import MOST_POSITIONS


@dataclass(frozen=True)
class Gate:
    """A slot through which one node reads another, or a position at which it does."""

    reader: Node
    writer: Node
    what: str | int


@dataclass(frozen=True, eq=False)
class Gates:
    """All gates of a graph, in order."""

    gates: tuple[Gate, ...]
    share: NDArray[np.float64]
    """Share of a claim that each stands for: the slots of one claim add up to 1, and so do its positions."""
    index: Mapping[Gate, int]

    @classmethod
    def of(cls, graph: ModelGraph, read: tuple[int, ...], through: Sequence[str], depth: int | None) -> Gates:
        """For a model.

        Args:
            graph: of the model.
            read: positions at which the output is read.
            through: kinds of nodes that are looked through.
            depth: claims on the longest path from the output down.
        """
        made: dict[Gate, float] = {}
        level, seen = {graph.output: root(graph, read)}, set[Node]()
        while level and depth != 0:
            depth = None if depth is None else depth - 1
            below: dict[Node, Kept] = {}
            for reader, kept in level.items():
                for one in offered(kept, graph, through):
                    made |= {Gate(reader, one.node, slot): 1 / len(one.slots) for slot in one.slots}
                    if 1 < len(one.positions) <= MOST_POSITIONS and one.node != MASK:
                        made |= {Gate(reader, one.node, at): 1 / len(one.positions) for at in one.positions}
                    if one.node not in seen and graph.slots[one.node]:
                        everywhere = tuple(range(graph.positions))
                        below[one.node] = Kept(one.node, (), (), everywhere)
            seen |= {*below}
            level = below
        return cls(tuple(made), np.array([*made.values()]), {gate: i for i, gate in enumerate(made)})

    @property
    def none(self) -> int:
        """Where a gate that is always open stands, after all others."""
        return len(self.gates)
