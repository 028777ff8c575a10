"""Routes: the paths by which a claim's node reaches its parent claim's node. For `.direct()`, `.any_path()`, `.via()`
and `.by(route)`; for a route of your own, subclass `Route`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass

from scrubbing.graph.model_graph import ModelGraph
from scrubbing.graph.nodes import Node
from scrubbing.storable import Complaint, Storable, named

__all__ = ["AnyPath", "Direct", "Route", "Via"]


class Route(Storable, ABC):
    """A set of paths from the parent claim's node up to the claim's own node, recognised component by component.

    A path from the parent's node begins in the state `start()`, and every component passed on the way changes the state
    by `step`. It is one of the route's paths if it arrives at the claim's node in a state that `may_end`. Copies of a
    node are told apart by state, so a route should have few of them.
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

    def covers(self, between: Iterable[Node]) -> bool:
        """Whether the path through these components, the one nearest the parent claim first, belongs to the route."""
        state: Hashable | None = self.start()
        for node in between:
            state = self.step(state, node)
            if state is None:
                return False
        return self.may_end(state)


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
