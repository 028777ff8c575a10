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
    """Some paths, recognised component by component, from the parent claim's node up to the claim's own.

    A path from the parent's node begins in the state `start()`, and every component passed on the way changes the state
    by `step`. It is one of the route's paths if it arrives at the claim's node in a state that `may_end`. Copies of a
    node are told apart by state, so a route should have few of them.
    """

    def start(self) -> Hashable:
        """The state before any component is passed; not None."""
        return 0

    @abstractmethod
    def step(self, state: Hashable, node: Node) -> Hashable | None:
        """The state after passing through this component; None if no path of the route does."""

    def may_end(self, state: Hashable) -> bool:
        """Whether a path may arrive in this state."""
        return True

    @property
    def named(self) -> tuple[Node, ...]:
        """Components that the route names, which the model must have."""
        return ()

    def faults(self, graph: ModelGraph) -> Iterator[Complaint]:
        """What makes it impossible on this model: pairs of a problem and a remedy, reported as SCR-ROUTE."""
        yield from ()

    def avoiding(self, node: Node) -> Route | None:
        """The same route without the paths through this component; None if it cannot be had."""
        return None

    def why_not(self, parent: str, node: Node) -> str:
        """Why no path from the parent's node, as text, to the claim's node may be one of the route's: half a sentence,
        or nothing.
        """
        return ""

    def covers(self, between: Iterable[Node]) -> bool:
        """Whether the path through these components, the one nearest to the parent claim first, is one of them."""
        state: Hashable | None = self.start()
        for node in between:
            state = self.step(state, node)
            if state is None:
                return False
        return self.may_end(state)


@named("direct")
@dataclass(frozen=True)
class Direct(Route):
    """Through the residual stream only."""

    def step(self, state: Hashable, node: Node) -> None:
        """Nothing may lie in between."""
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
        """Whatever is not avoided may lie in between."""
        return None if node in self.avoid else state

    @property
    def named(self) -> tuple[Node, ...]:
        """What is avoided."""
        return tuple(sorted(self.avoid))

    def avoiding(self, node: Node) -> Route:
        """See `Route.avoiding`."""
        return AnyPath(self.avoid | {node})

    def __str__(self) -> str:
        return "by any path" + (f" avoiding {', '.join(map(str, self.named))}" if self.avoid else "")


@named("via")
@dataclass(frozen=True)
class Via(Route):
    """Exactly through some components, the one nearest to the parent claim's node first."""

    through: tuple[Node, ...]

    def step(self, state: Hashable, node: Node) -> Hashable | None:
        """The state is the number of components passed."""
        passed = int(state)  # pyright: ignore[reportArgumentType]
        return passed + 1 if passed < len(self.through) and self.through[passed] == node else None

    def may_end(self, state: Hashable) -> bool:
        """Once all have been passed."""
        return state == len(self.through)

    @property
    def named(self) -> tuple[Node, ...]:
        """All of them."""
        return self.through

    def why_not(self, parent: str, node: Node) -> str:
        """See `Route.why_not`."""
        return f"components are named in order, first the one that {parent} reads, last the one that reads {node}"

    def __str__(self) -> str:
        return f"via {', '.join(map(str, self.through))}"
