"""Graphs of EAP and EAP-IG as JSON, the form that MIB's circuit track takes, and of CircuitKIT."""

from __future__ import annotations

import json
from typing import Any

from scrubbing.circuits.base import Format, Options, Reading
from scrubbing.circuits.edge_circuit import all_edges, edges_of, reading
from scrubbing.circuits.edge_list import INPUT, of_input
from scrubbing.circuits.files import Source
from scrubbing.circuits.problems import NO_PLACE, Problems
from scrubbing.errors import IllegalHypothesis, UsageError, fail
from scrubbing.graph.edges import Edge
from scrubbing.graph.model_graph import ModelGraph
from scrubbing.graph.nodes import EMBED, POS
from scrubbing.guards import is_dict, is_list
from scrubbing.hypothesis.hypothesis import Hypothesis

_SIZES = (("n_layers", "layers"), ("n_heads", "heads per layer"))


class Eap(Format):
    """`{"cfg": ..., "nodes": {"a0.h1": {"in_graph": true, "score": 0.5}}, "edges": {"input->a0.h1<q>": {...}}}`.

    An edge is kept if it and the nodes at both of its ends are `in_graph`. With `top` or `threshold` the scores decide:
    those of edges, or where only nodes are scored, those of nodes.
    """

    def read(self, source: Source, graph: ModelGraph, options: Options, problems: Problems) -> Reading | None:
        """See `Format.read`."""
        stored = source.json()
        edges, nodes = (stored.get(key) if is_dict(stored) else None for key in ("edges", "nodes"))
        if not is_dict(edges) or not is_dict(nodes):
            remedy = "Write it with to_json of the tool's graph."
            problems.add('it has no "edges" and "nodes" by name.', remedy)
            return None
        _check_sizes(stored.get("cfg"), graph, problems)
        _check_whole(nodes, problems)
        rows = [(name, _entry(name, entry, problems)) for name, entry in edges.items()]
        kept = _kept(rows, {name: _entry(name, entry, problems) for name, entry in nodes.items()}, options, problems)
        parsed = [(name, _parsed(name, problems)) for name in kept]
        # A name that does not parse was noted; `input` stands for both embeddings.
        whole = [(name, one) for name, edge in parsed if edge is not None for one in of_input(edge, graph)]
        return reading(source.title, whole, graph, problems)

    def write(self, hypothesis: Hypothesis, graph: ModelGraph) -> str:
        """See `Format.write`."""
        edges = edges_of(hypothesis)
        if at := next((edge for edge in sorted(edges) if edge.at), None):
            problem = f"its edge {at} is at some positions, and the format has edges at all of them."
            fail(UsageError, "SCR-CIRCUIT", problem, "Write edges.", hypothesis.name)
        split = [edge for edge in sorted(edges) if edge.writer in (EMBED, POS) and not _both(edge, edges, graph)]
        if split:
            problem = f"it has {split[0]} without the other embedding, and the format has one input for both."
            fail(UsageError, "SCR-CIRCUIT", problem, "Write edges.", hypothesis.name)
        within = {edge.writer for edge in edges}
        known = [node for node in graph.slots if node.kind in ("head", "mlp")]
        heads = max((node.head for node in known), default=-1) + 1
        layers = max((node.layer for node in known), default=-1) + 1
        within_layer = any(e.writer.layer == e.reader.layer >= 0 for e in all_edges(graph))
        cfg = {"n_layers": layers, "n_heads": heads, "parallel_attn_mlp": not within_layer, "d_model": graph.d_model}
        named = {_name(edge): edge in edges for edge in all_edges(graph) if edge.writer != POS}
        return json.dumps(
            {
                "cfg": cfg,
                "nodes": {
                    "input": {"in_graph": True},
                    **{str(node): {"in_graph": node in within} for node in known},
                    "logits": {"in_graph": True},
                },
                "edges": {name: {"score": float(kept), "in_graph": kept} for name, kept in named.items()},
            }
        )


