"""Matching claims to paths: the treeified graph, with copies of a node shared where they must hold the same value.

Treeifying gives every path from the output its own copy of each node on it. Two copies under the same claim from which
the same claims can still be reached hold the same value, so a copy is known by (claim, node, state of the claims
below), and the tree is stored as a DAG that grows with the claims, not with the paths.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import cached_property

from scrubbing.data.dataset import Dataset
from scrubbing.graph.model_graph import ModelGraph
from scrubbing.graph.nodes import MASK, Node
from scrubbing.graph.positions import Positions, Where
from scrubbing.hypothesis.claims import Claim, Target
from scrubbing.hypothesis.statement import Statement
from scrubbing.hypothesis.ways import Ways
from scrubbing.parts import Part
from scrubbing.routes import Route
from scrubbing.samplers import Unclaimed


class Reach(Enum):
    """How far a target has come at a copy, where it is not under way."""

    DEAD = 0
    """No path on from here is one of its route's."""
    START = 1
    """At its parent claim's own node."""
    ARRIVED = 2
    """At its own node, what this reads being claimed."""
    MATCHED = 3
    """At its own node, whose output is claimed."""

    __hash__ = object.__hash__
    """Members are one each. That of an enumeration hashes the name, in Python, a million times for a large model."""


DEAD, START, ARRIVED = Reach.DEAD, Reach.START, Reach.ARRIVED


@dataclass(frozen=True)
class Passed:
    """Under way: the state its route is in."""

    state: Hashable


State = tuple[Reach | Passed, ...]


@dataclass(frozen=True)
class PlacedClaim:
    """One claim in its place in the tree, with everything that lies between it and its child claims."""

    index: int
    claim: Claim
    parent: int | None
    path: str
    """Labels from the root; names its row in reports, and nothing else."""
    nodes: tuple[Node, ...]
    """The node of each of the claim's targets."""
    children: tuple[int, ...]
    unclaimed: Unclaimed
    """What flows in where nothing is claimed."""


@dataclass(frozen=True)
class NodeCopy:
    """A node as reached from a claim, with the state of that claim's child targets."""

    region: int
    node: Node
    state: State

    @cached_property
    def _hash(self) -> int:
        return hash((self.region, self.node, self.state))

    def __hash__(self) -> int:
        """Worked out once: a state has as many parts as its claim has targets."""
        return self._hash

    def __reduce__(self) -> tuple[type[NodeCopy], tuple[int, Node, State]]:
        """Without its hash, which is another one in another process."""
        return NodeCopy, (self.region, self.node, self.state)


@dataclass(frozen=True)
class Hit:
    """A claim met: one of its targets is what was reached."""

    region: int
    part: Part | None
    target: int
    """Which of the parent region's `Tree.targets`."""


@dataclass(frozen=True)
class Contribution:
    """What one writer contributes to a cell of a slot."""

    parent: Node
    claimed: tuple[Hit, ...]
    """Claims on it, or on parts of it."""
    mixed: NodeCopy | None
    """The writer recomputed on a mixture; None with nothing claimed means it is unclaimed."""
    onward: tuple[tuple[int, Reach | Passed], ...] = ()
    """Targets whose paths go on through the writer, whether or not somebody claims it, and how far they have come."""


@dataclass(frozen=True)
class PositionCell:
    """Some positions of a slot's input, and where each writer's contribution comes from there."""

    where: Where
    readers: tuple[Hit, ...]
    """Claims on what the slot reads here, all writers together; a legal hypothesis has one at most."""
    entries: tuple[Contribution, ...]
    """None where there is a reader."""
    behind: tuple[Contribution, ...] = ()
    """Where there is a reader, what the entries would be without it."""

    @property
    def reader(self) -> int | None:
        """Region of the claim on what the slot reads here."""
        return self.readers[0].region if self.readers else None


