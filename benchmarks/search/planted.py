"""What a search finds, held against what was planted: nodes, edges, positions and features."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from benchmarks.groundtruth.truth import Ints, Truth
from scrubbing import Claim, Dataset, Feature, Hypothesis, ModelGraph, Node, Target

RELATIONS = ("exact", "finer", "coarser", "other")
"""How a feature that was found compares with the planted one."""
Edge = tuple[Node, str, Node]
"""Writer, slot, reader."""


@dataclass(frozen=True, eq=False)
class Said:
    """One target of a claim: what writes, where it is read, and what it is said to carry."""

    target: Target
    edges: frozenset[Edge]
    positions: tuple[int, ...]
    feature: Feature


@dataclass(frozen=True)
class Counts:
    """How many of some things were found, of those that are there, and of those that were found."""

    both: int
    there: int
    found: int

    @classmethod
    def of(cls, there: frozenset[object], found: frozenset[object]) -> Counts:
        """Of two sets."""
        return cls(len(there & found), len(there), len(found))

    @property
    def score(self) -> float:
        """The F measure, by which the closest of several truths is chosen."""
        return 2 * self.both / max(self.there + self.found, 1)


@dataclass(frozen=True)
class Comparison:
    """One search beside the truth that it comes closest to."""

    nodes: Counts
    edges: Counts
    positions: Counts
    """At which nodes are read along edges that are both planted and found."""
    features: dict[str, int]
    """How features of planted claims compare with those found for the same: `exact`, `finer`, `coarser`, `other`."""


def compared(made: Truth, found: Hypothesis) -> Comparison:
    """What was found, beside the closest of what is true."""
    graph = made.model.graph(made.data)
    return max((_beside(one, found, graph, made.data) for one in truths(made)), key=lambda one: one.edges.score)


def truths(made: Truth) -> Iterator[Hypothesis]:
    """What is true, no finer and no wider than needed: where any of several copies can be given up, without each."""
    yield from made.tight
    for whole in made.redundant:
        yield from _without_one(whole)


def _without_one(whole: Hypothesis) -> Iterator[Hypothesis]:
    """The hypothesis without one of the claims at the lowest branching."""
    above = whole.correspondence
    while len(above.children) == 1 and above.children[0].children:
        above = above.children[0]
    for gone in above.children:
        yield replace(whole, correspondence=_dropped(whole.correspondence, gone))


def _dropped(claim: Claim, gone: Claim) -> Claim:
    return replace(claim, children=tuple(_dropped(one, gone) for one in claim.children if one is not gone))


def _beside(truth: Hypothesis, found: Hypothesis, graph: ModelGraph, data: Dataset) -> Comparison:
    there, ours = list(_said(truth.correspondence, graph)), list(_said(found.correspondence, graph))
    # Of what a planted leaf reads, nothing was planted, and it is not said to read nothing.
    explained = {reader for one in there for _, _, reader in one.edges}
    ours = [one for one in ours if any(reader in explained for _, _, reader in one.edges)]
    edges = [frozenset(edge for one in some for edge in one.edges) for some in (there, ours)]
    nodes = [frozenset(writer for writer, _, _ in some) for some in edges]
    places = [
        frozenset((*edge, place) for one in some for edge in one.edges if edge in edges[0] & edges[1]
                  for place in one.positions)
        for some in (there, ours)
    ]  # fmt: skip
    return Comparison(Counts.of(*nodes), Counts.of(*edges), Counts.of(*places), _features(there, ours, data))


def edges_of(hypothesis: Hypothesis, graph: ModelGraph) -> frozenset[Edge]:
    """The edges that a hypothesis claims to matter."""
    return frozenset(edge for one in _said(hypothesis.correspondence, graph) for edge in one.edges)


def _said(claim: Claim, graph: ModelGraph) -> Iterator[Said]:
    for child in claim.children:
        for target in child.targets:
            readers = [one.node for one in claim.targets if one.node is not None]
            edges, places = set[Edge](), set[int]()
            assert target.node is not None
            for reader in readers:
                for name, slot in graph.slots[reader].items():
                    if target.node in slot.parents and (not target.into_slots or name in target.into_slots):
                        edges.add((target.node, name, reader))
            if target.positions is not None:
                places = set(target.positions.resolve(graph.positions, padded=False) or ())
            yield Said(target, frozenset(edges), tuple(sorted(places)), child.variable.agrees_on())
        yield from _said(child, graph)


def _features(there: list[Said], ours: list[Said], data: Dataset) -> dict[str, int]:
    """Of planted claims about whole nodes that were found, with a feature among those that could be named."""
    counts: dict[str, int] = dict.fromkeys(RELATIONS, 0)
    for one in there:
        same = next((other for other in ours if one.edges & other.edges), None)
        if same is None or one.target.only is not None or one.feature.op == "constant":
            continue
        places = tuple(sorted({*one.positions} & {*same.positions})) or one.positions
        counts[_relation(_codes(same.feature, data, places), _codes(one.feature, data, places))] += 1
    return counts


def _relation(found: Ints, planted: Ints) -> str:
    if found.shape != planted.shape:
        return "other"  # one of them draws an input for each position, the other does not
    finer = all(_follows(a, b) for a, b in zip(found.T, planted.T, strict=True))
    coarser = all(_follows(b, a) for a, b in zip(found.T, planted.T, strict=True))
    return "exact" if finer and coarser else "finer" if finer else "coarser" if coarser else "other"


def _follows(fine: Ints, coarse: Ints) -> bool:
    """Whether one is a function of the other."""
    return len(np.unique(fine)) == len(np.unique(np.stack([fine, coarse]), axis=1).T)


def _codes(feature: Feature, data: Dataset, places: tuple[int, ...]) -> Ints:
    values = feature(data)
    values = values[:, list(places)] if feature.per == "position" else values.reshape(len(data), -1)[:, :1]
    return np.unique(values, return_inverse=True)[1].reshape(values.shape).astype(np.int64)
