"""A draft without what gradients propose to leave out of the whole graph at once, up to a price."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from scrubbing.graph.model_graph import ModelGraph
from scrubbing.graph.nodes import Node
from scrubbing.search.draft import Kept, offered
from scrubbing.search.where import Part, positions, slots, without, writers

LEVELS = 32
"""Prices at which a path is cut."""
MOST_CLAIMS = 300
"""Above so many a draft is not made: paths from the output down grow in number from layer to layer."""


class TooMany(Exception):
    """A draft would have more claims than are made."""


@dataclass(frozen=True)
class Path:
    """Drafts from large to small.

    Args:
        graph: of the model.
        through: kinds of nodes that are looked through.
        depth: claims on the longest path from the output down; None for as far as it goes.
        worth: of a writer, or of one of its slots or positions, for a reader; nothing else is left out.
    """

    graph: ModelGraph
    through: Sequence[str]
    depth: int | None
    worth: Mapping[tuple[Node, Part], float]

    @property
    def levels(self) -> list[float]:
        """Prices from low to high: at each more is left out than at the one before."""
        every = np.unique(list(self.worth.values()))
        return np.unique(np.quantile(every, np.linspace(0, 1, LEVELS), method="nearest")).tolist()

    def cut(self, draft: Kept, level: float) -> Kept | None:
        """What is left of a draft without what is worth no more than a price, in what it claims and in what is read
        below; None where nothing is, or where it would have too many claims.
        """
        number = [0]
        try:
            return self._cut(draft, level, 0, number)
        except TooMany:
            return None

    def _cut(self, kept: Kept, level: float, deep: int, number: list[int]) -> Kept | None:
        number[0] += 1
        if number[0] > MOST_CLAIMS:
            raise TooMany
        ends = kept.each or kept.group is not None or not self.graph.slots[kept.node]
        if not kept.below and (ends or (self.depth is not None and deep >= self.depth)):
            return kept
        whole = kept if kept.below else replace(kept, below=offered(kept, self.graph, self.through))
        parts = [part for kind in (writers, slots, positions) for part in kind(whole)]
        idle = frozenset(part for part in parts if self.worth.get((kept.node, part), np.inf) <= level)
        left = [self._cut(one, level, deep + 1, number) for one in without(whole, idle).below]
        below = tuple(one for one in left if one is not None)
        return replace(kept, below=below) if below else None
