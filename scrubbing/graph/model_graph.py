"""The model as a DAG of named nodes with labelled input slots, without any weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from scrubbing.errors import Fault, IllegalHypothesis, nearest
from scrubbing.graph.nodes import (
    EMBED,
    EMBED_NORM,
    LOGITS,
    MASK,
    POS,
    TYPES,
    Node,
    attn_node,
    head_node,
    mlp_node,
    norm_node,
)
from scrubbing.shown import Shown

if TYPE_CHECKING:
    import networkx as nx

Reach = Literal["same", "earlier", "every"]
"""Which positions of a slot's input one output position reads: its own, those up to it, or all of them."""


@dataclass(frozen=True)
class Slot:
    """A labelled input of a node, which reads the sum of its parents' outputs (plus constants of the model)."""

    parents: tuple[Node, ...]
    """The nodes that are read, in the order in which they write."""
    reach: Reach = "same"


@dataclass(frozen=True)
class ModelGraph(Shown):
    """A model as a directed acyclic graph: its nodes, their slots, and the nodes that each slot reads.

    The graph holds no tensor, so a hypothesis can be checked against it without weights, torch or a GPU.

    Raises:
        IllegalHypothesis: SCR-GRAPH, a slot reads an unknown node or none, the output is unknown, or there is a cycle.
    """

    slots: Mapping[Node, Mapping[str, Slot]]
    """Every node with its slots; sources have none."""
    output: Node
    positions: int = 1
    """Length of the position axis."""
    widths: Mapping[Node, int] = field(default_factory=dict[Node, int])
    """Number of neurons of each node that has neurons."""
    d_model: int = 0
    """Width of the residual stream; 0 where there is none."""

    def __post_init__(self) -> None:
        import networkx as nx

        faults = list(self._name_faults())
        if not faults and not nx.is_directed_acyclic_graph(self.digraph):
            cycle = [str(edge[0]) for edge in nx.find_cycle(self.digraph)]
            problem = f"its nodes form a cycle: {' -> '.join([*cycle, cycle[0]])}."
            faults.append(Fault("SCR-GRAPH", "model graph", problem, "Remove one of these edges."))
        if faults:
            raise IllegalHypothesis(faults, "This model graph is malformed")

    def _name_faults(self) -> Iterator[Fault]:
        known = [str(node) for node in self.slots]
        if self.output not in self.slots:
            problem = f"its output {self.output} is not a node."
            yield Fault("SCR-GRAPH", "model graph", problem, f"Its nodes: {nearest(str(self.output), known)}.")
        for node, slots in self.slots.items():
            for name, slot in slots.items():
                if not slot.parents:
                    remedy = "Name the nodes it reads; a node that reads nothing is a source and has no slots."
                    yield Fault("SCR-GRAPH", f"node {node}", f"slot {name} reads nothing.", remedy)
                for parent in slot.parents:
                    if parent not in self.slots:
                        problem = f"slot {name} reads {parent}, which is not a node."
                        yield Fault("SCR-GRAPH", f"node {node}", problem, f"Its nodes: {nearest(str(parent), known)}.")

    @cached_property
    def digraph(self) -> nx.DiGraph[Node]:
        """The graph as a `networkx.DiGraph`, with edges from writer to reader."""
        import networkx as nx

        graph: nx.DiGraph[Node] = nx.DiGraph()
        graph.add_nodes_from(self.slots)
        graph.add_edges_from(
            (parent, node) for node, slots in self.slots.items() for slot in slots.values() for parent in slot.parents
        )
        return graph

    @cached_property
    def upstream(self) -> Mapping[Node, frozenset[Node]]:
        """For every node, all nodes from which some path leads to it; the node itself is not among them."""
        import networkx as nx

        above: dict[Node, frozenset[Node]] = {}
        for node in nx.topological_sort(self.digraph):
            parents = set(self.digraph.predecessors(node))
            above[node] = frozenset(parents.union(*(above[parent] for parent in parents)))
        return above

    @property
    def looks_ahead(self) -> bool:
        """Whether an output may depend on inputs at later positions, other than through the padding mask."""
        slots = (slot for slots in self.slots.values() for slot in slots.values())
        return any(slot.reach == "every" and slot.parents != (MASK,) for slot in slots)

    def readers(self, node: Node, avoid: frozenset[Node] = frozenset()) -> frozenset[Node]:
        """Every node that reads `node`, directly or through others, on paths without the nodes of `avoid`."""
        found: set[Node] = set()
        frontier = [node] if node in self.slots else []  # a claim may name a node that the model does not have
        while frontier:
            for reader in self.digraph.successors(frontier.pop()):
                if reader not in found and reader not in avoid:
                    found.add(reader)
                    frontier.append(reader)
        return frozenset(found)

    def with_positions(self, positions: int) -> ModelGraph:
        """The same graph for inputs of `positions` positions."""
        return self if positions == self.positions else replace(self, positions=positions)


