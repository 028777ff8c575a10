"""A hypothesis under construction: the paths that are kept so far, and what each of them is said to carry."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from scrubbing.data.features import Feature, everything
from scrubbing.graph.model_graph import ModelGraph
from scrubbing.graph.nodes import MASK, Node
from scrubbing.graph.positions import Positions
from scrubbing.hypothesis.claims import Claim, Target
from scrubbing.hypothesis.variables import Variable
from scrubbing.routes import Direct

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
    feature: Feature = everything
    each: bool = False
    """Whether every position draws its own input."""
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
        return Target(self.node, Direct(), slots, (), None if self.node == MASK else positions, self.each)

    def only(self, slots: tuple[str, ...], positions: tuple[int, ...]) -> Kept:
        """The same through fewer slots, at fewer positions."""
        made = replace(self, slots=slots)
        return replace(made, positions=tuple(place for place in positions if place in made.read))

    def claim(self) -> Claim:
        """That it carries its feature."""
        variable = Variable(f"{self.feature.name} of {self.node}", self.feature)
        return self.target.carries(variable, *(one.claim() for one in self.below))

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


def offered(kept: Kept, graph: ModelGraph) -> tuple[Kept, ...]:
    """Everything that a node reads, each writer as one that is kept whole."""
    into: dict[Node, list[tuple[str, tuple[int, ...]]]] = {}
    for name, slot in graph.slots[kept.node].items():
        upto = range(max(kept.positions, default=-1) + 1)
        places = {"same": kept.positions, "earlier": tuple(upto), "every": tuple(range(graph.positions))}[slot.reach]
        for writer in slot.parents:
            into.setdefault(writer, []).append((name, places))
    made = (Kept(one, tuple(slot for slot, _ in where), tuple(where), ()) for one, where in into.items())
    return tuple(replace(one, positions=one.read) for one in made)