@dataclass(eq=False)
class Tree:
    """A treeified hypothesis: its claims in their places, and the claim that every copy of a node belongs to."""

    hypothesis: Statement
    graph: ModelGraph
    data: Dataset | None
    """The inputs in scope; None where only the graph is known."""
    regions: list[PlacedClaim]
    cells: dict[tuple[NodeCopy, str], tuple[PositionCell, ...]] = field(
        default_factory=dict[tuple[NodeCopy, str], tuple[PositionCell, ...]]
    )
    matched: set[tuple[int, int]] = field(default_factory=set[tuple[int, int]])
    """(region, target) index pairs of all targets that some path reaches."""
    _targets: dict[int, list[tuple[int, Target, Node]]] = field(
        default_factory=dict[int, list[tuple[int, Target, Node]]]
    )

    def depth(self, region: int) -> int:
        """How many claims a claim lies under, the output's included."""
        above = self.regions[region].parent
        return 0 if above is None else 1 + self.depth(above)

    @cached_property
    def draws_together(self) -> bool:
        """Whether a claim leaves two or more nodes unclaimed whose values are from one draw."""
        writers: dict[int, set[Node]] = {}
        for (copy, _), cells in self.cells.items():
            if self.regions[copy.region].unclaimed.separately:
                continue
            entries = (entry for cell in cells if cell.reader is None for entry in cell.entries)
            for entry in entries:
                if entry.mixed is None and not any(hit.part is None for hit in entry.claimed):
                    writers.setdefault(copy.region, set()).add(entry.parent)
        return any(len(one) > 1 for one in writers.values())

    def start(self, region: int, node: Node) -> NodeCopy:
        """The claim's own copy of its node, from which the paths to all its child targets start."""
        return NodeCopy(region, node, tuple(START for _ in self.targets(region)))

    def targets(self, region: int) -> list[tuple[int, Target, Node]]:
        """The child claims' targets: child region, target, the target's node."""
        if region not in self._targets:
            self._targets[region] = [
                (child, target, node)
                for child in self.regions[region].children
                for target, node in zip(self.regions[child].claim.targets, self.regions[child].nodes, strict=True)
            ]
        return self._targets[region]

    def own_parts(self, region: int) -> list[Hit]:
        """Child claims on parts of the claim's own output."""
        numbered = enumerate(self.targets(region))
        return [Hit(child, t.only, i) for i, (child, t, _) in numbered if t.node is None and t.only is not None]

    def within_each(self, region: int) -> bool:
        """Whether the claim draws per position, itself or by lying under a claim that does."""
        here = self.regions[region]
        return here.claim.each or (here.parent is not None and self.within_each(here.parent))

    def at_one_position(self, region: int) -> int | None:
        """The single position all the claim's targets are restricted to; None if there is none."""
        chosen = {
            None if t.positions is None else t.positions.resolve(self.graph.positions, MASK in self.graph.slots)
            for t in self.regions[region].claim.targets
        }
        only = chosen.pop()
        return only[0] if not chosen and only is not None and len(only) == 1 else None


def treeify(hypothesis: Statement, graph: ModelGraph, data: Dataset | None = None) -> Tree:
    """Match every claim to its paths. What is wrong with how they meet is found by `meeting`.

    Args:
        hypothesis: what is claimed.
        graph: of the model.
        data: the dataset in scope.
    """
    tree = Tree(hypothesis, graph, data, list(_regions(hypothesis, graph)))
    _Matcher(tree).run()
    return tree


def _regions(hypothesis: Statement, graph: ModelGraph) -> list[PlacedClaim]:
    found: list[PlacedClaim] = []

    def visit(claim: Claim, parent: int | None, path: str, own: tuple[Node, ...]) -> int:
        index = len(found)
        nodes = tuple(
            (own[0] if own else graph.output) if target.node is None or parent is None else target.node
            for target in claim.targets
        )
        here = PlacedClaim(index, claim, parent, path, nodes, (), hypothesis.rule(claim))
        found.append(here)
        children = [visit(child, index, below, tuple(dict.fromkeys(nodes))) for below, child in claim.paths(path)]
        found[index] = replace(here, children=tuple(children))
        return index

    visit(hypothesis.correspondence, None, hypothesis.correspondence.label, ())
    return found


