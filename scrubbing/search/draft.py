"""A hypothesis under construction: the paths that are kept so far, and what each of them is said to carry."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace

from scrubbing.data.features import Feature, everything
from scrubbing.graph.model_graph import ModelGraph
from scrubbing.graph.nodes import MASK, Node
from scrubbing.graph.positions import Positions
from scrubbing.hypothesis.claims import Claim, Target
from scrubbing.hypothesis.variables import Variable
from scrubbing.routes import AnyPath, Direct, Route

_DIRECT = Direct()
Path = tuple[int, ...]
"""From the output down: which of its kept writers, which of that one's, and so on."""


@dataclass(frozen=True)
class Kept:
    """A node as one reader reads it, which is kept: claimed to matter there."""

    node: Node
    slots: tuple[str, ...]
    """Through which it enters its reader."""
    places: tuple[tuple[str, tuple[int, ...]], ...]
    """Those through which it could, each with the positions at which it is read there."""
    positions: tuple[int, ...]
    """At which it is read, as far as that is kept."""
    route: Route = _DIRECT
    """How it reaches its reader."""
    feature: Feature = everything
    each: bool = False
    """Whether every position draws its own input."""
    group: str | None = None
    """Name of those that only have to come from one input, whichever that is."""
    below: tuple[Kept, ...] = ()
    """What it reads itself, as far as that was looked at; if nothing, all of its own input is kept."""

    @property
    def read(self) -> tuple[int, ...]:
        """Positions at which it could be read through these slots."""
        return tuple(sorted({place for slot, some in self.places if slot in self.slots for place in some}))

    @property
    def target(self) -> Target:
        """What is claimed, on the direct path."""
        compared = self.feature.per == "position" and not self.each  # at the only one that is read
        positions = Positions(self.positions) if compared or self.positions != self.read else None
        slots = self.slots if len(self.slots) < len(self.places) else ()
        return Target(self.node, self.route, slots, (), None if self.node == MASK else positions, self.each)

    def only(self, slots: tuple[str, ...], positions: tuple[int, ...]) -> Kept:
        """The same through fewer slots, at fewer positions."""
        made = replace(self, slots=slots)
        return replace(made, positions=tuple(place for place in positions if place in made.read))

    def claim(self) -> Claim:
        """That it carries its feature."""
        carrier = self.node if self.group is None else self.group
        variable = Variable(f"{self.feature.name} of {carrier}", self.feature)
        return self.target.carries(variable, *(one.claim() for one in self.below), group=self.group)

    def walk(self, path: Path = ()) -> Iterator[tuple[Path, Kept]]:
        """This and all below it, with their paths."""
        yield path, self
        for i, one in enumerate(self.below):
            yield from one.walk((*path, i))

    def at(self, path: Path) -> Kept:
        """What is at the end of a path."""
        return self if not path else self.below[path[0]].at(path[1:])

    def with_(self, path: Path, changed: Kept) -> Kept:
        """The same with something else at the end of a path."""
        if not path:
            return changed
        below = list(self.below)
        below[path[0]] = below[path[0]].with_(path[1:], changed)
        return replace(self, below=tuple(below))


def root(graph: ModelGraph, read: tuple[int, ...]) -> Kept:
    """The whole output, at the positions at which a loss reads it; nothing below it was looked at."""
    return Kept(graph.output, (), (), read)


def offered(kept: Kept, graph: ModelGraph, through: Collection[str] = ()) -> tuple[Kept, ...]:
    """Everything that a node reads, each writer as one that is kept whole.

    Args:
        kept: the node.
        graph: of the model.
        through: kinds of nodes that are looked through: what they read counts as read by their reader, and they are
            computed again on whatever that is.
    """
    into: dict[Node, list[tuple[str, tuple[int, ...]]]] = {}
    for name, slot in graph.slots[kept.node].items():
        upto = range(max(kept.positions, default=-1) + 1)
        places = {"same": kept.positions, "earlier": tuple(upto), "every": tuple(range(graph.positions))}[slot.reach]
        for writer in _behind(slot.parents, graph, through):
            into.setdefault(writer, []).append((name, places))
    made = (Kept(one, tuple(slot for slot, _ in where), tuple(where), ()) for one, where in into.items())
    return tuple(replace(one, positions=one.read, route=_route(one.node, into, graph, through)) for one in made)


def trimmed(kept: Kept, graph: ModelGraph, through: Collection[str] = ()) -> Kept:
    """A node without what is kept below it at positions at which it is no longer read itself.

    Args:
        kept: the node, some of whose positions or slots, or of those below it, were left out.
        graph: of the model.
        through: as for `offered`.
    """
    possible = {one.node: one for one in offered(kept, graph, through)} if kept.below else {}
    below: list[Kept] = []
    for one in kept.below:
        if there := possible.get(one.node):
            left = replace(one, places=there.places).only(one.slots, one.positions)
            below += [trimmed(left, graph, through)] if left.positions else []
    return replace(kept, below=tuple(below))


def _behind(parents: Iterable[Node], graph: ModelGraph, through: Collection[str]) -> dict[Node, None]:
    """Writers, and instead of those that are looked through what these read, in the order of the graph."""
    found: dict[Node, None] = {}
    for one in parents:
        if one.kind not in through or not graph.slots[one]:
            found[one] = None
            continue
        for slot in graph.slots[one].values():
            found |= _behind(slot.parents, graph, through)
    return {one: None for one in graph.slots if one in found}


def _route(node: Node, beside: Collection[Node], graph: ModelGraph, through: Collection[str]) -> Route:
    """The paths from a node through nothing but what is looked through."""
    after = graph.readers(node)
    if not any(one.kind in through for one in after):
        return _DIRECT
    return AnyPath(frozenset(one for one in after if one.kind not in through and one in beside))