def transformer_graph(
    n_layers: int,
    n_heads: int,
    *,
    d_model: int,
    d_mlp: int | None,
    positions: int,
    causal: bool,
    padded: bool,
    learned_positions: bool = True,
    parallel: bool = False,
    post_norms: bool = False,
) -> ModelGraph:
    """The graph of a pre-norm transformer.

    Args:
        n_layers: number of blocks.
        n_heads: query heads per block; each is one node.
        d_model: width of the residual stream.
        d_mlp: neurons per MLP; None for attention-only models.
        positions: length of the position axis.
        causal: whether a query sees only keys up to its own position.
        padded: whether inputs carry a padding mask; adds the `mask` node and the heads' `mask` slot.
        learned_positions: whether position embeddings are added to the residual stream. Positions that enter inside
            attention (rotary, shortformer) are the same for every input and have no node.
        parallel: attention and MLP of a block read the same residual (GPT-NeoX).
        post_norms: attention and MLP outputs are normalised before they are added (Gemma 2).
    """
    reach: Reach = "earlier" if causal else "every"
    nodes: dict[Node, dict[str, Slot]] = {EMBED: {}}
    writers: list[Node] = [EMBED]
    if learned_positions:
        nodes[POS] = {}
        writers.append(POS)
    if padded:
        nodes[MASK] = {}
    for layer in range(n_layers):
        stream = tuple(writers)
        heads = [head_node(layer, head) for head in range(n_heads)]
        for node in heads:
            nodes[node] = {
                "q": Slot(stream),
                "k": Slot(stream, reach),
                "v": Slot(stream, reach),
            }
            if padded:
                nodes[node]["mask"] = Slot((MASK,), "every")
        if post_norms:
            nodes[attn_node(layer)] = {"x": Slot(tuple(heads))}
        writers += [attn_node(layer)] if post_norms else heads
        if d_mlp is not None:
            nodes[mlp_node(layer)] = {"x": Slot(stream if parallel else tuple(writers))}
            writers.append(mlp_node(layer))
    nodes[LOGITS] = {"x": Slot(tuple(writers))}
    # Behind a post-norm a neuron's share of what the MLP writes is not defined, so such MLPs show no neurons.
    widths = {node: d_mlp for node in nodes if node.kind == "mlp" and d_mlp is not None and not post_norms}
    return ModelGraph(nodes, LOGITS, positions, widths, d_model)


def encoder_graph(
    n_layers: int, n_heads: int, *, d_model: int, d_mlp: int, positions: int, padded: bool, types: bool
) -> ModelGraph:
    """The graph of a post-norm encoder, such as BERT.

    What a layer adds to the residual stream is normed together with the stream. So each norm is a node, and all that
    later nodes read.

    Args:
        n_layers: number of blocks.
        n_heads: heads per block; each is one node.
        d_model: width of the residual stream.
        d_mlp: neurons per MLP.
        positions: length of the position axis.
        padded: whether inputs carry a padding mask; adds the `mask` node and the heads' `mask` slot.
        types: whether embeddings of token types are added to those of tokens and positions.
    """
    sources = (EMBED, POS, *([TYPES] if types else []))
    nodes: dict[Node, dict[str, Slot]] = {one: {} for one in (*sources, *([MASK] if padded else []))}
    nodes[EMBED_NORM] = {"x": Slot(sources)}
    stream = EMBED_NORM
    for layer in range(n_layers):
        heads = tuple(head_node(layer, head) for head in range(n_heads))
        for node in heads:
            nodes[node] = {"q": Slot((stream,)), "k": Slot((stream,), "every"), "v": Slot((stream,), "every")}
            if padded:
                nodes[node]["mask"] = Slot((MASK,), "every")
        attended, mlp = norm_node("attn", layer), mlp_node(layer)
        nodes[attended] = {"x": Slot((stream, *heads))}
        nodes[mlp] = {"x": Slot((attended,))}
        stream = norm_node("mlp", layer)
        nodes[stream] = {"x": Slot((attended, mlp))}
    nodes[LOGITS] = {"x": Slot((stream,))}
    widths = {mlp_node(layer): d_mlp for layer in range(n_layers)}
    return ModelGraph(nodes, LOGITS, positions, widths, d_model)
