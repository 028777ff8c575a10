"""Edges and scores of AutoCircuit: names of edges as JSON, its own objects, or saved `PruneScores`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from scrubbing.circuits import hooks
from scrubbing.circuits.base import Format, Options, Reading
from scrubbing.circuits.edge_circuit import inputs, readers, reading
from scrubbing.circuits.files import Source
from scrubbing.circuits.problems import NO_PLACE, Problems
from scrubbing.graph.edges import Edge
from scrubbing.graph.model_graph import ModelGraph
from scrubbing.graph.nodes import Node, head_node, mlp_node
from scrubbing.guards import is_dict, is_sequence, is_set

_REMEDY = 'Give names of edges, [["MLP 0->A1.0.Q", null], ...], or a dict of scores by module.'
_END = re.compile(r"A(?P<layer>\d+)\.(?P<head>\d+)(?:\.(?P<slot>[QKV]))?|MLP (?P<mlp>\d+)")
_ONE = 'it is a "{}" of a model that is not factorized, whose edges join layers, not components.'


class AutoCircuit(Format):
    """`["Resid Start->A0.1.Q", ["MLP 0->A1.0.Q", 3]]`, where the number is a position; a set of the tool's edges; or
    scores by module, of which `top` or `threshold` says what is kept.
    """

    def read(self, source: Source, graph: ModelGraph, options: Options, problems: Problems) -> Reading | None:
        """See `Format.read`."""
        is_json = source.content is not None and source.name.endswith(".json")
        stored = source.json() if is_json else source.pickled()
        if is_dict(stored):
            written = _of_scores(stored, graph, options, problems)
        elif is_sequence(stored) or is_set(stored):
            if options.by_score:
                problems.add("its edges have no scores.", "Leave out top= and threshold=, or give the scores.")
            rows = sorted(stored, key=str) if is_set(stored) else list(stored)
            written = [pair for i, row in enumerate(rows) for pair in _named(row, f"entry {i}", graph, problems)]
        else:
            problems.add(f"it holds a {type(stored).__name__}, not edges or scores.", _REMEDY)
            return None
        return reading(source.title, written, graph, problems)


def _named(row: Any, where: str, graph: ModelGraph, problems: Problems) -> Iterator[tuple[str, Edge]]:
    """The edges of a name, with a position or without."""
    if isinstance(row, str):
        name, position = row, None
    elif is_sequence(row) and len(row) == 2:
        name, position = row
    else:
        name, position = getattr(row, "name", None), getattr(row, "seq_idx", None)
    if not isinstance(name, str) or not (position is None or isinstance(position, int)):
        problems.add("it is no edge.", _REMEDY, where)
        return
    start, _, end = name.partition("->")
    writers, slots = _writers(start, graph), _slots(end, graph)
    if writers is None or slots is None:
        which = start if writers is None else end
        told = _ONE.format(which) if which.startswith("Resid") else f"{which!r} is no end of an edge."
        problems.add(told, "Give edges of a factorized model.", where)
        return
    at = () if position is None else (position,)
    yield from ((where, Edge(one, node, slot, at)) for one in writers for node, slot in slots)


def _writers(name: str, graph: ModelGraph) -> list[Node] | None:
    if name == "Resid Start":
        return inputs(graph)
    found = _END.fullmatch(name)
    if found is None or found["slot"]:
        return None
    return [mlp_node(int(found["mlp"])) if found["mlp"] else head_node(int(found["layer"]), int(found["head"]))]


def _slots(name: str, graph: ModelGraph) -> list[tuple[Node, str]] | None:
    if name == "Resid End":
        return readers(graph.output, graph)
    found = _END.fullmatch(name)
    if found is None:
        return None
    if found["mlp"]:
        return [(mlp_node(int(found["mlp"])), "x")]
    head = head_node(int(found["layer"]), int(found["head"]))
    return [(head, slot) for slot in (found["slot"].lower() if found["slot"] else "qkv")]


def _of_scores(
    stored: dict[Any, Any], graph: ModelGraph, options: Options, problems: Problems
) -> list[tuple[str, Edge]]:
    """The edges that are kept of scores: by module, `[positions, heads, writers]` or fewer axes."""
    import numpy as np

    if not options.by_score:
        problems.add("it scores all edges and says of none that it is in the circuit.", "Give top= or threshold=.")
        return []
    writers: list[list[Node]] = [inputs(graph)]
    writers += [[node] for node in graph.slots if node.kind in ("head", "mlp")]
    found: list[tuple[float, str, list[Edge]]] = []
    for module, values in stored.items():
        scores = np.asarray(values.detach().cpu() if hasattr(values, "detach") else values)
        of_heads = str(module).endswith(("q_input", "k_input", "v_input", "attn_in"))
        if scores.ndim not in ((2, 3) if of_heads else (1, 2)) or scores.dtype.kind not in "fiu":
            problems.add(f"it holds {scores.dtype} of shape {list(scores.shape)}.", _REMEDY, str(module))
            continue
        for index, score in np.ndenumerate(scores):
            source, place = int(index[-1]), tuple(map(int, index[:-1]))
            at = (place[0],) if scores.ndim == (3 if of_heads else 2) else ()
            slots = hooks.readers_at(str(module), place[-1:] if of_heads else [], graph)
            if slots is None or source >= len(writers):
                problems.add(f"the model has no edge from writer {source} to {module}.", NO_PLACE, str(module))
                break
            edges = [Edge(one, node, slot, at) for one in writers[source] for node, slot in slots]
            found.append((float(score), f"{module}{list(index)}", edges))
    chosen = [found[i] for i in options.chosen([score for score, _, _ in found])]
    return [(where, edge) for _, where, edges in chosen for edge in edges]
