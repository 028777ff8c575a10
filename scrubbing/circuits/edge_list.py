"""Edges as text, one a line: `a0.h1->a1.h0<q>`, or hooks of TransformerLens as ACDC prints them."""

from __future__ import annotations

from scrubbing.circuits import hooks
from scrubbing.circuits.base import Format, Options, Reading
from scrubbing.circuits.edge_circuit import edges_of, inputs, reading
from scrubbing.circuits.files import Source
from scrubbing.circuits.problems import Problems
from scrubbing.errors import IllegalHypothesis
from scrubbing.graph.edges import Edge
from scrubbing.graph.model_graph import ModelGraph
from scrubbing.graph.nodes import Node
from scrubbing.hypothesis.hypothesis import Hypothesis

INPUT = Node("input")
"""What other tools call token and position embeddings together."""


class EdgeList(Format):
    """One edge a line, the writer first: `input->a0.h1<q>`, `a0.h1 -> m1`, `m0->logits@0,3`; or the reader first, as
    ACDC prints edges: `blocks.1.hook_mlp_in[:] <- blocks.0.attn.hook_result[:, :, 1]`. `#` begins a comment.
    """

    def read(self, source: Source, graph: ModelGraph, options: Options, problems: Problems) -> Reading | None:
        """See `Format.read`."""
        if options.by_score:
            problems.add("its edges have no scores.", "Leave out top= and threshold=.")
        written: list[tuple[str, Edge]] = []
        lines = source.text().splitlines() if source.content is not None else [str(one) for one in source.held]
        for number, line in enumerate(lines, 1):
            text = line.partition("#")[0].strip()
            if text:
                written += [(f"line {number}", edge) for edge in _edges(text, f"line {number}", graph, problems)]
        return reading(source.title, written, graph, problems)

    def write(self, hypothesis: Hypothesis, graph: ModelGraph) -> str:
        """See `Format.write`."""
        return "".join(f"{edge}\n" for edge in sorted(edges_of(hypothesis)))


def of_input(edge: Edge, graph: ModelGraph) -> list[Edge]:
    """An edge in whose names `input` is the embeddings."""
    sources = inputs(graph) if edge.writer == INPUT else [edge.writer]
    return [Edge(one, edge.reader, edge.slot, edge.at) for one in sources]


def _edges(text: str, where: str, graph: ModelGraph, problems: Problems) -> list[Edge]:
    reader, arrow, writer = text.partition("<-")
    if not arrow:
        writer, arrow, reader = text.partition("->")
    ends = hooks.place(writer), hooks.place(reader)
    if "hook_" in text and ends[0] and ends[1]:
        found = hooks.edges_between(ends[0], ends[1], graph)
        if isinstance(found, str):
            problems.add(f"{found} is no end of an edge.", "Name hooks of a residual writer and of a reader.", where)
            return []
        return found
    try:
        return of_input(Edge.parse(text), graph)
    except IllegalHypothesis as error:
        problems.add(error.faults[0].problem, error.faults[0].remedy, where)
        return []
