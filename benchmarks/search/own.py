"""Edges along which a hypothesis leaves an input its own values: a size that counts what is kept unclaimed, too."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from benchmarks.search.planted import Edge
from scrubbing import Claim, Hypothesis, ModelGraph, Node
from scrubbing.samplers import exact


def own_edges(hypothesis: Hypothesis, graph: ModelGraph) -> frozenset[Edge]:
    """Edges that are not resampled.

    What is said of parts, positions and features of an edge is not counted, nor through which MLPs a path leads.
    """
    return frozenset(_below(hypothesis.correspondence, graph.output, graph))


def _below(claim: Claim, node: Node, graph: ModelGraph) -> Iterator[Edge]:
    """Of what a claim keeps of what a node reads."""
    if claim.variable.agrees_on().op == "constant":
        return
    if not claim.children:
        yield from _all(node, graph)
        return
    if claim.unclaimed is not None and claim.unclaimed.sampler is exact:
        yield from _all(node, graph, {target.node for child in claim.children for target in child.targets})
    for child in claim.children:
        for target in child.targets:
            slots = target.into_slots or target.read_slots or tuple(graph.slots[node])
            into = [(slot, graph.slots[node][slot].parents) for slot in slots if slot in graph.slots[node]]
            if target.node is not None:
                yield from ((target.node, slot, node) for slot, parents in into if target.node in parents)
                yield from _below(child, target.node, graph)
            elif child.variable.agrees_on().op != "constant":
                for slot, parents in into:
                    for one in parents:
                        yield one, slot, node
                        yield from _all(one, graph)


def _all(node: Node, graph: ModelGraph, but: Collection[Node | None] = ()) -> Iterator[Edge]:
    """All that a node reads, and what that reads, except what some nodes read."""
    waiting, seen = [node], {node}
    for reader in waiting:  # which grows
        for slot, read in graph.slots[reader].items():
            for one in read.parents:
                yield one, slot, reader
                if one not in seen and one not in but:
                    seen.add(one)
                    waiting.append(one)
