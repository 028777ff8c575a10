"""A circuit of edges as a hypothesis and back: every path along its edges carries the input, and nothing else does."""

from __future__ import annotations

from collections.abc import Iterable

from scrubbing.circuits.base import Reading
from scrubbing.circuits.problems import NO_PLACE, Problems
from scrubbing.data.features import everything
from scrubbing.errors import UsageError, counted, fail
from scrubbing.graph.edges import Edge
from scrubbing.graph.model_graph import ModelGraph
from scrubbing.graph.nodes import EMBED, MASK, POS, Node
from scrubbing.hypothesis.claims import Bundle, Claim, Target
from scrubbing.hypothesis.hypothesis import Hypothesis
from scrubbing.hypothesis.variables import Variable
from scrubbing.routes import Along

INPUT, RESULT = Variable("input", everything), Variable("output", everything)
UNSAID = (
    "which property of the input an edge carries: each is claimed to carry all of it",
    "on which inputs the circuit is meant to hold: the scope is every input of the dataset",
    "what stands in for edges outside: here, one other input of the dataset for all of them",
)
"""What no format of edges says, and what is assumed instead."""


def readers(node: Node, graph: ModelGraph, slot: str | None = None) -> list[tuple[Node, str]]:
    """A node and its slots, but for the padding mask; or one slot of it."""
    slots = graph.slots.get(node, {})
    return [(node, name) for name in slots if slots[name].parents != (MASK,) and slot in (None, name)]


def inputs(graph: ModelGraph) -> list[Node]:
    """Token embeddings, and position embeddings where the model adds them: one node, in other tools."""
    return [node for node in (EMBED, POS) if node in graph.slots]


def all_edges(graph: ModelGraph) -> list[Edge]:
    """Every edge of a model, but for those of the padding mask."""
    return [
        Edge(writer, node, slot)
        for reader in graph.slots
        for node, slot in readers(reader, graph)
        for writer in graph.slots[node][slot].parents
    ]


def connected(edges: Iterable[Edge], graph: ModelGraph) -> frozenset[Edge]:
    """The edges on some path from the embeddings to the output; the others change nothing."""
    given = set(edges)
    up, down = {graph.output}, set(inputs(graph))
    order = [node for node in graph.slots if node in {e.reader for e in given} | {e.writer for e in given}]
    for node in reversed(order):
        up |= {edge.writer for edge in given if edge.reader == node and node in up}
    for node in order:
        down |= {node} if any(edge.reader == node and edge.writer in down for edge in given) else set()
    return frozenset(edge for edge in given if edge.reader in up and edge.writer in down)


def reading(
    title: str, written: Iterable[tuple[str, Edge]], graph: ModelGraph, problems: Problems, unsaid: Iterable[str] = ()
) -> Reading:
    """The claim that the input is carried along some edges, each with how the file names it.

    Those that lie on no path from input to output are left out; a head that is kept looks at its own input's padding
    mask.
    """
    edges = check_edges(written, graph, problems)
    kept = connected(edges, graph)
    if not kept and not problems.any:
        problems.add("its edges form no path from the embeddings to the output.", "Keep more of them.")
    told = f"{counted(len(kept), 'edge')} of {title} carry the input."
    if unused := len(edges) - len(kept):
        told += f" {counted(unused, 'edge')} on no path from input to output {'is' if unused == 1 else 'are'} left out."
    if MASK in graph.slots:
        heads = {edge.reader for edge in kept if "mask" in graph.slots[edge.reader]}
        kept |= {Edge(MASK, head, "mask") for head in heads}
    sources = [node for node in (EMBED, POS, MASK) if any(edge.writer == node for edge in kept)]
    claims = (Bundle(tuple(Target(node, Along(kept)) for node in sources)).carries(INPUT),) if kept else ()
    return Reading(told, claims, (*UNSAID, *unsaid))


def edges_of(hypothesis: Hypothesis) -> frozenset[Edge]:
    """The edges of a hypothesis that says of one set of edges that the input is carried along them.

    Raises:
        UsageError: SCR-CIRCUIT, it says something else.
    """
    root = hypothesis.correspondence
    claims = root.children
    routes = {target.route for claim in claims for target in claim.targets}
    route = next(iter(routes), None)
    plain = len(claims) == 1 and not claims[0].children and claims[0].variable.agrees_on() == everything
    if not plain or len(routes) != 1 or not isinstance(route, Along) or _restricted(claims[0]):
        problem = "it is not one claim that the whole input is carried along some edges."
        fail(UsageError, "SCR-CIRCUIT", problem, "Only such hypotheses are circuits of edges.", hypothesis.name)
    return frozenset(edge for edge in route.edges if edge.writer != MASK)


def _restricted(claim: Claim) -> bool:
    targets = claim.targets
    return any(one.positions or one.only or one.into_slots or one.read_slots for one in targets)


def check_edges(edges: Iterable[tuple[str, Edge]], graph: ModelGraph, problems: Problems) -> list[Edge]:
    """Those of some edges, each with how the file names it, that the model has; the others are noted."""
    found: list[Edge] = []
    for written, edge in edges:
        if missing := _missing(edge, graph):
            problems.add(missing, NO_PLACE, written)
        elif edge.at and edge.at[-1] >= graph.positions:
            problem = f"it is at position {edge.at[-1]}, and inputs have {graph.positions} positions."
            problems.add(problem, NO_PLACE, written)
        else:
            found.append(edge)
    return found


def _missing(edge: Edge, graph: ModelGraph) -> str:
    """What a model lacks of an edge, as a sentence; empty if it has it."""
    for node in (edge.reader, edge.writer):
        if node not in graph.slots:
            return f"the model has no {node}."
    slot = graph.slots[edge.reader].get(edge.slot)
    if slot is None:
        slots = ", ".join(graph.slots[edge.reader]) or "none"
        return f"{edge.reader} has no slot {edge.slot!r}; its slots: {slots}."
    return "" if edge.writer in slot.parents else f"{edge.reader} does not read {edge.writer}."
