"""How the claims of a treeified hypothesis meet: what is read at which positions, which claims nothing reads, and which
are on one path.

A claim is about a node at some positions, and what reads it reads it at some positions: attention at its own and
earlier ones, an MLP at its own, a loss where it counts. Sets of positions are the bits of an integer.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from scrubbing.errors import ScrubbingError
from scrubbing.graph.nodes import MASK, Node
from scrubbing.graph.positions import Positions, Where
from scrubbing.hypothesis.treeify import ARRIVED, Hit, NodeCopy, Passed, Reach, Tree
from scrubbing.parts import AttentionPart, Part


@dataclass(frozen=True)
class Unmatched:
    """A target that no path of the graph leads to."""

    region: int
    """The parent claim's."""
    target: int
    """Which of the region's targets."""


@dataclass(frozen=True)
class Unread:
    """A target that is met, but where nothing reads it."""

    region: int
    target: int
    around: int
    """Positions at which what it is about is read."""


@dataclass(frozen=True)
class Clash:
    """Two targets on one path, through a node."""

    region: int
    first: int
    second: int
    node: Node
    around: int
    """Positions at which what they are about is read."""


Finding = Unmatched | Unread | Clash


class Meeting:
    """Finds what is wrong with how claims meet.

    Args:
        tree: the claims in their places.
        read: positions at which the output is read; None where that is not known.
    """

    def __init__(self, tree: Tree, read: Where | None = None) -> None:
        self.tree = tree
        self.graph = tree.graph
        self.everywhere = (1 << self.graph.positions) - 1
        self.wanted: dict[tuple[NodeCopy, str], int] = {}
        """Positions of a slot's input that the output depends on."""
        self.met: dict[tuple[int, int], int] = {}
        """By region and target: where the target is read, among the positions it claims."""
        self.around: dict[tuple[int, int], int] = {}
        """The same, whatever positions it claims."""
        self._bits: dict[Where, int] = {}
        self._leads: dict[tuple[int, int, Node, Reach | Passed, int], bool] = {}
        self._enter(0, self.graph.output, self.everywhere if read is None else self.bits(read), None)

    def findings(self) -> list[Finding]:
        """Everything found; of what lies below a claim that is itself not met or not read, nothing, nor that a claim
        is not read because another that it clashes with is.
        """
        clashes: dict[object, Clash] = {}
        clashing: set[tuple[int, int]] = set()
        for clash in self._clashes():
            clashing |= {(clash.region, clash.first), (clash.region, clash.second)}
            targets = self.tree.targets(clash.region)
            claims = frozenset((targets[clash.first][0], targets[clash.second][0]))
            clashes.setdefault((claims, clash.node), clash)
        found: list[Finding] = []
        for region in self.tree.regions:
            if not self._is_read(region.index):
                continue
            for i, (_, _, node) in enumerate(self.tree.targets(region.index)):
                key = region.index, i
                if key not in self.tree.matched:
                    found += [Unmatched(*key)] if node in self.graph.slots else []
                elif not self.met.get(key) and key not in clashing:
                    found.append(Unread(*key, self.around.get(key, 0)))
        return [*clashes.values(), *found]

    def bits(self, where: Where) -> int:
        """A cell of positions; those that depend on the input count if they are chosen for any."""
        if where not in self._bits:
            self._bits[where] = self._counted(where)
        return self._bits[where]

    def _counted(self, where: Where) -> int:
        found = sum(1 << position for position in where.fixed)
        data = self.tree.data
        if not where.conditions or data is None:
            return found
        try:
            inside = None
            for by, wanted in where.conditions:
                chosen = data.remember(("positions", by), lambda by=by: by.chosen(data, self.graph.positions))
                here = chosen if wanted else ~chosen
                inside = here if inside is None else inside & here
        except ScrubbingError:  # reported where positions are checked
            return found
        assert inside is not None
        return found & sum(1 << int(position) for position in np.flatnonzero(inside.any(axis=0)))

    def sources(self, node: Node, slot: str, at: int, part: Part | None = None) -> int:
        """The positions of a slot's input that a node reads for its output, or a part of it, at these."""
        read = self.graph.slots[node][slot]
        if not at or read.parents == (MASK,):
            return self.everywhere if at else 0
        if isinstance(part, AttentionPart) and slot in ("q", "k", "v"):
            if slot == "v":
                between, queries = part.between(self.graph.positions), list(positions_of(at))
                return sum(1 << int(key) for key in np.flatnonzero(between[queries].any(axis=0)))
            if part.as_if:
                return 0
        if read.reach == "same":
            return at
        return (1 << at.bit_length()) - 1 if read.reach == "earlier" else self.everywhere

    # Which positions are read

    def _enter(self, index: int, node: Node, at: int, part: Part | None, slot: str | None = None) -> None:
        """A claimed node is read at these positions; or what it reads at a slot is."""
        if not self.tree.regions[index].children or node not in self.graph.slots:
            return
        if own := self.tree.own_parts(index):
            for hit in own:
                self._note(index, hit, at)
                self._enter(hit.region, node, at, hit.part)
            return
        start = self.tree.start(index, node)
        for name in self.graph.slots[node] if slot is None else (slot,):
            self._slot(start, name, at if slot is not None else self.sources(node, name, at, part))

    def _slot(self, copy: NodeCopy, slot: str, at: int) -> None:
        new = at & ~self.wanted.get((copy, slot), 0)
        if not new:
            return
        self.wanted[copy, slot] = self.wanted.get((copy, slot), 0) | new
        for cell in self.tree.cells.get((copy, slot), ()):
            here = new & self.bits(cell.where)
            for hit in (*cell.readers, *(hit for entry in cell.entries for hit in entry.claimed)):
                key = copy.region, hit.target
                self.around[key] = self.around.get(key, 0) | new
                if here:
                    self._note(copy.region, hit, here)
            for hit in cell.readers if here else ():
                self._enter(hit.region, copy.node, here, None, slot)
            for entry in cell.entries if here else ():
                for hit in entry.claimed:
                    self._enter(hit.region, entry.parent, here, hit.part)
                if entry.mixed is not None:
                    for name in self.graph.slots[entry.mixed.node]:
                        self._slot(entry.mixed, name, self.sources(entry.mixed.node, name, here))

    def _note(self, region: int, hit: Hit, at: int) -> None:
        key = region, hit.target
        self.met[key] = self.met.get(key, 0) | at

    def _is_read(self, index: int) -> bool:
        parent = self.tree.regions[index].parent
        if parent is None:
            return True
        targets = enumerate(self.tree.targets(parent))
        return any(self.met.get((parent, i)) for i, (child, _, _) in targets if child == index)

    # Claims on one path

    def _clashes(self) -> Iterator[Clash]:
        for region in self.tree.regions:
            if own := self.tree.own_parts(region.index):
                yield from self._parts(region.index, own, region.nodes[0], self.everywhere)
        for (copy, slot), at in self.wanted.items():
            for cell in self.tree.cells.get((copy, slot), ()):
                here = at & self.bits(cell.where)
                if not here:
                    continue
                for other in cell.readers[1:]:
                    yield Clash(copy.region, cell.readers[0].target, other.target, copy.node, at)
                for entry in (*cell.entries, *cell.behind):
                    if not (entry.claimed or cell.readers):
                        continue  # what is met further on is met there
                    yield from self._parts(copy.region, list(entry.claimed), entry.parent, at)
                    onward = [i for i, step in entry.onward if self._meets(copy.region, i, entry.parent, step, here)]
                    for hit in entry.claimed:
                        yield from (Clash(copy.region, hit.target, i, entry.parent, at) for i in onward)
                    for hit in cell.readers[:1]:
                        below = {*onward, *(one.target for one in entry.claimed)} - {h.target for h in cell.readers}
                        yield from (Clash(copy.region, hit.target, i, copy.node, at) for i in sorted(below))

    def _parts(self, region: int, hits: list[Hit], node: Node, at: int) -> Iterator[Clash]:
        """Several claims may take a node only if each takes a part of its own."""
        for a, b in combinations(hits, 2):
            if a.part is None or b.part is None or a.part.overlaps(b.part, self.graph, node):
                yield Clash(region, a.target, b.target, node, at)

    def _meets(self, region: int, index: int, at: Node, step: Reach | Passed, bits: int) -> bool:
        """Whether a target is met further on, from a node that is computed at these positions."""
        key = region, index, at, step, bits
        if key not in self._leads:
            self._leads[key] = self._meets_further(region, index, at, step, bits)
        return self._leads[key]

    def _meets_further(self, region: int, index: int, at: Node, step: Reach | Passed, bits: int) -> bool:
        _, target, node = self.tree.targets(region)[index]
        claimed, slots = self._claimed(target.positions), self.graph.slots[at]
        if step == ARRIVED:
            return any(self.sources(at, slot, bits) & claimed for slot in slots if target.claims_slot(slot))
        assert isinstance(step, Passed) and target.route is not None
        for slot, read in slots.items():
            read_at = self.sources(at, slot, bits)
            for parent in read.parents if read_at else ():
                state = target.route.edge(step.state, at, slot, parent)
                here = read_at & self._claimed(target.route.at(at, slot, parent))
                if state is None or not here:
                    continue
                if parent == node:
                    arrived = self._meets(region, index, node, ARRIVED, here) if target.read_slots else here & claimed
                    if arrived and target.route.may_end(state):
                        return True
                    continue
                after = target.route.step(state, parent)
                if after is not None and self._meets(region, index, parent, Passed(after), here):
                    return True
        return False

    def _claimed(self, positions: Positions | None) -> int:
        if positions is None:
            return self.everywhere
        whole = Where(tuple(range(self.graph.positions)))
        inside, _ = whole.split(positions, self.graph.positions, MASK in self.graph.slots)
        return 0 if inside is None else self.bits(inside)


def positions_of(bits: int) -> Iterator[int]:
    """The positions of a set, ascending."""
    return (position for position in range(bits.bit_length()) if bits >> position & 1)


def runs(bits: int) -> str:
    """A set of positions in words: `0-2,5`."""
    return str(Where(tuple(positions_of(bits))))


def as_written(bits: int) -> int | slice | list[int]:
    """A set of positions as what `.at` takes."""
    chosen = list(positions_of(bits))
    if len(chosen) == 1:
        return chosen[0]
    whole = chosen == list(range(chosen[0], chosen[-1] + 1))
    return slice(chosen[0], chosen[-1] + 1) if whole else chosen
