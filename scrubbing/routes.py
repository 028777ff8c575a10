"""Routes: the paths by which a claim's node reaches its parent claim's node. For `.direct()`, `.any_path()`, `.via()`
and `.by(route)`; for a route of your own, subclass `Route`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from scrubbing.errors import counted
from scrubbing.graph.edges import Edge
from scrubbing.graph.model_graph import ModelGraph
from scrubbing.graph.nodes import Node
from scrubbing.graph.positions import Positions
from scrubbing.storable import Complaint, Storable, named

__all__ = ["Along", "AnyPath", "Direct", "Edge", "Route", "Via", "along"]


class Route(Storable, ABC):
    """A set of paths from the parent claim's node up to the claim's own node, recognised component by component.

    A path from the parent's node begins in the state `start()`, and every component passed on the way changes the state
    by `step`. It is one of the route's paths if it arrives at the claim's node in a state that `may_end`. Copies of a
    node are told apart by state, so a route should have few of them. A route that tells apart by which slot a component
    is entered, or at which positions, also defines `edge` or `at`.
    """

    def start(self) -> Hashable:
        """The state before any component is passed; not None."""
        return 0

    @abstractmethod
    def step(self, state: Hashable, node: Node) -> Hashable | None:
        """The state after passing through a component; None if no path of the route passes through it."""

    def may_end(self, state: Hashable) -> bool:
        """Whether a path may arrive at the claim's node in this state."""
        return True

    def edge(self, state: Hashable, reader: Node, slot: str, writer: Node) -> Hashable | None:
        """The state after going up from a slot of a component, the parent claim's node first, to one that it reads, and
        before that is passed; None if no path of the route does. By default the same state.
        """
        return state

    def at(self, reader: Node, slot: str, writer: Node) -> Positions | None:
        """The positions of the slot's input at which paths of the route go that way; None for all positions."""
        return None

    @property
    def named(self) -> tuple[Node, ...]:
        """The components that the route names. A model without one of them is refused."""
        return ()

    def faults(self, graph: ModelGraph) -> Iterator[Complaint]:
        """Everything that makes the route impossible on this model: (problem, remedy) pairs, reported as SCR-ROUTE."""
        yield from ()

    def avoiding(self, node: Node) -> Route | None:
        """The same route without the paths through a component; None if no route expresses that."""
        return None

    def why_not(self, parent: str, node: Node) -> str:
        """Why no path from the parent's node (given as text) to the claim's node belongs to the route: half a sentence,
        or an empty text.
        """
        return ""


@named("direct")
@dataclass(frozen=True)
class Direct(Route):
    """The direct path: through the residual stream only."""

    def step(self, state: Hashable, node: Node) -> None:
        """None: no component may lie in between."""
        return

    def why_not(self, parent: str, node: Node) -> str:
        """See `Route.why_not`."""
        return "something lies in between on every path"

    def __str__(self) -> str:
        return "directly"


@named("any_path")
@dataclass(frozen=True)
class AnyPath(Route):
    """Every path that avoids some components."""

    avoid: frozenset[Node] = frozenset()

    def step(self, state: Hashable, node: Node) -> Hashable | None:
        """The same state for every component that is not avoided; None for one that is."""
        return None if node in self.avoid else state

    @property
    def named(self) -> tuple[Node, ...]:
        """The components that are avoided."""
        return tuple(sorted(self.avoid))

    def avoiding(self, node: Node) -> Route:
        """See `Route.avoiding`."""
        return AnyPath(self.avoid | {node})

    def __str__(self) -> str:
        return "by any path" + (f" avoiding {', '.join(map(str, self.named))}" if self.avoid else "")


