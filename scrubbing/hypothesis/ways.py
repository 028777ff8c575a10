"""Which components and states lie on paths of a route to a node."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field

from scrubbing.graph.model_graph import ModelGraph
from scrubbing.graph.nodes import Node
from scrubbing.routes import Route


@dataclass
class Ways:
    """From where, and in which states, paths of a route lead to a node."""

    graph: ModelGraph
    route: Route
    node: Node
    known: dict[tuple[Node, Hashable], bool] = field(default_factory=dict[tuple[Node, Hashable], bool])

    def lead(self, at: Node, state: Hashable) -> bool:
        """Whether a path goes on from a component, passed in this state."""
        key = (at, state)
        if key not in self.known:
            self.known[key] = self.node in self.graph.upstream.get(at, ()) and any(
                self._by(at, slot, parent, state)
                for slot, read in self.graph.slots[at].items()
                for parent in read.parents
            )
        return self.known[key]

    def _by(self, at: Node, slot: str, parent: Node, state: Hashable) -> bool:
        """The same, by one step."""
        entered = self.route.edge(state, at, slot, parent)
        if entered is None:
            return False
        if parent == self.node:
            return self.route.may_end(entered)
        after = self.route.step(entered, parent)
        return after is not None and self.lead(parent, after)
