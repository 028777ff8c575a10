"""Edges and nodes by the keys of TransformerLens 4's attribution patching, which have positions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from scrubbing.circuits.base import Format, Options, Reading
from scrubbing.circuits.edge_circuit import all_edges, reading
from scrubbing.circuits.files import Source
from scrubbing.circuits.problems import NO_PLACE, Problems
from scrubbing.graph.edges import Edge
from scrubbing.graph.model_graph import ModelGraph
from scrubbing.graph.nodes import EMBED, POS, Node, head_node, mlp_node
from scrubbing.guards import is_dict, is_sequence

_WRITERS = ("embed", "attn_head_out", "mlp_out")
_READERS = ("q_input", "k_input", "v_input", "mlp_in", "logits")
_REMEDY = 'Give pairs of nodes, or nodes: {"kind": "attn_head_out", "position": 3, "layer": 0, "head": 1}.'
_POSITIONS = "position embeddings, which are no node there: each component of the circuit reads its own input's"


@dataclass(frozen=True)
class _Key:
    kind: str
    position: int
    layer: int | None
    head: int | None


class Keys(Format):
    """`[[writer, reader], ...]`, with a score or without, or `[node, ...]`: as JSON, or as the tool's own objects.

    Of nodes, the circuit is every edge between them and from all of them to the output, at the writer's positions.
    """

    def read(self, source: Source, graph: ModelGraph, options: Options, problems: Problems) -> Reading | None:
        """See `Format.read`."""
        stored = source.json()
        if is_dict(stored):  # as in AttributionResult.edge_scores
            stored = [(*key, score) if is_sequence(key) else (key, score) for key, score in stored.items()]
        if not is_sequence(stored):
            problems.add("it holds no list of edges or nodes.", _REMEDY)
            return None
        rows = [_row(one, i, problems) for i, one in enumerate(stored)]
        sizes = {len(keys) for keys, _ in rows}
        problems.stop_if_any()
        if len(sizes) != 1:
            problems.add("it holds both edges and nodes, or nothing.", _REMEDY)
            return None
        if options.by_score:
            if any(score is None for _, score in rows):
                problems.add("its entries have no scores.", "Leave out top= and threshold=.")
                return None
            rows = [rows[i] for i in options.chosen([score or 0.0 for _, score in rows])]
        numbered = [(f"entry {i}", keys) for i, (keys, _) in enumerate(rows)]
        edges = _of_edges(numbered, graph, problems) if sizes == {2} else _of_nodes(numbered, graph, problems)
        if POS in graph.slots:
            reached = {(edge.reader, edge.slot) for _, edge in edges if edge.reader in graph.slots}
            edges += [("position embeddings", Edge(POS, node, slot)) for node, slot in sorted(reached)]
        return reading(source.title, edges, graph, problems, (_POSITIONS,))


def _row(entry: Any, number: int, problems: Problems) -> tuple[tuple[_Key, ...], float | None]:
    """An edge's two nodes, or one node, and the score."""
    parts = list(entry) if is_sequence(entry) else [entry]
    scored = len(parts) > 1 and isinstance(parts[-1], (int, float)) and not isinstance(parts[-1], bool)
    score = float(parts.pop()) if scored else None
    keys = [_key(one) for one in parts]
    if not 1 <= len(keys) <= 2 or any(key is None for key in keys):
        problems.add("it is neither a pair of nodes nor a node.", _REMEDY, f"entry {number}")
        return (), None
    return tuple(key for key in keys if key is not None), score


def _key(one: Any) -> _Key | None:
    names = ("kind", "position", "layer", "head")
    kind, position, layer, head = (_field(one, name) for name in names)
    whole = all(isinstance(n, int) for n in (position, *(n for n in (layer, head) if n is not None)))
    return _Key(kind, position, layer, head) if whole and kind in (*_WRITERS, *_READERS) else None


def _field(one: Any, name: str) -> Any:
    return one.get(name) if is_dict(one) else getattr(one, name, None)


def _node(key: _Key, graph: ModelGraph) -> Node:
    match key.kind:
        case "embed":
            return EMBED
        case "logits":
            return graph.output
        case "mlp_out" | "mlp_in":
            return mlp_node(-1 if key.layer is None else key.layer)
        case _:
            return head_node(-1 if key.layer is None else key.layer, -1 if key.head is None else key.head)


def _of_edges(
    rows: Sequence[tuple[str, tuple[_Key, ...]]], graph: ModelGraph, problems: Problems
) -> list[tuple[str, Edge]]:
    found: list[tuple[str, Edge]] = []
    for where, (writer, reader) in rows:
        if writer.kind not in _WRITERS or reader.kind not in _READERS or writer.position != reader.position:
            problem = f"an edge goes from {writer.kind} at {writer.position} to {reader.kind} at {reader.position}."
            problems.add(problem, "Give a writer and a reader at the same position.", where)
            continue
        slot = reader.kind[0] if reader.kind.endswith("_input") else "x"
        found.append((where, Edge(_node(writer, graph), _node(reader, graph), slot, (reader.position,))))
    return found


def _of_nodes(
    rows: Sequence[tuple[str, tuple[_Key, ...]]], graph: ModelGraph, problems: Problems
) -> list[tuple[str, Edge]]:
    """Every edge between the nodes, at the positions of its writer: outside of them, what it writes is replaced."""
    at: dict[Node, set[int]] = {}
    for where, (key,) in rows:
        node = _node(key, graph)
        if key.kind not in _WRITERS:
            problems.add(f"{key.kind} is a reader; a circuit of nodes is made of writers.", _REMEDY, where)
        elif node not in graph.slots or not 0 <= key.position < graph.positions:
            problems.add(f"the model has no {node} at position {key.position}.", NO_PLACE, where)
        else:
            at.setdefault(node, set()).add(key.position)
    kept = {*at, graph.output}
    return [
        (str(edge.writer), Edge(edge.writer, edge.reader, edge.slot, tuple(sorted(at[edge.writer]))))
        for edge in all_edges(graph)
        if edge.writer in at and edge.reader in kept
    ]
