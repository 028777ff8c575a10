"""The table of a plan's values: every equal thing is one object, and what is of a clean run is known to be."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable
from typing import Any

from scrubbing.engine import values as v
from scrubbing.graph.model_graph import ModelGraph
from scrubbing.graph.nodes import Node
from scrubbing.models.protocol import Model
from scrubbing.parts import InnerPart
from scrubbing.sampling.contexts import Context


class Table(ABC):
    """Interns values. How a clean item comes about is said by whoever builds.

    Args:
        graph: of the model on this dataset.
        model: for norms, constants and widths; no tensor is touched.
    """

    def __init__(self, graph: ModelGraph, model: Model) -> None:
        self.graph = graph
        self.model = model
        self.clean_of: dict[v.Value, tuple[v.Item, Context]] = {}
        """Which clean item a value is, whether read or computed."""
        self._clean: dict[tuple[v.Item, Context], v.Value] = {}
        self._interned: dict[Hashable, v.Value] = {}
        self._canonical: dict[tuple[Node, ...], tuple[Node, str]] = {}
        for node, slots in graph.slots.items():
            for name, slot in slots.items():
                self._canonical.setdefault(slot.parents, (node, name))

    @abstractmethod
    def made(self, item: v.Item, context: Context) -> v.Value:
        """An item of the clean run of a context, read from a store or computed in place."""

    def intern(self, kind: Callable[..., Any], *arguments: Any) -> Any:
        """The one value of this kind with these arguments."""
        key = (kind, *arguments)
        if key not in self._interned:
            self._interned[key] = kind(*arguments)
        return self._interned[key]

    def read(self, node: Node, slot: str) -> tuple[Node, str]:
        """The first slot of the graph that reads the same sum as this one, so that all of them share one value."""
        return self._canonical[self.graph.slots[node][slot].parents]

    def output(self, node: Node, context: Context, part: InnerPart | None = None) -> v.Value:
        """A node's raw value in the clean run of a context."""
        return self.clean(v.Item("output", node, part=part), context)

    def input(self, node: Node, slot: str, context: Context) -> v.Value:
        """What a slot reads in the clean run of a context."""
        return self.clean(v.Item("input", *self.read(node, slot)), context)

    def clean(self, item: v.Item, context: Context) -> v.Value:
        """An item of the clean run of a context."""
        if (item, context) not in self._clean:
            value = self._clean[item, context] = self.made(item, context)
            self.clean_of.setdefault(value, (item, context))
        return self._clean[item, context]