def _both(edge: Edge, edges: frozenset[Edge], graph: ModelGraph) -> bool:
    others = of_input(Edge(INPUT, edge.reader, edge.slot), graph)
    return all(one in edges for one in others)


def _name(edge: Edge) -> str:
    return str(edge) if edge.writer != EMBED else str(Edge(INPUT, edge.reader, edge.slot))


def _check_sizes(cfg: Any, graph: ModelGraph, problems: Problems) -> None:
    heads = [node for node in graph.slots if node.kind == "head"]
    ours = {"n_layers": 1 + max((node.layer for node in graph.slots), default=-1)}
    ours["n_heads"] = 1 + max((node.head for node in heads), default=-1)
    for key, word in _SIZES:
        theirs = cfg.get(key) if is_dict(cfg) else None
        if theirs is not None and theirs != ours[key]:
            problems.add(f"it is about {theirs} {word}, and the model has {ours[key]}.", NO_PLACE, f"cfg.{key}")


def _check_whole(nodes: dict[Any, Any], problems: Problems) -> None:
    """Parts of a node's output that are kept are single coordinates of the residual stream."""
    for name, entry in nodes.items():
        neurons = entry.get("neurons") if is_dict(entry) else None
        if is_list(neurons) and entry.get("in_graph", True) and not all(neurons):
            kept = sum(bool(one) for one in neurons)
            problem = f"it keeps {kept} of {len(neurons)} coordinates of what {name} writes, and an edge is of all."
            problems.add(problem, "Import a circuit of edges or nodes.", f"nodes.{name}.neurons")


def _entry(name: str, entry: Any, problems: Problems) -> tuple[bool, float]:
    """Whether an edge or node is in the graph, and its score; NaN where it has none."""
    if isinstance(entry, bool):
        return entry, float("nan")
    inside: Any = entry.get("in_graph") if is_dict(entry) else None
    score: Any = entry.get("score") if is_dict(entry) else None
    number = float(score) if isinstance(score, (int, float)) and not isinstance(score, bool) else None
    if not isinstance(inside, bool) or not (score is None or number is not None):
        problem = f"{name} does not say whether it is in the graph."
        problems.add(problem, 'Write {"in_graph": true or false, "score": number}.', str(name))
        return False, float("nan")
    return inside, float("nan") if number is None else number


def _kept(
    rows: list[tuple[str, tuple[bool, float]]],
    nodes: dict[str, tuple[bool, float]],
    options: Options,
    problems: Problems,
) -> list[str]:
    """Names of the edges in the circuit."""
    ends = {name: (name.partition("->")[0], name.partition("->")[2].partition("<")[0]) for name, _ in rows}
    within = {name for name, (inside, _) in nodes.items() if inside} | {"logits"}
    for name, (inside, _) in rows:
        strange = [end for end in ends[name] if end not in nodes and end != "logits"]
        if strange and (inside or options.by_score):
            problem = f"it names {strange[0]!r}, which is not among the nodes."
            problems.add(problem, "Write it with to_json of the tool's graph.", f"edges.{name}")
    if not options.by_score:
        return [name for name, (inside, _) in rows if inside and set(ends[name]) <= within]
    scored = [(name, score) for name, (_, score) in rows if score == score]
    if any(score for _, score in scored):
        return [scored[i][0] for i in options.chosen([score for _, score in scored])]
    of_nodes = [(name, score) for name, (_, score) in nodes.items() if score == score]
    if not of_nodes:
        problems.add("neither its edges nor its nodes have scores.", "Leave out top= and threshold=.")
    chosen = {of_nodes[i][0] for i in options.chosen([score for _, score in of_nodes])} | {"input", "logits"}
    unscored = {name for name, (_, score) in nodes.items() if score != score}
    return [name for name, _ in rows if set(ends[name]) <= chosen | unscored]


def _parsed(name: str, problems: Problems) -> Edge | None:
    try:
        return Edge.parse(name)
    except IllegalHypothesis as error:
        problems.add(error.faults[0].problem, error.faults[0].remedy, f"edges.{name}")
        return None