class _Matcher:
    """Walks copies and slots from the output, filling `tree.cells` and `tree.matched`."""

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self.graph = tree.graph
        self.padded = MASK in tree.graph.slots
        self.ways: dict[tuple[Route, Node], Ways] = {}
        self.passed: dict[Hashable, Passed] = {}
        """One each, so that states are compared by identity."""

    def run(self) -> None:
        self._enter(0, self.graph.output)

    def _enter(self, index: int, node: Node, slots: tuple[str, ...] | None = None) -> None:
        """Visit a claim's own copy of a node: these slots of it, or all."""
        region = self.tree.regions[index]
        if not region.children or node not in self.graph.slots:
            return
        if parts := self.tree.own_parts(index):
            self.tree.matched |= {(index, hit.target) for hit in parts}
            for hit in parts:
                self._enter(hit.region, node)
            return
        for slot in slots or tuple(self.graph.slots[node]):
            self._visit(self.tree.start(index, node), slot)

    def _visit(self, copy: NodeCopy, slot: str) -> None:
        if (copy, slot) in self.tree.cells:
            return
        cells = tuple(self._cells(copy, slot))
        self.tree.cells[copy, slot] = cells
        for cell in cells:
            if cell.reader is not None:
                self._enter(cell.reader, copy.node, (slot,))
            for entry in cell.entries:
                for hit in entry.claimed:
                    self._enter(hit.region, entry.parent)
                if entry.mixed is not None:
                    for name in self.graph.slots[entry.mixed.node]:
                        self._visit(entry.mixed, name)

    def _cells(self, copy: NodeCopy, slot: str) -> Iterator[PositionCell]:
        targets = self.tree.targets(copy.region)
        parents = self.graph.slots[copy.node][slot].parents
        here = [self._reads_here(copy, slot, i) for i in range(len(targets))]
        steps = self._steps(copy, slot, parents)
        relevant = [
            target.positions
            for i, (_, target, _) in enumerate(targets)
            if target.positions is not None and (here[i] or any(step[i] is Reach.MATCHED for step in steps.values()))
        ]
        only_at = {parent: self._only_at(copy, slot, steps[parent], parent) for parent in parents}
        relevant += [at for places in only_at.values() for at in places if at is not None]
        for where, inside in self._split(relevant):
            selected = [target.positions is None or inside.get(target.positions, False) for _, target, _ in targets]
            readers = tuple(self._hit(copy, i) for i in range(len(targets)) if here[i] and selected[i])
            entries = tuple(
                self._entry(copy, parent, _taken(steps[parent], only_at[parent], inside), selected)
                for parent in parents
            )
            self.tree.matched |= {(copy.region, hit.target) for hit in readers}
            yield PositionCell(where, readers, (), entries) if readers else PositionCell(where, readers, entries)

    def _steps(self, copy: NodeCopy, slot: str, parents: Sequence[Node]) -> dict[Node, list[Reach | Passed]]:
        """How far every target has come after the step to each of the writers."""
        found: dict[Node, list[Reach | Passed]] = {parent: [DEAD] * len(copy.state) for parent in parents}
        for i, (here, (_, target, node)) in enumerate(zip(copy.state, self.tree.targets(copy.region), strict=True)):
            if here is DEAD or here is ARRIVED or target.route is None:
                continue
            if here is START and target.into_slots and slot not in target.into_slots:
                continue
            ways = self._ways(target.route, node)
            state = here.state if isinstance(here, Passed) else target.route.start()
            for parent, steps in found.items():
                steps[i] = self._advance(copy.node, slot, parent, state, target, ways)
        return found

    def _only_at(self, copy: NodeCopy, slot: str, steps: list[Reach | Passed], parent: Node) -> list[Positions | None]:
        """For every target that goes on by a step from this copy's slot: the positions at which it does."""
        routes = [target.route for _, target, _ in self.tree.targets(copy.region)]
        return [
            None if step is DEAD or route is None else route.at(copy.node, slot, parent)
            for step, route in zip(steps, routes, strict=True)
        ]

    def _split(self, selectors: list[Positions]) -> list[tuple[Where, dict[Positions, bool]]]:
        length = self.graph.positions
        cells: list[tuple[Where, dict[Positions, bool]]] = [(Where(tuple(range(length))), {})]
        for by in dict.fromkeys(selectors):
            cells = [
                (part, {**known, by: truth})
                for where, known in cells
                for part, truth in zip(where.split(by, length, self.padded), (True, False), strict=True)
                if part is not None
            ]
        return cells

    def _hit(self, copy: NodeCopy, index: int) -> Hit:
        child, target, _ = self.tree.targets(copy.region)[index]
        return Hit(child, target.only, index)

    def _reads_here(self, copy: NodeCopy, slot: str, index: int) -> bool:
        _, target, node = self.tree.targets(copy.region)[index]
        if not target.claims_slot(slot):
            return False
        if copy.state[index] is START:
            return target.route is None and target.node in (None, copy.node)
        return copy.state[index] is ARRIVED and node == copy.node

    def _ways(self, route: Route, node: Node) -> Ways:
        if (route, node) not in self.ways:
            self.ways[route, node] = Ways(self.graph, route, node)
        return self.ways[route, node]

    def _advance(
        self, at: Node, slot: str, parent: Node, state: Hashable, target: Target, ways: Ways
    ) -> Reach | Passed:
        """How far a target has come after the step from a slot of a node, in this state, to one of its writers."""
        route = ways.route
        entered = route.edge(state, at, slot, parent)
        if entered is None:
            return DEAD
        if parent == ways.node:
            return (ARRIVED if target.read_slots else Reach.MATCHED) if route.may_end(entered) else DEAD
        after = route.step(entered, parent)
        if after is None or not ways.lead(parent, after):
            return DEAD
        return self.passed.setdefault(after, Passed(after))

    def _entry(self, copy: NodeCopy, parent: Node, steps: list[Reach | Passed], selected: list[bool]) -> Contribution:
        hits = [i for i, step in enumerate(steps) if step is Reach.MATCHED and selected[i]]
        state = tuple(DEAD if step is Reach.MATCHED else step for step in steps)
        live = tuple((i, step) for i, step in enumerate(state) if step is not DEAD)
        self.tree.matched |= {(copy.region, i) for i in hits}
        mixed = NodeCopy(copy.region, parent, state) if live and not hits else None
        return Contribution(parent, tuple(self._hit(copy, i) for i in hits), mixed, live)


def _taken(
    steps: list[Reach | Passed], only_at: list[Positions | None], inside: dict[Positions, bool]
) -> list[Reach | Passed]:
    """The steps that are taken in a cell of positions."""
    return [step if at is None or inside.get(at, False) else DEAD for step, at in zip(steps, only_at, strict=True)]