@named("via")
@dataclass(frozen=True)
class Via(Route):
    """The path through exactly these components, the one nearest to the parent claim's node first."""

    through: tuple[Node, ...]

    def step(self, state: Hashable, node: Node) -> Hashable | None:
        """The number of components passed, if this component is the next one; None otherwise."""
        passed = int(state)  # pyright: ignore[reportArgumentType]
        return passed + 1 if passed < len(self.through) and self.through[passed] == node else None

    def may_end(self, state: Hashable) -> bool:
        """Whether all components of the path have been passed."""
        return state == len(self.through)

    @property
    def named(self) -> tuple[Node, ...]:
        """All components of the path."""
        return self.through

    def why_not(self, parent: str, node: Node) -> str:
        """See `Route.why_not`."""
        return f"components are named in order, first the one that {parent} reads, last the one that reads {node}"

    def __str__(self) -> str:
        return f"via {', '.join(map(str, self.through))}"


@named("along")
@dataclass(frozen=True)
class Along(Route):
    """Every path all of whose edges are among some; see `along`."""

    edges: frozenset[Edge]

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        return hash(self.edges)

    @cached_property
    def _places(self) -> Mapping[tuple[Node, Node, str], Positions | None]:
        """By writer, reader and slot: at which positions."""
        found: dict[tuple[Node, Node, str], set[int] | None] = {}
        for edge in self.edges:
            key = edge.writer, edge.reader, edge.slot
            known = found.setdefault(key, set())
            found[key] = known | {*edge.at} if edge.at and known is not None else None
        return {key: None if at is None else Positions(tuple(sorted(at))) for key, at in found.items()}

    def step(self, state: Hashable, node: Node) -> Hashable:
        """The same state: what may be passed is decided edge by edge."""
        return state

    def edge(self, state: Hashable, reader: Node, slot: str, writer: Node) -> Hashable | None:
        """The same state along one of the edges; None along any other."""
        return state if (writer, reader, slot) in self._places else None

    def at(self, reader: Node, slot: str, writer: Node) -> Positions | None:
        """See `Route.at`."""
        return self._places.get((writer, reader, slot))

    @property
    def named(self) -> tuple[Node, ...]:
        """The components at either end of an edge."""
        return tuple(sorted({node for edge in self.edges for node in (edge.writer, edge.reader)}))

    def faults(self, graph: ModelGraph) -> Iterator[Complaint]:
        """Edges that the model does not have."""
        known = [edge for edge in self.edges if edge.writer in graph.slots and edge.reader in graph.slots]
        slots = {edge: graph.slots[edge.reader].get(edge.slot) for edge in known}
        missing = [edge for edge, slot in slots.items() if slot is None or edge.writer not in slot.parents]
        for edge in sorted(missing):
            slot = slots[edge]
            has = f"{edge.reader} reads {', '.join(map(str, slot.parents)) if slot else 'nothing there'}"
            slots_of = ", ".join(graph.slots[edge.reader]) or "none"
            yield f"the model has no edge {edge}: {has}.", f"Leave it out; slots of {edge.reader}: {slots_of}."
        outside = [edge for edge in known if edge.at and edge.at[-1] >= graph.positions]
        for edge in sorted(outside):
            problem = f"{edge} is at position {edge.at[-1]}, and inputs have {graph.positions} positions."
            yield problem, f"Use 0 to {graph.positions - 1}."

    def why_not(self, parent: str, node: Node) -> str:
        """See `Route.why_not`."""
        return f"its edges form no path from {node} to {parent}"

    def stored(self) -> dict[str, Any]:
        """The route as JSON: its edges as text, in order."""
        return {"edges": tuple(map(str, sorted(self.edges)))}

    @classmethod
    def restored(cls, fields: dict[str, Any]) -> Along:
        """The inverse of `stored`."""
        return cls(frozenset(map(Edge.parse, fields["edges"])))

    def __str__(self) -> str:
        return f"along {counted(len(self.edges), 'edge')}"


def along(edges: Iterable[Edge | str]) -> Along:
    """Every path all of whose edges are among these, such as `a0.h1->a1.h0<q>`: the paths of a circuit.

    A claim `EMBED.by(along(edges))` leaves everything else that a component of the circuit reads unclaimed, as edge
    patching does. Source: Conmy et al. 2023, "Towards Automated Circuit Discovery".

    Raises:
        IllegalHypothesis: SCR-NAME, a text is no edge.
    """
    return Along(frozenset(edge if isinstance(edge, Edge) else Edge.parse(edge) for edge in edges))
